/*
 * The history of one key under several threads, and the judge who decides
 * whether each result was possible.
 *
 * Each write carries a stamp of its own. Every call is noted with the moments
 * at which it began and ended, counted by one clock of events. While others
 * still note, nobody judges. The judge holds the key for a register with
 * unique writes: a stamp has a zone, from the first end to the last beginning
 * of the calls that have to do with it, during which the key certainly had
 * it. No two such zones may overlap, and no call that must have seen or made
 * something else may lie wholly within one.
 *
 * Source: Gibbons and Korach, "Testing Shared Memories", SIAM J. Comput. 1997.
 */
#ifndef MTCT_HISTORY_H
#define MTCT_HISTORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum mtct_event_kind {
    MTCT_WROTE,
    MTCT_REMOVED,
    MTCT_HIT,
    MTCT_MISSED
} mtct_event_kind;

typedef struct mtct_event {
    mtct_event_kind kind;
    uint32_t stamp; /* of a write or a hit */
    uint64_t begun;
    uint64_t ended;
    int64_t end_ms; /* WROTE: when the life of what was written ends */
    int64_t now_ms; /* HIT, MISSED: the time that the reader gave */
} mtct_event;

typedef struct mtct_history {
    mtct_event *events;
    size_t room;
    _Atomic size_t count; /* may pass room: then some were not noted */
} mtct_history;

bool mtct_history_init(mtct_history *history, size_t room);
void mtct_history_fini(mtct_history *history);

/* Notes a call that has ended. Any thread. False: no room. */
bool mtct_history_note(mtct_history *history, mtct_event event);

/* What was impossible, or NULL. may_forget: entries make room for others, so
 * that a miss needs no reason; what was missed must not come back all the
 * same. wrong receives the event. */
const char *mtct_history_judge(const mtct_history *history, bool may_forget,
                               mtct_event *wrong);

#endif
