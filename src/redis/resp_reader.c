/*
 * The RESP reader: lines and bulks from a window of input, arrays on a small
 * stack. See resp_reader.h. One owner, one thread.
 */
#include "redis/resp_reader.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/slice.h"
#include "redis/resp_number.h"

/* What an array is given first; it grows as elements really come, so that a
 * header alone costs nothing. */
#define ARRAY_FIRST 8

#define CRLF_SIZE 2u

/* "txt:" before the bytes of a verbatim string. */
#define FORMAT_SIZE 4u

static mtc_status poison(mtci_resp_reader *reader, mtc_status status,
                         const char *violation)
{
    reader->status = status;
    reader->violation = violation;
    return status;
}

static mtc_status corrupt(mtci_resp_reader *reader, const char *violation)
{
    return poison(reader, MTC_E_CORRUPT, violation);
}

static mtc_status no_memory(mtci_resp_reader *reader)
{
    return poison(reader, MTC_E_NO_MEMORY, "out of memory for a reply");
}

/* Counts what a reply takes up; false when it is too much. */
static bool count_size(mtci_resp_reader *reader, size_t size)
{
    reader->reply_size += size;
    return reader->reply_size <= MTCI_RESP_REPLY_SIZE_MAX;
}

/* Takes a line without its CRLF out of the input. */
static mtc_status take_line(mtci_resp_reader *reader, mtc_slice *line)
{
    const char *first = reader->input + reader->begin;
    const char *from = reader->input + reader->scanned;
    const char *feed = memchr(from, '\n', reader->end - reader->scanned);
    reader->scanned = reader->end;
    if (!feed) {
        if (reader->end - reader->begin >= MTCI_RESP_LINE_SIZE_MAX)
            return corrupt(reader, "endless line");
        return MTC_PENDING;
    }
    size_t size = (size_t)(feed - first);
    if (size == 0 || memchr(first, '\r', size) != feed - 1)
        return corrupt(reader, "wrong end of line");
    *line = mtc_bytes(first, size - 1);
    reader->begin += size + 1;
    reader->scanned = reader->begin;
    return MTC_OK;
}

/* A copy of a line as status, error or bulk. */
static mtc_status make_text(mtci_resp_reader *reader, mtci_reply_type type,
                            mtc_slice text, mtci_reply *reply)
{
    reply->type = type;
    if (mtci_slice_is(text, "OK"))
        reply->bytes = mtc_value_borrow(mtc_str("OK"));
    else if (mtc_value_copy(text, &reply->bytes) != MTC_OK)
        return no_memory(reader);
    return MTC_OK;
}

static mtc_status make_number(mtci_resp_reader *reader, char type,
                              mtc_slice text, mtci_reply *reply)
{
    bool is_right =
        type == ',' ? mtci_resp_is_double(text) : mtci_resp_is_big_number(text);
    if (!is_right)
        return corrupt(reader, "wrong number");
    return make_text(reader, MTCI_REPLY_BULK, text, reply);
}

static mtc_status make_integer(mtci_resp_reader *reader, mtc_slice text,
                               mtci_reply *reply)
{
    reply->type = MTCI_REPLY_INTEGER;
    if (!mtci_resp_parse_integer(text, &reply->integer))
        return corrupt(reader, "wrong number");
    return MTC_OK;
}

static mtc_status make_boolean(mtci_resp_reader *reader, mtc_slice text,
                               mtci_reply *reply)
{
    char letter = text.size == 1 ? *(const char *)text.data : '\0';
    if (letter != 't' && letter != 'f')
        return corrupt(reader, "wrong boolean");
    *reply = (mtci_reply){.type = MTCI_REPLY_INTEGER, .integer = letter == 't'};
    return MTC_OK;
}

static mtc_status make_nil(mtci_resp_reader *reader, mtc_slice text,
                           mtci_reply *reply)
{
    if (text.size > 0)
        return corrupt(reader, "wrong null");
    reply->type = MTCI_REPLY_NIL;
    return MTC_OK;
}

/* A bulk that the caller does not want: a nil in its place, for now. A push
 * answers no command, and has no place for an error. */
static mtc_status begin_skip(mtci_resp_reader *reader, size_t size)
{
    bool is_push =
        reader->depth > 0 && reader->levels[0].array.type == MTCI_REPLY_PUSH;
    if (size > MTCI_RESP_BULK_SIZE_MAX || is_push)
        return corrupt(reader, "bulk over the limit");
    reader->oversize = size;
    reader->skip_size = size;
    reader->bulk = (mtci_reply){.type = MTCI_REPLY_NIL};
    reader->bulk_filled = 0;
    reader->in_bulk = true;
    return MTC_PENDING;
}

/* A type of which only the pieces are sent: "$?" and its like. */
static bool is_streamed(mtc_slice text)
{
    return text.size == 1 && *(const char *)text.data == '?';
}

/* The length of a bulk or an array, 0 or more; -1, nil, only where RESP2 has
 * it. False: poisoned. */
static bool take_length(mtci_resp_reader *reader, char type, mtc_slice text,
                        int64_t *length)
{
    bool may_be_nil = type == '$' || type == '*';
    if (is_streamed(text)) {
        corrupt(reader, "a streamed reply");
        return false;
    }
    if (!mtci_resp_parse_integer(text, length) || *length < -may_be_nil) {
        corrupt(reader, "wrong length");
        return false;
    }
    return true;
}

/* The header of a bulk: nil at once, else the reader is in a bulk. */
static mtc_status begin_bulk(mtci_resp_reader *reader, char type,
                             mtc_slice text, mtci_reply *reply)
{
    int64_t size;
    if (!take_length(reader, type, text, &size))
        return reader->status;
    if (size == -1) {
        reply->type = MTCI_REPLY_NIL;
        return MTC_OK;
    }
    if ((uint64_t)size > reader->bulk_size_max)
        return begin_skip(reader, (size_t)size);
    if (!count_size(reader, (size_t)size))
        return corrupt(reader, "reply over the limit");
    /* Of a large value the system commits what is really written. */
    void *bytes;
    mtci_reply bulk = {.type =
                           type == '!' ? MTCI_REPLY_ERROR : MTCI_REPLY_BULK};
    if (mtc_value_new((size_t)size, &bytes, &bulk.bytes) != MTC_OK)
        return no_memory(reader);
    reader->bulk = bulk;
    reader->bulk_bytes = bytes;
    reader->bulk_filled = 0;
    reader->is_verbatim = type == '=';
    reader->in_bulk = true;
    return MTC_PENDING;
}

/* Drops what has come of a bulk that is skipped. */
static void skip_input(mtci_resp_reader *reader)
{
    size_t have = reader->end - reader->begin;
    size_t size = have < reader->skip_size ? have : reader->skip_size;
    reader->skip_size -= size;
    reader->begin += size;
}

/* "txt:..." loses its first four bytes. */
static bool strip_format(mtc_value *bytes)
{
    const char *first = bytes->data;
    if (bytes->size < FORMAT_SIZE || first[FORMAT_SIZE - 1] != ':')
        return false;
    bytes->data = first + FORMAT_SIZE;
    bytes->size -= FORMAT_SIZE;
    return true;
}

/* Fills the bulk from the input; MTC_OK when it is whole. */
static mtc_status take_bulk(mtci_resp_reader *reader, mtci_reply *reply)
{
    skip_input(reader);
    size_t missing = reader->bulk.bytes.size - reader->bulk_filled;
    size_t have = reader->end - reader->begin;
    size_t size = have < missing ? have : missing;
    if (size > 0)
        memcpy(reader->bulk_bytes + reader->bulk_filled,
               reader->input + reader->begin, size);
    reader->bulk_filled += size;
    reader->begin += size;
    reader->scanned = reader->begin;
    if (reader->skip_size > 0 || reader->end - reader->begin < CRLF_SIZE)
        return MTC_PENDING;
    if (memcmp(reader->input + reader->begin, "\r\n", CRLF_SIZE) != 0)
        return corrupt(reader, "wrong end of a bulk");
    reader->begin += CRLF_SIZE;
    reader->scanned = reader->begin;
    if (reader->is_verbatim && !strip_format(&reader->bulk.bytes))
        return corrupt(reader, "a verbatim string without its format");
    *reply = reader->bulk;
    reader->bulk = (mtci_reply){0};
    reader->in_bulk = false;
    return MTC_OK;
}

/* The header of an array: nil or empty at once, else one level deeper. */
static mtc_status begin_array(mtci_resp_reader *reader, char type,
                              mtc_slice text, mtci_reply *reply)
{
    int64_t count;
    if (!take_length(reader, type, text, &count))
        return reader->status;
    if (count == -1) {
        reply->type = MTCI_REPLY_NIL;
        return MTC_OK;
    }
    if ((uint64_t)count > MTCI_RESP_ELEMENTS_MAX)
        return corrupt(reader, "array over the limit");
    if (type == '>' && reader->depth > 0)
        return corrupt(reader, "a push inside a reply");
    if (type == '>' && count == 0)
        return corrupt(reader, "a push without its kind");
    reply->type = type == '>' ? MTCI_REPLY_PUSH : MTCI_REPLY_ARRAY;
    if (count == 0)
        return type == '|' ? MTC_PENDING : MTC_OK;
    if (reader->depth == MTCI_RESP_DEPTH_MAX)
        return corrupt(reader, "arrays too deep");
    mtci_resp_level *level = &reader->levels[reader->depth++];
    *level = (mtci_resp_level){.array = *reply, .type = type};
    level->expected = (size_t)count << (type == '%' || type == '|');
    return MTC_PENDING;
}

/* One line: a reply (MTC_OK), or the beginning of one (MTC_PENDING). */
static mtc_status take_item(mtci_resp_reader *reader, mtc_slice line,
                            mtci_reply *reply)
{
    if (line.size == 0)
        return corrupt(reader, "empty line");
    char type = *(const char *)line.data;
    mtc_slice rest = mtc_bytes((const char *)line.data + 1, line.size - 1);
    if (reader->is_resp2 && !strchr("+-:$*", type))
        return corrupt(reader, "a type that RESP2 does not have");
    switch (type) {
    case '+':
        return make_text(reader, MTCI_REPLY_STATUS, rest, reply);
    case '-':
        return make_text(reader, MTCI_REPLY_ERROR, rest, reply);
    case ',':
    case '(':
        return make_number(reader, type, rest, reply);
    case ':':
        return make_integer(reader, rest, reply);
    case '#':
        return make_boolean(reader, rest, reply);
    case '_':
        return make_nil(reader, rest, reply);
    case '$':
    case '=':
    case '!':
        return begin_bulk(reader, type, rest, reply);
    case '*':
    case '~':
    case '%':
    case '>':
    case '|':
        return begin_array(reader, type, rest, reply);
    default:
        return corrupt(reader, "unknown type of reply");
    }
}

static bool grow(mtci_resp_level *level)
{
    size_t capacity = level->capacity ? level->capacity * 2 : ARRAY_FIRST;
    if (capacity > level->expected)
        capacity = level->expected;
    mtci_reply *items = realloc(level->array.items, capacity * sizeof *items);
    if (!items)
        return false;
    level->array.items = items;
    level->capacity = capacity;
    return true;
}

/* What a push is about is said by its first element. */
static bool has_kind(const mtci_reply *push)
{
    return push->items[0].type & (MTCI_REPLY_STATUS | MTCI_REPLY_BULK);
}

/* Puts a reply into the innermost array, and an array that it completes into
 * the one around it; attributes go nowhere. MTC_OK: the outermost is complete
 * and in *reply. */
static mtc_status place(mtci_resp_reader *reader, mtci_reply *reply)
{
    while (reader->depth > 0) {
        mtci_resp_level *level = &reader->levels[reader->depth - 1];
        if (level->array.count == level->capacity && !grow(level)) {
            mtci_reply_fini(reply);
            return no_memory(reader);
        }
        level->array.items[level->array.count++] = *reply;
        if (level->array.count < level->expected)
            return MTC_PENDING;
        *reply = level->array;
        level->array = (mtci_reply){0};
        reader->depth--;
        if (level->type == '|') {
            mtci_reply_fini(reply);
            return MTC_PENDING;
        }
    }
    if (reply->type == MTCI_REPLY_PUSH && !has_kind(reply)) {
        mtci_reply_fini(reply);
        return corrupt(reader, "a push without its kind");
    }
    return MTC_OK;
}

/* One item, or as much of it as is there. MTC_PENDING: no whole item yet;
 * MTC_PARTIAL: a header was read, go on. */
static mtc_status step(mtci_resp_reader *reader, mtci_reply *item)
{
    if (reader->in_bulk)
        return take_bulk(reader, item);
    mtc_slice line;
    mtc_status status = take_line(reader, &line);
    if (status != MTC_OK)
        return status;
    if (++reader->elements > MTCI_RESP_ELEMENTS_MAX ||
        !count_size(reader, line.size))
        return corrupt(reader, "reply over the limit");
    status = take_item(reader, line, item);
    return status == MTC_PENDING ? MTC_PARTIAL : status;
}

mtc_status mtci_resp_reader_init(mtci_resp_reader *reader, size_t bulk_size_max)
{
    *reader = (mtci_resp_reader){.bulk_size_max = bulk_size_max};
    reader->input = malloc(MTCI_RESP_LINE_SIZE_MAX);
    return reader->input ? MTC_OK : MTC_E_NO_MEMORY;
}

void mtci_resp_reader_fini(mtci_resp_reader *reader)
{
    for (size_t i = 0; i < reader->depth; i++)
        mtci_reply_fini(&reader->levels[i].array);
    mtci_reply_fini(&reader->bulk);
    free(reader->input);
    *reader = (mtci_resp_reader){0};
}

void *mtci_resp_reader_room(mtci_resp_reader *reader, size_t *size)
{
    size_t missing = reader->bulk.bytes.size - reader->bulk_filled;
    if (reader->in_bulk && missing >= MTCI_RESP_DIRECT_SIZE) {
        *size = missing;
        return reader->bulk_bytes + reader->bulk_filled;
    }
    size_t have = reader->end - reader->begin;
    if (have == 0 || reader->begin >= MTCI_RESP_LINE_SIZE_MAX / 2 ||
        reader->end == MTCI_RESP_LINE_SIZE_MAX) {
        memmove(reader->input, reader->input + reader->begin, have);
        reader->scanned -= reader->begin;
        reader->begin = 0;
        reader->end = have;
    }
    *size = MTCI_RESP_LINE_SIZE_MAX - reader->end;
    return reader->input + reader->end;
}

void mtci_resp_reader_fed(mtci_resp_reader *reader, size_t size)
{
    size_t missing = reader->bulk.bytes.size - reader->bulk_filled;
    if (reader->in_bulk && missing >= MTCI_RESP_DIRECT_SIZE)
        reader->bulk_filled += size;
    else
        reader->end += size;
}

/* Ends a reply of which a bulk was skipped: an error instead of it. */
static mtc_status replace_oversized(mtci_resp_reader *reader, mtci_reply *reply)
{
    char text[96];
    size_t size = (size_t)snprintf(text, sizeof text,
                                   MTCI_REPLY_OVERSIZE
                                   " %zu bytes, more than the limit of %zu",
                                   reader->oversize, reader->bulk_size_max);
    mtci_reply_fini(reply);
    return make_text(reader, MTCI_REPLY_ERROR, mtc_bytes(text, size), reply);
}

mtc_status mtci_resp_reader_next(mtci_resp_reader *reader, mtci_reply *reply)
{
    *reply = (mtci_reply){0};
    while (reader->status == MTC_OK) {
        mtci_reply item = {0};
        mtc_status status = step(reader, &item);
        if (status == MTC_PARTIAL)
            continue;
        if (status == MTC_OK)
            status = place(reader, &item);
        else if (status == MTC_PENDING)
            return MTC_PENDING;
        if (status == MTC_OK && reader->oversize > 0)
            status = replace_oversized(reader, &item);
        if (status == MTC_OK) {
            *reply = item;
            reader->oversize = 0;
            reader->elements = 0;
            reader->reply_size = 0;
            return MTC_OK;
        }
    }
    return reader->status;
}

bool mtci_resp_reader_is_amid(const mtci_resp_reader *reader)
{
    return reader->begin < reader->end || reader->in_bulk || reader->depth > 0;
}
