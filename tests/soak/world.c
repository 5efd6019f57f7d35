/*
 * What a worker's calls are made of, and how they are noted; see world.h.
 */
#include "soak/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "support/stamp.h"
#include "support/tier_call.h"

#define LEASE_EVERY 4 /* one key in so many is loaded under a lease */

/* How often the clock is looked at, and what is no delay of a nap any more. */
#define LOOK_US  2000
#define STALL_US 10000

/* What is later than this is worth a line, and how often. */
#define LATE_MS        300
#define LATE_COUNT_MAX 20

void soak_nap_us(uint32_t us)
{
    struct timespec pause = {us / 1000000, (long)(us % 1000000) * 1000};
    nanosleep(&pause, NULL);
}

/* -- stalls --------------------------------------------------------------- */

void *soak_watch_stalls(void *ctx)
{
    soak_world *world = ctx;
    soak_tally *tally = &world->board->tallies[world->worker];
    int64_t before_us = mtci_boot_us();
    atomic_store(&world->looked_us, before_us);
    while (!atomic_load(&world->is_ending)) {
        soak_nap_us(LOOK_US);
        int64_t now_us = mtci_boot_us();
        int64_t stall_us = now_us - before_us - LOOK_US;
        if (stall_us > STALL_US)
            atomic_fetch_add(&world->stalled_us, stall_us);
        if (stall_us > (int64_t)atomic_load(&tally->stall_us))
            atomic_store(&tally->stall_us, (uint64_t)stall_us);
        atomic_store(&world->looked_us, now_us);
        before_us = now_us;
    }
    return NULL;
}

/* All stalls until now, also one that the watching thread is still in. */
static int64_t stalled_until(soak_world *world, int64_t now_us)
{
    int64_t all_us = atomic_load(&world->stalled_us);
    int64_t stall_us = now_us - atomic_load(&world->looked_us) - LOOK_US;
    return all_us + (stall_us > STALL_US ? stall_us : 0);
}

/* -- recipes -------------------------------------------------------------- */

static bool has_lease(uint32_t key)
{
    return key % LEASE_EVERY == 0;
}

/* The second half takes leases. */
static void make_recipe(soak_recipe *recipe, bool takes_lease, uint64_t *seed)
{
    mtc_strategy strategy = MTC_STRATEGY_INIT(50 + mtct_draw(seed, 1200));
    strategy.stale_ms = mtct_draw(seed, 2) ? 100 + mtct_draw(seed, 600) : 0;
    strategy.jitter_percent = mtct_draw(seed, 30);
    strategy.throttle_ms = 1 + mtct_draw(seed, 100);
    recipe->naps_ms_max = 3;
    if (mtct_draw(seed, 2)) {
        strategy.soft_ms = (int64_t)mtct_draw(seed, 20);
        strategy.hard_ms = 1 + mtct_draw(seed, 100);
        recipe->naps_ms_max = 60;
    }
    if (mtct_draw(seed, 3) == 0)
        strategy.refresh_percent = 1 + mtct_draw(seed, 50);
    if (takes_lease)
        strategy.lease_ms = 200 + mtct_draw(seed, 500);
    recipe->strategy = strategy;
}

soak_recipe *soak_draw_recipe(soak_world *world, uint32_t key, uint64_t *seed)
{
    uint32_t half = SOAK_RECIPES / 2;
    return &world->recipes[(has_lease(key) ? half : 0) + mtct_draw(seed, half)];
}

void soak_world_init(soak_world *world, soak_board *board, unsigned worker,
                     uint32_t cache_number)
{
    uint64_t seed = board->seed + 1; /* recipes are the same in all workers */
    memset(world, 0, sizeof *world);
    world->board = board;
    world->worker = worker;
    world->cache_number = cache_number;
    pthread_mutex_init(&world->later_mutex, NULL);
    for (uint32_t i = 0; i < SOAK_RECIPES; i++) {
        world->recipes[i].world = world;
        make_recipe(&world->recipes[i], i >= SOAK_RECIPES / 2, &seed);
    }
}

/* -- calls ---------------------------------------------------------------- */

uint32_t soak_draw_key(uint64_t *seed)
{
    return mtct_draw(seed, MTCT_LEDGER_KEYS);
}

uint32_t soak_loaded_key(uint32_t number)
{
    return SOAK_KEYS_KEPT + number % (MTCT_LEDGER_KEYS - SOAK_KEYS_KEPT);
}

uint32_t soak_written_key(uint32_t number)
{
    return SOAK_KEYS_KEPT +
           number % (MTCT_LEDGER_KEYS - SOAK_KEYS_KEPT - SOAK_KEYS_LOADED);
}

uint32_t soak_draw_kept(uint64_t *seed)
{
    return mtct_draw(seed, SOAK_KEYS_KEPT);
}

static void begin(soak_world *world, soak_call *call, uint32_t key,
                  uint64_t *seed)
{
    static const int64_t DEADLINES_MS[] = {20, 60, 150, 400, 1000};
    memset(call, 0, sizeof *call);
    call->key = key;
    snprintf(call->name, sizeof call->name, "soak:%u", key);
    call->options = (mtc_call)MTC_CALL_INIT;
    call->options.deadline_ms = DEADLINES_MS[mtct_draw(seed, 5)];
    call->stalled_us = atomic_load(&world->stalled_us);
    call->begun_us = mtci_boot_us();
}

mtc_slice soak_call_key(const soak_call *call)
{
    return mtc_str(call->name);
}

void soak_begin_read(soak_world *world, soak_call *call, uint32_t key,
                     uint64_t *seed)
{
    begin(world, call, key, seed);
    call->is_read = true;
    if (mtct_draw(seed, 4) == 0)
        call->options.flags |= MTC_CALL_ACCEPT_STALE;
    if (mtct_draw(seed, 3) == 0)
        call->options.flags |= MTC_CALL_SKIP_MEMORY;
    if (mtct_draw(seed, 8) == 0)
        call->options.flags |= MTC_CALL_NO_PROMOTE;
}

static void make_value(soak_call *call, uint32_t stamp, uint64_t *seed)
{
    uint32_t size_max = mtct_draw(seed, 8) == 0 ? SOAK_SIZE_MAX : 512;
    call->size = MTCT_STAMP_SIZE_MIN + mtct_draw(seed, size_max);
    call->bytes = malloc(call->size);
    if (!call->bytes)
        abort();
    mtct_stamp_write(call->bytes, call->size, call->key, stamp);
    call->strategy =
        (mtc_strategy)MTC_STRATEGY_INIT(20 + mtct_draw(seed, 3000));
    if (call->key < SOAK_KEYS_KEPT)
        call->strategy.ttl_ms += 3000;
    if (mtct_draw(seed, 3) == 0)
        call->strategy.stale_ms = 1 + mtct_draw(seed, 1000);
    call->options.strategy = &call->strategy;
    mtct_deed_live(call->deed, call->strategy.ttl_ms, call->strategy.stale_ms);
}

void soak_begin_write(soak_world *world, soak_call *call, mtct_deed_kind kind,
                      uint32_t key, uint64_t *seed)
{
    uint32_t stamp;
    begin(world, call, key, seed);
    call->kind = kind;
    call->deed = mtct_deed_begin(&world->board->ledger, key,
                                 world->cache_number, kind, &stamp);
    if (kind == MTCT_DEED_SET)
        make_value(call, stamp, seed);
}

static void judge(soak_world *world, const soak_call *call, mtc_status status,
                  const mtc_value *value)
{
    char text[320];
    mtct_reading reading = {.key = call->key,
                            .cache = world->cache_number,
                            .begun_us = call->begun_us,
                            .ended_us = mtci_boot_us(),
                            .status = status,
                            .bytes = mtc_value_slice(value)};
    const char *wrong =
        mtct_ledger_judge(&world->board->ledger, &world->board->bounds,
                          &reading, text);
    mtc_value_info info = MTC_VALUE_INFO_INIT;
    info.tier = -2;
    mtc_value_info_get(value, &info);
    if (wrong)
        soak_complain(world->board, world->worker,
                      "%s: %s; from tier %d, age %lld ms", wrong, text,
                      info.tier, (long long)info.age_ms);
}

void soak_end_timed(soak_world *world, const char *what, const soak_call *first,
                    mtc_status status)
{
    int64_t now_us = mtci_boot_us();
    int64_t took_us = now_us - first->begun_us;
    int64_t stall_us = stalled_until(world, now_us) - first->stalled_us;
    int64_t deadline_ms = first->options.deadline_ms;
    int64_t late_ms = (took_us - stall_us) / 1000 - deadline_ms;
    soak_note_call(&world->board->tallies[world->worker], took_us, late_ms);
    if (late_ms > LATE_MS &&
        atomic_fetch_add(&world->late_count, 1) < LATE_COUNT_MAX)
        fprintf(stderr,
                "worker %u, %lld ms: %s of %s had %lld ms and took %lld: %s\n",
                world->worker, (long long)mtci_boot_ms(), what, first->name,
                (long long)deadline_ms, (long long)took_us / 1000,
                mtc_status_name(status));
}

void soak_end(soak_world *world, soak_call *call, mtc_status status,
              mtc_value *value)
{
    if (call->is_read) {
        atomic_fetch_add(&world->asked, 1);
        if (status == MTC_OK || status == MTC_STALE || status == MTC_MISS)
            judge(world, call, status, value);
        mtc_value_free(value);
        return;
    }
    mtct_deed_end(call->deed, status);
    bool is_set = call->kind == MTCT_DEED_SET;
    atomic_fetch_add(is_set ? &world->sets : &world->removes, 1);
    free(call->bytes);
    call->bytes = NULL;
}
