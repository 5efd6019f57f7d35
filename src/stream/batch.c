/*
 * Batches and ids of streams. See batch.h. Any thread.
 */
#include "stream/batch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct mtc_stream_batch {
    mtci_reply entries; /* checked: an array of [id, [name, value, ...]] */
};

/* Digits without leading zeros; moves *text behind them. */
static bool take_number(mtc_slice *text, uint64_t *number)
{
    const char *digit = text->data;
    const char *end = digit + text->size;
    uint64_t sum = 0;
    if (digit == end || *digit < '0' || *digit > '9')
        return false;
    for (; digit < end && *digit >= '0' && *digit <= '9'; digit++) {
        if (__builtin_mul_overflow(sum, 10, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)(*digit - '0'), &sum))
            return false;
    }
    *number = sum;
    *text = mtc_bytes(digit, (size_t)(end - digit));
    return true;
}

static bool is_entry(const mtci_reply *entry)
{
    mtc_stream_id id;
    if (entry->type != MTCI_REPLY_ARRAY || entry->count != 2 ||
        entry->items[0].type != MTCI_REPLY_BULK ||
        mtc_stream_id_parse(mtci_reply_slice(&entry->items[0]), &id) != MTC_OK)
        return false;
    const mtci_reply *fields = &entry->items[1];
    if (fields->type != MTCI_REPLY_ARRAY || fields->count % 2 != 0)
        return false;
    for (size_t i = 0; i < fields->count; i++) {
        if (fields->items[i].type != MTCI_REPLY_BULK)
            return false;
    }
    return true;
}

static mtc_status check(const mtci_reply *entries)
{
    if (entries->type == MTCI_REPLY_NIL)
        return MTC_MISS;
    if (entries->type != MTCI_REPLY_ARRAY)
        return MTC_E_CORRUPT;
    for (size_t i = 0; i < entries->count; i++) {
        if (!is_entry(&entries->items[i]))
            return MTC_E_CORRUPT;
    }
    return entries->count > 0 ? MTC_OK : MTC_MISS;
}

mtc_status mtci_batch_new(mtci_reply *entries, mtc_stream_batch **out)
{
    mtc_status status = check(entries);
    *out = NULL;
    if (status == MTC_OK) {
        *out = calloc(1, sizeof **out);
        status = *out ? MTC_OK : MTC_E_NO_MEMORY;
    }
    if (status != MTC_OK) {
        mtci_reply_fini(entries);
        return status;
    }
    (*out)->entries = *entries;
    *entries = (mtci_reply){0};
    return MTC_OK;
}

/* Where key and entries are: RESP2 has an array of one pair, RESP3 a map. */
static mtci_reply *pair_of(mtci_reply *reply)
{
    if (reply->type != MTCI_REPLY_ARRAY)
        return NULL;
    if (reply->count == 1)
        reply = &reply->items[0];
    return reply->type == MTCI_REPLY_ARRAY && reply->count == 2 ? reply : NULL;
}

mtc_status mtci_batch_new_keyed(mtci_reply *reply, mtc_stream_batch **out)
{
    *out = NULL;
    if (reply->type == MTCI_REPLY_NIL)
        return MTC_MISS;
    mtci_reply *pair = pair_of(reply);
    if (!pair) {
        mtci_reply_fini(reply);
        return MTC_E_CORRUPT;
    }
    mtci_reply entries = pair->items[1];
    pair->items[1] = (mtci_reply){0};
    mtci_reply_fini(reply);
    return mtci_batch_new(&entries, out);
}

/* The entry, or NULL past the last. */
static const mtci_reply *entry_at(const mtc_stream_batch *batch, size_t index)
{
    if (!batch || index >= batch->entries.count)
        return NULL;
    return &batch->entries.items[index];
}

size_t mtc_stream_batch_count(const mtc_stream_batch *batch)
{
    return batch ? batch->entries.count : 0;
}

mtc_stream_id mtc_stream_batch_id(const mtc_stream_batch *batch, size_t index)
{
    mtc_stream_id id = {0, 0};
    const mtci_reply *entry = entry_at(batch, index);
    if (entry)
        mtc_stream_id_parse(mtci_reply_slice(&entry->items[0]), &id);
    return id;
}

size_t mtc_stream_batch_field_count(const mtc_stream_batch *batch, size_t index)
{
    const mtci_reply *entry = entry_at(batch, index);
    return entry ? entry->items[1].count / 2 : 0;
}

mtc_field mtc_stream_batch_field(const mtc_stream_batch *batch, size_t index,
                                 size_t field)
{
    mtc_field found = {{NULL, 0}, {NULL, 0}};
    if (field >= mtc_stream_batch_field_count(batch, index))
        return found;
    const mtci_reply *items = entry_at(batch, index)->items[1].items;
    found.name = mtci_reply_slice(&items[2 * field]);
    found.value = mtci_reply_slice(&items[2 * field + 1]);
    return found;
}

void mtc_stream_batch_free(mtc_stream_batch **batch)
{
    if (!batch || !*batch)
        return;
    mtci_reply_fini(&(*batch)->entries);
    free(*batch);
    *batch = NULL;
}

char *mtc_stream_id_format(mtc_stream_id id, char text[MTC_STREAM_ID_SIZE])
{
    snprintf(text, MTC_STREAM_ID_SIZE, "%" PRIu64 "-%" PRIu64, id.ms,
             id.sequence);
    return text;
}

mtc_status mtc_stream_id_parse(mtc_slice text, mtc_stream_id *id)
{
    mtc_stream_id parsed = {0, 0};
    if (!id)
        return MTC_E_INVALID;
    if (text.size == 1 && *(const char *)text.data == '$') {
        *id = MTC_STREAM_END;
        return MTC_OK;
    }
    if (!take_number(&text, &parsed.ms))
        return MTC_E_INVALID;
    if (text.size > 0 && *(const char *)text.data == '-') {
        text = mtc_bytes((const char *)text.data + 1, text.size - 1);
        if (!take_number(&text, &parsed.sequence))
            return MTC_E_INVALID;
    }
    if (text.size > 0)
        return MTC_E_INVALID;
    *id = parsed;
    return MTC_OK;
}
