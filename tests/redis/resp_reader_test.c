/*
 * labels: quick unit
 *
 * The RESP reader: every split, every violation, every limit.
 */
#include "redis/resp_reader.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"

#define BULK_MAX ((size_t)1 << 20)

/* Feeds bytes, as many at a time as the reader has room for. */
static void feed(mtci_resp_reader *reader, const char *bytes, size_t size)
{
    while (size > 0) {
        size_t room;
        void *to = mtci_resp_reader_room(reader, &room);
        size_t part = size < room ? size : room;
        memcpy(to, bytes, part);
        mtci_resp_reader_fed(reader, part);
        bytes += part;
        size -= part;
        if (size > 0) {
            mtci_reply reply;
            assert_int_equal(mtci_resp_reader_next(reader, &reply),
                             MTC_PENDING);
        }
    }
}

/* A reply as text: 1 2 'bulk' +status -error nil [items] >[items] */
static void show(const mtci_reply *reply, mtci_buffer *out)
{
    mtc_slice bytes = mtci_reply_slice(reply);
    int size = (int)bytes.size;
    const char *text = size > 0 ? bytes.data : "";
    switch (reply->type) {
    case MTCI_REPLY_NIL:
        mtci_buffer_add_text(out, "nil ");
        break;
    case MTCI_REPLY_INTEGER:
        mtci_buffer_add_format(out, "%lld ", (long long)reply->integer);
        break;
    case MTCI_REPLY_STATUS:
        mtci_buffer_add_format(out, "+%.*s ", size, text);
        break;
    case MTCI_REPLY_ERROR:
        mtci_buffer_add_format(out, "-%.*s ", size, text);
        break;
    case MTCI_REPLY_BULK:
        mtci_buffer_add_text(out, "'");
        mtci_buffer_add(out, bytes);
        mtci_buffer_add_text(out, "' ");
        break;
    default:
        mtci_buffer_add_text(out,
                             reply->type == MTCI_REPLY_PUSH ? ">[ " : "[ ");
        for (size_t i = 0; i < reply->count; i++)
            show(&reply->items[i], out);
        mtci_buffer_add_text(out, "] ");
    }
}

/* Takes every reply there is and shows it. How it ended. */
static mtc_status drain(mtci_resp_reader *reader, mtci_buffer *out)
{
    for (;;) {
        mtci_reply reply;
        mtc_status status = mtci_resp_reader_next(reader, &reply);
        if (status != MTC_OK)
            return status;
        show(&reply, out);
        mtci_reply_fini(&reply);
    }
}

static const struct {
    const char *bytes;
    const char *shown;
} GOOD[] = {
    {"+OK\r\n", "+OK "},
    {"+\r\n", "+ "},
    {"-ERR no\r\n", "-ERR no "},
    {":0\r\n:-1\r\n:42\r\n", "0 -1 42 "},
    {":9223372036854775807\r\n", "9223372036854775807 "},
    {":-9223372036854775808\r\n", "-9223372036854775808 "},
    {"$0\r\n\r\n", "'' "},
    {"$5\r\nhello\r\n", "'hello' "},
    {"$7\r\n\r\n$-1\r\n\r\n", "'\r\n$-1\r\n' "},
    {"$-1\r\n*-1\r\n_\r\n", "nil nil nil "},
    {"*0\r\n", "[ ] "},
    {"*2\r\n$1\r\na\r\n*2\r\n:1\r\n$-1\r\n", "[ 'a' [ 1 nil ] ] "},
    {"*2\r\n*0\r\n*1\r\n*0\r\n+x\r\n", "[ [ ] [ [ ] ] ] +x "},
    {"%1\r\n+k\r\n:1\r\n", "[ +k 1 ] "},
    {"~2\r\n:1\r\n:2\r\n", "[ 1 2 ] "},
    {">2\r\n+message\r\n:2\r\n", ">[ +message 2 ] "},
    {"#t\r\n#f\r\n", "1 0 "},
    {",1.5\r\n(123\r\n", "'1.5' '123' "},
    {",-1e+20\r\n,10\r\n,inf\r\n,-inf\r\n,nan\r\n",
     "'-1e+20' '10' 'inf' '-inf' 'nan' "},
    {"(-3492890328409238509324850943850943825024385\r\n",
     "'-3492890328409238509324850943850943825024385' "},
    {"!5\r\nERR x\r\n=5\r\ntxt:a\r\n=4\r\nmkd:\r\n", "-ERR x 'a' '' "},
    {"|1\r\n+ttl\r\n:3600\r\n+x\r\n|0\r\n:1\r\n", "+x 1 "},
    {"*2\r\n|1\r\n+a\r\n*1\r\n+b\r\n:1\r\n:2\r\n", "[ 1 2 ] "},
    {"%1\r\n~1\r\n+k\r\n%0\r\n", "[ [ +k ] [ ] ] "},
};

static void check_split(size_t row, size_t first, size_t step)
{
    mtci_resp_reader reader;
    mtci_buffer shown = {0};
    const char *bytes = GOOD[row].bytes;
    size_t size = strlen(bytes);
    assert_int_equal(mtci_resp_reader_init(&reader, BULK_MAX), MTC_OK);
    for (size_t at = 0, part = first; at < size; at += part, part = step) {
        if (part > size - at)
            part = size - at;
        feed(&reader, bytes + at, part);
        assert_int_equal(drain(&reader, &shown), MTC_PENDING);
    }
    assert_int_equal(shown.size, strlen(GOOD[row].shown));
    assert_memory_equal(shown.data, GOOD[row].shown, shown.size);
    assert_false(mtci_resp_reader_is_amid(&reader));
    mtci_buffer_fini(&shown);
    mtci_resp_reader_fini(&reader);
}

static void a_reply_is_the_same_however_it_is_split(void **state)
{
    (void)state;
    for (size_t row = 0; row < sizeof GOOD / sizeof *GOOD; row++) {
        size_t size = strlen(GOOD[row].bytes);
        check_split(row, 1, 1);
        for (size_t first = 1; first <= size; first++)
            check_split(row, first, size);
    }
}

static const char *const BAD[] = {
    "HTTP/1.1 400 Bad Request\r\n",
    "\r\n",
    "\n",
    "hello\r\n",
    "+OK\n",
    "+O\rK\r\n",
    "+OK\r\r\n",
    ":\r\n",
    ":-\r\n",
    ":-0\r\n",
    ":01\r\n",
    ":1a\r\n",
    ":+1\r\n",
    ": 1\r\n",
    ":9223372036854775808\r\n",
    ":-9223372036854775809\r\n",
    "$\r\n",
    "$-2\r\n",
    "$536870913\r\n",
    "$99999999999999999999\r\n",
    "$5\r\nhello!\r\n",
    "$5\r\nhello\n\n",
    "$5\r\nhello\r\r\n",
    "$0\r\n+OK\r\n",
    "*-2\r\n",
    "*1048577\r\n",
    "*1\r\n>0\r\nx",
    "*1\r\n>1\r\n:1\r\n",
    "*2\r\n:1\r\n?\r\n",
    "#x\r\n",
    "_x\r\n",
    ",\r\n",
    ",1.\r\n",
    ",.5\r\n",
    ",1e\r\n",
    ",1 \r\n",
    ",+inf\r\n",
    ",0x10\r\n",
    "(\r\n",
    "(+\r\n",
    "(12a\r\n",
    "=3\r\ntxt\r\n",
    "=5\r\ntxt-a\r\n",
    "=-1\r\n",
    "!-1\r\n",
    "~-1\r\n",
    "%-1\r\n",
    "|-1\r\n",
    ">-1\r\n",
    ">0\r\n",
    ">1\r\n:1\r\n",
    "|1\r\n+a\r\n>1\r\n+b\r\n",
    "|1\r\n+a\r\n?\r\n",
    "$?\r\n",
    "*?\r\n",
    "%?\r\n",
    ";4\r\nabcd\r\n",
    ".\r\n",
    "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
};

static void a_violation_poisons_for_good(void **state)
{
    (void)state;
    for (size_t row = 0; row < sizeof BAD / sizeof *BAD; row++) {
        mtci_resp_reader reader;
        mtci_buffer shown = {0};
        assert_int_equal(mtci_resp_reader_init(&reader, BULK_MAX), MTC_OK);
        feed(&reader, BAD[row], strlen(BAD[row]));
        if (drain(&reader, &shown) != MTC_E_CORRUPT)
            fail_msg("row %zu was accepted", row);
        assert_non_null(reader.violation);
        feed(&reader, "+OK\r\n", 5);
        assert_int_equal(drain(&reader, &shown), MTC_E_CORRUPT);
        assert_int_equal(shown.size, 0);
        mtci_buffer_fini(&shown);
        mtci_resp_reader_fini(&reader);
    }
}

static void resp2_has_no_types_of_resp3(void **state)
{
    (void)state;
    static const char *const ROWS[] = {
        "_\r\n",  "#t\r\n",       ",1\r\n", "(1\r\n",      "~0\r\n",
        "%0\r\n", ">1\r\n+a\r\n", "|0\r\n", "!1\r\na\r\n", "=4\r\ntxt:\r\n",
    };
    for (size_t row = 0; row < sizeof ROWS / sizeof *ROWS; row++) {
        mtci_resp_reader reader;
        mtci_reply reply;
        assert_int_equal(mtci_resp_reader_init(&reader, BULK_MAX), MTC_OK);
        reader.is_resp2 = true;
        feed(&reader, "*2\r\n$-1\r\n", 9);
        feed(&reader, ROWS[row], strlen(ROWS[row]));
        assert_int_equal(mtci_resp_reader_next(&reader, &reply), MTC_E_CORRUPT);
        mtci_resp_reader_fini(&reader);
    }
}

/* Bytes of this process that are in memory. */
static size_t resident_size(void)
{
    unsigned long all, resident;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu", &all, &resident), 2);
    fclose(file);
    return (size_t)resident * 4096;
}

static void an_announced_length_costs_nothing_until_bytes_come(void **state)
{
    (void)state;
    static mtci_resp_reader readers[20];
    static const char HEADER[] = "*2\r\n*1048576\r\n$500000000\r\nx";
    size_t before = resident_size();
    for (size_t i = 0; i < 20; i++) {
        mtci_reply reply;
        assert_int_equal(mtci_resp_reader_init(&readers[i], (size_t)512 << 20),
                         MTC_OK);
        feed(&readers[i], HEADER, sizeof HEADER - 1);
        assert_int_equal(mtci_resp_reader_next(&readers[i], &reply),
                         MTC_PENDING);
    }
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
    assert_in_range(resident_size() - before, 0, (size_t)20 << 20);
#endif
    (void)before;
    for (size_t i = 0; i < 20; i++)
        mtci_resp_reader_fini(&readers[i]);
}

static void an_endless_line_is_refused_at_its_limit(void **state)
{
    (void)state;
    static char line[MTCI_RESP_LINE_SIZE_MAX];
    mtci_resp_reader reader;
    mtci_buffer shown = {0};
    memset(line, 'x', sizeof line);
    line[0] = '+';
    assert_int_equal(mtci_resp_reader_init(&reader, BULK_MAX), MTC_OK);
    feed(&reader, line, sizeof line - 1);
    assert_int_equal(drain(&reader, &shown), MTC_PENDING);
    feed(&reader, line + 1, 1);
    assert_int_equal(drain(&reader, &shown), MTC_E_CORRUPT);
    mtci_resp_reader_fini(&reader);
    mtci_buffer_fini(&shown);
}

static void a_line_at_the_limit_is_read(void **state)
{
    (void)state;
    static char line[MTCI_RESP_LINE_SIZE_MAX];
    mtci_resp_reader reader;
    mtci_reply reply;
    memset(line, 'x', sizeof line);
    line[0] = '+';
    memcpy(line + sizeof line - 2, "\r\n", 2);
    assert_int_equal(mtci_resp_reader_init(&reader, BULK_MAX), MTC_OK);
    for (int i = 0; i < 3; i++) {
        feed(&reader, line, sizeof line);
        assert_int_equal(mtci_resp_reader_next(&reader, &reply), MTC_OK);
        assert_int_equal(mtci_reply_slice(&reply).size, sizeof line - 3);
        mtci_reply_fini(&reply);
    }
    mtci_resp_reader_fini(&reader);
}

static void elements_of_all_depths_are_counted_together(void **state)
{
    (void)state;
    mtci_resp_reader reader;
    mtci_buffer input = {0};
    mtci_reply reply;
    assert_int_equal(mtci_resp_reader_init(&reader, BULK_MAX), MTC_OK);
    mtci_buffer_add_text(&input, "*2\r\n");
    for (int half = 0; half < 2; half++) {
        mtci_buffer_add_text(&input, "*524288\r\n");
        for (int i = 0; i < 524288; i++)
            mtci_buffer_add_text(&input, "*0\r\n");
    }
    mtc_status status = MTC_PENDING;
    for (size_t at = 0; at < input.size && status == MTC_PENDING;) {
        size_t room;
        void *to = mtci_resp_reader_room(&reader, &room);
        if (room > input.size - at)
            room = input.size - at;
        memcpy(to, input.data + at, room);
        mtci_resp_reader_fed(&reader, room);
        at += room;
        status = mtci_resp_reader_next(&reader, &reply);
    }
    assert_int_equal(status, MTC_E_CORRUPT);
    mtci_resp_reader_fini(&reader);
    mtci_buffer_fini(&input);
}

static void a_large_bulk_is_received_in_place(void **state)
{
    (void)state;
    mtci_resp_reader reader;
    mtci_reply reply;
    size_t room;
    assert_int_equal(mtci_resp_reader_init(&reader, BULK_MAX), MTC_OK);
    feed(&reader, "$100000\r\nabc", 12);
    assert_int_equal(mtci_resp_reader_next(&reader, &reply), MTC_PENDING);
    char *to = mtci_resp_reader_room(&reader, &room);
    assert_int_equal(room, 100000 - 3);
    memset(to, 'x', room);
    mtci_resp_reader_fed(&reader, room);
    assert_int_equal(mtci_resp_reader_next(&reader, &reply), MTC_PENDING);
    feed(&reader, "\r\n+OK\r\n", 7);
    assert_int_equal(mtci_resp_reader_next(&reader, &reply), MTC_OK);
    assert_int_equal(reply.bytes.size, 100000);
    assert_ptr_equal((const char *)reply.bytes.data + 3, to);
    assert_memory_equal(reply.bytes.data, "abcxxx", 6);
    mtci_reply_fini(&reply);
    assert_int_equal(mtci_resp_reader_next(&reader, &reply), MTC_OK);
    mtci_reply_fini(&reply);
    mtci_resp_reader_fini(&reader);
}

static void every_size_of_bulk_round_trips(void **state)
{
    (void)state;
    mtci_resp_reader reader;
    char *bytes = malloc(BULK_MAX);
    assert_non_null(bytes);
    for (size_t i = 0; i < BULK_MAX; i++)
        bytes[i] = (char)(i * 7 + i / 253);
    assert_int_equal(mtci_resp_reader_init(&reader, BULK_MAX), MTC_OK);
    for (size_t size = 0; size <= BULK_MAX; size = size * 2 + 1) {
        char header[32];
        mtci_reply reply;
        int length = snprintf(header, sizeof header, "$%zu\r\n", size);
        feed(&reader, header, (size_t)length);
        assert_int_equal(mtci_resp_reader_next(&reader, &reply), MTC_PENDING);
        feed(&reader, bytes, size);
        assert_int_equal(mtci_resp_reader_next(&reader, &reply), MTC_PENDING);
        feed(&reader, "\r\n", 2);
        assert_int_equal(mtci_resp_reader_next(&reader, &reply), MTC_OK);
        assert_int_equal(reply.bytes.size, size);
        if (size > 0)
            assert_memory_equal(reply.bytes.data, bytes, size);
        mtci_reply_fini(&reply);
    }
    mtci_resp_reader_fini(&reader);
    free(bytes);
}

/* -- bulks over the limit -------------------------------------------------- */

/* What is read of a bulk of that size between other replies. */
static void show_oversized(const char *before, size_t size, const char *after,
                           mtci_buffer *shown)
{
    mtci_resp_reader reader;
    char *bytes = calloc(1, size);
    assert_non_null(bytes);
    memset(bytes, '\n', size);
    assert_int_equal(mtci_resp_reader_init(&reader, BULK_MAX), MTC_OK);
    feed(&reader, before, strlen(before));
    assert_int_equal(drain(&reader, shown), MTC_PENDING);
    feed(&reader, bytes, size);
    assert_int_equal(drain(&reader, shown), MTC_PENDING);
    assert_true(mtci_resp_reader_is_amid(&reader));
    for (; *after != '\0'; after++) {
        feed(&reader, after, 1);
        drain(&reader, shown);
    }
    mtci_buffer_add(shown, mtc_bytes("", 1));
    mtci_resp_reader_fini(&reader);
    free(bytes);
}

static void a_bulk_over_the_limit_is_skipped_and_said_so(void **state)
{
    (void)state;
    mtci_buffer shown = {0};
    show_oversized("+a\r\n$1048577\r\n", BULK_MAX + 1, "\r\n$1\r\nb\r\n:1\r\n",
                   &shown);
    assert_string_equal(shown.data,
                        "+a -OVERSIZE 1048577 bytes, more than the limit of "
                        "1048576 'b' 1 ");
    mtci_buffer_fini(&shown);
}

static void an_array_with_a_bulk_over_the_limit_is_one_error(void **state)
{
    (void)state;
    mtci_buffer shown = {0};
    show_oversized("*2\r\n*2\r\n:7\r\n$1048579\r\n", BULK_MAX + 3,
                   "\r\n$1\r\nb\r\n:1\r\n", &shown);
    assert_string_equal(shown.data,
                        "-OVERSIZE 1048579 bytes, more than the limit of "
                        "1048576 1 ");
    mtci_buffer_fini(&shown);
}

static void a_bulk_over_the_limit_must_end_properly_too(void **state)
{
    (void)state;
    mtci_buffer shown = {0};
    show_oversized("$1048577\r\n", BULK_MAX + 1, "+OK\r\n", &shown);
    assert_string_equal(shown.data, "");
    mtci_buffer_fini(&shown);
}

/* It answers no command: an error in its place would be taken for an answer. */
static void a_push_with_a_bulk_over_the_limit_is_a_violation(void **state)
{
    (void)state;
    mtci_resp_reader reader;
    mtci_reply reply;
    assert_int_equal(mtci_resp_reader_init(&reader, BULK_MAX), MTC_OK);
    feed(&reader, ">2\r\n+a\r\n$1048577\r\n", 18);
    assert_int_equal(mtci_resp_reader_next(&reader, &reply), MTC_E_CORRUPT);
    mtci_resp_reader_fini(&reader);
}

static void what_is_half_read_is_given_back(void **state)
{
    (void)state;
    static const char *const HALVES[] = {
        "*3\r\n$3\r\nabc\r\n*2\r\n:1\r\n",
        "$100000\r\nabc",
        "*2\r\n$5\r\nhe",
        "*2\r\n$3\r\nabc\r\n$2000000\r\nabc",
    };
    for (size_t i = 0; i < 4; i++) {
        mtci_resp_reader reader;
        mtci_reply reply;
        assert_int_equal(mtci_resp_reader_init(&reader, BULK_MAX), MTC_OK);
        feed(&reader, HALVES[i], strlen(HALVES[i]));
        assert_int_equal(mtci_resp_reader_next(&reader, &reply), MTC_PENDING);
        assert_true(mtci_resp_reader_is_amid(&reader));
        mtci_resp_reader_fini(&reader); /* asan finds what is left */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_is_the_same_however_it_is_split),
        cmocka_unit_test(a_violation_poisons_for_good),
        cmocka_unit_test(resp2_has_no_types_of_resp3),
        cmocka_unit_test(an_announced_length_costs_nothing_until_bytes_come),
        cmocka_unit_test(an_endless_line_is_refused_at_its_limit),
        cmocka_unit_test(a_line_at_the_limit_is_read),
        cmocka_unit_test(elements_of_all_depths_are_counted_together),
        cmocka_unit_test(a_large_bulk_is_received_in_place),
        cmocka_unit_test(every_size_of_bulk_round_trips),
        cmocka_unit_test(a_bulk_over_the_limit_is_skipped_and_said_so),
        cmocka_unit_test(an_array_with_a_bulk_over_the_limit_is_one_error),
        cmocka_unit_test(a_bulk_over_the_limit_must_end_properly_too),
        cmocka_unit_test(a_push_with_a_bulk_over_the_limit_is_a_violation),
        cmocka_unit_test(what_is_half_read_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
