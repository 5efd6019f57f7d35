/*
 * The ghost; see ghost.h.
 */
#include "tier/memory/policy/ghost.h"

#define BUCKET_KEYS 8u

/* Keys to a bucket on the average: most buckets have room for all of theirs. */
#define FILL 5u

/* The times that are told apart within the window. */
#define TIMES_MAX 16384u

/* How far back the ghost goes, in tenths of the cache. */
#define WINDOW_TENTHS 9u

static size_t window_of(size_t entries)
{
    size_t window =
        entries / 10 * WINDOW_TENTHS + entries % 10 * WINDOW_TENTHS / 10;
    return window > 0 ? window : 1;
}

static size_t buckets_for(size_t entries)
{
    return window_of(entries) / FILL + 1;
}

size_t mtci_ghost_size(size_t entries)
{
    return buckets_for(entries) * BUCKET_KEYS * sizeof(mtci_ghost_key);
}

void mtci_ghost_init(mtci_ghost *ghost, void *room, size_t entries)
{
    size_t window = window_of(entries);
    *ghost = (mtci_ghost){.keys = room,
                          .bucket_count = buckets_for(entries),
                          .window = window,
                          .step = window / TIMES_MAX + 1};
}

static uint64_t mix(uint32_t hash)
{
    uint64_t mixed =
        (hash + UINT64_C(0x7f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);
    return mixed ^ mixed >> 29;
}

static mtci_ghost_key *bucket_of(const mtci_ghost *ghost, uint64_t mixed)
{
    size_t at = (size_t)((mixed >> 32) * ghost->bucket_count >> 32);
    return &ghost->keys[at * BUCKET_KEYS];
}

static uint16_t print_of(uint64_t mixed)
{
    uint16_t print = (uint16_t)mixed;
    return print ? print : 1;
}

static uint16_t age_of(const mtci_ghost *ghost, const mtci_ghost_key *key)
{
    return (uint16_t)((uint16_t)(ghost->evictions / ghost->step) - key->time);
}

static bool is_past(const mtci_ghost *ghost, const mtci_ghost_key *key)
{
    return age_of(ghost, key) * ghost->step > ghost->window;
}

/* Where a key goes: its own place, an empty one, or that of the oldest. */
static mtci_ghost_key *place_for(const mtci_ghost *ghost, uint64_t mixed)
{
    mtci_ghost_key *bucket = bucket_of(ghost, mixed);
    mtci_ghost_key *place = bucket;
    for (unsigned i = 0; i < BUCKET_KEYS; i++) {
        mtci_ghost_key *key = &bucket[i];
        if (key->print == print_of(mixed))
            return key;
        if (place->print != 0 &&
            (key->print == 0 || age_of(ghost, key) > age_of(ghost, place)))
            place = key;
    }
    return place;
}

void mtci_ghost_add(mtci_ghost *ghost, uint32_t hash)
{
    if (!ghost->keys)
        return;
    uint64_t mixed = mix(hash);
    mtci_ghost_key *place = place_for(ghost, mixed);
    ghost->evictions++;
    *place = (mtci_ghost_key){print_of(mixed),
                              (uint16_t)(ghost->evictions / ghost->step)};
}

bool mtci_ghost_take(mtci_ghost *ghost, uint32_t hash)
{
    if (!ghost->keys)
        return false;
    uint64_t mixed = mix(hash);
    mtci_ghost_key *bucket = bucket_of(ghost, mixed);
    for (unsigned i = 0; i < BUCKET_KEYS; i++) {
        if (bucket[i].print != print_of(mixed))
            continue;
        bool is_known = !is_past(ghost, &bucket[i]);
        bucket[i] = (mtci_ghost_key){0};
        return is_known;
    }
    return false;
}
