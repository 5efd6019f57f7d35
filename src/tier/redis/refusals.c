/*
 * Error replies for the log. See refusals.h. Any thread.
 */
#include "tier/redis/refusals.h"

#include <stdio.h>

#define REPLY_SIZE 160

/* Whether this thread is to write the line. */
static bool take_turn(_Atomic int64_t *due_ms, int64_t now_ms)
{
    int64_t due = atomic_load_explicit(due_ms, memory_order_relaxed);
    return now_ms >= due && atomic_compare_exchange_strong_explicit(
                                due_ms, &due, now_ms + MTCI_REFUSALS_GAP_MS,
                                memory_order_relaxed, memory_order_relaxed);
}

void mtci_redis_refusals_note(mtci_redis_refusals *refusals,
                              const mtc_tier_host *host,
                              const mtci_reply *error)
{
    char reply[REPLY_SIZE];
    char line[REPLY_SIZE + 64];
    size_t kind = mtci_reply_error_kind(error);
    if (!host)
        return;
    if (!take_turn(&refusals->due_ms[kind], host->now_ms(host->ctx))) {
        atomic_fetch_add_explicit(&refusals->untold[kind], 1,
                                  memory_order_relaxed);
        return;
    }
    uint64_t untold = atomic_exchange_explicit(&refusals->untold[kind], 0,
                                               memory_order_relaxed);
    mtci_reply_error_text(error, reply, sizeof reply);
    if (untold > 0)
        snprintf(line, sizeof line, "refused: %s (%llu more since the last)",
                 reply, (unsigned long long)untold);
    else
        snprintf(line, sizeof line, "refused: %s", reply);
    host->log(host->ctx, MTC_LOG_WARNING, line);
}
