/*
 * The search for the master, and the news of it. See master.h. The driver's
 * thread.
 */
#include "redis/master.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "redis/sentinel.h"

struct mtci_master {
    const mtci_redis_settings *settings;
    mtci_redis_settings found;
    mtci_sentinel sentinels[MTCI_SENTINELS_MAX];
    mtci_sentinel_news news;
    bool is_started;
    int64_t now_ms;  /* of the step under way */
    int64_t look_ms; /* when to step again */

    bool is_sought;
    int64_t until_ms;
    char failure[256];

    mtci_address address;
    bool is_known;
    bool is_fresh; /* it has moved there, and nobody has tried it yet */
    mtci_address left;
    int64_t left_until_ms;
    uint64_t random;
};

static mtci_sentinel *next(mtci_master *master, mtci_sentinel *at)
{
    mtci_sentinel *end = master->sentinels + MTCI_SENTINELS_MAX;
    for (at = at ? at + 1 : master->sentinels; at < end; at++)
        if (at->is_used)
            return at;
    return NULL;
}

/* -- what the sentinels say ----------------------------------------------- */

static bool is_listening(const mtci_sentinel *sentinel)
{
    return sentinel->conn.state == MTCI_CONN_READY && !sentinel->is_asked;
}

/* While another one listens no move is missed, and one that was away may know
 * less than that. */
static bool may_correct(mtci_master *master, const mtci_sentinel *speaker)
{
    for (mtci_sentinel *s = next(master, NULL); s; s = next(master, s))
        if (s != speaker && is_listening(s))
            return false;
    return true;
}

static void found(void *ctx, mtci_sentinel *speaker,
                  const mtci_address *address)
{
    mtci_master *master = ctx;
    if (!address)
        return;
    if (master->now_ms < master->left_until_ms &&
        mtci_address_is(address, &master->left))
        return;
    if (master->is_known && !may_correct(master, speaker))
        return;
    master->address = *address;
    master->is_known = true;
}

static void moved(void *ctx, const mtci_address *from, const mtci_address *to)
{
    mtci_master *master = ctx;
    if (master->is_known && mtci_address_is(to, &master->address))
        return; /* another one has said so */
    master->left = *from;
    master->left_until_ms = master->now_ms + MTCI_MASTER_LEFT_MS;
    master->address = *to;
    master->is_known = true;
    master->is_fresh = true;
}

static bool is_at(const mtci_sentinel *sentinel, const mtci_address *address)
{
    return mtci_address_is(&sentinel->settings.address, address) ||
           mtci_address_is(&sentinel->peer, address);
}

static mtci_sentinel *place_for(mtci_master *master,
                                const mtci_address *address)
{
    mtci_sentinel *place = NULL;
    for (size_t i = 0; i < MTCI_SENTINELS_MAX; i++) {
        mtci_sentinel *sentinel = &master->sentinels[i];
        if (sentinel->is_used && is_at(sentinel, address))
            return NULL;
        if (!sentinel->is_used && !place)
            place = sentinel;
    }
    return place;
}

/* Beyond the limit the ones that are known must do. */
static void named(void *ctx, const mtci_address *other)
{
    mtci_master *master = ctx;
    mtci_sentinel *place = place_for(master, other);
    if (!place)
        return;
    mtci_sentinel_init(place, master->settings, other, &master->news);
}

/* One that was given by name and has been named by number is one. */
static void drop_double(mtci_master *master, mtci_sentinel *sentinel)
{
    if (sentinel->is_given)
        return;
    for (mtci_sentinel *s = next(master, NULL); s; s = next(master, s)) {
        if (!s->is_given || s->peer.host[0] == '\0' ||
            !is_at(sentinel, &s->peer))
            continue;
        mtci_sentinel_fini(sentinel);
        return;
    }
}

/* -- steps ---------------------------------------------------------------- */

static void set_look(mtci_master *master, int64_t now_ms)
{
    master->look_ms = now_ms + MTCI_MASTER_LOOK_MS;
    for (mtci_sentinel *s = next(master, NULL); s; s = next(master, s)) {
        int64_t due_ms = mtci_sentinel_due_ms(s);
        if (due_ms < master->look_ms)
            master->look_ms = due_ms;
    }
}

void mtci_master_step(mtci_master *master, int64_t now_ms)
{
    struct pollfd fds[MTCI_SENTINELS_MAX];
    if (!master->is_started)
        return;
    master->now_ms = now_ms;
    if (poll(fds, mtci_master_poll(master, fds), 0) < 0)
        memset(fds, 0, sizeof fds);
    for (size_t i = 0; i < MTCI_SENTINELS_MAX; i++) {
        mtci_sentinel *sentinel = &master->sentinels[i];
        if (sentinel->is_used)
            mtci_sentinel_step(sentinel, now_ms, fds[i].revents,
                               mtci_random(&master->random));
    }
    for (mtci_sentinel *s = next(master, NULL); s; s = next(master, s))
        drop_double(master, s);
    set_look(master, now_ms);
}

int64_t mtci_master_due_ms(const mtci_master *master)
{
    return master->is_started ? master->look_ms : INT64_MAX;
}

size_t mtci_master_poll(const mtci_master *master,
                        struct pollfd fds[MTCI_SENTINELS_MAX])
{
    for (size_t i = 0; i < MTCI_SENTINELS_MAX; i++) {
        const mtci_sentinel *sentinel = &master->sentinels[i];
        fds[i] = (struct pollfd){.fd = -1};
        if (sentinel->is_used)
            fds[i].fd = mtci_conn_fd(&sentinel->conn, &fds[i].events);
    }
    return MTCI_SENTINELS_MAX;
}

void mtci_master_heard(mtci_master *master)
{
    master->look_ms = 0;
}

/* -- the search ----------------------------------------------------------- */

static void begin_search(mtci_master *master, int64_t now_ms)
{
    master->is_started = true;
    master->is_sought = true;
    master->until_ms = now_ms + master->settings->connect_ms;
    if (master->is_fresh)
        return;
    master->is_known = false;
    for (mtci_sentinel *s = next(master, NULL); s; s = next(master, s))
        mtci_sentinel_ask(s, now_ms);
    mtci_master_step(master, now_ms);
}

static bool is_answer_due(mtci_master *master)
{
    for (mtci_sentinel *s = next(master, NULL); s; s = next(master, s))
        if (s->is_asked)
            return true;
    return false;
}

/* A sentinel that answers and does not know says more than one that is away;
 * one that refuses the login says most. */
static mtc_status give_up(mtci_master *master)
{
    const char *failure = "no answer in time";
    bool is_unknown = false;
    master->is_sought = false;
    for (mtci_sentinel *s = next(master, NULL); s; s = next(master, s)) {
        const mtci_redis_conn *conn = &s->conn;
        bool is_closed = conn->state == MTCI_CONN_CLOSED;
        is_unknown |= is_listening(s);
        if (is_closed && conn->failure[0] != '\0')
            failure = conn->failure;
        if (!is_closed || conn->status != MTC_E_DENIED)
            continue;
        snprintf(master->failure, sizeof master->failure, "a sentinel: %.200s",
                 conn->failure);
        return MTC_E_DENIED;
    }
    if (is_unknown)
        failure = "they do not know it";
    snprintf(master->failure, sizeof master->failure,
             "no sentinel tells where the master is: %.200s", failure);
    return MTC_E_UNAVAILABLE;
}

static mtc_status end_search(mtci_master *master, int64_t now_ms)
{
    int64_t left_ms = master->until_ms - now_ms;
    master->is_sought = false;
    master->is_fresh = false;
    master->found = *master->settings;
    master->found.address = master->address;
    master->found.connect_ms = left_ms > 0 ? left_ms : 1;
    return MTC_OK;
}

mtc_status mtci_master_find(mtci_master *master, int64_t now_ms)
{
    if (!master->is_sought)
        begin_search(master, now_ms);
    if (master->is_known)
        return end_search(master, now_ms);
    if (is_answer_due(master) && now_ms < master->until_ms)
        return MTC_PENDING;
    return give_up(master);
}

const char *mtci_master_failure(const mtci_master *master)
{
    return master->failure;
}

const mtci_redis_settings *mtci_master_found(const mtci_master *master)
{
    return &master->found;
}

bool mtci_master_is_sought(const mtci_master *master)
{
    return master->is_sought;
}

bool mtci_master_is_elsewhere(const mtci_master *master)
{
    return master->is_known &&
           !mtci_address_is(&master->address, &master->found.address);
}

/* -- beginning and end ---------------------------------------------------- */

mtc_status mtci_master_new(const mtci_redis_settings *settings,
                           mtci_master **out)
{
    const mtci_sentinel_settings *given = settings->sentinels;
    mtci_master *master = calloc(1, sizeof *master);
    *out = master;
    if (!master)
        return MTC_E_NO_MEMORY;
    master->settings = settings;
    master->news = (mtci_sentinel_news){found, moved, named, master};
    master->random = mtci_seed() | 1;
    for (size_t i = 0; i < given->count && i < MTCI_SENTINELS_MAX; i++) {
        mtci_sentinel *sentinel = &master->sentinels[i];
        mtci_sentinel_init(sentinel, settings, &given->addresses[i],
                           &master->news);
        sentinel->is_given = true;
    }
    return MTC_OK;
}

void mtci_master_free(mtci_master *master)
{
    if (!master)
        return;
    for (size_t i = 0; i < MTCI_SENTINELS_MAX; i++)
        mtci_sentinel_fini(&master->sentinels[i]);
    explicit_bzero(&master->found, sizeof master->found);
    free(master);
}
