/*
 * Blocking calls of all kinds, drawn by chance; see calls.h.
 */
#include <string.h>

#include "soak/calls.h"
#include "support/tier_call.h"

#define MANY_MAX     12
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

typedef struct bulk {
    soak_call calls[MANY_MAX];
    mtc_item items[MANY_MAX];
    size_t count;
} bulk;

/* Keys that follow each other, so that none comes twice. */
static void begin_reads(soak_world *world, bulk *many, uint64_t *seed)
{
    uint32_t first = mtct_draw(seed, DRAWN);
    memset(many->items, 0, sizeof many->items);
    many->count = 1 + mtct_draw(seed, MANY_MAX);
    for (size_t i = 0; i < many->count; i++) {
        soak_begin_read(world, &many->calls[i],
                        soak_loaded_key(first + (uint32_t)i), seed);
        many->items[i].key = soak_call_key(&many->calls[i]);
        /* All begin when the call does. */
        many->calls[i].begun_us = many->calls[0].begun_us;
    }
}

static void begin_writes(soak_world *world, bulk *many, mtct_deed_kind kind,
                         uint64_t *seed)
{
    uint32_t first = mtct_draw(seed, DRAWN);
    memset(many->items, 0, sizeof many->items);
    many->count = 1 + mtct_draw(seed, MANY_MAX);
    for (size_t i = 0; i < many->count; i++) {
        soak_call *call = &many->calls[i];
        soak_begin_write(world, call, kind,
                         soak_written_key(first + (uint32_t)i), seed);
        many->items[i].key = soak_call_key(call);
        many->items[i].bytes = mtc_bytes(call->bytes, call->size);
        if (kind == MTCT_DEED_SET) /* the strategy of the first is for all */
            mtct_deed_live(call->deed, many->calls[0].strategy.ttl_ms,
                           many->calls[0].strategy.stale_ms);
    }
}

static void end_many(soak_world *world, bulk *many, const char *what)
{
    soak_end_timed(world, what, &many->calls[0], many->items[0].status);
    for (size_t i = 0; i < many->count; i++)
        soak_end(world, &many->calls[i], many->items[i].status,
                 &many->items[i].value);
}

static void get_many(soak_world *world, uint64_t *seed)
{
    bulk many;
    begin_reads(world, &many, seed);
    mtc_cache_get_many_with(world->cache, many.items, many.count,
                            &many.calls[0].options);
    end_many(world, &many, "get_many");
}

static void load_many(soak_world *world, uint64_t *seed)
{
    bulk many;
    soak_recipe *recipe = soak_draw_recipe(world, mtct_draw(seed, 2), seed);
    begin_reads(world, &many, seed);
    many.calls[0].options.strategy = &recipe->strategy;
    mtc_cache_get_or_load_many_with(world->cache, many.items, many.count,
                                    &many.calls[0].options, soak_load_many,
                                    recipe);
    end_many(world, &many, "get_or_load_many");
}

static void set_many(soak_world *world, uint64_t *seed)
{
    bulk many;
    begin_writes(world, &many, MTCT_DEED_SET, seed);
    mtc_cache_set_many_with(world->cache, many.items, many.count,
                            &many.calls[0].options);
    end_many(world, &many, "set_many");
}

static void remove_many(soak_world *world, uint64_t *seed)
{
    bulk many;
    begin_writes(world, &many, MTCT_DEED_REMOVE, seed);
    mtc_cache_remove_many_with(world->cache, many.items, many.count,
                               &many.calls[0].options);
    end_many(world, &many, "remove_many");
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
