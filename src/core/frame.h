/*
 * The inside of frames: parsing and writing them around a value that may be
 * compressed. mtc/tier.h has the public functions, docs/frame.md the layout.
 * Stateless; any thread.
 */
#ifndef MTCI_CORE_FRAME_H
#define MTCI_CORE_FRAME_H

#include "mtc/tier.h"

/* How the value in a frame is compressed, and its size when it is not. */
typedef struct mtci_packing {
    int method; /* mtc_compression */
    uint64_t true_size;
} mtci_packing;

#define MTCI_UNPACKED ((mtci_packing){MTC_COMPRESSION_NONE, 0})

/* Where the value begins in the frame. */
size_t mtci_frame_before_value(const mtc_frame *frame, mtci_packing packing);

/* Writes everything but the value, which is in its place in buffer; the frame
 * has size bytes. */
void mtci_frame_seal(const mtc_frame *frame, mtci_packing packing, void *buffer,
                     size_t size);

/* As mtc_frame_read, for compressed values as well: frame->value is then what
 * is in the frame. */
mtc_status mtci_frame_parse(mtc_slice bytes, mtc_frame *frame,
                            mtci_packing *packing);

#endif
