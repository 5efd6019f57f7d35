/*
 * The memory tier behind the tier contract; see memory.h.
 */
#include "tier/memory/memory.h"

#include <stdlib.h>

#include "base/error.h"
#include "mtc/cache.h"
#include "tier/open.h"

/* One shard for so many bytes of budget, so that small budgets are not spent
 * on tables, and for so many entries, so that each shard has some to choose
 * a victim from. Large budgets get more shards, so that none is long at
 * work. */
#define SHARD_BYTES     ((uint64_t)4 << 20)
#define SHARD_ENTRIES   64u
#define SHARD_COUNT     64u
#define SHARD_BYTES_MAX ((uint64_t)1 << 30)
#define SHARD_COUNT_MAX 1024u

/* A limbo for so many bytes of budget; bytes in each, and of its lists, as
 * parts of its share. */
#define LIMBO_SHARE     ((uint64_t)4 << 20)
#define LIMBO_COUNT     8u
#define LIMBO_PART      64u
#define LIMBO_LIST_PART 4096u

/* Steps of the wheel that one hold of a mutex, and one call of tend, take. */
#define SWEEP_STEPS 256u
#define TEND_STEPS  131072u

#define MEMORY_SIZE_MIN ((size_t)64 * 1024)

typedef struct memory_options {
    int64_t size;
    int64_t entries;
    int64_t weight;
    int64_t absent_share;
    char policy[16];
} memory_options;

static mtci_memory *memory_of(mtc_tier *tier)
{
    return (mtci_memory *)tier;
}

/* -- submitting --------------------------------------------------------- */

static void complete_store(mtci_memory *memory, mtc_request *request)
{
    uint64_t end = mtci_entry_end(request->sent_ms, request->facts.left_ms);
    if (end <= (uint64_t)request->sent_ms) {
        mtci_memory_remove(memory, request);
        mtc_request_complete(request, MTC_PARTIAL, NULL);
        return;
    }
    mtc_status status = mtci_memory_store(memory, request);
    mtc_request_complete(request, status,
                         status == MTC_OK ? NULL : "no room in memory");
}

static void complete_expire(mtci_memory *memory, mtc_request *request)
{
    mtci_shard *shard = mtci_memory_shard(memory, request->hash);
    pthread_mutex_lock(&shard->mutex);
    mtci_shard_expire_locked(shard, request->key, request->hash,
                             request->sent_ms);
    pthread_mutex_unlock(&shard->mutex);
    mtci_limbo_tidy(mtci_limbo_here(&memory->limbos));
    mtc_request_complete(request, MTC_OK, NULL);
}

static void memory_submit(mtc_tier *tier, mtc_verb verb,
                          mtc_request *const *requests, size_t count)
{
    mtci_memory *memory = memory_of(tier);
    for (size_t i = 0; i < count; i++) {
        if (verb == MTC_VERB_READ) {
            mtci_memory_read(memory, requests[i]);
        } else if (verb == MTC_VERB_STORE) {
            complete_store(memory, requests[i]);
        } else if (verb == MTC_VERB_EXPIRE) {
            complete_expire(memory, requests[i]);
        } else {
            mtci_memory_remove(memory, requests[i]);
            mtc_request_complete(requests[i], MTC_OK, NULL);
        }
    }
}

/* -- housekeeping ------------------------------------------------------- */

static mtc_status memory_attach(mtc_tier *tier, const mtc_tier_host *host)
{
    mtci_memory *memory = memory_of(tier);
    atomic_store_explicit(&memory->pool->tier, (int32_t)host->index,
                          memory_order_relaxed);
    memory->host = host;
    for (size_t i = 0; i < memory->shard_count; i++)
        memory->shards[i].has_listener = host->evicted != NULL;
    return MTC_OK;
}

/* Drops what has expired in one shard, a little at a time. */
static void sweep(const mtci_memory *memory, mtci_shard *shard, int64_t now_ms,
                  size_t *steps)
{
    bool has_more = mtci_wheel_is_due(&shard->wheel, now_ms);
    while (has_more && *steps > 0) {
        size_t work = *steps < SWEEP_STEPS ? *steps : SWEEP_STEPS;
        *steps -= work;
        pthread_mutex_lock(&shard->mutex);
        has_more = mtci_shard_sweep_locked(shard, now_ms, &work);
        pthread_mutex_unlock(&shard->mutex);
        mtci_limbo_empty(mtci_limbo_here(&memory->limbos));
        *steps += work;
    }
}

static void memory_tend(mtc_tier *tier, int64_t now_ms)
{
    mtci_memory *memory = memory_of(tier);
    size_t steps = TEND_STEPS;
    for (size_t i = 0; i < memory->shard_count; i++)
        sweep(memory, &memory->shards[i], now_ms, &steps);
}

static void memory_report(mtc_tier *tier)
{
    mtci_memory *memory = memory_of(tier);
    for (size_t i = 0; i < memory->shard_count; i++) {
        mtci_shard *shard = &memory->shards[i];
        if (!atomic_load_explicit(&shard->has_notices, memory_order_relaxed))
            continue;
        pthread_mutex_lock(&shard->mutex);
        atomic_store_explicit(&shard->has_notices, false, memory_order_relaxed);
        mtci_notices notices = shard->notices;
        shard->notices = (mtci_notices){0};
        pthread_mutex_unlock(&shard->mutex);
        mtci_notices_tell(&notices, memory->host);
    }
}

static void memory_usage(mtc_tier *tier, mtc_tier_usage *out)
{
    mtci_memory *memory = memory_of(tier);
    const mtci_heap *heap = memory->pool->heap;
    *out = (mtc_tier_usage){
        .bytes = mtci_heap_committed(heap) + memory->fixed_bytes,
        .bytes_max = mtci_heap_budget(heap) + memory->fixed_bytes,
    };
    for (size_t i = 0; i < memory->shard_count; i++) {
        mtci_shard *shard = &memory->shards[i];
        pthread_mutex_lock(&shard->mutex);
        out->entries += shard->table.entry_count;
        out->evicted_size += shard->evicted[MTC_EVICTED_SIZE];
        out->evicted_expired += shard->evicted[MTC_EVICTED_EXPIRED];
        out->evicted_replaced += shard->evicted[MTC_EVICTED_REPLACED];
        out->evicted_removed += shard->evicted[MTC_EVICTED_REMOVED];
        pthread_mutex_unlock(&shard->mutex);
    }
}

static mtc_status memory_resize(mtc_tier *tier, uint64_t size)
{
    mtci_memory *memory = memory_of(tier);
    if (size < MEMORY_SIZE_MIN || size <= memory->fixed_bytes)
        return MTC_E_INVALID;
    mtc_status status =
        mtci_heap_resize(memory->pool->heap, size - memory->fixed_bytes);
    if (status != MTC_OK)
        return status;
    mtci_memory_shrink(memory);
    atomic_store_explicit(&memory->is_full, false, memory_order_relaxed);
    return MTC_OK;
}

static void memory_close(mtc_tier *tier)
{
    mtci_memory *memory = memory_of(tier);
    mtci_retired left = {0};
    if (!memory)
        return;
    for (size_t i = 0; i < memory->shard_count; i++)
        mtci_shard_fini(&memory->shards[i]);
    mtci_limbos_fini(&memory->limbos, &left);
    free(memory->shards);
    if (memory->shared)
        memory->policy->close(memory->shared);
    if (memory->pool)
        mtci_pool_close(memory->pool, &left);
    free(memory);
}

#define MEMORY_OPS(find_function)                                              \
    {                                                                          \
        .struct_size = sizeof(mtc_tier_ops),                                   \
        .abilities = MTC_TIER_TELLS_LEFT | MTC_TIER_KEEPS_FACTS,               \
        .scheme = "memory", .key_size_max = MTC_KEY_SIZE_MAX,                  \
        .life_ms_max = MTC_NO_END, .life_step_ms = 1, .attach = memory_attach, \
        .find = (find_function), .submit = memory_submit, .tend = memory_tend, \
        .usage = memory_usage, .close = memory_close,                          \
        .expect = mtci_memory_expect, .report = memory_report,                 \
        .resize = memory_resize,                                               \
    }

static const mtc_tier_ops memory_ops = MEMORY_OPS(mtci_memory_find);
static const mtc_tier_ops memory_exact_ops = MEMORY_OPS(mtci_memory_find_exact);

/* -- opening ------------------------------------------------------------ */

/* How many shards, a power of two, so that each has its share of both. */
static size_t shard_count_for(uint64_t size, uint64_t entries_max)
{
    size_t count = 1;
    while (count < SHARD_COUNT_MAX && size / (count * 2) >= SHARD_BYTES &&
           entries_max / (count * 2) >= SHARD_ENTRIES &&
           (count < SHARD_COUNT || size / count > SHARD_BYTES_MAX))
        count *= 2;
    return count;
}

/* The share of shard i in a limit. */
static uint64_t share_of(uint64_t limit, size_t i, size_t count)
{
    if (limit == UINT64_MAX)
        return limit;
    return limit / count + (i < limit % count);
}

/* How many limbos, a power of two. */
static size_t limbo_count_for(uint64_t size)
{
    size_t count = 1;
    while (count < LIMBO_COUNT && size / (count * 2) >= LIMBO_SHARE)
        count *= 2;
    return count;
}

/* Entries that a limbo takes. */
static uint32_t limbo_room_for(uint64_t size)
{
    uint64_t room = size / limbo_count_for(size) / LIMBO_LIST_PART;
    if (room < MTCI_LIMBO_ROOM_MIN)
        return MTCI_LIMBO_ROOM_MIN;
    return room < MTCI_LIMBO_ROOM_MAX ? (uint32_t)room : MTCI_LIMBO_ROOM_MAX;
}

static void *room_new(void *ctx, size_t size)
{
    return mtci_heap_room_new(ctx, size);
}

static void room_free(void *ctx, void *room, size_t size)
{
    mtci_heap_room_free(ctx, room, size);
}

static mtc_status shards_init(mtci_memory *memory,
                              const memory_options *options)
{
    uint64_t entries =
        options->entries > 0 ? (uint64_t)options->entries : UINT64_MAX;
    uint64_t weight =
        options->weight > 0 ? (uint64_t)options->weight : UINT64_MAX;
    size_t count = memory->shard_count;
    memory->shard_count = 0;
    for (size_t i = 0; i < count; i++) {
        mtci_limits limits = {
            .entries_max = share_of(entries, i, count),
            .weight_max = share_of(weight, i, count),
            .bytes = (uint64_t)options->size / count,
            .absent_share = (double)options->absent_share / 100,
            .shard_count = count,
        };
        memory->shard_count++;
        mtc_status status =
            mtci_shard_init(&memory->shards[i], &memory->limbos,
                            memory->policy->shard_open(memory->shared, i),
                            memory->policy, &limits);
        if (status != MTC_OK)
            return status;
    }
    return MTC_OK;
}

/* The tier with its shards; whatever is made is found by memory_close. */
static mtc_status build(mtci_memory *memory, const memory_options *options)
{
    uint64_t size = (uint64_t)options->size;
    size_t count =
        shard_count_for(size, options->entries > 0 ? (uint64_t)options->entries
                                                   : UINT64_MAX);
    memory->base.ops = memory->policy->hit ? &memory_exact_ops : &memory_ops;
    memory->shard_shift = 63 - (unsigned)__builtin_ctzll(count);
    memory->shards =
        aligned_alloc(_Alignof(mtci_shard), count * sizeof(mtci_shard));
    if (!memory->shards)
        return MTC_E_NO_MEMORY;
    memset(memory->shards, 0, count * sizeof(mtci_shard));
    memory->fixed_bytes =
        sizeof(*memory) + sizeof(mtci_pool) + count * sizeof(mtci_shard) +
        mtci_limbos_size(limbo_count_for(size), limbo_room_for(size));
    mtc_status status =
        mtci_pool_open(size - memory->fixed_bytes, &memory->pool);
    if (status != MTC_OK)
        return status;
    if (!mtci_limbos_init(&memory->limbos, memory->pool, limbo_count_for(size),
                          limbo_room_for(size),
                          (size_t)size / limbo_count_for(size) / LIMBO_PART))
        return MTC_E_NO_MEMORY;
    mtci_policy_env env = {.nodes = {memory->pool->heap->arena.base,
                                     memory->pool->heap->arena.shift},
                           .shard_count = count,
                           .shard_shift = memory->shard_shift,
                           .room_new = room_new,
                           .room_free = room_free,
                           .ctx = memory->pool->heap};
    memory->shared = memory->policy->open(&env);
    if (!memory->shared)
        return MTC_E_NO_MEMORY;
    memory->shard_count = count;
    return shards_init(memory, options);
}

static mtc_status memory_open(const mtci_url *url, const void *given,
                              mtc_error *error, mtc_tier **tier)
{
    const memory_options *options = given;
    if (url->host[0] != '\0' || url->path[0] != '\0')
        return mtci_fail(error, MTC_E_INVALID, "memory",
                         "a memory tier has no host and no path; write "
                         "memory or memory?size=64MiB");
    const mtci_policy_ops *policy = mtci_policy_by_name(options->policy);
    if (!policy)
        return mtci_fail(error, MTC_E_INVALID, "memory",
                         "policy=%s: there are duel, lru, s3fifo, tinylfu",
                         options->policy);
    mtci_memory *memory = calloc(1, sizeof(*memory));
    if (!memory)
        return mtci_fail(error, MTC_E_NO_MEMORY, "memory", "out of memory");
    memory->policy = policy;
    mtc_status status = build(memory, options);
    if (status != MTC_OK) {
        memory_close(&memory->base);
        return mtci_fail(error, status, "memory", "out of memory");
    }
    *tier = &memory->base;
    return MTC_OK;
}

static const mtci_option memory_table[] = {
    {.name = "size",
     .kind = MTCI_OPTION_SIZE,
     .offset = offsetof(memory_options, size),
     .min = 64.0 * 1024,
     .max = 1024.0 * 1024 * 1024 * 1024,
     .fallback = "64MiB",
     .range = "64KiB to 1TiB",
     .text = "budget of bytes, everything counted"},
    {.name = "entries",
     .kind = MTCI_OPTION_COUNT,
     .offset = offsetof(memory_options, entries),
     .min = 1,
     .max = 1e12,
     .fallback = NULL,
     .range = "1 to 1,000,000,000,000",
     .text = "the most entries, beside size; default: as many as fit"},
    {.name = "weight",
     .kind = MTCI_OPTION_COUNT,
     .offset = offsetof(memory_options, weight),
     .min = 1,
     .max = 1e15,
     .fallback = NULL,
     .range = "1 to 1,000,000,000,000,000",
     .text = "the most weight, as the cache's weigher tells it"},
    {.name = "absent_share",
     .kind = MTCI_OPTION_COUNT,
     .offset = offsetof(memory_options, absent_share),
     .min = 1,
     .max = 100,
     .fallback = "5",
     .range = "1 to 100",
     .text = "percent of size, and of entries, that negative entries may "
             "take; beyond, the oldest of them leave"},
    {.name = "policy",
     .kind = MTCI_OPTION_TEXT,
     .offset = offsetof(memory_options, policy),
     .size = sizeof(((memory_options *)NULL)->policy),
     .fallback = "duel",
     .range = "duel, lru, s3fifo, tinylfu",
     .text = "who leaves when room is needed; duel decides by itself"},
};

static const mtci_option_table memory_option_table = {
    "memory", memory_table, sizeof(memory_table) / sizeof(memory_table[0])};

const mtci_tier_kind mtci_memory_kind = {
    .schemes = "memory",
    .options = &memory_option_table,
    .options_size = sizeof(memory_options),
    .open = memory_open,
};
