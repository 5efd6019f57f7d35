/*
 * labels: quick unit
 *
 * Slots of keys, and what servers say about slots.
 */
#include "redis/slots.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "redis/resp_reader.h"
#include "redis/topology.h"

static const mtci_address FROM = {"10.0.0.1", 7000};

static void crc16_has_the_known_values(void **state)
{
    (void)state;
    assert_int_equal(mtci_crc16(mtc_str("123456789")), 0x31C3);
    assert_int_equal(mtci_crc16(mtc_str("")), 0);
    assert_int_equal(mtci_crc16(mtc_bytes("\0", 1)), 0);
    assert_int_equal(mtci_crc16(mtc_str("A")), 0x58E5);
    assert_int_equal(mtci_crc16(mtc_bytes("\xff", 1)), 0x1EF0);
}

/* From the specification, and as CLUSTER KEYSLOT answers. */
static void a_key_has_the_slot_that_the_server_says(void **state)
{
    static const struct {
        const char *key;
        uint16_t slot;
    } cases[] = {
        {"foo", 12182},
        {"bar", 5061},
        {"hello", 866},
        {"", 0},
        {"{user1000}.following", 3443},
        {"{user1000}.followers", 3443},
        {"user1000", 3443},
        {"foo{}{bar}", 8363},
        {"foo{{bar}}zap", 4015},
        {"{bar", 4015},
        {"foo{bar}{zap}", 5061},
        {"foo}{bar}", 5061},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (mtci_slot_of_key(mtc_str(cases[i].key)) != cases[i].slot)
            fail_msg("%s: %u", cases[i].key,
                     mtci_slot_of_key(mtc_str(cases[i].key)));
}

static mtci_redirection judge(const char *error, mtci_address *to)
{
    uint16_t slot = 0;
    mtci_redirection is = mtci_redirect_read(mtc_str(error), &FROM, &slot, to);
    if (is == MTCI_REDIRECT_MOVED || is == MTCI_REDIRECT_ASK)
        assert_int_equal(slot, 3999);
    return is;
}

static void redirections_are_read(void **state)
{
    mtci_address to;
    (void)state;
    assert_int_equal(judge("MOVED 3999 127.0.0.1:6381", &to),
                     MTCI_REDIRECT_MOVED);
    assert_string_equal(to.host, "127.0.0.1");
    assert_int_equal(to.port, 6381);
    assert_int_equal(judge("ASK 3999 ::1:6381", &to), MTCI_REDIRECT_ASK);
    assert_string_equal(to.host, "::1");
    assert_int_equal(judge("MOVED 3999 :6382", &to), MTCI_REDIRECT_MOVED);
    assert_string_equal(to.host, FROM.host);
    assert_int_equal(to.port, 6382);
    assert_int_equal(judge("TRYAGAIN Multiple keys request", &to),
                     MTCI_REDIRECT_LATER);
    assert_int_equal(judge("CLUSTERDOWN Hash slot not served", &to),
                     MTCI_REDIRECT_DOWN);
}

static void redirections_that_make_no_sense_are_errors(void **state)
{
    static const char *const wrong[] = {
        "",
        "ERR no",
        "MOVED",
        "MOVED ",
        "MOVED 3999",
        "MOVED 3999 ",
        "MOVED 16384 h:1",
        "MOVED -1 h:1",
        "MOVED 3999x h:1",
        "MOVED 3999 h",
        "MOVED 3999 h:",
        "MOVED 3999 h:0",
        "MOVED 3999 h:65536",
        "MOVED 3999 h:99999999999",
        "MOVED 3999 ?:1",
        "MOVED 3999 a\tb:1",
        "MOVEDX 3999 h:1",
        "ASKING 3999 h:1",
    };
    mtci_address to;
    char text[400] = "MOVED 3999 ";
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (judge(wrong[i], &to) != MTCI_REDIRECT_NONE)
            fail_msg("%s", wrong[i]);
    memset(text + 11, 'h', 256);
    strcpy(text + 11 + 256, ":1");
    assert_int_equal(judge(text, &to), MTCI_REDIRECT_NONE);
    assert_int_equal(judge(text + 1, &to), MTCI_REDIRECT_NONE);
}

/* Judges the first item of a reply, as it came over the wire. */
static mtc_status read_range(const char *bytes, mtci_slot_range *range)
{
    mtci_resp_reader reader;
    mtci_reply reply;
    size_t room;
    assert_int_equal(mtci_resp_reader_init(&reader, 1 << 20), MTC_OK);
    memcpy(mtci_resp_reader_room(&reader, &room), bytes, strlen(bytes));
    mtci_resp_reader_fed(&reader, strlen(bytes));
    assert_int_equal(mtci_resp_reader_next(&reader, &reply), MTC_OK);
    mtc_status status = mtci_slot_range_read(&reply, 0, &FROM, range);
    mtci_reply_fini(&reply);
    mtci_resp_reader_fini(&reader);
    return status;
}

static void ranges_of_slots_are_read(void **state)
{
    mtci_slot_range range;
    (void)state;
    assert_int_equal(read_range("*1\r\n*3\r\n:0\r\n:5460\r\n"
                                "*3\r\n$2\r\nh1\r\n:7001\r\n$2\r\nid\r\n",
                                &range),
                     MTC_OK);
    assert_int_equal(range.first, 0);
    assert_int_equal(range.last, 5460);
    assert_string_equal(range.address.host, "h1");
    assert_int_equal(range.address.port, 7001);
    assert_int_equal(
        read_range("*1\r\n*3\r\n:7\r\n:7\r\n*2\r\n$0\r\n\r\n:1\r\n", &range),
        MTC_OK);
    assert_string_equal(range.address.host, FROM.host);
    assert_int_equal(read_range("*1\r\n*3\r\n:7\r\n:7\r\n*2\r\n$-1\r\n:1\r\n",
                                &range),
                     MTC_OK);
    assert_string_equal(range.address.host, FROM.host);
    assert_int_equal(
        read_range("*1\r\n*3\r\n:7\r\n:7\r\n*2\r\n$1\r\n?\r\n:1\r\n", &range),
        MTC_MISS);
    assert_int_equal(
        read_range("*1\r\n*3\r\n:7\r\n:7\r\n*2\r\n$1\r\nh\r\n:0\r\n", &range),
        MTC_MISS);
}

static void ranges_of_another_shape_are_refused(void **state)
{
    static const char *const wrong[] = {
        "*1\r\n:1\r\n",
        "*1\r\n*0\r\n",
        "*1\r\n*2\r\n:0\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n:2\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*0\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n:1\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\nh\r\n$1\r\n1\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\nh\r\n:65536\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\nh\r\n:-1\r\n",
        "*1\r\n*3\r\n:-1\r\n:1\r\n*2\r\n$1\r\nh\r\n:1\r\n",
        "*1\r\n*3\r\n:2\r\n:1\r\n*2\r\n$1\r\nh\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:16384\r\n*2\r\n$1\r\nh\r\n:1\r\n",
        "*1\r\n*3\r\n$1\r\n0\r\n:1\r\n*2\r\n$1\r\nh\r\n:1\r\n",
    };
    mtci_slot_range range;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (read_range(wrong[i], &range) != MTC_E_CORRUPT)
            fail_msg("case %zu", i);
}

/* Each range costs up to a look at every slot. */
static void a_map_of_more_ranges_than_slots_is_refused(void **state)
{
    static mtci_topology topology;
    static mtci_reply ranges[MTCI_SLOT_COUNT + 1];
    const mtci_redis_settings settings = {.clock = mtci_clock_boot};
    mtci_reply node[2] = {
        {.type = MTCI_REPLY_BULK, .bytes = mtc_value_borrow(mtc_str("h"))},
        {.type = MTCI_REPLY_INTEGER, .integer = 1},
    };
    mtci_reply range[3] = {{.type = MTCI_REPLY_INTEGER},
                           {.type = MTCI_REPLY_INTEGER},
                           {.type = MTCI_REPLY_ARRAY}};
    mtci_reply map = {.type = MTCI_REPLY_ARRAY};
    (void)state;
    range[2].items = node;
    range[2].count = 2;
    for (size_t i = 0; i <= MTCI_SLOT_COUNT; i++) {
        ranges[i].type = MTCI_REPLY_ARRAY;
        ranges[i].items = range;
        ranges[i].count = 3;
    }
    map.items = ranges;
    map.count = MTCI_SLOT_COUNT + 1;
    mtci_topology_init(&topology, &settings);
    assert_false(mtci_topology_learn(&topology, &map, &FROM));
    assert_int_equal(topology.owners[0], MTCI_NODE_NONE);
    map.count = MTCI_SLOT_COUNT;
    assert_true(mtci_topology_learn(&topology, &map, &FROM));
    assert_int_equal(topology.owners[0], 0);
    mtci_topology_fini(&topology);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc16_has_the_known_values),
        cmocka_unit_test(a_key_has_the_slot_that_the_server_says),
        cmocka_unit_test(redirections_are_read),
        cmocka_unit_test(redirections_that_make_no_sense_are_errors),
        cmocka_unit_test(ranges_of_slots_are_read),
        cmocka_unit_test(ranges_of_another_shape_are_refused),
        cmocka_unit_test(a_map_of_more_ranges_than_slots_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
