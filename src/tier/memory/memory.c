/*
 * The memory tier: a budget of bytes over shards chosen by hash.
 *
 * It owns the shards and one hold on the book that counts what they keep. It
 * answers at once, inside submit or find, on whatever thread calls; each call
 * takes the mutex of one shard, and of others one at a time to make room.
 * Room is reserved in the book before memory is asked for, so that the budget
 * holds at every moment.
 */
#include "tier/open.h"

#include <stdlib.h>

#include "base/error.h"
#include "mtc/cache.h"
#include "tier/memory/shard.h"

/* One shard for so many bytes of budget, so that small budgets are not spent
 * on tables, and for so many entries, so that each shard has some to choose
 * a victim from. */
#define SHARD_BUDGET_BYTES 1048576u
#define SHARD_ENTRIES      256u
#define SHARD_COUNT_MAX    64u
/* Chains looked at by one call of tend, over all shards. */
#define TEND_BUCKETS 8192u
/* Odd; neighbouring numbers times this differ in their high bits. */
#define SPREAD UINT64_C(0x9e3779b97f4a7c15)

typedef struct memory_options {
    int64_t size;
    int64_t entries;
} memory_options;

typedef struct memory_tier {
    mtc_tier base;
    mtci_book *book;
    mtci_shard *shards;
    size_t shard_count;          /* a power of two */
    _Atomic uint64_t overhead;   /* bytes charged for no entry */
    _Atomic uint64_t evict_next; /* counts the choices of a shard */
} memory_tier;

static mtci_shard *shard_of(const memory_tier *memory, uint64_t hash)
{
    /* The low bits choose the bucket. */
    return &memory->shards[(hash >> 48) & (memory->shard_count - 1)];
}

/* Of two shards the fuller one, so that all stay about equally full. */
static mtci_shard *fuller_of_two(memory_tier *memory)
{
    uint64_t turn =
        atomic_fetch_add_explicit(&memory->evict_next, 1, memory_order_relaxed);
    mtci_shard *one = &memory->shards[turn & (memory->shard_count - 1)];
    mtci_shard *other = shard_of(memory, turn * SPREAD);
    uint64_t one_bytes =
        atomic_load_explicit(&one->bytes, memory_order_relaxed);
    uint64_t other_bytes =
        atomic_load_explicit(&other->bytes, memory_order_relaxed);
    return one_bytes >= other_bytes ? one : other;
}

static bool evict_one(memory_tier *memory)
{
    if (mtci_shard_evict(fuller_of_two(memory)))
        return true;
    for (size_t i = 0; i < memory->shard_count; i++) {
        if (mtci_shard_evict(&memory->shards[i]))
            return true;
    }
    return false;
}

/* Charges bytes to the book, evicting as need be. What could not fit into an
 * empty tier evicts nothing. */
static bool reserve(memory_tier *memory, uint64_t bytes)
{
    uint64_t overhead =
        atomic_load_explicit(&memory->overhead, memory_order_relaxed);
    if (bytes > memory->book->bytes_max - overhead)
        return false;
    while (!mtci_book_charge(memory->book, bytes)) {
        if (!evict_one(memory))
            return false;
    }
    return true;
}

/* Doubles the table of a shard that has more entries than buckets. Without
 * room for it chains get longer, and nothing else happens. */
static void grow(memory_tier *memory, mtci_shard *shard)
{
    size_t count = mtci_shard_crowded(shard);
    if (count == 0 || !reserve(memory, mtci_shard_table_charge(count)))
        return;
    uint64_t charge = mtci_shard_table_charge(count);
    mtci_entry **buckets = calloc(count, sizeof(*buckets));
    if (!buckets) {
        mtci_book_uncharge(memory->book, charge);
        return;
    }
    size_t freed_count;
    free(mtci_shard_grow(shard, buckets, count, &freed_count));
    uint64_t freed = mtci_shard_table_charge(freed_count);
    mtci_book_uncharge(memory->book, freed);
    atomic_fetch_add_explicit(&memory->overhead, charge - freed,
                              memory_order_relaxed);
}

/* A new entry within the budget; NULL: no room, or out of memory. */
static mtci_entry *entry_for(memory_tier *memory, const mtc_request *request)
{
    uint64_t charge = mtci_entry_charge(request);
    if (!reserve(memory, charge))
        return NULL;
    mtci_entry *entry = mtci_entry_new(memory->book, request);
    if (!entry)
        mtci_book_uncharge(memory->book, charge);
    return entry;
}

static bool put(memory_tier *memory, mtci_shard *shard, mtci_entry *entry)
{
    while (!mtci_shard_put_take(shard, entry)) {
        if (!evict_one(memory))
            return false;
    }
    return true;
}

static void complete_store(memory_tier *memory, mtc_request *request)
{
    mtci_shard *shard = shard_of(memory, request->hash);
    mtci_entry *entry = NULL;
    bool has_life = true;
    if (mtci_life_end_ms(request->sent_ms, request->facts.left_ms) <=
        request->sent_ms)
        has_life = false;
    if (has_life)
        entry = entry_for(memory, request);
    if (entry && put(memory, shard, entry)) {
        grow(memory, shard);
        mtc_request_complete(request, MTC_OK, NULL);
        return;
    }
    if (entry)
        mtci_entry_drop(entry);
    mtci_shard_remove(shard, request->key, request->hash);
    mtc_request_complete(request, MTC_PARTIAL,
                         has_life ? "no room in memory" : NULL);
}

static void complete_read(memory_tier *memory, mtc_request *request)
{
    mtci_entry *entry =
        mtci_shard_find(shard_of(memory, request->hash), request->key,
                        request->hash, request->sent_ms);
    if (!entry) {
        mtc_request_complete(request, MTC_MISS, NULL);
        return;
    }
    mtci_entry_facts(entry, request->sent_ms, &request->facts);
    request->value = mtci_entry_value_take(entry);
    mtc_request_complete(request, MTC_OK, NULL);
}

static void complete_change(memory_tier *memory, mtc_verb verb,
                            mtc_request *request)
{
    mtci_shard *shard = shard_of(memory, request->hash);
    if (verb == MTC_VERB_REMOVE)
        mtci_shard_remove(shard, request->key, request->hash);
    else
        mtci_shard_expire(shard, request->key, request->hash, request->sent_ms);
    mtc_request_complete(request, MTC_OK, NULL);
}

static void memory_submit(mtc_tier *tier, mtc_verb verb,
                          mtc_request *const *requests, size_t count)
{
    memory_tier *memory = (memory_tier *)tier;
    for (size_t i = 0; i < count; i++) {
        if (verb == MTC_VERB_READ)
            complete_read(memory, requests[i]);
        else if (verb == MTC_VERB_STORE)
            complete_store(memory, requests[i]);
        else
            complete_change(memory, verb, requests[i]);
    }
}

static mtc_status memory_find(mtc_tier *tier, mtc_slice key, uint64_t hash,
                              int64_t now_ms, mtc_value *out)
{
    memory_tier *memory = (memory_tier *)tier;
    mtci_entry *entry =
        mtci_shard_find(shard_of(memory, hash), key, hash, now_ms);
    if (!entry)
        return MTC_MISS;
    bool is_stale = mtci_entry_left_ms(entry, now_ms) <= entry->window_ms;
    bool is_value = entry->kind == MTC_KIND_VALUE;
    /* A negative entry past its soft end says nothing, and neither does a
     * lease. */
    if (!is_value && (is_stale || entry->kind != MTC_KIND_ABSENT)) {
        mtci_entry_drop(entry);
        return MTC_MISS;
    }
    *out = mtci_entry_value_take(entry);
    if (!is_value)
        return MTC_ABSENT;
    return is_stale ? MTC_STALE : MTC_OK;
}

static mtc_status memory_attach(mtc_tier *tier, const mtc_tier_host *host)
{
    memory_tier *memory = (memory_tier *)tier;
    atomic_store_explicit(&memory->book->tier, (int32_t)host->index,
                          memory_order_relaxed);
    return MTC_OK;
}

static void memory_tend(mtc_tier *tier, int64_t now_ms)
{
    memory_tier *memory = (memory_tier *)tier;
    for (size_t i = 0; i < memory->shard_count; i++)
        mtci_shard_sweep(&memory->shards[i], now_ms,
                         TEND_BUCKETS / memory->shard_count);
}

static void memory_usage(mtc_tier *tier, mtc_tier_usage *out)
{
    memory_tier *memory = (memory_tier *)tier;
    mtci_book *book = memory->book;
    *out = (mtc_tier_usage){
        .bytes = atomic_load_explicit(&book->bytes, memory_order_relaxed),
        .bytes_max = book->bytes_max,
        .entries = atomic_load_explicit(&book->entries, memory_order_relaxed),
    };
    for (size_t i = 0; i < memory->shard_count; i++) {
        mtci_shard *shard = &memory->shards[i];
        pthread_mutex_lock(&shard->mutex);
        out->evicted_size += shard->evicted_size;
        out->evicted_expired += shard->evicted_expired;
        out->evicted_replaced += shard->evicted_replaced;
        out->evicted_removed += shard->evicted_removed;
        pthread_mutex_unlock(&shard->mutex);
    }
}

static void memory_close(mtc_tier *tier)
{
    memory_tier *memory = (memory_tier *)tier;
    if (!memory)
        return;
    for (size_t i = 0; i < memory->shard_count; i++)
        mtci_shard_fini(&memory->shards[i]);
    free(memory->shards);
    if (memory->book)
        mtci_book_drop(memory->book);
    free(memory);
}

static const mtc_tier_ops memory_ops = {
    .struct_size = sizeof(mtc_tier_ops),
    .abilities = MTC_TIER_TELLS_LEFT | MTC_TIER_KEEPS_FACTS,
    .scheme = "memory",
    .key_size_max = MTC_KEY_SIZE_MAX,
    .value_size_max = 0,
    .life_ms_max = MTC_NO_END,
    .life_step_ms = 1,
    .attach = memory_attach,
    .find = memory_find,
    .submit = memory_submit,
    .tend = memory_tend,
    .usage = memory_usage,
    .close = memory_close,
};

static size_t shard_count_for(uint64_t size, uint64_t entries_max)
{
    size_t count = 1;
    while (count < SHARD_COUNT_MAX &&
           size / (count * 2) >= SHARD_BUDGET_BYTES &&
           entries_max / (count * 2) >= SHARD_ENTRIES)
        count *= 2;
    return count;
}

/* The tier with its shards; whatever is made is found by memory_close. */
static mtc_status build(memory_tier *memory, const memory_options *options)
{
    uint64_t entries_max =
        options->entries > 0 ? (uint64_t)options->entries : UINT64_MAX;
    size_t count = shard_count_for((uint64_t)options->size, entries_max);
    memory->base.ops = &memory_ops;
    memory->book = mtci_book_new((uint64_t)options->size, entries_max);
    memory->shards =
        aligned_alloc(_Alignof(mtci_shard), count * sizeof(mtci_shard));
    if (!memory->book || !memory->shards)
        return MTC_E_NO_MEMORY;
    uint64_t overhead = mtci_charge_of(sizeof(*memory)) +
                        mtci_charge_of((count + 1) * sizeof(mtci_shard)) +
                        count * mtci_shard_table_charge(MTCI_SHARD_BUCKETS_MIN);
    mtci_book_charge(memory->book, overhead);
    atomic_init(&memory->overhead, atomic_load(&memory->book->bytes));
    for (; memory->shard_count < count; memory->shard_count++) {
        if (!mtci_shard_init(&memory->shards[memory->shard_count],
                             memory->book))
            return MTC_E_NO_MEMORY;
    }
    return MTC_OK;
}

static mtc_status memory_open(const mtci_url *url, const void *options,
                              mtc_error *error, mtc_tier **tier)
{
    if (url->host[0] != '\0' || url->path[0] != '\0')
        return mtci_fail(error, MTC_E_INVALID, "memory",
                         "a memory tier has no host and no path; write "
                         "memory or memory?size=64MiB");
    memory_tier *memory = calloc(1, sizeof(*memory));
    if (!memory)
        return mtci_fail(error, MTC_E_NO_MEMORY, "memory", "out of memory");
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
};

static const mtci_option_table memory_option_table = {
    "memory", memory_table, sizeof(memory_table) / sizeof(memory_table[0])};

const mtci_tier_kind mtci_memory_kind = {
    .schemes = "memory",
    .options = &memory_option_table,
    .options_size = sizeof(memory_options),
    .open = memory_open,
};
