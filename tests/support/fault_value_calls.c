/*
 * The calls on values, keys and frames; see fault_rig.h.
 */
#include "support/fault_rig.h"

#include "base/compress.h"
#include "mtc/key.h"
#include "support/frame_rig.h"

#define FRAME_SIZE 5000

/* -- values ------------------------------------------------------------- */

static mtc_status detach(fault_rig *rig)
{
    mtc_value value;
    mtc_status status = mtc_cache_get(rig->cache, mtc_str("k"), &value);
    if (status == MTC_OK)
        status = mtc_value_detach(&value);
    if (status != MTC_OK) {
        mtc_value_free(&value);
        return status;
    }
    return fault_take(rig, status, &value);
}

static mtc_status share(fault_rig *rig)
{
    mtc_value value, second;
    mtc_status status = mtc_cache_get(rig->cache, mtc_str("k"), &value);
    if (status != MTC_OK)
        return status;
    status = mtc_value_share(&value, &second);
    mtc_value_free(&value);
    return fault_take(rig, status, &second);
}

/* More of them than a thread pins. */
static mtc_status hold_many(fault_rig *rig)
{
    mtc_value values[100];
    mtc_status status = MTC_OK;
    for (int i = 0; i < 100; i++) {
        mtc_status got = mtc_cache_get(rig->cache, mtc_str("k"), &values[i]);
        if (got != MTC_OK)
            status = got;
    }
    for (int i = 99; i > 0; i--)
        mtc_value_free(&values[i]);
    if (status == MTC_OK)
        return fault_take(rig, status, &values[0]);
    mtc_value_free(&values[0]);
    return status;
}

static mtc_status copy(fault_rig *rig)
{
    mtc_value value;
    mtc_status status = mtc_value_copy(mtc_str("old"), &value);
    return fault_take(rig, status, &value);
}

static mtc_status make(fault_rig *rig)
{
    void *bytes;
    mtc_value value;
    mtc_status status = mtc_value_new(3, &bytes, &value);
    if (status == MTC_OK)
        memcpy(bytes, "old", 3);
    return fault_take(rig, status, &value);
}

static mtc_status detach_borrowed(fault_rig *rig)
{
    mtc_value value = mtc_value_borrow(mtc_str("old"));
    mtc_status status = mtc_value_detach(&value);
    if (status != MTC_OK) {
        mtc_value_free(&value);
        return status;
    }
    return fault_take(rig, status, &value);
}

/* -- keys --------------------------------------------------------------- */

static mtc_status build_key(fault_rig *rig)
{
    static const char part[MTC_KEY_INLINE_SIZE];
    mtc_key key;
    mtc_slice slice;
    (void)rig;
    mtc_key_init(&key);
    for (int i = 0; i < 4; i++)
        mtc_key_add(&key, mtc_bytes(part, sizeof(part)));
    mtc_key_add_int(&key, 7);
    mtc_status status = mtc_key_slice(&key, &slice);
    mtc_key_fini(&key);
    return status;
}

/* -- frames ------------------------------------------------------------- */

static mtc_status compress_as(mtc_compression method)
{
    char bytes[FRAME_SIZE];
    mtc_value value;
    mtc_frame out;
    mtc_frame frame = {.value = mtc_bytes(bytes, sizeof(bytes))};
    if (!mtci_compress_has((int)method))
        return MTC_OK;
    frame_rig_text(bytes, sizeof(bytes));
    mtc_status status = mtc_frame_compress(&frame, method, &value);
    if (status == MTC_OK)
        status = mtc_frame_open(&value, sizeof(bytes), &out);
    if (status == MTC_OK && memcmp(out.value.data, bytes, sizeof(bytes)) != 0)
        status = MTC_E_CORRUPT;
    mtc_value_free(&value);
    return status;
}

static mtc_status compress_lz4(fault_rig *rig)
{
    (void)rig;
    return compress_as(MTC_COMPRESSION_LZ4);
}

static mtc_status compress_zstd(fault_rig *rig)
{
    (void)rig;
    return compress_as(MTC_COMPRESSION_ZSTD);
}

const fault_call fault_value_calls[] = {
    {"value_detach", detach, MTC_OK, FAULT_READS_OLD, false},
    {"value_share", share, MTC_OK, FAULT_READS_OLD, false},
    {"many values held", hold_many, MTC_OK, FAULT_READS_OLD, false},
    {"value_copy", copy, MTC_OK, FAULT_READS_OLD, false},
    {"value_new", make, MTC_OK, FAULT_READS_OLD, false},
    {"value_borrow, detached", detach_borrowed, MTC_OK, FAULT_READS_OLD, false},
    {"key", build_key, MTC_OK, FAULT_NOTHING, false},
    {"frame, lz4", compress_lz4, MTC_OK, FAULT_NOTHING, false},
    {"frame, zstd", compress_zstd, MTC_OK, FAULT_NOTHING, false},
    {0},
};
