/*
 * zstd, its frame format: for size. See compress.h. Stateless; any thread.
 */
#include <zstd.h>

#include "base/compress.h"

/* The fastest of the ordinary levels: values are compressed on the way to a
 * tier, while others may wait. */
#define LEVEL 1

static size_t zstd_compress(mtc_slice from, void *to, size_t size)
{
    size_t written = ZSTD_compress(to, size, from.data, from.size, LEVEL);
    return ZSTD_isError(written) ? 0 : written;
}

/* In one pass, so that no window is allocated that the bytes ask for. */
static mtc_status zstd_decompress(mtc_slice from, void *to, size_t size)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();
    if (!context)
        return MTC_E_NO_MEMORY;
    size_t written =
        ZSTD_decompressDCtx(context, to, size, from.data, from.size);
    ZSTD_freeDCtx(context);
    return written == size ? MTC_OK : MTC_E_CORRUPT;
}

const mtci_codec mtci_codec_zstd = {
    .compress = zstd_compress,
    .decompress = zstd_decompress,
};
