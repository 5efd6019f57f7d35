/*
 * GLib's hash table with a list in order of use and a mutex, in one piece or
 * in sixteen: the cache that a C program writes for itself today.
 *
 * Any thread calls in; a part's mutex guards all of the part.
 */
#include <stdlib.h>

#include <glib.h>

#include "rival.h"

#define PARTS 16

/* On the heap; its key is that of the table, too. */
typedef struct entry {
    mtc_slice key; /* in bytes */
    size_t value_size;
    GList link;   /* in the part's order */
    char bytes[]; /* key, value */
} entry;

typedef struct part {
    GMutex mutex;      /* guards all below */
    GHashTable *table; /* of entries, under their keys; owns none */
    GQueue order;      /* of entries, the last used first */
    size_t entries_max;
} part;

typedef struct cache {
    size_t part_count;
    part parts[];
} cache;

static guint hash(gconstpointer key)
{
    return (guint)rival_hash(*(const mtc_slice *)key);
}

static gboolean is_same(gconstpointer one, gconstpointer other)
{
    return rival_is_same(*(const mtc_slice *)one, *(const mtc_slice *)other);
}

/* By the upper bits: the table inside goes by the lower ones. */
static part *part_of(cache *cache, mtc_slice key)
{
    if (cache->part_count == 1)
        return &cache->parts[0];
    return &cache->parts[(rival_hash(key) >> 32) % cache->part_count];
}

static entry *entry_new(mtc_slice key, mtc_slice value)
{
    entry *entry = malloc(sizeof *entry + key.size + value.size);
    if (entry == NULL)
        return NULL;
    memcpy(entry->bytes, key.data, key.size);
    memcpy(entry->bytes + key.size, value.data, value.size);
    entry->key = mtc_bytes(entry->bytes, key.size);
    entry->value_size = value.size;
    entry->link = (GList){.data = entry};
    return entry;
}

static void drop_locked(part *part, entry *entry)
{
    g_hash_table_remove(part->table, &entry->key);
    g_queue_unlink(&part->order, &entry->link);
    free(entry);
}

static cache *open_parts(size_t part_count, size_t entries_max)
{
    cache *cache = calloc(1, sizeof *cache + part_count * sizeof(part));
    if (cache == NULL)
        return NULL;
    cache->part_count = part_count;
    for (size_t i = 0; i < part_count; i++) {
        part *part = &cache->parts[i];
        g_mutex_init(&part->mutex);
        g_queue_init(&part->order);
        part->table = g_hash_table_new(hash, is_same);
        part->entries_max = entries_max / part_count;
    }
    return cache;
}

static void *open_one(size_t entries_max)
{
    return open_parts(1, entries_max);
}

static void *open_sixteen(size_t entries_max)
{
    return open_parts(PARTS, entries_max);
}

static void close_all(void *table)
{
    cache *cache = table;
    for (size_t i = 0; i < cache->part_count; i++) {
        part *part = &cache->parts[i];
        while (part->order.tail != NULL)
            drop_locked(part, part->order.tail->data);
        g_hash_table_destroy(part->table);
        g_mutex_clear(&part->mutex);
    }
    free(cache);
}

static bool get(void *table, mtc_slice key, uint64_t *sum)
{
    part *part = part_of(table, key);
    g_mutex_lock(&part->mutex);
    entry *entry = g_hash_table_lookup(part->table, &key);
    if (entry != NULL) {
        *sum += (unsigned char)entry->bytes[entry->key.size];
        g_queue_unlink(&part->order, &entry->link);
        g_queue_push_head_link(&part->order, &entry->link);
    }
    g_mutex_unlock(&part->mutex);
    return entry != NULL;
}

static bool set(void *table, mtc_slice key, mtc_slice value)
{
    part *part = part_of(table, key);
    entry *entry = entry_new(key, value);
    if (entry == NULL)
        return false;
    g_mutex_lock(&part->mutex);
    struct entry *old = g_hash_table_lookup(part->table, &key);
    if (old == NULL && part->order.length >= part->entries_max)
        old = part->order.tail->data;
    if (old != NULL)
        drop_locked(part, old);
    g_hash_table_add(part->table, &entry->key);
    g_queue_push_head_link(&part->order, &entry->link);
    g_mutex_unlock(&part->mutex);
    return true;
}

const rival RIVAL_GLIB = {
    .name = "glib",
    .evicts = true,
    .open = open_one,
    .close = close_all,
    .get = get,
    .set = set,
};

const rival RIVAL_GLIB_16 = {
    .name = "glib-16",
    .evicts = true,
    .open = open_sixteen,
    .close = close_all,
    .get = get,
    .set = set,
};
