/*
 * The calls on many keys of a soak; see calls_many.h.
 */
#include "soak/calls_many.h"

#include <string.h>

#include "support/tier_call.h"

#define DRAWN 10000 /* keys come from a number below */

void soak_begin_reads(soak_world *world, soak_many *many, uint64_t *seed)
{
    uint32_t first = mtct_draw(seed, DRAWN);
    memset(many->items, 0, sizeof many->items);
    many->count = 1 + mtct_draw(seed, SOAK_MANY_MAX);
    for (size_t i = 0; i < many->count; i++) {
        soak_begin_read(world, &many->calls[i],
                        soak_loaded_key(first + (uint32_t)i), seed);
        many->items[i].key = soak_call_key(&many->calls[i]);
        /* All begin when the call does. */
        many->calls[i].begun_us = many->calls[0].begun_us;
    }
}

void soak_begin_writes(soak_world *world, soak_many *many, mtct_deed_kind kind,
                       uint64_t *seed)
{
    uint32_t first = mtct_draw(seed, DRAWN);
    memset(many->items, 0, sizeof many->items);
    many->count = 1 + mtct_draw(seed, SOAK_MANY_MAX);
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

void soak_end_many(soak_world *world, soak_many *many, const char *what)
{
    soak_end_timed(world, what, &many->calls[0], many->items[0].status);
    for (size_t i = 0; i < many->count; i++)
        soak_end(world, &many->calls[i], many->items[i].status,
                 &many->items[i].value);
}
