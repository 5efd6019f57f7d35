/*
 * Frames with a compressed value: compressed straight into the frame, and
 * decompressed straight into the value that is handed out.
 *
 * Bytes from outside may claim any true size: it is compared with the
 * caller's limit before a byte is allocated. Stateless; any thread.
 */
#include "base/compress.h"
#include "core/frame.h"

/* What must be saved: this part of the value. */
#define SAVING_PART 8

mtc_status mtc_frame_compress(const mtc_frame *frame, mtc_compression method,
                              mtc_value *out)
{
    mtci_packing packing = {(int)method, frame->value.size};
    size_t size_max = frame->value.size - frame->value.size / SAVING_PART;
    size_t before_value = mtci_frame_before_value(frame, packing);
    void *bytes;

    *out = (mtc_value){0};
    if (!mtci_compress_has((int)method))
        return MTC_E_UNSUPPORTED;
    if (before_value >= size_max)
        return MTC_E_TOO_LARGE;
    mtc_status status = mtc_value_new(size_max, &bytes, out);
    if (status != MTC_OK)
        return status;
    size_t packed_size =
        mtci_compress((int)method, frame->value, (char *)bytes + before_value,
                      size_max - before_value);
    if (packed_size == 0) {
        mtc_value_free(out);
        return MTC_E_TOO_LARGE;
    }
    out->size = before_value + packed_size;
    mtci_frame_seal(frame, packing, bytes, out->size);
    return MTC_OK;
}

/* Copies a slice behind what is there already and lets it point to the copy. */
static char *bring_along(char *at, mtc_slice *slice)
{
    if (slice->size == 0)
        return at;
    memcpy(at, slice->data, slice->size);
    slice->data = at;
    return at + slice->size;
}

/* Puts the value that a frame was made of in place of the frame. */
static mtc_status unpack(mtc_value *value, mtci_packing packing,
                         mtc_frame *frame)
{
    void *bytes;
    mtc_value fresh;
    size_t size = (size_t)packing.true_size;
    size_t whole_size = size + frame->facts.etag.size + frame->key.size;
    mtc_status status = mtc_value_new(whole_size, &bytes, &fresh);
    if (status == MTC_OK)
        status = mtci_decompress(packing.method, frame->value, bytes, size);
    if (status != MTC_OK) {
        mtc_value_free(&fresh);
        return status == MTC_E_UNSUPPORTED ? MTC_MISS : status;
    }
    bring_along(bring_along((char *)bytes + size, &frame->facts.etag),
                &frame->key);
    fresh.size = size;
    mtc_value_free(value);
    *value = fresh;
    return MTC_OK;
}

mtc_status mtc_frame_open(mtc_value *value, size_t size_max, mtc_frame *frame)
{
    mtci_packing packing;
    mtc_status status =
        mtci_frame_parse(mtc_value_slice(value), frame, &packing);
    if (status == MTC_OK && packing.method != MTC_COMPRESSION_NONE) {
        status = packing.true_size > size_max ? MTC_E_TOO_LARGE
                                              : unpack(value, packing, frame);
        frame->value = mtc_value_slice(value);
    } else if (status == MTC_OK) {
        value->data = frame->value.data;
        value->size = frame->value.size;
    }
    if (status != MTC_OK)
        *frame = (mtc_frame){.facts = {.left_ms = MTC_NO_END}};
    return status;
}
