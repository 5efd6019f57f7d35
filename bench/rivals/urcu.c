/*
 * liburcu's lock-free hash table, which evicts nothing. Compiled twice: with
 * RIVAL_QSBR its readers report when they hold nothing (the fastest way there
 * is), without it they may be any threads (the "bulletproof" way).
 *
 * Any thread calls in; entries that were replaced are freed by liburcu.
 */
#include <stdlib.h>

#define _LGPL_SOURCE /* readers inline: the fastest it can be */
#define URCU_API_MAP /* names without the flavour */
#ifdef RIVAL_QSBR
#include <urcu/urcu-qsbr.h>
#else
#include <urcu/urcu-bp.h>
#endif
#include <urcu/rculfhash.h>

#include "rival.h"

typedef struct entry {
    struct cds_lfht_node node;
    struct rcu_head head;
    mtc_slice key; /* in bytes */
    size_t value_size;
    char bytes[]; /* key, value */
} entry;

static entry *entry_of(struct cds_lfht_node *node)
{
    return caa_container_of(node, entry, node);
}

static void entry_free(struct rcu_head *head)
{
    free(caa_container_of(head, entry, head));
}

static int is_same(struct cds_lfht_node *node, const void *key)
{
    return rival_is_same(entry_of(node)->key, *(const mtc_slice *)key);
}

/* Buckets for all entries, so that it never grows while it is measured. */
static void *open_table(size_t entries_max)
{
    unsigned long buckets = 1;
    while (buckets < entries_max)
        buckets *= 2;
    return cds_lfht_new(buckets, buckets, buckets, 0, NULL);
}

static bool get(void *table, mtc_slice key, uint64_t *sum)
{
    struct cds_lfht_iter found;
    rcu_read_lock();
    cds_lfht_lookup(table, rival_hash(key), is_same, &key, &found);
    struct cds_lfht_node *node = cds_lfht_iter_get_node(&found);
    if (node != NULL)
        *sum += (unsigned char)entry_of(node)->bytes[entry_of(node)->key.size];
    rcu_read_unlock();
    return node != NULL;
}

static bool set(void *table, mtc_slice key, mtc_slice value)
{
    entry *entry = malloc(sizeof *entry + key.size + value.size);
    if (entry == NULL)
        return false;
    memcpy(entry->bytes, key.data, key.size);
    memcpy(entry->bytes + key.size, value.data, value.size);
    entry->key = mtc_bytes(entry->bytes, key.size);
    entry->value_size = value.size;
    cds_lfht_node_init(&entry->node);
    rcu_read_lock();
    struct cds_lfht_node *old =
        cds_lfht_add_replace(table, rival_hash(key), is_same, &entry->key,
                             &entry->node);
    if (old != NULL)
        call_rcu(&entry_of(old)->head, entry_free);
    rcu_read_unlock();
    return true;
}

#ifdef RIVAL_QSBR
/* Removed from liburcu's list at the end of its thread. */
static pthread_key_t registration;
static pthread_once_t registration_made = PTHREAD_ONCE_INIT;

static void unregister(void *registered)
{
    (void)registered;
    rcu_unregister_thread();
}

static void make_registration(void)
{
    if (pthread_key_create(&registration, unregister) != 0)
        abort();
}

static void enter(void)
{
    pthread_once(&registration_made, make_registration);
    if (pthread_getspecific(registration) != NULL) {
        rcu_thread_online();
        return;
    }
    rcu_register_thread();
    pthread_setspecific(registration, &registration);
}

static void leave(void)
{
    rcu_thread_offline();
}
#else
static void enter(void)
{
}

static void leave(void)
{
}
#endif

static void close_table(void *table)
{
    struct cds_lfht_iter all;
    struct cds_lfht_node *node;
    enter();
    rcu_read_lock();
    cds_lfht_for_each(table, &all, node)
    {
        if (cds_lfht_del(table, node) == 0)
            call_rcu(&entry_of(node)->head, entry_free);
    }
    rcu_read_unlock();
    leave();
    rcu_barrier();
    cds_lfht_destroy(table, NULL);
}

#ifdef RIVAL_QSBR
const rival RIVAL_URCU_QSBR = {
    .name = "urcu-qsbr",
#else
const rival RIVAL_URCU_BP = {
    .name = "urcu-bp",
#endif
    .open = open_table,
    .close = close_table,
    .get = get,
    .set = set,
    .enter = enter,
    .leave = leave,
};
