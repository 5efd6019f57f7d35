/*
 * One shard of the memory tier: a hash table with chains, and the order in
 * which entries arrived, for eviction.
 *
 * Eviction is SIEVE: a hand goes from the oldest entry to the newest, spares
 * and unmarks those that were asked for since it last passed, and takes the
 * first that was not. One mutex guards everything; entries are dropped after
 * it is released. Any thread.
 *
 * Source: Zhang et al., "SIEVE is Simpler than LRU", NSDI 2024.
 */
#ifndef MTCI_TIER_MEMORY_SHARD_H
#define MTCI_TIER_MEMORY_SHARD_H

#include <pthread.h>

#include "tier/memory/entry.h"

typedef struct mtci_shard {
    _Alignas(64) pthread_mutex_t mutex; /* guards every field below */
    mtci_entry **buckets;
    size_t bucket_count; /* a power of two */
    size_t entry_count;
    size_t swept; /* bucket where the next sweep begins */
    mtci_entry *newest;
    mtci_entry *oldest;
    mtci_entry *hand; /* next to be judged; NULL: the oldest */
    mtci_book *book;
    _Atomic uint64_t bytes; /* of linked entries; read without the mutex */
    uint64_t evicted_size;
    uint64_t evicted_expired;
    uint64_t evicted_replaced;
    uint64_t evicted_removed;
} mtci_shard;

/* The mutex and buckets for a first few entries, which are charged by whoever
 * calls. False: out of memory. */
bool mtci_shard_init(mtci_shard *shard, mtci_book *book);

/* Drops every entry. A zeroed shard is valid. */
void mtci_shard_fini(mtci_shard *shard);

/* Bytes of a table of that many buckets, charge included. */
uint64_t mtci_shard_table_charge(size_t bucket_count);
#define MTCI_SHARD_BUCKETS_MIN 16u

/* The live entry of a key, held for the caller, or NULL. */
mtci_entry *mtci_shard_find(mtci_shard *shard, mtc_slice key, uint64_t hash,
                            int64_t now_ms);

/* Takes over the caller's hold on an entry and links it in place of whatever
 * its key had. False: the book has no room for one more entry. */
bool mtci_shard_put_take(mtci_shard *shard, mtci_entry *entry);

void mtci_shard_remove(mtci_shard *shard, mtc_slice key, uint64_t hash);

/* Cuts what is left of a key to its stale window. */
void mtci_shard_expire(mtci_shard *shard, mtc_slice key, uint64_t hash,
                       int64_t now_ms);

/* Evicts one entry; false: there is none. */
bool mtci_shard_evict(mtci_shard *shard);

/* Drops the expired entries of the next few buckets. */
void mtci_shard_sweep(mtci_shard *shard, int64_t now_ms, size_t buckets_max);

/* How many buckets the table should have, if more than it has; else 0. */
size_t mtci_shard_crowded(mtci_shard *shard);

/* Moves to a zeroed table of bucket_count buckets and hands back the one that
 * is no longer used: the old one, or the new one if the shard has outgrown
 * it meanwhile. *freed_count receives its count of buckets. */
mtci_entry **mtci_shard_grow(mtci_shard *shard, mtci_entry **buckets,
                             size_t bucket_count, size_t *freed_count);

#endif
