/*
 * Frames: an entry with its facts in one run of bytes. docs/frame.md is the
 * layout; it changes only by new fields or a new version.
 *
 * Reads bytes from outside: nothing is believed before the checksum over all
 * of it is right, and lengths are not believed even then. Stateless; any
 * thread.
 */
#include "core/frame.h"

#include <assert.h>

#include "base/hash.h"

/* Before the fields: magic, version, size of the fields, checksum. */
#define HEAD_SIZE     16
#define CHECKED_SIZE  8 /* of the head: what stands before the checksum */
#define FIELD_HEAD    4
#define VERSION       1
#define CHECKSUM_SEED UINT64_C(0x6d74632d66726d31)
#define SIZE24_MAX    0xffffffu

/* Far beyond any life, and two of them can be added. */
#define LENGTH_MS_MAX (INT64_MAX / 4)
#define TRUE_SIZE_MAX (INT64_MAX / 4)

/* A reader that does not know the field must not use the frame. */
#define REQUIRED 0x80

enum field_tag {
    FIELD_END = 0,
    FIELD_KIND = REQUIRED | 1,
    FIELD_TTL = 2,
    FIELD_WINDOW = REQUIRED | 3,
    FIELD_LOAD = 4,
    FIELD_ETAG = 5,
    FIELD_KEY = REQUIRED | 6,
    FIELD_TIME = 7,
    FIELD_PACKING = REQUIRED | 8,
    FIELD_TICKET = REQUIRED | 9
};

#define PACKING_SIZE 9

/* No text begins with these: the first byte occurs in no UTF-8, the last in
 * no other text. */
static const unsigned char magic[4] = {0xf7, 'M', 'T', 0x00};

static void number_put(unsigned char *at, size_t size, uint64_t number)
{
    for (size_t i = 0; i < size; i++) {
        at[i] = (unsigned char)(number >> (8 * i));
    }
}

static uint64_t number_get(const unsigned char *at, size_t size)
{
    uint64_t number = 0;

    for (size_t i = 0; i < size; i++) {
        number |= (uint64_t)at[i] << (8 * i);
    }
    return number;
}

/* Over every byte of the frame but its own eight. */
static uint64_t checksum(const unsigned char *frame, size_t size)
{
    uint64_t head = mtci_hash(mtc_bytes(frame, CHECKED_SIZE), CHECKSUM_SEED);

    return mtci_hash(mtc_bytes(frame + HEAD_SIZE, size - HEAD_SIZE), head);
}

/* The ttl that is written: lengths that tell nothing are left out. */
static int64_t ttl_written(const mtc_facts *facts)
{
    bool is_length = facts->ttl_ms > 0 && facts->ttl_ms <= LENGTH_MS_MAX;

    return is_length ? facts->ttl_ms : 0;
}

static int64_t window_written(const mtc_facts *facts)
{
    return facts->window_ms > LENGTH_MS_MAX ? LENGTH_MS_MAX : facts->window_ms;
}

static size_t field_size(bool is_written, size_t size)
{
    return is_written ? FIELD_HEAD + size : 0;
}

/* Of all fields, filled up so that the value begins at a multiple of 8. */
static size_t fields_size(const mtc_frame *frame, mtci_packing packing)
{
    const mtc_facts *facts = &frame->facts;
    size_t size = field_size(facts->kind != MTC_KIND_VALUE, 1) +
                  field_size(ttl_written(facts) > 0, 8) +
                  field_size(facts->window_ms > 0, 8) +
                  field_size(facts->load_ms > 0, 4) +
                  field_size(facts->etag.size > 0, facts->etag.size) +
                  field_size(frame->key.size > 0, frame->key.size) +
                  field_size(frame->time_ms != 0, 8) +
                  field_size(packing.method != 0, PACKING_SIZE) +
                  field_size(frame->ticket != 0, 8);

    return (size + 7) & ~(size_t)7;
}

static unsigned char *bytes_field_put(unsigned char *at, int tag,
                                      mtc_slice bytes)
{
    if (bytes.size == 0) {
        return at;
    }
    at[0] = (unsigned char)tag;
    number_put(at + 1, 3, bytes.size);
    memcpy(at + FIELD_HEAD, bytes.data, bytes.size);
    return at + FIELD_HEAD + bytes.size;
}

static unsigned char *number_field_put(unsigned char *at, int tag, size_t size,
                                       int64_t number)
{
    unsigned char bytes[8];

    number_put(bytes, size, (uint64_t)number);
    return bytes_field_put(at, tag, mtc_bytes(bytes, number == 0 ? 0 : size));
}

static unsigned char *length_field_put(unsigned char *at, int tag, size_t size,
                                       int64_t length)
{
    return number_field_put(at, tag, size, length > 0 ? length : 0);
}

static unsigned char *packing_field_put(unsigned char *at, mtci_packing packing)
{
    unsigned char bytes[PACKING_SIZE];

    bytes[0] = (unsigned char)packing.method;
    number_put(bytes + 1, 8, packing.true_size);
    return bytes_field_put(at, FIELD_PACKING,
                           mtc_bytes(bytes, packing.method ? PACKING_SIZE : 0));
}

/* In the order of their numbers, which the reader insists on. */
static unsigned char *fields_put(unsigned char *at, const mtc_frame *frame,
                                 mtci_packing packing)
{
    const mtc_facts *facts = &frame->facts;

    at = number_field_put(at, FIELD_KIND, 1, facts->kind);
    at = length_field_put(at, FIELD_TTL, 8, ttl_written(facts));
    at = length_field_put(at, FIELD_WINDOW, 8, window_written(facts));
    at = length_field_put(at, FIELD_LOAD, 4, facts->load_ms);
    at = bytes_field_put(at, FIELD_ETAG, facts->etag);
    at = bytes_field_put(at, FIELD_KEY, frame->key);
    at = number_field_put(at, FIELD_TIME, 8, frame->time_ms);
    at = packing_field_put(at, packing);
    return number_field_put(at, FIELD_TICKET, 8, (int64_t)frame->ticket);
}

static bool length_read(mtc_slice field, size_t size, int64_t max, int64_t *out)
{
    uint64_t number;

    if (field.size != size) {
        return false;
    }
    number = number_get(field.data, size);
    *out = (int64_t)number;
    return number >= 1 && number <= (uint64_t)max;
}

static bool load_read(mtc_slice field, int32_t *out)
{
    int64_t length;
    bool is_length = length_read(field, 4, INT32_MAX, &length);

    *out = is_length ? (int32_t)length : 0;
    return is_length;
}

static mtc_status kind_read(mtc_slice field, int32_t *out)
{
    if (field.size != 1) {
        return MTC_E_CORRUPT;
    }
    *out = *(const unsigned char *)field.data;
    if (*out == MTC_KIND_VALUE) {
        return MTC_E_CORRUPT;
    }
    return *out > MTC_KIND_LEASE ? MTC_MISS : MTC_OK;
}

/* Eight bytes of any sign, but not zero. */
static mtc_status number_read(mtc_slice field, uint64_t *out)
{
    if (field.size != 8) {
        return MTC_E_CORRUPT;
    }
    *out = number_get(field.data, 8);
    return *out == 0 ? MTC_E_CORRUPT : MTC_OK;
}

static mtc_status time_read(mtc_slice field, int64_t *out)
{
    uint64_t number = 0;
    mtc_status status = number_read(field, &number);

    *out = (int64_t)number;
    return status;
}

/* A method that is not known is no damage: a later version's. */
static mtc_status packing_read(mtc_slice field, mtci_packing *out)
{
    const unsigned char *bytes = field.data;
    int64_t true_size;

    if (field.size != PACKING_SIZE || bytes[0] == MTC_COMPRESSION_NONE ||
        !length_read(mtc_bytes(bytes + 1, 8), 8, TRUE_SIZE_MAX, &true_size)) {
        return MTC_E_CORRUPT;
    }
    *out = (mtci_packing){bytes[0], (uint64_t)true_size};
    return bytes[0] > MTC_COMPRESSION_ZSTD ? MTC_MISS : MTC_OK;
}

static mtc_status field_read(int tag, mtc_slice field, mtc_frame *frame,
                             mtci_packing *packing)
{
    mtc_facts *facts = &frame->facts;
    bool is_right = true;

    switch (tag) {
    case FIELD_KIND:
        return kind_read(field, &facts->kind);
    case FIELD_TTL:
        is_right = length_read(field, 8, LENGTH_MS_MAX, &facts->ttl_ms);
        break;
    case FIELD_WINDOW:
        is_right = length_read(field, 8, LENGTH_MS_MAX, &facts->window_ms);
        break;
    case FIELD_LOAD:
        is_right = load_read(field, &facts->load_ms);
        break;
    case FIELD_ETAG:
        facts->etag = field;
        is_right = field.size >= 1 && field.size <= 255;
        break;
    case FIELD_KEY:
        frame->key = field;
        is_right = field.size >= 1;
        break;
    case FIELD_TIME:
        return time_read(field, &frame->time_ms);
    case FIELD_PACKING:
        return packing_read(field, packing);
    case FIELD_TICKET:
        return number_read(field, &frame->ticket);
    default:
        return tag & REQUIRED ? MTC_MISS : MTC_OK;
    }
    return is_right ? MTC_OK : MTC_E_CORRUPT;
}

/* Whether only zeros, fewer than eight, are left behind the last field. */
static bool filling_is_right(const unsigned char *at, const unsigned char *end)
{
    return end - at < 8 && number_get(at, (size_t)(end - at)) == 0;
}

static mtc_status fields_read(const unsigned char *at, const unsigned char *end,
                              mtc_frame *frame, mtci_packing *packing)
{
    int number = 0;
    mtc_status status, result = MTC_OK;
    size_t size;

    while (end - at >= FIELD_HEAD && *at != FIELD_END) {
        size = (size_t)number_get(at + 1, 3);
        if ((*at & ~REQUIRED) <= number ||
            size > (size_t)(end - at) - FIELD_HEAD) {
            return MTC_E_CORRUPT;
        }
        number = *at & ~REQUIRED;
        status =
            field_read(*at, mtc_bytes(at + FIELD_HEAD, size), frame, packing);
        if (status == MTC_E_CORRUPT) {
            return status;
        }
        /* Read on: damage further on tells more than an unknown field. */
        result = status == MTC_OK ? result : status;
        at += FIELD_HEAD + size;
    }
    return filling_is_right(at, end) ? result : MTC_E_CORRUPT;
}

/* The kind is the first field. */
static bool is_lease(const unsigned char *data, size_t before_value)
{
    static const unsigned char kind[] = {FIELD_KIND, 1, 0, 0, MTC_KIND_LEASE};

    return before_value >= HEAD_SIZE + sizeof(kind) &&
           memcmp(data + HEAD_SIZE, kind, sizeof(kind)) == 0;
}

/* How much of a frame its checksum covers: of a lease not the value, since
 * whoever takes one puts an entry there that it has not seen. */
static size_t covered(const unsigned char *data, size_t before_value,
                      size_t size)
{
    return is_lease(data, before_value) ? before_value : size;
}

static mtc_status frame_check(mtc_slice bytes, size_t *before_value)
{
    const unsigned char *data = bytes.data;

    if (!mtc_frame_is(bytes) || bytes.size < HEAD_SIZE) {
        return MTC_E_CORRUPT;
    }
    if (data[4] != VERSION) {
        return MTC_MISS;
    }
    *before_value = HEAD_SIZE + (size_t)number_get(data + 5, 3);
    if (*before_value > bytes.size || *before_value % 8 != 0 ||
        number_get(data + CHECKED_SIZE, 8) !=
            checksum(data, covered(data, *before_value, bytes.size))) {
        return MTC_E_CORRUPT;
    }
    return MTC_OK;
}

bool mtc_frame_is(mtc_slice bytes)
{
    return bytes.size >= sizeof(magic) &&
           memcmp(bytes.data, magic, sizeof(magic)) == 0;
}

size_t mtci_frame_before_value(const mtc_frame *frame, mtci_packing packing)
{
    return HEAD_SIZE + fields_size(frame, packing);
}

void mtci_frame_seal(const mtc_frame *frame, mtci_packing packing, void *buffer,
                     size_t size)
{
    unsigned char *bytes = buffer;
    size_t before_value = mtci_frame_before_value(frame, packing);
    unsigned char *end;

    assert(frame->facts.etag.size <= 255);
    assert(before_value - HEAD_SIZE <= SIZE24_MAX);
    memcpy(bytes, magic, sizeof(magic));
    bytes[4] = VERSION;
    number_put(bytes + 5, 3, before_value - HEAD_SIZE);
    end = fields_put(bytes + HEAD_SIZE, frame, packing);
    memset(end, 0, (size_t)(bytes + before_value - end));
    number_put(bytes + CHECKED_SIZE, 8,
               checksum(bytes, covered(bytes, before_value, size)));
}

mtc_status mtci_frame_parse(mtc_slice bytes, mtc_frame *frame,
                            mtci_packing *packing)
{
    const unsigned char *data = bytes.data;
    size_t before_value = 0;
    mtc_frame found = {.facts = {.left_ms = MTC_NO_END}};
    mtc_status status = frame_check(bytes, &before_value);

    *frame = found;
    *packing = MTCI_UNPACKED;
    if (status == MTC_OK) {
        status =
            fields_read(data + HEAD_SIZE, data + before_value, &found, packing);
    }
    if (status != MTC_OK) {
        return status;
    }
    found.value = mtc_bytes(data + before_value, bytes.size - before_value);
    *frame = found;
    return MTC_OK;
}

size_t mtc_frame_size(const mtc_frame *frame)
{
    return mtci_frame_before_value(frame, MTCI_UNPACKED) + frame->value.size;
}

size_t mtc_frame_write(const mtc_frame *frame, void *buffer)
{
    size_t before_value = mtci_frame_before_value(frame, MTCI_UNPACKED);
    size_t size = before_value + frame->value.size;

    if (frame->value.size > 0) {
        memcpy((char *)buffer + before_value, frame->value.data,
               frame->value.size);
    }
    mtci_frame_seal(frame, MTCI_UNPACKED, buffer, size);
    return size;
}

mtc_status mtc_frame_read(mtc_slice bytes, mtc_frame *frame)
{
    mtci_packing packing;
    mtc_status status = mtci_frame_parse(bytes, frame, &packing);

    if (status != MTC_OK || packing.method == MTC_COMPRESSION_NONE) {
        return status;
    }
    *frame = (mtc_frame){.facts = {.left_ms = MTC_NO_END}};
    return MTC_MISS;
}
