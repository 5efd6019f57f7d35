/*
 * Fuzz target: the RESP reader, fed in pieces.
 *
 * The first byte chooses RESP2 or RESP3 and how large a bulk may be, the second
 * how the rest is cut. Fed in pieces and fed whole, the same bytes must give
 * the same replies and the same end.
 */
#include <stdlib.h>

#include "base/buffer.h"
#include "fuzz/target.h"
#include "redis/resp_reader.h"

/* The smaller one is passed by bulks that fit into an input. */
#define BULK_SIZE_MAX   ((size_t)1 << 20)
#define BULK_SIZE_SMALL ((size_t)16)

/* How the client is set up. */
typedef struct setup {
    bool is_resp2;
    size_t bulk_size_max;
} setup;

/* Everything that can be told of a reply, as bytes. */
static void describe(const mtci_reply *reply, mtci_buffer *out)
{
    bool has_items =
        reply->type == MTCI_REPLY_ARRAY || reply->type == MTCI_REPLY_PUSH;
    mtci_buffer_add_format(out, "%d ", (int)reply->type);
    if (reply->type == MTCI_REPLY_INTEGER)
        mtci_buffer_add_format(out, "%lld ", (long long)reply->integer);
    mtci_buffer_add(out, mtci_reply_slice(reply));
    if (!has_items)
        return;
    mtci_buffer_add_format(out, "[%zu ", reply->count);
    for (size_t i = 0; i < reply->count; i++)
        describe(&reply->items[i], out);
}

/* Takes all replies that are there. How it ended. */
static mtc_status drain(mtci_resp_reader *reader, mtci_buffer *out)
{
    for (;;) {
        mtci_reply reply;
        mtc_status status = mtci_resp_reader_next(reader, &reply);
        if (status != MTC_OK)
            return status;
        describe(&reply, out);
        mtci_reply_fini(&reply);
    }
}

/* Feeds all bytes in pieces of at most piece_max bytes. */
static mtc_status read_all(const uint8_t *data, size_t size, size_t piece_max,
                           const setup *setup, mtci_buffer *out)
{
    mtci_resp_reader reader;
    if (mtci_resp_reader_init(&reader, setup->bulk_size_max) != MTC_OK)
        abort();
    reader.is_resp2 = setup->is_resp2;
    mtc_status status = MTC_PENDING;
    while (size > 0 && status == MTC_PENDING) {
        size_t room;
        void *to = mtci_resp_reader_room(&reader, &room);
        size_t piece = size < piece_max ? size : piece_max;
        if (piece > room)
            piece = room;
        memcpy(to, data, piece);
        mtci_resp_reader_fed(&reader, piece);
        data += piece;
        size -= piece;
        status = drain(&reader, out);
    }
    mtci_resp_reader_fini(&reader);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mtci_buffer whole = {0};
    mtci_buffer pieces = {0};
    if (size < 2)
        return 0;
    bool is_small = data[0] / 2 % 2 == 1;
    const setup setup = {data[0] % 2 == 0,
                         is_small ? BULK_SIZE_SMALL : BULK_SIZE_MAX};
    mtc_status one = read_all(data + 2, size - 2, size, &setup, &whole);
    mtc_status other =
        read_all(data + 2, size - 2, 1u + data[1] % 32u, &setup, &pieces);
    bool is_same = one == other && whole.size == pieces.size;
    if (!is_same ||
        (whole.size > 0 && memcmp(whole.data, pieces.data, whole.size) != 0))
        abort();
    mtci_buffer_fini(&whole);
    mtci_buffer_fini(&pieces);
    return 0;
}
