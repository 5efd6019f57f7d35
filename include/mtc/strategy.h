/*
 * Strategies: how long an entry lives, and per-call options.
 */
#ifndef MTC_STRATEGY_H
#define MTC_STRATEGY_H

#include "mtc/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The longest ttl that a strategy accepts: 100 years, in milliseconds. */
#define MTC_TTL_MS_MAX INT64_C(3155760000000)

/** The longest lease that a strategy accepts: ten minutes, in milliseconds. */
#define MTC_LEASE_MS_MAX 600000

/**
 * How an entry is kept, and how it is loaded. A strategy that bounds the wait
 * for a load, refreshes early or takes leases has its loads run on threads of
 * the cache, so that the loader's context must live until the load has ended,
 * which may be after the call. Append-only: a program built against an older
 * header keeps working, since struct_size says which fields it knows.
 */
typedef struct mtc_strategy {
    /** sizeof(mtc_strategy), set by MTC_STRATEGY_INIT. */
    uint32_t struct_size;
    /** The most that a ttl is shortened by at random, in percent, 0 to 100, so
     *  that entries stored together do not end together. Since 0.1. */
    uint32_t jitter_percent;
    /** Time to live in milliseconds, 1 to MTC_TTL_MS_MAX; 0, negative and
     *  larger are refused as MTC_E_INVALID. Since 0.1. */
    int64_t ttl_ms;
    /** Stale window: how long an entry is kept behind its ttl, in milliseconds,
     *  0 (not) to MTC_TTL_MS_MAX. It is returned then only where a load fails,
     *  or to a call that accepts it, always as MTC_STALE. Since 0.1. */
    int64_t stale_ms;
    /** After a load that failed where there was a stale copy: how long callers
     *  get that copy before the key is loaded again, in milliseconds, up to
     *  MTC_TTL_MS_MAX; 0: MTC_THROTTLE_MS. Since 0.1. */
    int64_t throttle_ms;
    /** How long it is remembered that the source has nothing, in milliseconds,
     *  up to MTC_TTL_MS_MAX: MTC_ABSENT until then; 0: not. Since 0.1. */
    int64_t absent_ms;
    /** How long a load that failed without a stale copy is remembered: callers
     *  get its status until then, and no load; 0: not. Since 0.1. */
    int64_t error_ms;
    /** How long a call waits for a load where there is a stale copy, in
     *  milliseconds from its beginning, up to MTC_TTL_MS_MAX: then it returns
     *  that copy, and the load goes on and stores. 0: it does not wait at all
     *  (stale-while-revalidate). Default (-1): until the load ends.
     *  Since 0.1. */
    int64_t soft_ms;
    /** How long a call waits for a load in any case, in milliseconds from its
     *  beginning, up to MTC_TTL_MS_MAX: then it returns the stale copy or
     *  MTC_E_TIMEOUT, and the load goes on and stores. Default (0): until the
     *  load ends. Since 0.1. */
    int64_t hard_ms;
    /** Early refresh: a call with a loader that finds an entry in the last
     *  part of its ttl, in percent, 1 to 99, returns it and starts one load
     *  behind it. Default (0): not. Since 0.1. */
    uint32_t refresh_percent;
    /** Must be 0. */
    uint32_t reserved;
    /** Early refresh by chance, the likelier the nearer the end is and the
     *  longer the load took: once age - load time * beta * ln(random) >= ttl
     *  (Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache
     *  Stampede Prevention", VLDB 2015). 0 to 1000, 1 is usual; default (0):
     *  not. Such entries keep their load time. Since 0.1. */
    double refresh_beta;
    /** Lease: while one process loads a key, others that want a lease of it as
     *  well wait for its result, in a tier that keeps leases (Redis, disk). How
     *  long one lives that is not renewed, in milliseconds, 1 to
     *  MTC_LEASE_MS_MAX: a process that dies keeps others waiting for so long.
     *  Default (0): every process loads by itself. Since 0.1. */
    int64_t lease_ms;
} mtc_strategy;

/** The throttle_ms of a strategy that says 0. */
#define MTC_THROTTLE_MS 1000

/** A strategy with a time to live in milliseconds. */
#define MTC_STRATEGY_INIT(ttl)                                                 \
    {                                                                          \
        (uint32_t)sizeof(mtc_strategy), 0, (ttl), 0, 0, 0, 0, -1, 0, 0, 0,     \
            0.0, 0                                                             \
    }

/** 10 seconds: prices, positions, presence. */
static const mtc_strategy MTC_REAL_TIME = MTC_STRATEGY_INIT(10000);
/** 5 minutes: sessions, search results. */
static const mtc_strategy MTC_SHORT_TERM = MTC_STRATEGY_INIT(300000);
/** 1 hour: catalogues, profiles. */
static const mtc_strategy MTC_MEDIUM_TERM = MTC_STRATEGY_INIT(3600000);
/** 3 hours: reference data, configuration. */
static const mtc_strategy MTC_LONG_TERM = MTC_STRATEGY_INIT(10800000);

/** Accept a value past its soft end; it is returned as MTC_STALE. */
#define MTC_CALL_ACCEPT_STALE 1u
/** Do not read from memory: ask the tiers below. */
#define MTC_CALL_SKIP_MEMORY 2u
/** Do not copy a hit into the tiers above the one that answered. */
#define MTC_CALL_NO_PROMOTE 4u
/** Of the asynchronous get and get_or_load: a hit in the tiers that answer at
 *  once is handed to the callback before the call returns. */
#define MTC_CALL_AT_ONCE 8u

/** One load in progress: opaque, read and answered through functions. */
typedef struct mtc_load mtc_load;

/** Options of one call, taken by the _with form of each call. */
typedef struct mtc_call {
    /** sizeof(mtc_call), set by MTC_CALL_INIT. */
    uint32_t struct_size;
    /** MTC_CALL_ACCEPT_STALE and so on, or 0. Since 0.1. */
    uint32_t flags;
    /** The call returns at the latest this many milliseconds after it began,
     *  with MTC_E_TIMEOUT if need be; 0: no bound but those of the tiers. A
     *  loader that runs in the caller's thread is not interrupted. Since 0.1.*/
    int64_t deadline_ms;
    /** How what is stored is kept; NULL: the default of the cache. Ignored by
     *  calls that store nothing. Borrowed for the call. Since 0.1. */
    const mtc_strategy *strategy;
    /** The load on behalf of which the call is made, by whoever has to answer
     *  it later (its loader returned, or will return, MTC_PENDING); NULL:
     *  none. A call that would wait for that load, directly or through others,
     *  ends as MTC_E_DEADLOCK. The load is open when the call is made.
     *  Since 0.1. */
    mtc_load *parent;
} mtc_call;

/** Call options that change nothing. */
#define MTC_CALL_INIT                                                          \
    {                                                                          \
        (uint32_t)sizeof(mtc_call), 0, 0, NULL, NULL                           \
    }

#ifdef __cplusplus
}
#endif

#endif
