/*
 * One shard of the memory tier. See shard.h. Any thread.
 */
#include "tier/memory/shard.h"

#include <stdlib.h>

uint64_t mtci_shard_table_charge(size_t bucket_count)
{
    return mtci_charge_of(bucket_count * sizeof(mtci_entry *));
}

bool mtci_shard_init(mtci_shard *shard, mtci_book *book)
{
    *shard = (mtci_shard){.book = book};
    mtci_entry **buckets = calloc(MTCI_SHARD_BUCKETS_MIN, sizeof(*buckets));
    if (!buckets)
        return false;
    if (pthread_mutex_init(&shard->mutex, NULL) != 0) {
        free(buckets);
        return false;
    }
    shard->buckets = buckets;
    shard->bucket_count = MTCI_SHARD_BUCKETS_MIN;
    return true;
}

void mtci_shard_fini(mtci_shard *shard)
{
    if (!shard->buckets)
        return;
    for (mtci_entry *entry = shard->newest; entry;) {
        mtci_entry *older = entry->older;
        mtci_entry_drop(entry);
        entry = older;
    }
    free(shard->buckets);
    pthread_mutex_destroy(&shard->mutex);
    *shard = (mtci_shard){0};
}

/* The link that points to the entry of the key, or to NULL at the end of its
 * chain. */
static mtci_entry **find_locked(const mtci_shard *shard, mtc_slice key,
                                uint64_t hash)
{
    mtci_entry **link = &shard->buckets[hash & (shard->bucket_count - 1)];
    while (*link && !mtci_entry_has_key(*link, key, hash))
        link = &(*link)->next;
    return link;
}

static void order_add_locked(mtci_shard *shard, mtci_entry *entry)
{
    entry->newer = NULL;
    entry->older = shard->newest;
    if (shard->newest)
        shard->newest->newer = entry;
    else
        shard->oldest = entry;
    shard->newest = entry;
}

static void order_drop_locked(mtci_shard *shard, mtci_entry *entry)
{
    if (shard->hand == entry)
        shard->hand = entry->newer;
    if (entry->newer)
        entry->newer->older = entry->older;
    else
        shard->newest = entry->older;
    if (entry->older)
        entry->older->newer = entry->newer;
    else
        shard->oldest = entry->newer;
}

/* Takes *link out of chain and order; its hold goes to the caller. */
static mtci_entry *unlink_locked(mtci_shard *shard, mtci_entry **link)
{
    mtci_entry *entry = *link;
    *link = entry->next;
    entry->next = NULL;
    order_drop_locked(shard, entry);
    shard->entry_count--;
    atomic_fetch_sub_explicit(&shard->bytes, mtci_entry_charged(entry),
                              memory_order_relaxed);
    atomic_fetch_sub_explicit(&shard->book->entries, 1, memory_order_relaxed);
    return entry;
}

static bool count_one_more(mtci_book *book)
{
    uint64_t seen = atomic_load_explicit(&book->entries, memory_order_relaxed);
    do {
        if (seen >= book->entries_max)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&book->entries, &seen,
                                                    seen + 1,
                                                    memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

mtci_entry *mtci_shard_find(mtci_shard *shard, mtc_slice key, uint64_t hash,
                            int64_t now_ms)
{
    mtci_entry *found = NULL;
    mtci_entry *expired = NULL;
    pthread_mutex_lock(&shard->mutex);
    mtci_entry **link = find_locked(shard, key, hash);
    if (*link && mtci_entry_left_ms(*link, now_ms) > 0) {
        found = *link;
        found->is_visited = true;
        mtci_entry_hold(found);
    } else if (*link) {
        expired = unlink_locked(shard, link);
        shard->evicted_expired++;
    }
    pthread_mutex_unlock(&shard->mutex);
    if (expired)
        mtci_entry_drop(expired);
    return found;
}

bool mtci_shard_put_take(mtci_shard *shard, mtci_entry *entry)
{
    mtci_entry *replaced = NULL;
    mtc_slice key =
        mtc_bytes(entry->bytes + entry->value_size, entry->key_size);
    pthread_mutex_lock(&shard->mutex);
    mtci_entry **link = find_locked(shard, key, entry->hash);
    if (*link) {
        replaced = unlink_locked(shard, link);
        shard->evicted_replaced++;
    }
    bool is_put = count_one_more(shard->book);
    if (is_put) {
        link = &shard->buckets[entry->hash & (shard->bucket_count - 1)];
        entry->next = *link;
        *link = entry;
        order_add_locked(shard, entry);
        shard->entry_count++;
        atomic_fetch_add_explicit(&shard->bytes, mtci_entry_charged(entry),
                                  memory_order_relaxed);
    }
    pthread_mutex_unlock(&shard->mutex);
    if (replaced)
        mtci_entry_drop(replaced);
    return is_put;
}

void mtci_shard_remove(mtci_shard *shard, mtc_slice key, uint64_t hash)
{
    mtci_entry *removed = NULL;
    pthread_mutex_lock(&shard->mutex);
    mtci_entry **link = find_locked(shard, key, hash);
    if (*link) {
        removed = unlink_locked(shard, link);
        shard->evicted_removed++;
    }
    pthread_mutex_unlock(&shard->mutex);
    if (removed)
        mtci_entry_drop(removed);
}

/* Whether the entry still has a life after the cut. */
static bool cut_locked(mtci_entry *entry, int64_t now_ms)
{
    int64_t left_ms = mtci_entry_left_ms(entry, now_ms);
    if (left_ms > entry->window_ms) {
        left_ms = entry->window_ms;
        atomic_store_explicit(&entry->end_ms, now_ms + left_ms,
                              memory_order_relaxed);
    }
    return left_ms > 0;
}

void mtci_shard_expire(mtci_shard *shard, mtc_slice key, uint64_t hash,
                       int64_t now_ms)
{
    mtci_entry *gone = NULL;
    pthread_mutex_lock(&shard->mutex);
    mtci_entry **link = find_locked(shard, key, hash);
    if (*link && !cut_locked(*link, now_ms)) {
        gone = unlink_locked(shard, link);
        shard->evicted_expired++;
    }
    pthread_mutex_unlock(&shard->mutex);
    if (gone)
        mtci_entry_drop(gone);
}

static mtci_entry *victim_locked(mtci_shard *shard)
{
    mtci_entry *entry = shard->hand ? shard->hand : shard->oldest;
    while (entry && entry->is_visited) {
        entry->is_visited = false;
        entry = entry->newer ? entry->newer : shard->oldest;
    }
    shard->hand = entry;
    return entry;
}

bool mtci_shard_evict(mtci_shard *shard)
{
    pthread_mutex_lock(&shard->mutex);
    mtci_entry *victim = victim_locked(shard);
    if (victim) {
        mtci_entry **link =
            &shard->buckets[victim->hash & (shard->bucket_count - 1)];
        while (*link != victim)
            link = &(*link)->next;
        unlink_locked(shard, link);
        shard->evicted_size++;
    }
    pthread_mutex_unlock(&shard->mutex);
    if (victim)
        mtci_entry_drop(victim);
    return victim != NULL;
}

/* Moves the expired entries of a chain to the front of a list. */
static void sweep_chain_locked(mtci_shard *shard, mtci_entry **link,
                               int64_t now_ms, mtci_entry **expired)
{
    while (*link) {
        if (mtci_entry_left_ms(*link, now_ms) > 0) {
            link = &(*link)->next;
            continue;
        }
        mtci_entry *entry = unlink_locked(shard, link);
        shard->evicted_expired++;
        entry->next = *expired;
        *expired = entry;
    }
}

void mtci_shard_sweep(mtci_shard *shard, int64_t now_ms, size_t buckets_max)
{
    mtci_entry *expired = NULL;
    pthread_mutex_lock(&shard->mutex);
    size_t mask = shard->bucket_count - 1;
    if (buckets_max > shard->bucket_count)
        buckets_max = shard->bucket_count;
    for (size_t i = 0; i < buckets_max; i++)
        sweep_chain_locked(shard, &shard->buckets[(shard->swept + i) & mask],
                           now_ms, &expired);
    shard->swept = (shard->swept + buckets_max) & mask;
    pthread_mutex_unlock(&shard->mutex);
    while (expired) {
        mtci_entry *next = expired->next;
        mtci_entry_drop(expired);
        expired = next;
    }
}

size_t mtci_shard_crowded(mtci_shard *shard)
{
    pthread_mutex_lock(&shard->mutex);
    size_t wanted = shard->bucket_count;
    while (wanted < shard->entry_count)
        wanted *= 2;
    bool is_crowded = wanted > shard->bucket_count;
    pthread_mutex_unlock(&shard->mutex);
    return is_crowded ? wanted : 0;
}

static void rehash_locked(mtci_shard *shard, mtci_entry **buckets,
                          size_t bucket_count)
{
    for (mtci_entry *entry = shard->oldest; entry; entry = entry->newer) {
        mtci_entry **link = &buckets[entry->hash & (bucket_count - 1)];
        entry->next = *link;
        *link = entry;
    }
}

mtci_entry **mtci_shard_grow(mtci_shard *shard, mtci_entry **buckets,
                             size_t bucket_count, size_t *freed_count)
{
    pthread_mutex_lock(&shard->mutex);
    mtci_entry **freed = buckets;
    *freed_count = bucket_count;
    if (bucket_count > shard->bucket_count) {
        rehash_locked(shard, buckets, bucket_count);
        freed = shard->buckets;
        *freed_count = shard->bucket_count;
        shard->buckets = buckets;
        shard->bucket_count = bucket_count;
        shard->swept = 0;
    }
    pthread_mutex_unlock(&shard->mutex);
    return freed;
}
