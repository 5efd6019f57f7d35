/*
 * Entries of the memory tier, the values that refer to them and the book that
 * counts them. See entry.h. Any thread; no lock is taken here.
 */
#include "tier/memory/entry.h"

#include <stdlib.h>

/* What the allocator adds to an allocation, the step of its sizes, and the
 * size from which on it may ask the kernel for whole pages. */
#define ALLOCATION_OVERHEAD 16u
#define ALLOCATION_STEP     16u
#define MAPPED_SIZE_MIN     (128u * 1024u)
#define PAGE_BYTES          4096u

/* A copy must not outlive the truth by the part of a millisecond that the
 * clock cuts off. */
#define CLOCK_TICK_MS 1

uint64_t mtci_charge_of(size_t size)
{
    uint64_t step = size >= MAPPED_SIZE_MIN ? PAGE_BYTES : ALLOCATION_STEP;
    uint64_t bytes = (uint64_t)size + ALLOCATION_OVERHEAD;
    return (bytes + step - 1) / step * step;
}

int64_t mtci_life_end_ms(int64_t sent_ms, int64_t left_ms)
{
    if (left_ms == MTC_NO_END || left_ms > MTC_NO_END - sent_ms)
        return MTC_NO_END;
    return sent_ms + left_ms - CLOCK_TICK_MS;
}

mtci_book *mtci_book_new(uint64_t bytes_max, uint64_t entries_max)
{
    mtci_book *book = malloc(sizeof(*book));
    if (!book)
        return NULL;
    atomic_init(&book->holder_count, 1);
    atomic_init(&book->bytes, mtci_charge_of(sizeof(*book)));
    atomic_init(&book->entries, 0);
    atomic_init(&book->tier, 0);
    book->bytes_max = bytes_max;
    book->entries_max = entries_max;
    return book;
}

void mtci_book_drop(mtci_book *book)
{
    if (atomic_fetch_sub_explicit(&book->holder_count, 1,
                                  memory_order_acq_rel) == 1)
        free(book);
}

bool mtci_book_charge(mtci_book *book, uint64_t bytes)
{
    uint64_t seen = atomic_load_explicit(&book->bytes, memory_order_relaxed);
    do {
        if (seen > book->bytes_max || bytes > book->bytes_max - seen)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&book->bytes, &seen,
                                                    seen + bytes,
                                                    memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

void mtci_book_uncharge(mtci_book *book, uint64_t bytes)
{
    atomic_fetch_sub_explicit(&book->bytes, bytes, memory_order_relaxed);
}

static size_t entry_size(size_t value_size, size_t key_size, size_t etag_size)
{
    return sizeof(mtci_entry) + value_size + key_size + etag_size;
}

uint64_t mtci_entry_charge(const mtc_request *request)
{
    return mtci_charge_of(entry_size(request->value.size, request->key.size,
                                     request->facts.etag.size));
}

uint64_t mtci_entry_charged(const mtci_entry *entry)
{
    return mtci_charge_of(
        entry_size(entry->value_size, entry->key_size, entry->etag_size));
}

static void bytes_fill(mtci_entry *entry, const mtc_request *request)
{
    unsigned char *at = entry->bytes;
    mtc_slice parts[] = {mtc_value_slice(&request->value), request->key,
                         request->facts.etag};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (parts[i].size > 0)
            memcpy(at, parts[i].data, parts[i].size);
        at += parts[i].size;
    }
}

mtci_entry *mtci_entry_new(mtci_book *book, const mtc_request *request)
{
    const mtc_facts *facts = &request->facts;
    mtci_entry *entry = malloc(
        entry_size(request->value.size, request->key.size, facts->etag.size));
    if (!entry)
        return NULL;
    *entry = (mtci_entry){
        .book = book,
        .hash = request->hash,
        .end_ms = mtci_life_end_ms(request->sent_ms, facts->left_ms),
        .ttl_ms = facts->ttl_ms,
        .window_ms = facts->window_ms,
        .value_size = request->value.size,
        .holder_count = 1,
        .key_size = (uint32_t)request->key.size,
        .load_ms = facts->load_ms,
        .etag_size = (uint16_t)facts->etag.size,
        .kind = (uint8_t)facts->kind,
    };
    bytes_fill(entry, request);
    atomic_fetch_add_explicit(&book->holder_count, 1, memory_order_relaxed);
    return entry;
}

void mtci_entry_hold(mtci_entry *entry)
{
    atomic_fetch_add_explicit(&entry->holder_count, 1, memory_order_relaxed);
}

void mtci_entry_drop(mtci_entry *entry)
{
    if (atomic_fetch_sub_explicit(&entry->holder_count, 1,
                                  memory_order_acq_rel) != 1)
        return;
    mtci_book *book = entry->book;
    uint64_t charge = mtci_entry_charged(entry);
    free(entry);
    mtci_book_uncharge(book, charge);
    mtci_book_drop(book);
}

bool mtci_entry_has_key(const mtci_entry *entry, mtc_slice key, uint64_t hash)
{
    if (entry->hash != hash || entry->key_size != key.size)
        return false;
    return key.size == 0 ||
           memcmp(entry->bytes + entry->value_size, key.data, key.size) == 0;
}

int64_t mtci_entry_left_ms(const mtci_entry *entry, int64_t now_ms)
{
    int64_t end_ms = atomic_load_explicit(&entry->end_ms, memory_order_relaxed);
    return end_ms == MTC_NO_END ? MTC_NO_END : end_ms - now_ms;
}

static mtc_slice entry_etag(const mtci_entry *entry)
{
    return mtc_bytes(entry->bytes + entry->value_size + entry->key_size,
                     entry->etag_size);
}

void mtci_entry_facts(const mtci_entry *entry, int64_t now_ms, mtc_facts *facts)
{
    *facts = (mtc_facts){
        .kind = entry->kind,
        .load_ms = entry->load_ms,
        .left_ms = mtci_entry_left_ms(entry, now_ms),
        .ttl_ms = entry->ttl_ms,
        .window_ms = entry->window_ms,
        .etag = entry_etag(entry),
    };
}

static void value_free(mtc_value *value)
{
    mtci_entry_drop(value->owner);
}

static mtc_status value_share(const mtc_value *value, mtc_value *out)
{
    mtci_entry_hold(value->owner);
    *out = *value;
    return MTC_OK;
}

static void value_info(const mtc_value *value, int64_t now_ms,
                       mtc_value_info *info)
{
    const mtci_entry *entry = value->owner;
    int64_t left = mtci_entry_left_ms(entry, now_ms);
    info->tier = atomic_load_explicit(&entry->book->tier, memory_order_relaxed);
    info->etag = entry_etag(entry);
    info->age_ms = -1;
    info->left_ms = left > 0 ? left : 0;
    info->is_stale = left <= entry->window_ms;
    if (entry->ttl_ms == 0 || left == MTC_NO_END)
        return;
    int64_t age_ms = entry->ttl_ms + entry->window_ms - left - CLOCK_TICK_MS;
    info->age_ms = age_ms > 0 ? age_ms : 0;
}

static const mtc_value_ops value_ops = {
    .struct_size = sizeof(mtc_value_ops),
    .free = value_free,
    .share = value_share,
    .info = value_info,
};

mtc_value mtci_entry_value_take(mtci_entry *entry)
{
    return (mtc_value){entry->bytes, entry->value_size, &value_ops, entry};
}
