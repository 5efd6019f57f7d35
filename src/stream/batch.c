/*
 * Batches and ids of streams. See batch.h. Any thread.
 */
#include "stream/batch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "stream/stream.h"

struct mtc_stream_batch {
    mtci_reply entries; /* checked: an array of [id, [name, value, ...]] */
};

/* Digits without leading zeros; moves *text behind them. */
static bool take_number(mtc_slice *text, uint64_t *number)
{
    const char *digit = text->data;
    uint64_t sum = 0;
    if (text->size == 0 || *digit < '0' || *digit > '9')
        return false;
    const char *end = digit + text->size;
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
        mtci_id_read(mtci_reply_slice(&entry->items[0]), &id) != MTC_OK)
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

/* The shape of RESP2 rather than of a map. */
static bool has_pairs(const mtci_reply *reply)
{
    return reply->count > 0 && reply->items[0].type == MTCI_REPLY_ARRAY;
}

size_t mtci_streams_count(const mtci_reply *reply)
{
    if (reply->type != MTCI_REPLY_ARRAY)
        return 0;
    if (!has_pairs(reply))
        return reply->count % 2 == 0 ? reply->count / 2 : 0;
    for (size_t i = 0; i < reply->count; i++) {
        const mtci_reply *pair = &reply->items[i];
        if (pair->type != MTCI_REPLY_ARRAY || pair->count != 2)
            return 0;
    }
    return reply->count;
}

mtc_slice mtci_streams_take(mtci_reply *reply, size_t index,
                            mtci_reply *entries)
{
    mtci_reply *pair =
        has_pairs(reply) ? reply->items[index].items : &reply->items[2 * index];
    *entries = pair[1];
    pair[1] = (mtci_reply){0};
    return mtci_reply_slice(&pair[0]);
}

mtc_status mtci_streams_take_only(mtci_reply *reply, mtci_reply *entries)
{
    mtc_status status = MTC_OK;
    *entries = (mtci_reply){0};
    if (reply->type == MTCI_REPLY_NIL)
        status = MTC_MISS;
    else if (mtci_streams_count(reply) == 1)
        mtci_streams_take(reply, 0, entries);
    else
        status = MTC_E_CORRUPT;
    mtci_reply_fini(reply);
    return status;
}

/* Whether it has an id of text. */
static bool read_id(const mtci_reply *entry, mtc_stream_id *id)
{
    return entry->type == MTCI_REPLY_ARRAY && entry->count == 2 &&
           mtci_id_read(mtci_reply_slice(&entry->items[0]), id) == MTC_OK;
}

size_t mtci_entries_sift(mtci_reply *entries, mtc_stream_id *deleted,
                         mtc_stream_id *last)
{
    size_t kept = 0;
    size_t deleted_count = 0;
    if (entries->type != MTCI_REPLY_ARRAY)
        return 0;
    for (size_t i = 0; i < entries->count; i++) {
        mtci_reply *entry = &entries->items[i];
        mtc_stream_id id = {0, 0};
        bool has_id = read_id(entry, &id);
        bool is_deleted = entry->type == MTCI_REPLY_NIL ||
                          (has_id && entry->items[1].type == MTCI_REPLY_NIL);
        if (has_id)
            *last = id;
        if (has_id && is_deleted)
            deleted[deleted_count++] = id;
        if (is_deleted)
            mtci_reply_fini(entry);
        else
            entries->items[kept++] = *entry;
    }
    entries->count = kept;
    return deleted_count;
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
        mtci_id_read(mtci_reply_slice(&entry->items[0]), &id);
    return id;
}

mtc_stream_id mtci_batch_last_id(const mtc_stream_batch *batch)
{
    return mtc_stream_batch_id(batch, batch->entries.count - 1);
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

mtc_status mtci_id_read(mtc_slice text, mtc_stream_id *id)
{
    mtc_stream_id parsed = {0, 0};
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

mtc_status mtc_stream_id_parse(mtc_slice text, mtc_stream_id *id)
{
    if (!id)
        return MTC_E_INVALID;
    if (text.size == 1 && *(const char *)text.data == '$') {
        *id = MTC_STREAM_END;
        return MTC_OK;
    }
    return mtci_id_read(text, id);
}
