/*
 * Fuzz target: the RESP writer. Whatever arguments are written are read back
 * as they were, by our own reader.
 */
#include <stdlib.h>

#include "fuzz/target.h"
#include "redis/resp_reader.h"
#include "redis/resp_writer.h"

#define ARGUMENTS_MAX 64u

/* The next argument: a byte of length, then as much as there is. */
static mtc_slice take(const uint8_t **data, size_t *size)
{
    size_t length = **data;
    ++*data;
    --*size;
    if (length > *size)
        length = *size;
    mtc_slice argument = mtc_bytes(*data, length);
    *data += length;
    *size -= length;
    return argument;
}

static void feed(mtci_resp_reader *reader, const mtci_buffer *bytes)
{
    size_t room;
    void *to = mtci_resp_reader_room(reader, &room);
    if (room < bytes->size)
        abort();
    memcpy(to, bytes->data, bytes->size);
    mtci_resp_reader_fed(reader, bytes->size);
}

static void check(const mtci_buffer *bytes, const mtc_slice *arguments,
                  size_t count)
{
    mtci_resp_reader reader;
    mtci_reply reply;
    if (mtci_resp_reader_init(&reader, MTCI_RESP_LINE_SIZE_MAX) != MTC_OK)
        abort();
    feed(&reader, bytes);
    if (mtci_resp_reader_next(&reader, &reply) != MTC_OK ||
        reply.type != MTCI_REPLY_ARRAY || reply.count != count ||
        mtci_resp_reader_is_amid(&reader))
        abort();
    for (size_t i = 0; i < count; i++) {
        mtc_slice read = mtci_reply_slice(&reply.items[i]);
        if (read.size != arguments[i].size ||
            (read.size > 0 &&
             memcmp(read.data, arguments[i].data, read.size) != 0))
            abort();
    }
    mtci_reply_fini(&reply);
    mtci_resp_reader_fini(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mtc_slice arguments[ARGUMENTS_MAX];
    mtci_buffer bytes = {0};
    size_t count = 0;
    while (size > 0 && count < ARGUMENTS_MAX)
        arguments[count++] = take(&data, &size);
    if (count == 0)
        return 0;
    mtci_resp_begin(&bytes, count);
    for (size_t i = 0; i < count; i++)
        mtci_resp_add(&bytes, arguments[i]);
    check(&bytes, arguments, count);
    mtci_buffer_fini(&bytes);
    return 0;
}
