/*
 * The tier that does not answer; see mute_tier.h.
 */
#include "support/mute_tier.h"

#include <stdlib.h>
#include <time.h>

#include "mtc/strategy.h"

static bool keep(mtct_mute *mute, mtc_verb verb, mtc_request *request)
{
    pthread_mutex_lock(&mute->mutex);
    bool is_kept = mute->kept_verbs & MTCT_MUTE(verb);
    if (is_kept) {
        request->link = mute->kept;
        mute->kept = request;
    }
    pthread_mutex_unlock(&mute->mutex);
    return is_kept;
}

static void mute_submit(mtc_tier *tier, mtc_verb verb,
                        mtc_request *const *requests, size_t count)
{
    mtct_mute *mute = (mtct_mute *)tier;
    mtc_status status = verb == MTC_VERB_READ ? MTC_MISS : MTC_OK;
    for (size_t i = 0; i < count; i++) {
        if (!keep(mute, verb, requests[i]))
            mtc_request_complete(requests[i], status, NULL);
        atomic_fetch_add(&mute->counts[verb], 1);
    }
}

/* Whoever waits looks again every millisecond. */
static void mute_drive(mtc_tier *tier, const mtc_request *awaited,
                       int64_t until_ms)
{
    struct timespec nap = {0, 1000000};
    mtct_mute *mute = (mtct_mute *)tier;
    (void)until_ms;
    if (pthread_equal(mute->maker, pthread_self()))
        mute->drives++;
    if (awaited)
        nanosleep(&nap, NULL);
}

void mtct_mute_answer_one(mtct_mute *mute, mtc_request *request,
                          mtc_status status)
{
    pthread_mutex_lock(&mute->mutex);
    mtc_request **at = &mute->kept;
    while (*at != request)
        at = (mtc_request **)&(*at)->link;
    *at = request->link;
    pthread_mutex_unlock(&mute->mutex);
    mtc_request_complete(request, status, status < 0 ? "mute" : NULL);
}

void mtct_mute_answer(mtct_mute *mute, mtc_status status)
{
    pthread_mutex_lock(&mute->mutex);
    mtc_request *kept = mute->kept;
    mute->kept = NULL;
    pthread_mutex_unlock(&mute->mutex);
    while (kept) {
        mtc_request *next = kept->link;
        mtc_request_complete(kept, status, status < 0 ? "mute" : NULL);
        kept = next;
    }
}

void mtct_mute_release(mtct_mute *mute, mtc_status status)
{
    pthread_mutex_lock(&mute->mutex);
    mute->kept_verbs = 0;
    pthread_mutex_unlock(&mute->mutex);
    mtct_mute_answer(mute, status);
}

static void mute_close(mtc_tier *tier)
{
    mtct_mute *mute = (mtct_mute *)tier;
    mtct_mute_answer(mute, MTC_E_CLOSED);
    pthread_mutex_destroy(&mute->mutex);
    free(mute);
}

static const mtc_tier_ops mute_ops = {
    .struct_size = sizeof(mtc_tier_ops),
    .scheme = "mute",
    .key_size_max = 1024,
    .life_ms_max = MTC_TTL_MS_MAX,
    .life_step_ms = 1,
    .submit = mute_submit,
    .drive = mute_drive,
    .close = mute_close,
};

mtct_mute *mtct_mute_new(unsigned kept_verbs)
{
    mtct_mute *mute = calloc(1, sizeof(*mute));
    if (!mute)
        abort();
    mute->tier.ops = &mute_ops;
    mute->kept_verbs = kept_verbs;
    mute->maker = pthread_self();
    pthread_mutex_init(&mute->mutex, NULL);
    return mute;
}
