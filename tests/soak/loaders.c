/*
 * The loaders of a soak, and the thread that answers for those that do so
 * later; see world.h.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "soak/world.h"
#include "support/stamp.h"
#include "support/tier_call.h"

#define FAILS_ONE_IN 12
#define LATER_ONE_IN 4
#define DROPS_ONE_IN 30
#define LOOK_US      500

static void enter(soak_world *world, uint32_t key)
{
    bool is_written = key < MTCT_LEDGER_KEYS - SOAK_KEYS_LOADED;
    uint32_t before = atomic_fetch_add(&world->loading[key], 1);
    if (before > 0 && !is_written)
        soak_complain(world->board, world->worker,
                      "%u loads of key %u at a time", before + 1, key);
    atomic_fetch_add(&world->loads, 1);
    atomic_fetch_add(&world->board->tallies[world->worker].loads, 1);
}

static uint32_t key_of(mtc_load *load)
{
    char name[SOAK_KEY_SIZE] = "";
    mtc_slice key = mtc_load_key(load);
    if (key.size < sizeof name)
        memcpy(name, key.data, key.size);
    return (uint32_t)atoi(name + strlen("soak:")) % MTCT_LEDGER_KEYS;
}

/* The source is asked when this is called: what it says is as old as that. */
static mtct_deed *ask_source(soak_recipe *recipe, uint32_t key, uint32_t *stamp)
{
    soak_world *world = recipe->world;
    mtct_deed *deed =
        mtct_deed_begin(&world->board->ledger, key, world->cache_number,
                        MTCT_DEED_LOAD, stamp);
    mtct_deed_live(deed, recipe->strategy.ttl_ms, recipe->strategy.stale_ms);
    return deed;
}

static mtc_status answer(mtc_load *load, uint32_t key, uint32_t stamp)
{
    char bytes[512];
    size_t size = MTCT_STAMP_SIZE_MIN + stamp % (sizeof bytes - 16);
    mtct_stamp_write(bytes, size, key, stamp);
    return mtc_load_set_value(load, mtc_bytes(bytes, size));
}

/* The load of a key, from the source's word to the answer. */
static soak_later begin(mtc_load *load, soak_recipe *recipe)
{
    soak_later one = {.load = load, .key = key_of(load)};
    enter(recipe->world, one.key);
    one.deed = ask_source(recipe, one.key, &one.stamp);
    return one;
}

/* Sets the value, or not, and notes that; what the loader says. */
static mtc_status end(soak_world *world, const soak_later *one, uint64_t *seed)
{
    mtc_status status = MTC_E_LOAD_FAILED;
    if (mtct_draw(seed, FAILS_ONE_IN) > 0)
        status = answer(one->load, one->key, one->stamp);
    mtct_deed_end(one->deed, status);
    atomic_fetch_sub(&world->loading[one->key], 1);
    return status;
}

/* -- later ---------------------------------------------------------------- */

/* False: too many are left already. */
static bool leave(soak_recipe *recipe, soak_later *one, uint64_t *seed)
{
    soak_world *world = recipe->world;
    one->due_us =
        mtci_boot_us() + mtct_draw(seed, 1 + recipe->naps_ms_max * 1000);
    pthread_mutex_lock(&world->later_mutex);
    bool has_room = world->later_count < SOAK_LATER;
    if (has_room)
        world->later[world->later_count++] = *one;
    pthread_mutex_unlock(&world->later_mutex);
    return has_room;
}

/* One that is due; false: there is none. */
static bool take_due(soak_world *world, soak_later *one)
{
    bool is_due = false;
    int64_t now_us = mtci_boot_us();
    pthread_mutex_lock(&world->later_mutex);
    for (size_t i = 0; i < world->later_count && !is_due; i++) {
        is_due = world->later[i].due_us <= now_us;
        if (!is_due)
            continue;
        *one = world->later[i];
        world->later[i] = world->later[--world->later_count];
    }
    pthread_mutex_unlock(&world->later_mutex);
    return is_due;
}

static void drop(soak_world *world, const soak_later *one)
{
    mtct_deed_end(one->deed, MTC_E_CANCELLED);
    atomic_fetch_sub(&world->loading[one->key], 1);
    mtc_load_drop(one->load);
}

void *soak_answer_later(void *ctx)
{
    soak_world *world = ctx;
    while (!atomic_load(&world->is_at_rest)) {
        soak_later one;
        if (!take_due(world, &one)) {
            soak_nap_us(LOOK_US);
            continue;
        }
        uint64_t seed = world->board->seed + one.stamp * 3;
        if (mtct_draw(&seed, DROPS_ONE_IN) == 0)
            drop(world, &one);
        else
            mtc_load_answer(one.load, end(world, &one, &seed));
    }
    return NULL;
}

/* -- the loaders ---------------------------------------------------------- */

mtc_status soak_load(mtc_load *load, void *ctx)
{
    soak_recipe *recipe = ctx;
    soak_later one = begin(load, recipe);
    uint64_t seed = recipe->world->board->seed + one.stamp;
    if (mtct_draw(&seed, LATER_ONE_IN) == 0 && leave(recipe, &one, &seed))
        return MTC_PENDING;
    soak_nap_us(mtct_draw(&seed, recipe->naps_ms_max * 1000));
    return end(recipe->world, &one, &seed);
}

/* Each key of them is answered by itself. */
static mtc_status load_many_later(mtc_bulk *bulk, soak_recipe *recipe,
                                  uint64_t *seed)
{
    for (size_t i = 0; i < mtc_bulk_count(bulk); i++) {
        soak_later one = begin(mtc_bulk_load(bulk, i), recipe);
        if (!leave(recipe, &one, seed))
            mtc_load_answer(one.load, end(recipe->world, &one, seed));
    }
    return MTC_PENDING;
}

mtc_status soak_load_many(mtc_bulk *bulk, void *ctx)
{
    soak_recipe *recipe = ctx;
    soak_world *world = recipe->world;
    size_t count = mtc_bulk_count(bulk);
    uint64_t seed = world->board->seed + atomic_load(&world->loads);
    if (mtct_draw(&seed, LATER_ONE_IN) == 0)
        return load_many_later(bulk, recipe, &seed);
    for (size_t i = 0; i < count; i++) {
        soak_later one = begin(mtc_bulk_load(bulk, i), recipe);
        mtct_deed_end(one.deed, answer(one.load, one.key, one.stamp));
    }
    soak_nap_us(recipe->naps_ms_max * 500);
    for (size_t i = 0; i < count; i++)
        atomic_fetch_sub(&world->loading[key_of(mtc_bulk_load(bulk, i))], 1);
    return MTC_OK;
}
