/*
 * The breaker of a node. See breaker.h.
 */
#include "redis/breaker.h"

#include "redis/pause.h"

static void doubt(mtci_breaker *breaker, bool is_doubted)
{
    atomic_store_explicit(&breaker->is_doubted, is_doubted,
                          memory_order_relaxed);
}

/* The first probe is due at once: a node that was blamed for another's
 * slowness is back within a round trip. */
bool mtci_breaker_fail(mtci_breaker *breaker, int64_t now_ms)
{
    if (breaker->is_open)
        return false;
    breaker->is_open = true;
    breaker->opened_ms = now_ms;
    breaker->probe_ms = now_ms;
    breaker->probes_failed = 0;
    doubt(breaker, true);
    return true;
}

bool mtci_breaker_miss(mtci_breaker *breaker, int64_t sent_ms, int64_t due_ms,
                       int64_t now_ms)
{
    int64_t patience_ms = due_ms - sent_ms;
    if (patience_ms < MTCI_BREAKER_PATIENCE_MS_MIN)
        patience_ms = MTCI_BREAKER_PATIENCE_MS_MIN;
    if (breaker->silent_since_ms == 0)
        breaker->silent_since_ms = sent_ms;
    if (breaker->silent_since_ms < sent_ms)
        sent_ms = breaker->silent_since_ms;
    doubt(breaker, true);
    return now_ms - sent_ms >= patience_ms &&
           mtci_breaker_fail(breaker, now_ms);
}

bool mtci_breaker_answer(mtci_breaker *breaker)
{
    bool was_open = breaker->is_open;
    breaker->silent_since_ms = 0;
    breaker->is_open = false;
    doubt(breaker, false);
    return was_open;
}

int64_t mtci_breaker_due_ms(const mtci_breaker *breaker)
{
    bool wants_probe = breaker->is_open && !breaker->is_probing;
    return wants_probe ? breaker->probe_ms : INT64_MAX;
}

void mtci_breaker_begin_probe(mtci_breaker *breaker)
{
    breaker->is_probing = true;
}

void mtci_breaker_end_probe(mtci_breaker *breaker, int64_t now_ms,
                            uint64_t random)
{
    int64_t bound_ms =
        mtci_pause_bound_ms(breaker->probes_failed, MTCI_BREAKER_PAUSE_MS_MIN,
                            MTCI_BREAKER_PAUSE_MS_MAX);
    breaker->is_probing = false;
    breaker->probe_ms = now_ms + mtci_pause_ms(bound_ms, random);
    breaker->probes_failed++;
}
