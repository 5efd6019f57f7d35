/*
 * The growing buffer.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buffer.h"

static void assert_holds(const mtci_buffer *buffer, const char *text)
{
    assert_int_equal(buffer->status, MTC_OK);
    assert_int_equal(buffer->size, strlen(text));
    assert_memory_equal(buffer->data, text, buffer->size);
}

static void what_is_added_stands_in_a_row(void **state)
{
    mtci_buffer buffer = {0};

    (void)state;
    mtci_buffer_add_text(&buffer, "one ");
    mtci_buffer_add(&buffer, mtc_bytes("two", 3));
    mtci_buffer_add(&buffer, mtc_bytes(NULL, 0));
    mtci_buffer_add_format(&buffer, " %d %s", 3, "four");
    assert_holds(&buffer, "one two 3 four");
    mtci_buffer_fini(&buffer);
    assert_null(buffer.data);
}

static void it_grows_byte_by_byte_and_at_once(void **state)
{
    static char big[100000];
    mtci_buffer buffer = {0};

    (void)state;
    for (int i = 0; i < 5000; i++) {
        mtci_buffer_add_format(&buffer, "%c", 'a' + i % 26);
    }
    mtci_buffer_add(&buffer, mtc_bytes(big, sizeof(big)));
    assert_int_equal(buffer.status, MTC_OK);
    assert_int_equal(buffer.size, 5000 + sizeof(big));
    for (size_t i = 0; i < 5000; i++) {
        assert_int_equal(buffer.data[i], 'a' + (char)(i % 26));
    }
    mtci_buffer_fini(&buffer);
}

static void room_that_is_filled_is_counted(void **state)
{
    mtci_buffer buffer = {0};
    char *room = mtci_buffer_room(&buffer, 1000);

    (void)state;
    assert_non_null(room);
    memset(room, 'x', 1000);
    mtci_buffer_grown(&buffer, 4);
    assert_holds(&buffer, "xxxx");
    assert_non_null(mtci_buffer_room(&buffer, 0));
    mtci_buffer_fini(&buffer);
}

static void the_front_can_be_dropped(void **state)
{
    mtci_buffer buffer = {0};

    (void)state;
    mtci_buffer_drop(&buffer, 0);
    mtci_buffer_add_text(&buffer, "abcdef");
    mtci_buffer_drop(&buffer, 2);
    assert_holds(&buffer, "cdef");
    mtci_buffer_drop(&buffer, 4);
    assert_holds(&buffer, "");
    mtci_buffer_fini(&buffer);
}

static void the_first_error_is_kept_until_it_is_cleared(void **state)
{
    mtci_buffer buffer = {0};

    (void)state;
    mtci_buffer_add_text(&buffer, "abc");
    assert_null(mtci_buffer_room(&buffer, SIZE_MAX - 1));
    assert_null(mtci_buffer_room(&buffer, SIZE_MAX / 2));
    assert_int_equal(buffer.status, MTC_E_NO_MEMORY);
    mtci_buffer_add_text(&buffer, "def");
    mtci_buffer_add_format(&buffer, "%d", 1);
    assert_int_equal(buffer.size, 3);
    mtci_buffer_clear(&buffer);
    mtci_buffer_add_text(&buffer, "def");
    assert_holds(&buffer, "def");
    mtci_buffer_fini(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_added_stands_in_a_row),
        cmocka_unit_test(it_grows_byte_by_byte_and_at_once),
        cmocka_unit_test(room_that_is_filled_is_counted),
        cmocka_unit_test(the_front_can_be_dropped),
        cmocka_unit_test(the_first_error_is_kept_until_it_is_cleared),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
