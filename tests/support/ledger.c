/*
 * The ledger and its judge; see ledger.h.
 */
#include "support/ledger.h"

#include <stdio.h>

#include "base/clock.h"
#include "support/stamp.h"

#define TEXT_SIZE 320

/* For how long what was not acknowledged may be a reason for a miss: it is
 * removed when the tier is back, however young the value is then. */
#define OWED_US INT64_C(30000000)

/* A load may fill the tier so much later than its loader ended. */
#define FILL_US INT64_C(5000000)

/* Lives are rounded down by the ticks of several clocks. */
#define TICKS_US INT64_C(20000)

/* A deed as it was at one moment. */
typedef struct fact {
    uint32_t stamp;
    mtct_deed_kind kind;
    uint32_t cache;
    mtc_status status;
    int64_t begun_us;
    int64_t ended_us;
    int64_t ttl_ms;
    int64_t window_ms;
} fact;

mtct_deed *mtct_deed_begin(mtct_ledger *ledger, uint32_t key, uint32_t cache,
                           mtct_deed_kind kind, uint32_t *stamp)
{
    *stamp = atomic_fetch_add(&ledger->keys[key].last, 1) + 1;
    mtct_deed *deed = &ledger->keys[key].deeds[*stamp % MTCT_LEDGER_RING];
    atomic_store(&deed->stamp, 0);
    atomic_store(&deed->kind, kind);
    atomic_store(&deed->cache, cache);
    atomic_store(&deed->status, 0);
    atomic_store(&deed->ended_us, INT64_MAX);
    atomic_store(&deed->ttl_ms, 0);
    atomic_store(&deed->window_ms, 0);
    atomic_store(&deed->begun_us, mtci_boot_us());
    atomic_store(&deed->stamp, *stamp);
    return deed;
}

void mtct_deed_live(mtct_deed *deed, int64_t ttl_ms, int64_t window_ms)
{
    atomic_store(&deed->ttl_ms, ttl_ms);
    atomic_store(&deed->window_ms, window_ms);
}

void mtct_deed_end(mtct_deed *deed, mtc_status status)
{
    atomic_store(&deed->status, status);
    atomic_store(&deed->ended_us, mtci_boot_us());
}

/* False: there is no such deed, or it is being replaced. */
static bool look_up(const mtct_ledger *ledger, uint32_t key, uint32_t stamp,
                    fact *found)
{
    const mtct_deed *deed = &ledger->keys[key].deeds[stamp % MTCT_LEDGER_RING];
    if (stamp == 0 || atomic_load(&deed->stamp) != stamp)
        return false;
    found->stamp = stamp;
    found->ended_us = atomic_load(&deed->ended_us);
    found->kind = (mtct_deed_kind)atomic_load(&deed->kind);
    found->cache = atomic_load(&deed->cache);
    found->status = (mtc_status)atomic_load(&deed->status);
    found->begun_us = atomic_load(&deed->begun_us);
    found->ttl_ms = atomic_load(&deed->ttl_ms);
    found->window_ms = atomic_load(&deed->window_ms);
    return atomic_load(&deed->stamp) == stamp;
}

/* -- what may be seen ----------------------------------------------------- */

/* Whether a value had certainly reached all tiers, or never would, when the
 * end of it began. */
static bool precedes(const mtct_bounds *bounds, const fact *value,
                     const fact *end)
{
    bool is_of_one = value->cache == end->cache && !bounds->has_no_order;
    if (value->kind == MTCT_DEED_LOAD)
        return value->begun_us < end->begun_us &&
               (is_of_one || bounds->fences_fills);
    return value->ended_us < end->begun_us &&
           (is_of_one || value->status == MTC_OK);
}

/* Whether a deed has ended the value for this reader. */
static bool has_ended(const mtct_bounds *bounds, const fact *value,
                      const fact *end, const mtct_reading *reading)
{
    bool is_own = end->cache == reading->cache;
    int64_t copies_ms = bounds->memory_ms + bounds->slack_ms;
    if (end->kind == MTCT_DEED_LOAD || end->status < 0 || bounds->may_lose)
        return false;
    if (end->kind == MTCT_DEED_EXPIRE && reading->status == MTC_STALE)
        return false;
    if (!is_own && end->status != MTC_OK)
        return false;
    if (reading->status == MTC_STALE)
        copies_ms += value->window_ms;
    if (is_own)
        copies_ms = 0;
    return end->ended_us < INT64_MAX &&
           reading->begun_us > end->ended_us + copies_ms * 1000 &&
           precedes(bounds, value, end);
}

static bool has_outlived(const mtct_bounds *bounds, const fact *value,
                         const mtct_reading *reading)
{
    bool is_acknowledged =
        value->kind == MTCT_DEED_SET && value->status == MTC_OK;
    int64_t life_ms = value->ttl_ms;
    life_ms += is_acknowledged ? bounds->slack_ms : bounds->arrival_ms;
    if (reading->status == MTC_STALE)
        life_ms += value->window_ms;
    return value->ended_us < INT64_MAX &&
           reading->begun_us > value->ended_us + life_ms * 1000;
}

static void describe(const mtct_reading *reading, const fact *value,
                     const fact *end, char text[TEXT_SIZE])
{
    static const char *const KINDS[] = {"set", "load", "remove", "expire"};
    int64_t from = value->begun_us;
    int size = snprintf(
        text, TEXT_SIZE,
        "key %u: cache %u read %s #%u at +%lld us, which cache %u began at 0 "
        "and ended at +%lld us, %s, ttl %lld ms, window %lld ms",
        reading->key, reading->cache, mtc_status_name(reading->status),
        value->stamp, (long long)(reading->begun_us - from), value->cache,
        (long long)(value->ended_us - from), mtc_status_name(value->status),
        (long long)value->ttl_ms, (long long)value->window_ms);
    if (end && size < TEXT_SIZE)
        snprintf(text + size, (size_t)(TEXT_SIZE - size),
                 "; %s #%u by cache %u from +%lld to +%lld us, %s",
                 KINDS[end->kind], end->stamp, end->cache,
                 (long long)(end->begun_us - from),
                 (long long)(end->ended_us - from),
                 mtc_status_name(end->status));
}

/* Whether a deed before the value may have to do with a miss of it. */
static bool may_end(const fact *deed, const fact *value)
{
    if (deed->kind == MTCT_DEED_LOAD)
        return deed->ended_us > value->begun_us - FILL_US;
    return deed->ended_us >= value->begun_us || deed->status != MTC_OK;
}

static const char *judge_miss(const mtct_ledger *ledger,
                              const mtct_bounds *bounds,
                              const mtct_reading *reading, char text[TEXT_SIZE])
{
    fact value, deed;
    uint32_t last = atomic_load(&ledger->keys[reading->key].last);
    int64_t seen_us = reading->begun_us;
    if (!bounds->keeps_all || !look_up(ledger, reading->key, last, &value))
        return NULL;
    if (value.cache != reading->cache)
        seen_us -= bounds->slack_ms * 1000;
    if (value.kind != MTCT_DEED_SET || value.status != MTC_OK ||
        value.ended_us >= seen_us ||
        reading->ended_us >= value.begun_us + value.ttl_ms * 1000 - TICKS_US)
        return NULL;
    for (uint32_t i = last - 1; look_up(ledger, reading->key, i, &deed); i--) {
        if (deed.begun_us < value.begun_us - OWED_US)
            break;
        if (may_end(&deed, &value))
            return NULL;
    }
    describe(reading, &value, NULL, text);
    return "missed a value that was there";
}

const char *mtct_ledger_judge(const mtct_ledger *ledger,
                              const mtct_bounds *bounds,
                              const mtct_reading *reading, char text[TEXT_SIZE])
{
    uint32_t stamp;
    fact value, end;
    snprintf(text, TEXT_SIZE, "key %u, %zu bytes", reading->key,
             reading->bytes.size);
    if (reading->status == MTC_MISS)
        return judge_miss(ledger, bounds, reading, text);
    if (!mtct_stamp_read(reading->bytes, reading->key, &stamp))
        return "read what is no value of the key";
    if (!look_up(ledger, reading->key, stamp, &value) ||
        value.kind == MTCT_DEED_REMOVE || value.kind == MTCT_DEED_EXPIRE)
        return "read a value that nobody wrote, or a very old one";
    uint32_t last = atomic_load(&ledger->keys[reading->key].last);
    for (uint32_t i = stamp + 1; i <= last; i++) {
        if (!look_up(ledger, reading->key, i, &end) ||
            !has_ended(bounds, &value, &end, reading))
            continue;
        describe(reading, &value, &end, text);
        return "read a value that had been replaced or removed";
    }
    if (!has_outlived(bounds, &value, reading))
        return NULL;
    describe(reading, &value, NULL, text);
    return "read a value that had outlived its life";
}
