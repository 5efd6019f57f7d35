/*
 * labels: quick unit
 *
 * What goes out (the writer), and what error replies mean.
 */
#include "redis/reply.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "redis/resp_writer.h"

static void assert_written(mtci_buffer *buffer, const char *bytes, size_t size)
{
    assert_int_equal(buffer->status, MTC_OK);
    assert_int_equal(buffer->size, size);
    assert_memory_equal(buffer->data, bytes, size);
    mtci_buffer_clear(buffer);
}

static void any_byte_may_occur_in_an_argument(void **state)
{
    (void)state;
    mtci_buffer buffer = {0};
    static const char BYTES[] = "*2\r\n$3\r\nGET\r\n$7\r\n\r\n$-1\0\xff\r\n";
    mtci_resp_begin(&buffer, 2);
    mtci_resp_add_text(&buffer, "GET");
    mtci_resp_add(&buffer, mtc_bytes("\r\n$-1\0\xff", 7));
    assert_written(&buffer, BYTES, sizeof BYTES - 1);
    mtci_resp_begin(&buffer, 1);
    mtci_resp_add(&buffer, mtc_bytes(NULL, 0));
    assert_written(&buffer, "*1\r\n$0\r\n\r\n", 10);
    mtci_buffer_fini(&buffer);
}

static void numbers_are_written_in_full(void **state)
{
    (void)state;
    static const struct {
        int64_t number;
        const char *written;
    } ROWS[] = {
        {0, "$1\r\n0\r\n"},
        {-7, "$2\r\n-7\r\n"},
        {INT64_MAX, "$19\r\n9223372036854775807\r\n"},
        {INT64_MIN, "$20\r\n-9223372036854775808\r\n"},
    };
    mtci_buffer buffer = {0};
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        mtci_resp_add_number(&buffer, ROWS[i].number);
        assert_written(&buffer, ROWS[i].written, strlen(ROWS[i].written));
    }
    mtci_buffer_fini(&buffer);
}

static void an_error_reply_is_never_a_miss(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        mtc_status status;
    } ROWS[] = {
        {"LOADING Redis is loading the dataset in memory", MTC_E_UNAVAILABLE},
        {"BUSY Redis is busy running a script.", MTC_E_UNAVAILABLE},
        {"MASTERDOWN Link with MASTER is down", MTC_E_UNAVAILABLE},
        {"CLUSTERDOWN The cluster is down", MTC_E_UNAVAILABLE},
        {"READONLY You can't write against a read only replica.",
         MTC_E_UNAVAILABLE},
        {"OOM command not allowed when used memory > 'maxmemory'.",
         MTC_E_UNAVAILABLE},
        {"MOVED 3999 127.0.0.1:6381", MTC_E_UNAVAILABLE},
        {"ERR max number of clients reached", MTC_E_UNAVAILABLE},
        {"NOAUTH Authentication required.", MTC_E_DENIED},
        {"WRONGPASS invalid username-password pair", MTC_E_DENIED},
        {"NOREPLICAS Not enough good replicas to write.", MTC_E_UNAVAILABLE},
        {"MISCONF Redis is configured to save RDB snapshots",
         MTC_E_UNAVAILABLE},
        {"EXECABORT Transaction discarded because of previous errors.",
         MTC_E_UNAVAILABLE},
        {"UNBLOCKED force unblock from blocking operation", MTC_E_UNAVAILABLE},
        {"ASK 3999 127.0.0.1:6381", MTC_E_UNAVAILABLE},
        {"TRYAGAIN Multiple keys request during rehashing of slot",
         MTC_E_UNAVAILABLE},
        {"CROSSSLOT Keys in request don't hash to the same slot",
         MTC_E_INVALID},
        {"NOPROTO unsupported protocol version", MTC_E_UNSUPPORTED},
        {"OVERSIZE 7 bytes, more than the limit of 6", MTC_E_TOO_LARGE},
        {"NOPERM this user has no permissions to run the 'get' command",
         MTC_E_DENIED},
        {"NOPERM this user has no permissions to access one of the keys used "
         "as arguments",
         MTC_E_INVALID},
        {"NOPERM No permissions to access a key", MTC_E_INVALID},
        {"WRONGTYPE Operation against a key", MTC_E_INVALID},
        {"ERR unknown command 'FOO'", MTC_E_UNSUPPORTED},
        {"ERR invalid expire time in 'set' command", MTC_E_INVALID},
        {"SOMETHINGNEW of a later server", MTC_E_UNAVAILABLE},
        {"", MTC_E_UNAVAILABLE},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        mtci_reply reply = {.type = MTCI_REPLY_ERROR};
        reply.bytes = mtc_value_borrow(mtc_str(ROWS[i].text));
        assert_int_equal(mtci_reply_error_status(&reply), ROWS[i].status);
    }
}

static void the_text_of_an_error_is_cut_and_made_printable(void **state)
{
    (void)state;
    char text[12];
    mtci_reply reply = {.type = MTCI_REPLY_ERROR};
    reply.bytes = mtc_value_borrow(mtc_str("ERR a\x1b[31mbcdefgh"));
    mtci_reply_error_text(&reply, text, sizeof text);
    assert_string_equal(text, "ERR a?[31mb");
    mtci_reply_error_code(&reply, text, sizeof text);
    assert_string_equal(text, "ERR");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_byte_may_occur_in_an_argument),
        cmocka_unit_test(numbers_are_written_in_full),
        cmocka_unit_test(an_error_reply_is_never_a_miss),
        cmocka_unit_test(the_text_of_an_error_is_cut_and_made_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
