/*
 * The world of one worker: a cache, its place on the board, what its calls
 * are made of, and how they are noted. Set up before its threads start.
 */
#ifndef SOAK_WORLD_H
#define SOAK_WORLD_H

#include <pthread.h>

#include "mtc/cache.h"
#include "soak/board.h"

#define SOAK_KEY_SIZE 16
#define SOAK_RECIPES  10
#define SOAK_SIZE_MAX 16384
#define SOAK_LATER    64

typedef struct soak_world soak_world;

/* A way to load: the context of a loader. */
typedef struct soak_recipe {
    soak_world *world;
    mtc_strategy strategy;
    uint32_t naps_ms_max; /* how long the source takes */
} soak_recipe;

/* A load that is answered later. */
typedef struct soak_later {
    mtc_load *load;
    mtct_deed *deed;
    uint32_t key;
    uint32_t stamp;
    int64_t due_us;
} soak_later;

struct soak_world {
    soak_board *board;
    unsigned worker;
    uint32_t cache_number; /* in the ledger */
    mtc_cache *cache;
    soak_recipe recipes[SOAK_RECIPES];
    _Atomic uint32_t loading[MTCT_LEDGER_KEYS]; /* loaders that run now */
    pthread_mutex_t later_mutex;                /* guards later */
    soak_later later[SOAK_LATER];
    size_t later_count;
    /* What the statistics must say. */
    _Atomic uint64_t asked;
    _Atomic uint64_t loads;
    _Atomic uint64_t sets;
    _Atomic uint64_t removes;
    _Atomic uint32_t late_count;
    /* Of the thread that only sleeps and looks at the clock: when it did, and
     * for how long in all it was not let run. */
    _Atomic int64_t looked_us;
    _Atomic int64_t stalled_us;
    _Atomic uint32_t is_ending;
    _Atomic uint32_t is_at_rest; /* nothing is loaded any more */
};

void soak_world_init(soak_world *world, soak_board *board, unsigned worker,
                     uint32_t cache_number);

/* A call on one key: begun before it, ended behind it. */
typedef struct soak_call {
    uint32_t key;
    mtct_deed_kind kind; /* of writes and removals */
    bool is_read;
    int64_t begun_us;
    int64_t stalled_us; /* of the world when it began */
    mtct_deed *deed;
    mtc_call options;
    mtc_strategy strategy;
    char name[SOAK_KEY_SIZE];
    char *bytes; /* of a set; freed by soak_call_end */
    size_t size;
} soak_call;

/* Any key; the key so many behind another among those that may be loaded, and
 * among those that may be written; one of those that are kept. */
uint32_t soak_draw_key(uint64_t *seed);
uint32_t soak_loaded_key(uint32_t number);
uint32_t soak_written_key(uint32_t number);
uint32_t soak_draw_kept(uint64_t *seed);

void soak_begin_read(soak_world *world, soak_call *call, uint32_t key,
                     uint64_t *seed);
void soak_begin_write(soak_world *world, soak_call *call, mtct_deed_kind kind,
                      uint32_t key, uint64_t *seed);
mtc_slice soak_call_key(const soak_call *call);

/* The call has returned. value, of reads, is looked at and given back. */
void soak_end(soak_world *world, soak_call *call, mtc_status status,
              mtc_value *value);

/* Notes that a call on one or many keys returned, before what it found is
 * looked at. One that is very late is told of. */
void soak_end_timed(soak_world *world, const char *what, const soak_call *first,
                    mtc_status status);

/* A recipe that suits the key. */
soak_recipe *soak_draw_recipe(soak_world *world, uint32_t key, uint64_t *seed);

/* Loaders, some of which answer later; ctx is a recipe. */
mtc_status soak_load(mtc_load *load, void *ctx);
mtc_status soak_load_many(mtc_bulk *bulk, void *ctx);

/* The thread that does so, or drops the load, until the world is at rest. */
void *soak_answer_later(void *ctx);

void soak_nap_us(uint32_t us);

/* A thread that only sleeps and looks at the clock, so that a call is not
 * blamed for the time in which the machine ran nobody; ctx is the world. */
void *soak_watch_stalls(void *ctx);

#endif
