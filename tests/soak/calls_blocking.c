/*
 * Blocking calls of all kinds, drawn by chance; see calls.h.
 */
#include "soak/calls.h"
#include "soak/calls_many.h"
#include "support/tier_call.h"

#define DRAWN        10000 /* keys come from a number below */
#define KEEP_ONE_IN  100
#define PAUSE_US_MAX 1500 /* between two calls of one thread */

typedef void (*action)(soak_world *world, uint64_t *seed);

static void get(soak_world *world, uint64_t *seed)
{
    soak_call call;
    mtc_value value;
    soak_begin_read(world, &call, soak_draw_key(seed), seed);
    mtc_status status = mtc_cache_get_with(world->cache, soak_call_key(&call),
                                           &call.options, &value);
    soak_end_timed(world, "get", &call, status);
    soak_end(world, &call, status, &value);
}

static void get_or_load(soak_world *world, uint64_t *seed)
{
    soak_call call;
    mtc_value value;
    uint32_t key = soak_loaded_key(mtct_draw(seed, DRAWN));
    soak_recipe *recipe = soak_draw_recipe(world, key, seed);
    soak_begin_read(world, &call, key, seed);
    call.options.strategy = &recipe->strategy;
    mtc_status status =
        mtc_cache_get_or_load_with(world->cache, soak_call_key(&call),
                                   &call.options, soak_load, recipe, &value);
    soak_end_timed(world, "get_or_load", &call, status);
    soak_end(world, &call, status, &value);
}

static void set_key(soak_world *world, uint32_t key, uint64_t *seed)
{
    soak_call call;
    soak_begin_write(world, &call, MTCT_DEED_SET, key, seed);
    mtc_status status =
        mtc_cache_set_with(world->cache, soak_call_key(&call),
                           mtc_bytes(call.bytes, call.size), &call.options);
    soak_end_timed(world, "set", &call, status);
    soak_end(world, &call, status, NULL);
}

static void set(soak_world *world, uint64_t *seed)
{
    set_key(world, soak_written_key(mtct_draw(seed, DRAWN)), seed);
}

static void keep(soak_world *world, uint64_t *seed)
{
    if (mtct_draw(seed, KEEP_ONE_IN) == 0)
        set_key(world, soak_draw_kept(seed), seed);
}

static void remove_one(soak_world *world, uint64_t *seed)
{
    soak_call call;
    soak_begin_write(world, &call, MTCT_DEED_REMOVE,
                     soak_written_key(mtct_draw(seed, DRAWN)), seed);
    mtc_status status =
        mtc_cache_remove_with(world->cache, soak_call_key(&call),
                              &call.options);
    soak_end_timed(world, "remove", &call, status);
    soak_end(world, &call, status, NULL);
}

static void expire(soak_world *world, uint64_t *seed)
{
    soak_call call;
    soak_begin_write(world, &call, MTCT_DEED_EXPIRE,
                     soak_written_key(mtct_draw(seed, DRAWN)), seed);
    mtc_status status =
        mtc_cache_expire_with(world->cache, soak_call_key(&call),
                              &call.options);
    soak_end_timed(world, "expire", &call, status);
    soak_end(world, &call, status, NULL);
}

/* -- many ----------------------------------------------------------------- */

static void get_many(soak_world *world, uint64_t *seed)
{
    soak_many many;
    soak_begin_reads(world, &many, seed);
    mtc_cache_get_many_with(world->cache, many.items, many.count,
                            &many.calls[0].options);
    soak_end_many(world, &many, "get_many");
}

static void load_many(soak_world *world, uint64_t *seed)
{
    soak_many many;
    soak_recipe *recipe = soak_draw_recipe(world, mtct_draw(seed, 2), seed);
    soak_begin_reads(world, &many, seed);
    many.calls[0].options.strategy = &recipe->strategy;
    mtc_cache_get_or_load_many_with(world->cache, many.items, many.count,
                                    &many.calls[0].options, soak_load_many,
                                    recipe);
    soak_end_many(world, &many, "get_or_load_many");
}

static void set_many(soak_world *world, uint64_t *seed)
{
    soak_many many;
    soak_begin_writes(world, &many, MTCT_DEED_SET, seed);
    mtc_cache_set_many_with(world->cache, many.items, many.count,
                            &many.calls[0].options);
    soak_end_many(world, &many, "set_many");
}

static void remove_many(soak_world *world, uint64_t *seed)
{
    soak_many many;
    soak_begin_writes(world, &many, MTCT_DEED_REMOVE, seed);
    mtc_cache_remove_many_with(world->cache, many.items, many.count,
                               &many.calls[0].options);
    soak_end_many(world, &many, "remove_many");
}

void *soak_call_blocking(void *ctx)
{
    static const action ACTIONS[] = {
        get,        get,         get,         get,         get,
        get,        get_or_load, get_or_load, get_many,    load_many,
        remove_one, expire,      get_or_load, get_or_load, set,
        set,        set_many,    remove_many, keep,
    };
    soak_thread *thread = ctx;
    while (!atomic_load(&thread->world->board->is_over)) {
        uint32_t i = mtct_draw(&thread->seed, sizeof ACTIONS / sizeof *ACTIONS);
        ACTIONS[i](thread->world, &thread->seed);
        soak_nap_us(mtct_draw(&thread->seed, PAUSE_US_MAX));
    }
    return NULL;
}
