/*
 * Opening and closing a cache; see cache.h.
 */
#include "core/cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/mutex.h"
#include "base/spawn.h"
#include "base/sync.h"
#include "core/flight.h"
#include "core/lease.h"
#include "core/queue.h"
#include "core/settings.h"

/* -- the gate ----------------------------------------------------------- */

static _Atomic uint32_t *gate_new(void)
{
    size_t size = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return NULL;
    /* Kernels before 4.14 cannot: there a child is not told. */
    (void)madvise(page, size, MADV_WIPEONFORK);
    return page;
}

static void gate_free(_Atomic uint32_t *gate)
{
    if (gate)
        munmap((void *)gate, (size_t)sysconf(_SC_PAGESIZE));
}

/* -- users -------------------------------------------------------------- */

/* What is left of the grace time for a worker to end. One that is not stuck
 * needs next to nothing of it. */
static int64_t stop_ms(const mtc_cache *cache)
{
    int64_t left_ms = cache->close_by_ms - mtci_boot_ms();
    return left_ms > MTCI_STOP_MS ? left_ms : MTCI_STOP_MS;
}

/* Gives one count back; true for the last one. */
static bool is_last(mtc_cache *cache)
{
    return atomic_fetch_sub_explicit(&cache->users, 1, memory_order_acq_rel) ==
           1;
}

/* Stops every thread; one that is stuck inside its tier holds the cache. */
static void stop_threads(mtc_cache *cache)
{
    mtci_keeper_stop(&cache->keeper);
    mtci_loads_stop(cache->loads);
    cache->loads = NULL;
    mtci_lease_forget(cache);
    for (size_t i = 0; i < cache->lane_count; i++)
        mtci_lane_stop(&cache->lanes[i], stop_ms(cache));
}

static void memory_free(mtc_cache *cache)
{
    for (size_t i = 0; i < cache->lane_count; i++)
        mtci_lane_fini(&cache->lanes[i]);
    mtci_keeper_fini(&cache->keeper);
    mtci_slots_fini(&cache->slots);
    pthread_mutex_destroy(&cache->queues_mutex);
    pthread_mutex_destroy(&cache->leases_mutex);
    mtci_log_fini(&cache->log);
    mtci_counters_fini(&cache->counters);
    gate_free(cache->gate);
    free(cache);
}

/* The last one out: nobody can reach the cache any more, but for a worker
 * that is stuck. That one comes here again. */
static void cache_free(mtc_cache *cache)
{
    atomic_store_explicit(&cache->users, 1, memory_order_relaxed);
    stop_threads(cache);
    if (!is_last(cache))
        return;
    for (size_t i = 0; i < cache->lane_count; i++)
        cache->lanes[i].ops->close(cache->lanes[i].tier);
    memory_free(cache);
}

/* A cache that did not open: its tiers are somebody else's, and no worker has
 * been in one yet. */
static void cache_abandon(mtc_cache *cache)
{
    atomic_store_explicit(&cache->users, 1, memory_order_relaxed);
    stop_threads(cache);
    cache->lane_count = 0;
    if (is_last(cache))
        memory_free(cache);
}

void mtci_cache_enter(mtc_cache *cache)
{
    atomic_fetch_add_explicit(&cache->users, 1, memory_order_relaxed);
}

void mtci_cache_leave(mtc_cache *cache)
{
    if (is_last(cache))
        cache_free(cache);
}

void mtci_cache_report(mtc_cache *cache)
{
    int cancel_state;
    if (!cache->evicted || mtci_self.reporting)
        return;
    mtci_self.reporting = cache;
    /* A listener that were left by cancellation would leave its call, too. */
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    for (size_t i = 0; i < cache->front_count; i++) {
        const mtci_lane *lane = &cache->lanes[i];
        if (lane->ops->report)
            lane->ops->report(lane->tier);
    }
    pthread_setcancelstate(cancel_state, NULL);
    mtci_self.reporting = NULL;
}

mtc_status mtc_cache_resize(mtc_cache *cache, size_t tier, uint64_t size_bytes)
{
    if (!cache)
        return MTC_E_INVALID;
    mtci_cache_enter(cache);
    mtc_status status = mtci_cache_gate(cache);
    if (status == MTC_OK && tier >= cache->lane_count)
        status = MTC_E_INVALID;
    if (status == MTC_OK) {
        const mtci_lane *lane = &cache->lanes[tier];
        status = lane->ops->resize ? lane->ops->resize(lane->tier, size_bytes)
                                   : MTC_E_UNSUPPORTED;
        mtci_cache_report(cache);
    }
    mtci_cache_leave(cache);
    return status;
}

mtc_tier *mtci_cache_tier_at(mtc_cache *cache, size_t index)
{
    return index < cache->lane_count ? cache->lanes[index].tier : NULL;
}

/* -- opening ------------------------------------------------------------ */

static int64_t host_now_ms(void *ctx)
{
    const mtci_lane *lane = ctx;
    return mtci_clock_ms(&lane->clock);
}

static void host_log(void *ctx, mtc_log_level level, const char *text)
{
    const mtci_lane *lane = ctx;
    mtci_log_line(&lane->keeper->cache->log, level, lane->ops->scheme, "%s",
                  text);
}

static mtc_status attach(mtc_cache *cache, size_t i)
{
    mtci_lane *lane = &cache->lanes[i];
    cache->hosts[i] = (mtc_tier_host){
        .struct_size = sizeof(mtc_tier_host),
        .index = (uint32_t)i,
        .value_size_max = cache->value_size_max,
        .ctx = lane,
        .now_ms = host_now_ms,
        .log = host_log,
        .evicted = cache->evicted,
        .evicted_ctx = cache->evicted_ctx,
        .name = cache->log.name,
    };
    if (!lane->ops->attach)
        return MTC_OK;
    return lane->ops->attach(lane->tier, &cache->hosts[i]);
}

/* For a cache whose first tier does not answer at once. */
static mtc_status find_nothing(mtc_tier *tier, mtc_slice key, uint64_t hash,
                               int64_t now_ms, mtc_value *out)
{
    (void)tier;
    (void)key;
    (void)hash;
    (void)now_ms;
    (void)out;
    return MTC_MISS;
}

static mtc_status lanes_init(mtc_cache *cache, const mtci_settings *settings,
                             mtc_error *error)
{
    cache->find = find_nothing;
    cache->first = settings->tiers[0].tier;
    for (size_t i = 0; i < settings->tier_count; i++) {
        mtci_lane *lane = &cache->lanes[i];
        lane->index = (int)i;
        lane->keeper = &cache->keeper;
        if (cache->front_count == i && settings->tiers[i].tier->ops->find)
            cache->front_count++;
        if (i == 0 && cache->front_count == 1)
            cache->find = settings->tiers[0].tier->ops->find;
        mtci_lane_init(lane, &settings->tiers[i], cache->clock);
        cache->lane_count = i + 1;
        mtc_status status = attach(cache, i);
        if (status == MTC_OK)
            status = mtci_lane_start(lane);
        if (status != MTC_OK)
            return mtci_fail(error, status, lane->ops->scheme,
                             "tier %zu does not join the cache: %s", i,
                             mtc_status_text(status));
    }
    return MTC_OK;
}

/* On failure the tiers are still the settings'. */
static mtc_status cache_init(mtc_cache *cache, const mtci_settings *settings,
                             mtci_clock clock, mtc_error *error)
{
    cache->clock = clock;
    cache->seed = settings->hash_seed ? settings->hash_seed : mtci_seed();
    cache->evicted = settings->evicted;
    cache->evicted_ctx = settings->evicted_ctx;
    cache->weigh = settings->weigh;
    cache->weigh_ctx = settings->weigh_ctx;
    cache->strategy = settings->strategy;
    cache->value_size_max = settings->value_size_max;
    cache->grace_ms = settings->grace_ms;
    memcpy(cache->note, settings->note, sizeof(cache->note));
    atomic_init(&cache->users, 1);
    cache->gate = gate_new();
    cache->loads = mtci_loads_new(settings->loads_max);
    if (!cache->gate || !cache->loads)
        return mtci_fail(error, MTC_E_NO_MEMORY, "cache", "out of memory");
    atomic_store(cache->gate, MTCI_GATE_OPEN);
    mtc_status status = lanes_init(cache, settings, error);
    if (status != MTC_OK)
        return status;
    status = mtci_keeper_start(&cache->keeper);
    if (status != MTC_OK)
        return mtci_fail(error, status, "cache", "cannot start a thread");
    return MTC_OK;
}

mtc_status mtci_cache_open_at(const mtc_cache_options *options,
                              mtci_clock clock, mtc_error *error,
                              mtc_cache **out)
{
    mtci_settings settings;
    if (error)
        *error = (mtc_error){0};
    if (!out)
        return MTC_E_INVALID;
    *out = NULL;
    mtci_thread_begin();
    mtc_cache *cache = aligned_alloc(64, (sizeof(*cache) + 63) / 64 * 64);
    if (!cache)
        return mtci_fail(error, MTC_E_NO_MEMORY, "cache", "out of memory");
    memset(cache, 0, sizeof(*cache));
    mtci_slots_init(&cache->slots);
    mtci_mutex_init(&cache->queues_mutex);
    mtci_mutex_init(&cache->leases_mutex);
    mtci_keeper_init(&cache->keeper, cache);
    mtc_status status =
        mtci_settings_init(&settings, options, &cache->log, clock, error);
    if (status == MTC_OK)
        status = cache_init(cache, &settings, clock, error);
    if (status == MTC_OK)
        *out = cache;
    else
        cache_abandon(cache);
    mtci_settings_fini(&settings, status == MTC_OK);
    return status;
}

/* Files are opened, with what SQLite locks meanwhile. */
mtc_status mtc_cache_open(const mtc_cache_options *options, mtc_error *error,
                          mtc_cache **cache)
{
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    mtc_status status =
        mtci_cache_open_at(options, mtci_clock_boot, error, cache);
    pthread_setcancelstate(cancel_state, NULL);
    return status;
}

/* -- closing ------------------------------------------------------------ */

static void wake_followers(mtc_cache *cache)
{
    for (size_t i = 0; i < MTCI_SLOTS; i++) {
        mtci_slot *slot = &cache->slots.slots[i];
        pthread_mutex_lock(&slot->mutex);
        for (mtci_flight *f = slot->flights; f; f = f->next) {
            atomic_fetch_add_explicit(&f->word, 2, memory_order_release);
            mtci_word_wake(&f->word);
        }
        pthread_mutex_unlock(&slot->mutex);
    }
}

/* Queues are users that nobody waits for: they end when they are closed. */
static bool is_quiet(mtc_cache *cache)
{
    uint32_t users = atomic_load_explicit(&cache->users, memory_order_acquire);
    if (users >
        1 + atomic_load_explicit(&cache->queue_count, memory_order_relaxed))
        return false;
    for (size_t i = 0; i < cache->lane_count; i++) {
        if (atomic_load_explicit(&cache->lanes[i].open, memory_order_acquire) >
            0)
            return false;
    }
    return true;
}

/* Lets stores under way arrive, and callers leave. */
static bool settle(mtc_cache *cache)
{
    cache->close_by_ms = mtci_boot_ms() + cache->grace_ms;
    mtci_keeper_wake(&cache->keeper);
    while (!is_quiet(cache)) {
        if (mtci_boot_ms() >= cache->close_by_ms)
            return false;
        struct timespec nap = {0, 1000000};
        nanosleep(&nap, NULL);
    }
    return true;
}

/* The cache's own thread cannot wait for itself, nor a listener for the call
 * that tells it. */
static bool is_within(mtc_cache *cache)
{
    return mtci_thread_leads(cache) || mtci_self.reporting == cache ||
           mtci_keeper_is_here(&cache->keeper);
}

static mtc_status close_open(mtc_cache *cache)
{
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    atomic_store(cache->gate, MTCI_GATE_CLOSED);
    mtci_pins_await_visitors(cache);
    mtci_loads_close(cache->loads);
    wake_followers(cache);
    mtci_queues_alert(cache);
    bool is_settled = settle(cache);
    mtci_keeper_stop(&cache->keeper);
    mtci_cache_leave(cache);
    pthread_setcancelstate(cancel_state, NULL);
    return is_settled ? MTC_OK : MTC_PARTIAL;
}

mtc_status mtc_cache_close(mtc_cache **variable)
{
    if (!variable)
        return MTC_E_INVALID;
    mtc_cache *cache = *variable;
    if (!cache)
        return MTC_E_INVALID;
    if (is_within(cache))
        return MTC_E_DEADLOCK;
    if (!__atomic_compare_exchange_n(variable, &cache, NULL, false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return MTC_E_INVALID;
    if (mtci_cache_gate(cache) == MTC_E_FORKED) {
        /* The threads and the sockets are the parent's; tiers stay. */
        gate_free(cache->gate);
        free(cache->loads);
        free(cache);
        return MTC_OK;
    }
    return close_open(cache);
}
