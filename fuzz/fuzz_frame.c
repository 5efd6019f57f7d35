/*
 * Fuzz target: frames, plain and compressed, and what a Redis tier makes of
 * them.
 *
 * The first byte says what the rest is: a frame as it is, a frame whose head
 * and checksum are first made right, so that its fields are reached, or a value
 * to be framed. What is accepted lies within its bytes and comes back the same
 * when it is written and read again.
 */
#include <stdlib.h>

#include "base/hash.h"
#include "core/frame.h"
#include "fuzz/target.h"
#include "tier/redis/entry.h"

#define VALUE_SIZE_MAX ((size_t)1 << 20)

/* As docs/frame.md has it. */
#define HEAD_SIZE     16u
#define CHECKSUM_SEED UINT64_C(0x6d74632d66726d31)

static void require(bool is_so)
{
    if (!is_so)
        abort();
}

static bool same(mtc_slice a, mtc_slice b)
{
    return a.size == b.size &&
           (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static bool is_within(mtc_slice part, mtc_slice whole)
{
    const char *begin = whole.data;
    const char *at = part.data;
    return part.size == 0 ||
           (at >= begin && at + part.size <= begin + whole.size);
}

static void check_same(const mtc_frame *a, const mtc_frame *b)
{
    require(a->facts.kind == b->facts.kind);
    require(a->facts.ttl_ms == b->facts.ttl_ms);
    require(a->facts.window_ms == b->facts.window_ms);
    require(a->facts.load_ms == b->facts.load_ms);
    require(a->facts.left_ms == b->facts.left_ms);
    require(same(a->facts.etag, b->facts.etag));
    require(same(a->key, b->key));
    require(same(a->value, b->value));
    require(a->time_ms == b->time_ms);
    require(a->ticket == b->ticket);
}

static void check_empty(const mtc_frame *frame)
{
    const mtc_frame empty = {.facts = {.left_ms = MTC_NO_END}};
    check_same(frame, &empty);
}

/* -- reading -------------------------------------------------------------- */

/* Makes magic, version and checksum right; a lease's ends before its value. */
static void repair(unsigned char *bytes, size_t size)
{
    static const unsigned char HEAD[] = {0xf7, 'M', 'T', 0, 1};
    static const unsigned char LEASE[] = {0x81, 1, 0, 0, MTC_KIND_LEASE};
    if (size < HEAD_SIZE + sizeof LEASE)
        return;
    memcpy(bytes, HEAD, sizeof HEAD);
    size_t covered = size;
    size_t value_at = HEAD_SIZE + bytes[5] + ((size_t)bytes[6] << 8) +
                      ((size_t)bytes[7] << 16);
    bool is_lease = memcmp(bytes + HEAD_SIZE, LEASE, sizeof LEASE) == 0;
    if (is_lease && value_at >= HEAD_SIZE + sizeof LEASE && value_at <= size)
        covered = value_at;
    uint64_t sum = mtci_hash(mtc_bytes(bytes, 8), CHECKSUM_SEED);
    sum = mtci_hash(mtc_bytes(bytes + HEAD_SIZE, covered - HEAD_SIZE), sum);
    for (size_t i = 0; i < 8; i++)
        bytes[8 + i] = (unsigned char)(sum >> (8 * i));
}

/* Written and read once more, it is the same. */
static void check_again(const mtc_frame *frame)
{
    mtc_frame again;
    size_t size = mtc_frame_size(frame);
    void *bytes = malloc(size);
    require(bytes != NULL);
    require(mtc_frame_write(frame, bytes) == size);
    require(mtc_frame_read(mtc_bytes(bytes, size), &again) == MTC_OK);
    check_same(frame, &again);
    free(bytes);
}

static mtc_status check_read(mtc_slice bytes)
{
    mtc_frame frame;
    mtc_status status = mtc_frame_read(bytes, &frame);
    if (status != MTC_OK) {
        check_empty(&frame);
        return status;
    }
    require(mtc_frame_is(bytes));
    require(is_within(frame.value, bytes) && is_within(frame.key, bytes) &&
            is_within(frame.facts.etag, bytes));
    require(((const char *)frame.value.data - (const char *)bytes.data) % 8 ==
            0);
    check_again(&frame);
    return status;
}

/* Opening accepts whatever reading does, and compressed frames as well. */
static void check_open(mtc_slice bytes, mtc_status was_read)
{
    mtc_value value;
    mtc_frame frame;
    require(mtc_value_copy(bytes, &value) == MTC_OK);
    mtc_status status = mtc_frame_open(&value, VALUE_SIZE_MAX, &frame);
    require(status == was_read || was_read == MTC_MISS);
    if (status == MTC_OK) {
        require(frame.value.size <= VALUE_SIZE_MAX || was_read == MTC_OK);
        require(same(mtc_value_slice(&value), frame.value));
        check_again(&frame);
    } else {
        check_empty(&frame);
        require(same(mtc_value_slice(&value), bytes));
    }
    mtc_value_free(&value);
}

/* As the reply to a read of the Redis tier. */
static void check_found(mtc_slice bytes, bool is_checked)
{
    char failure[MTCI_REDIS_FAILURE_SIZE] = "";
    const mtci_redis_form form = {.is_checked = is_checked,
                                  .value_size_max = VALUE_SIZE_MAX};
    const mtci_reply life = {.type = MTCI_REPLY_INTEGER, .integer = 60000};
    mtci_reply found = {.type = MTCI_REPLY_BULK};
    mtc_request request = {.key = mtc_str("key")};
    require(mtc_value_copy(bytes, &found.bytes) == MTC_OK);
    mtc_status status =
        mtci_redis_entry_found(&form, &request, &life, &found, failure);
    require(request.lease_ms >= 0 && request.lease_ms <= life.integer);
    if (status == MTC_OK) {
        require(request.facts.left_ms >= 1 &&
                request.facts.left_ms <= life.integer);
        require(request.facts.kind != MTC_KIND_LEASE);
        mtc_value_free(&request.value);
    }
    mtci_reply_fini(&found);
}

static void read_frame(mtc_slice bytes, bool is_checked)
{
    check_open(bytes, check_read(bytes));
    check_found(bytes, is_checked);
}

/* -- writing -------------------------------------------------------------- */

static void check_compressed(const mtc_frame *frame, mtc_compression method)
{
    mtc_value value;
    mtc_frame again;
    mtc_status status = mtc_frame_compress(frame, method, &value);
    if (status != MTC_OK) {
        require(status == MTC_E_TOO_LARGE || status == MTC_E_UNSUPPORTED);
        return;
    }
    require(value.size <= frame->value.size - frame->value.size / 8);
    require(mtc_frame_read(mtc_value_slice(&value), &again) == MTC_MISS);
    require(mtc_frame_open(&value, frame->value.size, &again) == MTC_OK);
    check_same(frame, &again);
    mtc_value_free(&value);
}

/* The first bytes are facts, an etag and a key, the others the value. */
static void write_frame(const unsigned char *data, size_t size)
{
    mtc_frame frame = {.facts = {.left_ms = MTC_NO_END}};
    if (size < 16)
        return;
    frame.facts.ttl_ms = data[0] * INT64_C(0x10001000100);
    frame.facts.window_ms = data[1] * INT64_C(0x100000001);
    frame.facts.load_ms = data[2] * 0x800000;
    frame.time_ms = (int64_t)((uint64_t)data[3] << 56 | data[2]);
    frame.facts.etag = mtc_bytes(data + 4, data[3] % 8u);
    frame.key = mtc_bytes(data + 8, data[4] % 8u);
    frame.value = mtc_bytes(data + 16, size - 16);
    check_again(&frame);
    check_compressed(&frame, MTC_COMPRESSION_LZ4);
    check_compressed(&frame, MTC_COMPRESSION_ZSTD);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    unsigned char *bytes = malloc(size);
    require(bytes != NULL);
    size--;
    memcpy(bytes, data + 1, size);
    bool is_checked = data[0] % 2 == 1;
    if (data[0] % 8 >= 6)
        write_frame(bytes, size);
    else if (data[0] % 8 >= 2)
        repair(bytes, size);
    if (data[0] % 8 < 6)
        read_frame(mtc_bytes(bytes, size), is_checked);
    free(bytes);
    return 0;
}
