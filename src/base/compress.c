/*
 * The methods that this build has. See compress.h. Stateless; any thread.
 */
#include "base/compress.h"

static const mtci_codec *codec_find(int method)
{
#ifdef MTCI_LZ4
    if (method == MTC_COMPRESSION_LZ4)
        return &mtci_codec_lz4;
#endif
#ifdef MTCI_ZSTD
    if (method == MTC_COMPRESSION_ZSTD)
        return &mtci_codec_zstd;
#endif
    (void)method;
    return NULL;
}

bool mtci_compress_has(int method)
{
    return codec_find(method) != NULL;
}

size_t mtci_compress(int method, mtc_slice from, void *to, size_t size)
{
    const mtci_codec *codec = codec_find(method);
    return codec ? codec->compress(from, to, size) : 0;
}

mtc_status mtci_decompress(int method, mtc_slice from, void *to, size_t size)
{
    const mtci_codec *codec = codec_find(method);
    return codec ? codec->decompress(from, to, size) : MTC_E_UNSUPPORTED;
}
