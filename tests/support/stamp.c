/*
 * Stamped values; see stamp.h.
 */
#include "support/stamp.h"

#include "base/hash.h"

typedef struct head {
    uint32_t key;
    uint32_t stamp;
    uint64_t checksum; /* of all other bytes and the size */
} head;

_Static_assert(sizeof(head) == MTCT_STAMP_SIZE_MIN, "the head of a value");

static unsigned char byte_at(size_t i, uint32_t key, uint32_t stamp)
{
    return (unsigned char)(i * 7 + key * 31 + stamp * 131);
}

static uint64_t checksum_of(const void *bytes, size_t size)
{
    const head *start = bytes;
    uint64_t seed = ((uint64_t)start->key << 32 | start->stamp) ^ size;
    const char *rest = (const char *)bytes + sizeof(head);
    return mtci_hash(mtc_bytes(rest, size - sizeof(head)), seed);
}

/* A page of the pattern is made and then repeated: large values are many. */
static void fill(unsigned char *bytes, size_t size, uint32_t key,
                 uint32_t stamp)
{
    size_t made = size < 256 ? size : 256;
    for (size_t i = 0; i < made; i++)
        bytes[i] = byte_at(i, key, stamp);
    while (made < size) {
        size_t more = size - made < made ? size - made : made;
        memcpy(bytes + made, bytes, more);
        made += more;
    }
}

void mtct_stamp_write(void *bytes, size_t size, uint32_t key, uint32_t stamp)
{
    fill(bytes, size, key, stamp);
    if (size < sizeof(head))
        return;
    head start = {.key = key, .stamp = stamp};
    memcpy(bytes, &start, sizeof(start));
    start.checksum = checksum_of(bytes, size);
    memcpy(bytes, &start, sizeof(start));
}

bool mtct_stamp_read(mtc_slice bytes, uint32_t key, uint32_t *stamp)
{
    head start;
    if (bytes.size < sizeof(start))
        return false;
    memcpy(&start, bytes.data, sizeof(start));
    if (start.key != key ||
        start.checksum != checksum_of(bytes.data, bytes.size))
        return false;
    *stamp = start.stamp;
    return true;
}

bool mtct_stamp_is(mtc_slice bytes, uint32_t key, uint32_t stamp)
{
    const unsigned char *at = bytes.data;
    uint32_t found;
    if (bytes.size >= sizeof(head))
        return mtct_stamp_read(bytes, key, &found) && found == stamp;
    for (size_t i = 0; i < bytes.size; i++) {
        if (at[i] != byte_at(i, key, stamp))
            return false;
    }
    return true;
}
