/*
 * Slots. See slots.h. Stateless; any thread.
 */
#include "redis/slots.h"

#include "base/slice.h"
#include "redis/resp_number.h"

/* -- keys ---------------------------------------------------------------- */

/* What half a byte does to the remainder. */
static const uint16_t NIBBLES[16] = {
    0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7,
    0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef,
};

uint16_t mtci_crc16(mtc_slice bytes)
{
    const unsigned char *at = bytes.data;
    uint32_t crc = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        crc = (crc << 4) ^ NIBBLES[((crc >> 12) ^ (at[i] >> 4)) & 15u];
        crc = (crc << 4) ^ NIBBLES[((crc >> 12) ^ at[i]) & 15u];
    }
    return (uint16_t)crc;
}

uint16_t mtci_slot_of_key(mtc_slice key)
{
    const char *bytes = key.data;
    const char *open = key.size > 0 ? memchr(bytes, '{', key.size) : NULL;
    size_t left = open ? key.size - (size_t)(open - bytes) - 1 : 0;
    const char *close = open ? memchr(open + 1, '}', left) : NULL;
    if (close && close > open + 1)
        key = mtc_bytes(open + 1, (size_t)(close - open - 1));
    return mtci_crc16(key) % MTCI_SLOT_COUNT;
}

/* -- addresses ----------------------------------------------------------- */

/* A server that does not know its own name calls itself "?". */
static bool read_host(mtc_slice text, const mtci_address *from,
                      mtci_address *out)
{
    if (text.size == 0) {
        memcpy(out->host, from->host, sizeof out->host);
        return true;
    }
    return !mtci_slice_is(text, "?") && mtci_address_set_host(out, text);
}

/* host:port; an IPv6 address has no brackets. */
static bool read_address(mtc_slice text, const mtci_address *from,
                         mtci_address *out)
{
    const char *bytes = text.data;
    const char *colon = text.size > 0 ? memrchr(bytes, ':', text.size) : NULL;
    if (!colon)
        return false;
    size_t host_size = (size_t)(colon - bytes);
    mtc_slice port = mtc_bytes(colon + 1, text.size - host_size - 1);
    return read_host(mtc_bytes(bytes, host_size), from, out) &&
           mtci_address_set_port(out, port);
}

/* -- replies ------------------------------------------------------------- */

/* Takes the next word off text. */
static mtc_slice next_word(mtc_slice *text)
{
    const char *bytes = text->data;
    const char *space = text->size > 0 ? memchr(bytes, ' ', text->size) : NULL;
    size_t size = space ? (size_t)(space - bytes) : text->size;
    size_t taken = space ? size + 1 : size;
    *text = mtc_bytes(bytes + taken, text->size - taken);
    return mtc_bytes(bytes, size);
}

mtci_redirection mtci_redirect_read(mtc_slice error, const mtci_address *from,
                                    uint16_t *slot, mtci_address *to)
{
    int64_t number;
    if (error.size == 0)
        return MTCI_REDIRECT_NONE;
    mtc_slice word = next_word(&error);
    if (mtci_slice_is(word, "TRYAGAIN"))
        return MTCI_REDIRECT_LATER;
    if (mtci_slice_is(word, "CLUSTERDOWN"))
        return MTCI_REDIRECT_DOWN;
    bool is_moved = mtci_slice_is(word, "MOVED");
    if (!is_moved && !mtci_slice_is(word, "ASK"))
        return MTCI_REDIRECT_NONE;
    if (!mtci_resp_parse_integer(next_word(&error), &number) || number < 0 ||
        number >= MTCI_SLOT_COUNT || !read_address(next_word(&error), from, to))
        return MTCI_REDIRECT_NONE;
    *slot = (uint16_t)number;
    return is_moved ? MTCI_REDIRECT_MOVED : MTCI_REDIRECT_ASK;
}

/* [host or nil, port, ...] */
static mtc_status read_node(const mtci_reply *node, const mtci_address *from,
                            mtci_address *out)
{
    if (node->type != MTCI_REPLY_ARRAY || node->count < 2 ||
        !(node->items[0].type & (MTCI_REPLY_BULK | MTCI_REPLY_NIL)) ||
        node->items[1].type != MTCI_REPLY_INTEGER ||
        node->items[1].integer < 0 || node->items[1].integer > MTCI_PORT_MAX)
        return MTC_E_CORRUPT;
    out->port = (int)node->items[1].integer;
    bool is_known = read_host(mtci_reply_slice(&node->items[0]), from, out);
    return is_known && out->port > 0 ? MTC_OK : MTC_MISS;
}

mtc_status mtci_slot_range_read(const mtci_reply *slots, size_t i,
                                const mtci_address *from,
                                mtci_slot_range *range)
{
    const mtci_reply *item = &slots->items[i];
    if (item->type != MTCI_REPLY_ARRAY || item->count < 3 ||
        item->items[0].type != MTCI_REPLY_INTEGER ||
        item->items[1].type != MTCI_REPLY_INTEGER)
        return MTC_E_CORRUPT;
    int64_t first = item->items[0].integer;
    int64_t last = item->items[1].integer;
    if (first < 0 || first > last || last >= MTCI_SLOT_COUNT)
        return MTC_E_CORRUPT;
    range->first = (uint16_t)first;
    range->last = (uint16_t)last;
    return read_node(&item->items[2], from, &range->address);
}
