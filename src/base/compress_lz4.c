/*
 * lz4, its block format: for speed. See compress.h. Stateless; any thread.
 */
#include <lz4.h>

#include "base/compress.h"

/* lz4 counts in int. */
static int bounded(size_t size)
{
    return size < LZ4_MAX_INPUT_SIZE ? (int)size : LZ4_MAX_INPUT_SIZE;
}

static size_t lz4_compress(mtc_slice from, void *to, size_t size)
{
    if (from.size > LZ4_MAX_INPUT_SIZE)
        return 0;
    int written =
        LZ4_compress_default(from.data, to, (int)from.size, bounded(size));
    return written > 0 ? (size_t)written : 0;
}

static mtc_status lz4_decompress(mtc_slice from, void *to, size_t size)
{
    if (from.size > LZ4_MAX_INPUT_SIZE || size > LZ4_MAX_INPUT_SIZE)
        return MTC_E_CORRUPT;
    int written = LZ4_decompress_safe(from.data, to, (int)from.size, (int)size);
    return written >= 0 && (size_t)written == size ? MTC_OK : MTC_E_CORRUPT;
}

const mtci_codec mtci_codec_lz4 = {
    .compress = lz4_compress,
    .decompress = lz4_decompress,
};
