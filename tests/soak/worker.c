/*
 * A worker's process; see worker.h. Its main thread opens the cache, starts
 * the others, and looks at what is left when they have ended.
 */
#include "soak/worker.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "mtc/stats.h"
#include "soak/calls.h"
#include "support/inventory.h"
#include "support/stamp.h"

#define LOOK_US     5000
#define QUIET_MS    10000
#define RECOVER_MS  20000
#define SPARE_FILES 8 /* a connection more or less is no leak */
#define OWN_KEY     1000000u

#define complain(world, ...)                                                   \
    soak_complain((world)->board, (world)->worker, __VA_ARGS__)

static bool open_cache(soak_world *world)
{
    mtc_error error;
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    options.tiers = world->board->tiers[world->worker];
    options.log_level = getenv("SOAK_LOG") ? MTC_LOG_INFO + 1 : 5;
    options.name = "soak";
    if (mtc_cache_open(&options, &error, &world->cache) == MTC_OK)
        return true;
    complain(world, "cannot open %s: %s", options.tiers, error.text);
    return false;
}

static void run_threads(soak_world *world, unsigned life)
{
    pthread_t threads[SOAK_THREADS];
    soak_thread contexts[SOAK_THREADS];
    for (unsigned i = 0; i < SOAK_THREADS; i++) {
        uint64_t number = (life * SOAK_WORKERS + world->worker) * 100 + i;
        contexts[i].world = world;
        contexts[i].seed = world->board->seed * 1000003 + number;
        if (pthread_create(&threads[i], NULL,
                           i + 1 < SOAK_THREADS ? soak_call_blocking
                                                : soak_call_queue,
                           &contexts[i]) != 0)
            abort();
    }
    atomic_store(&world->board->tallies[world->worker].is_ready, 1);
    for (unsigned i = 0; i < SOAK_THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* -- at the end ----------------------------------------------------------- */

static bool is_quiet(soak_world *world, mtc_stats *stats)
{
    *stats = (mtc_stats){.struct_size = sizeof *stats};
    if (mtc_cache_stats(world->cache, stats) != MTC_OK)
        return false;
    uint64_t open =
        stats->in_flight + stats->loads_running + stats->loads_waiting;
    for (uint32_t i = 0; i < stats->tier_count; i++)
        open += stats->tiers[i].storing;
    return open == 0;
}

static void await_quiet(soak_world *world, mtc_stats *stats)
{
    int64_t until_ms = mtci_boot_ms() + QUIET_MS;
    while (!is_quiet(world, stats)) {
        if (mtci_boot_ms() > until_ms) {
            complain(world,
                     "not at rest: %llu flights, %llu loads run, %llu wait, "
                     "%llu stores",
                     (unsigned long long)stats->in_flight,
                     (unsigned long long)stats->loads_running,
                     (unsigned long long)stats->loads_waiting,
                     (unsigned long long)stats->tiers[1].storing);
            return;
        }
        soak_nap_us(LOOK_US);
    }
}

static bool is_well(soak_world *world, mtc_health *health)
{
    *health = (mtc_health){.struct_size = sizeof *health};
    if (mtc_cache_ping(world->cache, health) != MTC_OK)
        return false;
    for (uint32_t i = 0; i < health->tier_count; i++)
        if (health->tiers[i].state == MTC_HEALTH_DOWN ||
            health->tiers[i].debts > 0 || health->tiers[i].parts_down > 0)
            return false;
    return true;
}

/* Whether the tier below takes and gives a value again. */
static bool keeps(soak_world *world)
{
    char name[SOAK_KEY_SIZE], bytes[MTCT_STAMP_SIZE_MIN];
    uint32_t key = OWN_KEY + world->worker, stamp = 0;
    mtc_call call = MTC_CALL_INIT;
    mtc_value value;
    call.flags = MTC_CALL_SKIP_MEMORY;
    snprintf(name, sizeof name, "own:%u", key);
    mtct_stamp_write(bytes, sizeof bytes, key, 1);
    if (mtc_cache_set(world->cache, mtc_str(name),
                      mtc_bytes(bytes, sizeof bytes), NULL) != MTC_OK ||
        mtc_cache_get_with(world->cache, mtc_str(name), &call, &value) !=
            MTC_OK)
        return false;
    bool is_right = mtct_stamp_read(mtc_value_slice(&value), key, &stamp);
    mtc_value_free(&value);
    return is_right && mtc_cache_remove(world->cache, mtc_str(name)) == MTC_OK;
}

static void await_well(soak_world *world)
{
    mtc_health health;
    int64_t until_ms = mtci_boot_ms() + RECOVER_MS;
    while (!is_well(world, &health) || !keeps(world)) {
        if (mtci_boot_ms() > until_ms) {
            complain(world, "not well again: state %d, %llu owed, %u down, %s",
                     health.tiers[1].state,
                     (unsigned long long)health.tiers[1].debts,
                     health.tiers[1].parts_down,
                     health.tiers[1].last_error_text);
            return;
        }
        soak_nap_us(LOOK_US * 10);
    }
}

static void expect(soak_world *world, const char *what, uint64_t is,
                   uint64_t should_be)
{
    if (is != should_be)
        complain(world, "statistics: %s is %llu, not %llu", what,
                 (unsigned long long)is, (unsigned long long)should_be);
}

static void check_stats(soak_world *world, const mtc_stats *stats)
{
    uint64_t hits = 0;
    for (uint32_t i = 0; i < stats->tier_count; i++)
        hits += stats->tiers[i].hits;
    expect(world, "hits of all tiers", hits, stats->hits);
    expect(world, "hits, misses and errors",
           stats->hits + stats->misses + stats->errors, stats->requests);
    expect(world, "requests", stats->requests, atomic_load(&world->asked));
    expect(world, "loads", stats->loads, atomic_load(&world->loads));
    expect(world, "sets", stats->sets, atomic_load(&world->sets));
    expect(world, "removes", stats->removes, atomic_load(&world->removes));
}

/* What is open beyond what was; a thread that was joined may be seen for a
 * moment. */
static void check_rest(soak_world *world, mtct_inventory before, int spare)
{
    mtct_inventory now = mtct_inventory_take();
    int64_t until_ms = mtci_boot_ms() + QUIET_MS;
    while ((now.descriptors > before.descriptors + spare ||
            now.threads > before.threads) &&
           mtci_boot_ms() < until_ms) {
        soak_nap_us(LOOK_US);
        now = mtct_inventory_take();
    }
    if (now.descriptors > before.descriptors + spare)
        complain(world, "%d descriptors were open, now %d", before.descriptors,
                 now.descriptors);
    if (now.threads > before.threads)
        complain(world, "%d threads there were, now %d", before.threads,
                 now.threads);
}

/* Loader threads stay with an open cache, so only descriptors count then. */
static mtct_inventory with_any_threads(mtct_inventory counted)
{
    counted.threads = INT_MAX;
    return counted;
}

static void look_at_the_end(soak_world *world, mtct_inventory when_opened)
{
    mtc_stats stats;
    await_quiet(world, &stats);
    check_stats(world, &stats);
    await_well(world);
    await_quiet(world, &stats);
    check_rest(world, with_any_threads(when_opened), SPARE_FILES);
}

int soak_worker_run(int board_fd, unsigned worker, unsigned life)
{
    static soak_world world;
    soak_board *board = soak_board_open(board_fd);
    if (!board)
        return 2;
    soak_world_init(&world, board, worker, worker + life * SOAK_WORKERS);
    mtct_inventory before = mtct_inventory_take();
    if (!open_cache(&world))
        return 1;
    mtc_health health = {.struct_size = sizeof health};
    mtc_cache_ping(world.cache, &health);
    mtct_inventory when_opened = mtct_inventory_take();
    pthread_t watch, answerer;
    if (pthread_create(&watch, NULL, soak_watch_stalls, &world) != 0 ||
        pthread_create(&answerer, NULL, soak_answer_later, &world) != 0)
        abort();
    run_threads(&world, life);
    atomic_store(&world.is_ending, 1);
    pthread_join(watch, NULL);
    look_at_the_end(&world, when_opened);
    /* Loads behind the last calls may have been left to it. */
    atomic_store(&world.is_at_rest, 1);
    pthread_join(answerer, NULL);
    mtc_status status = mtc_cache_close(&world.cache);
    if (status != MTC_OK)
        complain(&world, "close: %s", mtc_status_name(status));
    check_rest(&world, before, 0);
    return atomic_load(&board->tallies[worker].faults) > 0;
}
