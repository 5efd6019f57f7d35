/*
 * A cache for tests whose tiers can be bent before it opens: memory over one
 * or two scripted tiers, each with a mood that fails or holds back a verb.
 *
 * A rig owns its cache; the scripts are the cache's once it is open. One
 * thread, apart from moods, which any thread may change.
 */
#ifndef MTCT_CHAIN_RIG_H
#define MTCT_CHAIN_RIG_H

#include "support/cache_fixture.h"

#define MTCT_RIG_SCRIPTS_MAX 2

/* How a scripted tier answers each verb. */
typedef struct mtct_mood {
    _Atomic int status[4];     /* MTC_OK: carries it out */
    _Atomic bool is_held[4];   /* waits until it is not held any more */
    _Atomic uint64_t holding;  /* requests that wait now */
    _Atomic uint64_t answered; /* requests that got this far */
} mtct_mood;

typedef struct mtct_rig {
    mtc_cache *cache;
    mtct_clock clock;
    mtci_clock cache_clock; /* the stepped one unless the test sets another */
    mtct_script *below[MTCT_RIG_SCRIPTS_MAX];
    mtc_tier_ops ops[MTCT_RIG_SCRIPTS_MAX]; /* of the scripts */
    mtct_mood moods[MTCT_RIG_SCRIPTS_MAX];
    mtc_tier_config tiers[1 + MTCT_RIG_SCRIPTS_MAX]; /* 0: memory */
    mtc_cache_options options;
} mtct_rig;

/* Makes the tiers; nothing is open yet. */
void mtct_rig_init(mtct_rig *rig, size_t scripts);

/* Opens the cache with what the rig holds now. */
void mtct_rig_open(mtct_rig *rig);

/* Lets everything go and closes the cache, if it is open. */
void mtct_rig_fini(mtct_rig *rig);

/* Changes how a script answers a verb from now on. */
void mtct_mood_set(mtct_mood *mood, mtc_verb verb, mtc_status status);
void mtct_mood_hold(mtct_mood *mood, mtc_verb verb, bool is_held);

/* What a script was told of the entry that it holds under a key. */
mtc_facts mtct_script_facts(mtct_script *script, const char *key);

/* The counters and the health of a rig's cache. */
mtc_stats mtct_rig_stats(mtct_rig *rig);
mtc_health mtct_rig_health(mtct_rig *rig);

/* Waits until tier i owes nothing, or until it is up; ten seconds at most. */
void mtct_rig_wait_paid(mtct_rig *rig, size_t i);
void mtct_rig_wait_up(mtct_rig *rig, size_t i);

/* A get that asks the tiers below memory; gives the value back. */
mtc_status mtct_rig_get_below(mtct_rig *rig, const char *key);

#endif
