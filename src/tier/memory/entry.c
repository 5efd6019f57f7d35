/*
 * Entries of the memory tier; see entry.h.
 */
#include "tier/memory/entry.h"

#include "base/slice.h"

uint64_t mtci_entry_end(int64_t sent_ms, int64_t left_ms)
{
    if (left_ms == MTC_NO_END || left_ms > (int64_t)MTCI_END_NEVER - sent_ms)
        return MTCI_END_NEVER;
    return (uint64_t)(sent_ms + left_ms - MTCI_TICK_MS);
}

static bool has_extra(const mtc_request *request)
{
    const mtc_facts *facts = &request->facts;
    return facts->kind != MTC_KIND_VALUE || facts->window_ms != 0 ||
           facts->load_ms != 0 || facts->etag.size > 0 ||
           facts->ttl_ms > UINT32_MAX || request->weight > 0;
}

/* Where the value is, counted from the entry. */
static size_t value_at(const mtc_request *request)
{
    size_t key_at = has_extra(request) ? MTCI_EXTRA_KEY_AT : MTCI_KEY_AT;
    return (key_at + request->key.size + 7) & ~(size_t)7;
}

size_t mtci_entry_size(const mtc_request *request)
{
    return value_at(request) + request->value.size + request->facts.etag.size;
}

static void extra_fill(mtci_entry *entry, const mtc_request *request)
{
    const mtc_facts *facts = &request->facts;
    mtci_extra *extra = mtci_entry_extra(entry, MTCI_ENTRY_EXTRA);
    *extra = (mtci_extra){.ttl_ms = facts->ttl_ms,
                          .window_ms = facts->window_ms,
                          .load_ms = facts->load_ms,
                          .weight = request->weight,
                          .etag_size = (uint16_t)facts->etag.size,
                          .kind = (uint8_t)facts->kind};
}

static void copy(void *at, mtc_slice bytes)
{
    if (bytes.size > 0)
        memcpy(at, bytes.data, bytes.size);
}

void mtci_entry_fill(mtci_entry *entry, const mtc_request *request)
{
    uint64_t flags = 0;
    mtc_slice key = request->key;
    if (key.size > UINT16_MAX)
        flags |= MTCI_ENTRY_WIDE;
    if (has_extra(request))
        flags |= MTCI_ENTRY_EXTRA;
    entry->node =
        (mtci_node){.hash = (uint32_t)request->hash, .own = (uint16_t)key.size};
    entry->link = (mtci_wheel_link){0};
    entry->value_size = (uint32_t)request->value.size;
    entry->ttl_ms = (uint32_t)request->facts.ttl_ms;
    atomic_init(&entry->holds, 1);
    atomic_init(&entry->end, flags | mtci_entry_end(request->sent_ms,
                                                    request->facts.left_ms));
    if (flags & MTCI_ENTRY_EXTRA)
        extra_fill(entry, request);
    unsigned char *value = (unsigned char *)entry + value_at(request);
    copy((void *)(uintptr_t)mtci_entry_key(entry).data, key);
    copy(value, mtc_value_slice(&request->value));
    copy(value + request->value.size, request->facts.etag);
}

void mtci_entry_facts(const mtci_entry *entry, int64_t now_ms, mtc_facts *facts)
{
    uint64_t end = atomic_load_explicit(&entry->end, memory_order_relaxed);
    const mtci_extra *extra = mtci_entry_extra(entry, end & ~MTCI_END_MASK);
    *facts = (mtc_facts){.left_ms = mtci_end_left_ms(end, now_ms),
                         .ttl_ms = entry->ttl_ms};
    if (!extra)
        return;
    const char *value = mtci_entry_value(mtci_entry_key(entry));
    facts->kind = extra->kind;
    facts->load_ms = extra->load_ms;
    facts->ttl_ms = extra->ttl_ms;
    facts->window_ms = extra->window_ms;
    facts->etag = mtc_bytes(value + entry->value_size, extra->etag_size);
    if ((end & MTCI_ENTRY_EXPIRED) && facts->left_ms > facts->window_ms)
        facts->left_ms = facts->window_ms;
}

bool mtci_entry_is_of(const mtci_entry *entry, const mtc_request *request)
{
    mtc_facts own;
    const mtc_facts *facts = &request->facts;
    const mtci_extra *extra = mtci_entry_extra(entry, mtci_entry_flags(entry));
    if (mtci_entry_value(mtci_entry_key(entry)) != request->value.data ||
        entry->value_size != request->value.size)
        return false;
    mtci_entry_facts(entry, request->sent_ms, &own);
    return own.kind == facts->kind && own.load_ms == facts->load_ms &&
           own.ttl_ms == facts->ttl_ms && own.window_ms == facts->window_ms &&
           mtci_slices_equal(own.etag, facts->etag) &&
           (extra ? extra->weight : 0) == request->weight;
}
