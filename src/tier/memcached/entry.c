/*
 * What memcached keeps of an entry. See entry.h.
 */
#include "tier/memcached/entry.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/slice.h"

/* Two fixed seeds: every process must find the same key. */
#define SEED_HIGH UINT64_C(0x6d74632d6b657931)
#define SEED_LOW  UINT64_C(0x6d74632d6b657932)

/* A copy must not outlive the truth by the part of a millisecond that the
 * clock cuts off. */
#define CLOCK_TICK_MS 1

static const char hashed_prefix[] = "mtc:xxh3:";
#define PREFIX_SIZE (sizeof(hashed_prefix) - 1)

/* Whether memcached, its text protocol and its tools take the key as it is.
 * One that looks like a hash is hashed, so that no two keys meet. */
static bool is_plain(mtc_slice key)
{
    const unsigned char *bytes = key.data;
    if (key.size == 0 || key.size > MTCI_MEMCACHED_KEY_MAX)
        return false;
    for (size_t i = 0; i < key.size; i++) {
        if (bytes[i] <= ' ' || bytes[i] == 0x7f)
            return false;
    }
    return key.size < PREFIX_SIZE ||
           memcmp(bytes, hashed_prefix, PREFIX_SIZE) != 0;
}

static char *hex_put(char *at, uint64_t number)
{
    static const char digits[] = "0123456789abcdef";
    for (int shift = 60; shift >= 0; shift -= 4)
        *at++ = digits[(number >> shift) & 15];
    return at;
}

void mtci_memcached_key_make(mtc_slice key, mtci_memcached_key *out)
{
    if (is_plain(key)) {
        memcpy(out->bytes, key.data, key.size);
        out->size = key.size;
        return;
    }
    memcpy(out->bytes, hashed_prefix, PREFIX_SIZE);
    char *at = hex_put(out->bytes + PREFIX_SIZE, mtci_hash(key, SEED_HIGH));
    at = hex_put(at, mtci_hash(key, SEED_LOW));
    out->size = (size_t)(at - out->bytes);
}

/* The longest life that a reader may believe. */
static int64_t life_limit_ms(const mtc_facts *facts)
{
    if (facts->ttl_ms <= 0 || facts->ttl_ms > MTCI_MEMCACHED_LIFE_MS_MAX ||
        facts->window_ms > MTCI_MEMCACHED_LIFE_MS_MAX - facts->ttl_ms)
        return MTCI_MEMCACHED_LIFE_MS_MAX;
    return facts->ttl_ms + facts->window_ms;
}

int64_t mtci_memcached_life_ms(const mtc_facts *facts, int64_t left_ms)
{
    int64_t limit_ms = life_limit_ms(facts);
    int64_t life_ms = left_ms < limit_ms ? left_ms : limit_ms;
    return life_ms < MTCI_MEMCACHED_LIFE_STEP_MS ? 0 : life_ms;
}

bool mtci_memcached_entry_write(const mtc_frame *frame, int64_t end_wall_ms,
                                void **bytes, size_t *size)
{
    mtc_frame timed = *frame;
    timed.time_ms = end_wall_ms - CLOCK_TICK_MS;
    *bytes = malloc(mtc_frame_size(&timed));
    if (!*bytes)
        return false;
    *size = mtc_frame_write(&timed, *bytes);
    return true;
}

static mtc_status check(const mtc_frame *frame, mtc_slice key, int64_t wall_ms,
                        mtc_facts *facts)
{
    if (!mtci_slices_equal(frame->key, key) || frame->time_ms <= wall_ms)
        return MTC_MISS;
    *facts = frame->facts;
    facts->left_ms = frame->time_ms - wall_ms;
    return facts->left_ms <= life_limit_ms(facts) ? MTC_OK : MTC_MISS;
}

mtc_status mtci_memcached_entry_read(mtc_slice bytes, mtc_slice key,
                                     int64_t wall_ms, mtc_value *value,
                                     mtc_facts *facts)
{
    void *room;
    mtc_frame frame;
    mtc_status status = mtc_value_new(bytes.size, &room, value);
    if (status != MTC_OK)
        return status;
    if (bytes.size > 0)
        memcpy(room, bytes.data, bytes.size);
    status = mtc_frame_read(mtc_bytes(room, bytes.size), &frame);
    if (status == MTC_OK)
        status = check(&frame, key, wall_ms, facts);
    if (status != MTC_OK) {
        mtc_value_free(value);
        return status;
    }
    value->data = frame.value.data;
    value->size = frame.value.size;
    return MTC_OK;
}
