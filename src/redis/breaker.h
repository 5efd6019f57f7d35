/*
 * The breaker of one node of a cluster: closed while the node serves, open
 * once it has let a command down. Open, it asks for a probe at a time, with
 * pauses that grow; any answer closes it.
 *
 * Its owner's lock guards it; mtci_breaker_is_doubted needs none.
 */
#ifndef MTCI_REDIS_BREAKER_H
#define MTCI_REDIS_BREAKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Between two probes: random up to a bound that doubles. */
#define MTCI_BREAKER_PAUSE_MS_MIN 100
#define MTCI_BREAKER_PAUSE_MS_MAX 1000
/* A command that had less time says nothing about its node by itself. */
#define MTCI_BREAKER_PATIENCE_MS_MIN 50

/* A zeroed one is closed. */
typedef struct mtci_breaker {
    _Atomic bool is_doubted; /* open, or silent_since_ms is set */
    bool is_open, is_probing;
    int64_t silent_since_ms; /* the first command that was left without an
                                   answer since the last answer; 0: none */
    int64_t opened_ms;
    int64_t probe_ms; /* no probe before this */
    unsigned probes_failed;
} mtci_breaker;

/* Whether an answer must be noted. */
static inline bool mtci_breaker_is_doubted(const mtci_breaker *breaker)
{
    return atomic_load_explicit(&breaker->is_doubted, memory_order_relaxed);
}

/* The node cannot be reached, or refuses the login. Whether that opens it. */
bool mtci_breaker_fail(mtci_breaker *breaker, int64_t now_ms);

/* A command that was sent at sent_ms, to be answered by due_ms, was left
 * without an answer. Opens it if the node has answered nobody for as long as
 * this command was to have. Whether that opens it. */
bool mtci_breaker_miss(mtci_breaker *breaker, int64_t sent_ms, int64_t due_ms,
                       int64_t now_ms);

/* The node has answered. Whether that closes it. */
bool mtci_breaker_answer(mtci_breaker *breaker);

/* When a probe is due; INT64_MAX: it is closed, or one is under way. */
int64_t mtci_breaker_due_ms(const mtci_breaker *breaker);

/* A probe was sent; it was in vain. random: any number. */
void mtci_breaker_begin_probe(mtci_breaker *breaker);
void mtci_breaker_end_probe(mtci_breaker *breaker, int64_t now_ms,
                            uint64_t random);

#endif
