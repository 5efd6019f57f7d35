/*
 * A ledger of what several caches, also of several processes, did to a number
 * of keys, and the judge who decides at once whether a read was possible.
 *
 * Unlike a history (history.h), which is judged at the end and is of one
 * cache, a ledger goes on for as long as one likes and knows what may be seen
 * in another cache. It has no pointers and may lie in shared memory. Every
 * write, removal and load of a key has a number, counted for each key; values
 * carry it as their stamp (stamp.h). The last MTCT_LEDGER_RING of each key are
 * remembered. Times are microseconds of boot time. Any thread.
 *
 * What is wrong:
 *  - bytes that are not the whole value of some write or load of the key;
 *  - what was older than a write, removal or expiry that had been acknowledged
 *    when the read began: in the same cache always, in another one once its
 *    copy in memory must have ended;
 *  - what had outlived its own life.
 *  - a miss, where the tier keeps all that it acknowledged, of a key whose last
 *    write of many was acknowledged and lives on.
 * A write that was not acknowledged by all tiers may reach them later than it
 * returned, so another cache may see it late; the same cache may not, where the
 * tier has an order.
 */
#ifndef MTCT_LEDGER_H
#define MTCT_LEDGER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mtc/value.h"

#define MTCT_LEDGER_KEYS 32u
#define MTCT_LEDGER_RING 16384u

typedef enum mtct_deed_kind {
    MTCT_DEED_SET,
    MTCT_DEED_LOAD,
    MTCT_DEED_REMOVE,
    MTCT_DEED_EXPIRE
} mtct_deed_kind;

/* What somebody did to a key. */
typedef struct mtct_deed {
    _Atomic uint32_t stamp; /* 0: none, or just being written */
    _Atomic uint32_t kind;
    _Atomic uint32_t cache; /* whose: no two have the same number */
    _Atomic int32_t status;
    _Atomic int64_t begun_us;
    _Atomic int64_t ended_us; /* INT64_MAX: not yet */
    _Atomic int64_t ttl_ms;
    _Atomic int64_t window_ms;
} mtct_deed;

typedef struct mtct_ledger {
    struct {
        _Atomic uint32_t last;
        mtct_deed deeds[MTCT_LEDGER_RING];
    } keys[MTCT_LEDGER_KEYS];
} mtct_ledger;

/* What holds where the caches are. */
typedef struct mtct_bounds {
    /* The longest life in memory of what another cache wrote. */
    int64_t memory_ms;
    /* How long a call may need for what it found to come out. */
    int64_t slack_ms;
    /* How much later than it returned a write that was not acknowledged, or
     * the store of a loaded value, may reach the tier. */
    int64_t arrival_ms;
    /* The tier refuses what was loaded before another cache's removal. */
    bool fences_fills;
    /* What was not acknowledged may come after what was sent later, by the same
     * cache too. */
    bool has_no_order;
    /* The tier may lose what it acknowledged, and return to what it had. */
    bool may_lose;
    /* The tier keeps what it acknowledged for as long as it lives. */
    bool keeps_all;
} mtct_bounds;

typedef struct mtct_reading {
    uint32_t key;
    uint32_t cache;
    int64_t begun_us;
    int64_t ended_us;
    mtc_status status; /* MTC_OK, MTC_STALE or MTC_MISS */
    mtc_slice bytes;
} mtct_reading;

/* A deed begins; fields as above. stamp and times are set here. Returns it,
 * and its stamp. */
mtct_deed *mtct_deed_begin(mtct_ledger *ledger, uint32_t key, uint32_t cache,
                           mtct_deed_kind kind, uint32_t *stamp);

/* Before the value can be seen: how long it lives. */
void mtct_deed_live(mtct_deed *deed, int64_t ttl_ms, int64_t window_ms);

void mtct_deed_end(mtct_deed *deed, mtc_status status);

/* Why the reading, which has just ended, was impossible; NULL: it was not.
 * text receives the facts. */
const char *mtct_ledger_judge(const mtct_ledger *ledger,
                              const mtct_bounds *bounds,
                              const mtct_reading *reading, char text[320]);

#endif
