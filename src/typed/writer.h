/*
 * What stands behind the public mtc_writer: a buffer. One owner, one thread.
 */
#ifndef MTCI_TYPED_WRITER_H
#define MTCI_TYPED_WRITER_H

#include "base/buffer.h"
#include "mtc/object.h"

struct mtc_writer {
    mtci_buffer buffer;
};

static inline void mtci_writer_fini(mtc_writer *writer)
{
    mtci_buffer_fini(&writer->buffer);
}

/* A writer that is given back however its scope is left: the functions that
 * it is handed to may end their thread or throw. */
#define MTCI_WRITER_SCOPED mtc_writer __attribute__((cleanup(mtci_writer_fini)))

/* How a function that was given a writer ended: the error that the writer
 * kept, else its own status, which must not be news. */
static inline mtc_status mtci_writer_end(const mtc_writer *writer,
                                         mtc_status status)
{
    if (writer->buffer.status != MTC_OK) {
        return writer->buffer.status;
    }
    return status > MTC_OK ? MTC_E_INVALID : status;
}

static inline mtc_slice mtci_writer_slice(const mtc_writer *writer)
{
    return mtc_bytes(writer->buffer.data, writer->buffer.size);
}

#endif
