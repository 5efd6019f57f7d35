/*
 * A cache in which something fails, and what is known of it.
 *
 * A sweep opens a cache, lets the n-th of something fail (an allocation, a
 * call of the system) while one call runs, and looks at what that left: a
 * documented status, the right values, a cache that works, and nothing once it
 * is closed. n goes up from 1 until there is nothing left to fail, once with
 * one failure and once with all that follow.
 *
 * The calls are tables, one line for each. Under "k" every tier has "old",
 * under "s" a copy with an etag, "stale", that has expired, and under "n"
 * nothing. One thread.
 */
#ifndef MTCT_FAULT_RIG_H
#define MTCT_FAULT_RIG_H

#include <stdatomic.h>

#include "mtc/stream.h"
#include "support/queue_rig.h"

#define FAULT_ITEMS 3

typedef struct fault_rig {
    const char *tiers;
    mtc_cache *cache;
    mtc_queue *queue;
    const char *call; /* what is swept over; NULL while it opens */
    mtct_heard heard;
    char text[32]; /* the value that the call handed out, as a string */
    mtc_item items[FAULT_ITEMS]; /* of "k", "s" and "n", with "new" */
    mtc_load *later;             /* a load that is to be answered */
    _Atomic int loads;           /* how often a loader was called */
} fault_rig;

/* What a call may hand out and leave behind, if it did not fail. */
typedef enum fault_effect {
    FAULT_READS_OLD, /* hands out "old" */
    FAULT_READS_STALE,
    FAULT_WRITES,   /* leaves "new" or nothing under "k" */
    FAULT_EXPIRES,  /* leaves no fresh "old" there */
    FAULT_LOADS,    /* hands out "loaded", and leaves it under "n" */
    FAULT_FRESHENS, /* hands out "fresh", or "stale" if it cannot */
    FAULT_NOTHING   /* changes and hands out nothing */
} fault_effect;

typedef struct fault_call {
    const char *name;
    mtc_status (*run)(fault_rig *rig);
    mtc_status status; /* when nothing fails */
    fault_effect effect;
    bool waits; /* for better times: only one failure at a time */
} fault_call;

/* A table; the last line has no name. */
extern const fault_call fault_cache_calls[];
extern const fault_call fault_load_calls[];
extern const fault_call fault_queue_calls[];
extern const fault_call fault_value_calls[];
extern const fault_call fault_lease_calls[];
extern const fault_call fault_stream_calls[]; /* over Redis alone */

/* What fails, and over which tiers. */
typedef struct fault_sweep {
    const char *tiers;
    void (*arm)(long n, bool goes_on);
    bool (*disarm)(void); /* whether something failed */
    long (*live)(void);   /* what must be as before in the end; NULL: none */
} fault_sweep;

/* Sweeps over every call of a table. */
void fault_sweep_calls(const fault_sweep *sweep, const fault_call *calls);

/* The same for every table of a cache's calls. */
void fault_sweep_cache(const fault_sweep *sweep);

/* -- for the calls -------------------------------------------------------- */

/* Notes what was handed out and gives it back; returns the status. */
mtc_status fault_take(fault_rig *rig, mtc_status status, mtc_value *value);

/* The same for the items of a call for many: MTC_E_CORRUPT when one has what is
 * not its own; MTC_PARTIAL as what became of "n". */
mtc_status fault_items_take(fault_rig *rig, mtc_status status);

/* A bulk loader of those that may be loaded; ctx is the rig. */
mtc_status fault_load_bulk(mtc_bulk *bulk, void *ctx);

/* Waits until no load is under way, on whatever thread. */
void fault_loads_await(fault_rig *rig);

#endif
