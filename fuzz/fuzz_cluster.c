/*
 * Fuzz target: what servers say of where others are: redirections, the map of
 * slots, the messages of sentinels.
 *
 * The first byte chooses which. Replies come by way of our own reader. A map is
 * taken whole, and its counts agree, or it changes nothing; an address has a
 * host that prints, and a port.
 */
#include <stdlib.h>

#include "fuzz/target.h"
#include "redis/resp_reader.h"
#include "redis/sentinel.h"
#include "redis/topology.h"

/* Longer maps take long: each range names 16384 slots at most. */
#define INPUT_SIZE_MAX 4096u

static const mtci_address FROM = {"10.0.0.1", 7000};

static void require(bool is_so)
{
    if (!is_so)
        abort();
}

static void check_address(const mtci_address *address)
{
    size_t size = strnlen(address->host, sizeof address->host);
    require(size > 0 && size < sizeof address->host);
    for (size_t i = 0; i < size; i++)
        require(address->host[i] > ' ' && address->host[i] <= '~');
    require(address->port >= 1 && address->port <= MTCI_PORT_MAX);
}

static void read_redirection(mtc_slice text)
{
    uint16_t slot = 0;
    mtci_address to;
    mtci_redirection is = mtci_redirect_read(text, &FROM, &slot, &to);
    require(mtci_slot_of_key(text) < MTCI_SLOT_COUNT);
    if (is != MTCI_REDIRECT_MOVED && is != MTCI_REDIRECT_ASK)
        return;
    require(slot < MTCI_SLOT_COUNT);
    check_address(&to);
}

/* The first reply; false: there is none. */
static bool read_reply(const uint8_t *data, size_t size, mtci_reply *reply)
{
    mtci_resp_reader reader;
    size_t room;
    require(mtci_resp_reader_init(&reader, MTCI_RESP_LINE_SIZE_MAX) == MTC_OK);
    void *to = mtci_resp_reader_room(&reader, &room);
    require(room >= size);
    memcpy(to, data, size);
    mtci_resp_reader_fed(&reader, size);
    bool is_there = mtci_resp_reader_next(&reader, reply) == MTC_OK;
    mtci_resp_reader_fini(&reader);
    return is_there;
}

/* -- maps ----------------------------------------------------------------- */

static void check_topology(const mtci_topology *topology)
{
    static uint32_t counts[MTCI_NODES_MAX];
    memset(counts, 0, sizeof counts);
    require(topology->count <= MTCI_NODES_MAX);
    for (size_t slot = 0; slot < MTCI_SLOT_COUNT; slot++) {
        uint16_t owner = topology->owners[slot];
        require(owner == MTCI_NODE_NONE || owner < topology->count);
        if (owner != MTCI_NODE_NONE)
            counts[owner]++;
    }
    for (uint16_t i = 0; i < topology->count; i++) {
        const mtci_node *node = topology->nodes[i];
        require(node || counts[i] == 0);
        if (!node)
            continue;
        require(node->slot_count == counts[i]);
        check_address(&node->address);
    }
}

static void learn_map(const mtci_reply *slots)
{
    static mtci_topology topology;
    static uint16_t before[MTCI_SLOT_COUNT];
    const mtci_redis_settings settings = {.clock = mtci_clock_boot};
    mtci_topology_init(&topology, &settings);
    mtci_topology_give(&topology, 5, mtci_topology_node(&topology, &FROM));
    memcpy(before, topology.owners, sizeof before);
    if (!mtci_topology_learn(&topology, slots, &FROM))
        require(memcmp(before, topology.owners, sizeof before) == 0);
    check_topology(&topology);
    mtci_topology_fini(&topology);
}

/* -- sentinels ------------------------------------------------------------ */

static void be_found(void *ctx, mtci_sentinel *sentinel,
                     const mtci_address *master)
{
    (void)ctx;
    (void)sentinel;
    if (master)
        check_address(master);
}

static void be_moved(void *ctx, const mtci_address *from,
                     const mtci_address *to)
{
    (void)ctx;
    check_address(from);
    check_address(to);
}

static void be_named(void *ctx, const mtci_address *other)
{
    (void)ctx;
    check_address(other);
}

static void hear_message(const mtci_reply *reply)
{
    static const mtci_sentinel_news NEWS = {be_found, be_moved, be_named, NULL};
    static mtci_sentinel_settings all = {.master = "m"};
    static mtci_sentinel sentinel;
    const mtci_redis_settings settings = {.sentinels = &all,
                                          .clock = mtci_clock_boot};
    mtci_sentinel_init(&sentinel, &settings, &FROM, &NEWS);
    sentinel.conn.take_message(sentinel.conn.message_ctx, reply);
    mtci_sentinel_fini(&sentinel);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mtci_reply reply = {0};
    if (size == 0 || size > INPUT_SIZE_MAX)
        return 0;
    bool is_text = data[0] % 3 == 0;
    if (is_text)
        read_redirection(mtc_bytes(size > 1 ? data + 1 : NULL, size - 1));
    else if (!read_reply(data + 1, size - 1, &reply))
        return 0;
    if (!is_text && data[0] % 3 == 1 && reply.type == MTCI_REPLY_ARRAY)
        learn_map(&reply);
    else if (!is_text)
        hear_message(&reply);
    mtci_reply_fini(&reply);
    return 0;
}
