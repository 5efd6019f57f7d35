/*
 * A tier that does not answer: it keeps the requests of some verbs until the
 * test answers them or the cache closes it. It holds no entries.
 */
#ifndef MTCT_MUTE_TIER_H
#define MTCT_MUTE_TIER_H

#include <pthread.h>
#include <stdatomic.h>

#include "mtc/tier.h"

/* The bit of a verb among those that are kept. */
#define MTCT_MUTE(verb) (1u << (verb))

typedef struct mtct_mute {
    mtc_tier tier;
    unsigned kept_verbs;
    pthread_mutex_t mutex;      /* guards both kept */
    mtc_request *kept;          /* through link, the youngest first */
    _Atomic uint64_t counts[4]; /* of requests, by verb */
    pthread_t maker;
    unsigned drives; /* by the thread that made it */
} mtct_mute;

mtct_mute *mtct_mute_new(unsigned kept_verbs);

/* Answers one request that is kept. */
void mtct_mute_answer_one(mtct_mute *mute, mtc_request *request,
                          mtc_status status);

/* Answers all that is kept. */
void mtct_mute_answer(mtct_mute *mute, mtc_status status);

/* Likewise, and keeps nothing from here on: not even what the cache's own
 * thread sends meanwhile for a removal that is owed. */
void mtct_mute_release(mtct_mute *mute, mtc_status status);

#endif
