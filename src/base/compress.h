/*
 * Compressing runs of bytes with lz4 and zstd, as far as the build has them.
 * Methods are numbers of mtc_compression; bytes to decompress come from
 * outside. Stateless; any thread.
 */
#ifndef MTCI_BASE_COMPRESS_H
#define MTCI_BASE_COMPRESS_H

#include "mtc/tier.h"

/* What a method offers. The functions are those of compress.h without the
 * method. */
typedef struct mtci_codec {
    size_t (*compress)(mtc_slice from, void *to, size_t size);
    mtc_status (*decompress)(mtc_slice from, void *to, size_t size);
} mtci_codec;

extern const mtci_codec mtci_codec_lz4;
extern const mtci_codec mtci_codec_zstd;

/* Whether this build has the method; false for a number that is none. */
bool mtci_compress_has(int method);

/* Compresses into room for size bytes. The count of bytes written; 0: they do
 * not fit, there is no memory, or the build does not have the method. */
size_t mtci_compress(int method, mtc_slice from, void *to, size_t size);

/* Decompresses to exactly size bytes. MTC_OK; MTC_E_CORRUPT: they are not
 * that; MTC_E_NO_MEMORY; MTC_E_UNSUPPORTED: not in this build. */
mtc_status mtci_decompress(int method, mtc_slice from, void *to, size_t size);

#endif
