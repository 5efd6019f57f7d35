/*
 * Keys from parts.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "mtc/cache.h"
#include "mtc/key.h"

static void assert_key(const mtc_key *key, const char *text)
{
    mtc_slice bytes;

    assert_int_equal(mtc_key_slice(key, &bytes), MTC_OK);
    assert_int_equal(bytes.size, strlen(text));
    assert_memory_equal(bytes.data, text, bytes.size);
}

static void assert_parts(const char *const *parts, size_t count,
                         const char *text)
{
    mtc_key key;

    mtc_key_init(&key);
    for (size_t i = 0; i < count; i++) {
        mtc_key_add(&key, mtc_str(parts[i]));
    }
    assert_key(&key, text);
    mtc_key_fini(&key);
}

static void ordinary_parts_stay_readable(void **state)
{
    mtc_key key;

    (void)state;
    mtc_key_init(&key);
    mtc_key_add(&key, mtc_str("user"));
    mtc_key_add_int(&key, 42);
    assert_key(&key, "user:42");
    mtc_key_add_int(&key, -7);
    assert_key(&key, "user:42:-7");
    mtc_key_add_int(&key, INT64_MIN);
    assert_key(&key, "user:42:-7:-9223372036854775808");
    mtc_key_fini(&key);
}

static void separators_in_parts_are_escaped(void **state)
{
    (void)state;
    assert_parts((const char *[]){"a:b", "c"}, 2, "a%3Ab:c");
    assert_parts((const char *[]){"a", "b:c"}, 2, "a:b%3Ac");
    assert_parts((const char *[]){"a%3Ab"}, 1, "a%253Ab");
    assert_parts((const char *[]){"%", ":"}, 2, "%25:%3A");
}

static void empty_parts_count(void **state)
{
    (void)state;
    assert_parts((const char *[]){""}, 1, "");
    assert_parts((const char *[]){"", ""}, 2, ":");
    assert_parts((const char *[]){"", "", ""}, 3, "::");
    assert_parts((const char *[]){"a", ""}, 2, "a:");
}

static void a_key_without_parts_is_refused(void **state)
{
    mtc_slice bytes = mtc_str("before");
    mtc_key key;

    (void)state;
    mtc_key_init(&key);
    assert_int_equal(mtc_key_slice(&key, &bytes), MTC_E_INVALID);
    assert_null(bytes.data);
    assert_int_equal(mtc_key_slice(NULL, &bytes), MTC_E_INVALID);
    assert_int_equal(mtc_key_slice(&key, NULL), MTC_E_INVALID);
    mtc_key_fini(&key);
    mtc_key_fini(NULL);
}

static void the_first_error_is_kept(void **state)
{
    mtc_slice bytes;
    mtc_key key = {0};

    (void)state;
    mtc_key_add(&key, mtc_bytes(NULL, 1));
    mtc_key_add(&key, mtc_bytes("", SIZE_MAX));
    mtc_key_add(&key, mtc_str("fine"));
    assert_int_equal(mtc_key_slice(&key, &bytes), MTC_E_INVALID);
    mtc_key_fini(&key);
    mtc_key_add(&key, mtc_str("fine"));
    mtc_key_add(&key, mtc_bytes("", SIZE_MAX));
    mtc_key_add(&key, mtc_bytes(NULL, 1));
    assert_int_equal(mtc_key_slice(&key, &bytes), MTC_E_TOO_LARGE);
    assert_int_equal(bytes.size, 0);
    mtc_key_fini(&key);
    mtc_key_add(&key, mtc_str("again"));
    assert_key(&key, "again");
    mtc_key_fini(&key);
}

/* Of count bytes in parts of step bytes each, all the same. */
static mtc_status key_build(char byte, size_t count, size_t step,
                            size_t *size_out)
{
    char *part = malloc(step);
    mtc_key key = {0};
    mtc_slice bytes;
    mtc_status status;

    assert_non_null(part);
    memset(part, byte, step);
    for (; count >= step; count -= step) {
        mtc_key_add(&key, mtc_bytes(part, step));
    }
    status = mtc_key_slice(&key, &bytes);
    *size_out = bytes.size;
    mtc_key_fini(&key);
    free(part);
    return status;
}

static void the_limit_holds_for_the_escaped_key(void **state)
{
    size_t max = MTC_KEY_SIZE_MAX, size;

    (void)state;
    assert_int_equal(key_build('x', max, max, &size), MTC_OK);
    assert_int_equal(size, max);
    assert_int_equal(key_build('x', max + 1, max + 1, &size), MTC_E_TOO_LARGE);
    assert_int_equal(key_build(':', max / 3, max / 3, &size), MTC_OK);
    assert_int_equal(size, max / 3 * 3);
    assert_int_equal(key_build('%', max / 3 + 1, max / 3 + 1, &size),
                     MTC_E_TOO_LARGE);
    /* single bytes and the separators between them: 2n - 1 */
    assert_int_equal(key_build('x', max / 2, 1, &size), MTC_OK);
    assert_int_equal(size, max - 1);
    assert_int_equal(key_build('x', max / 2 + 1, 1, &size), MTC_E_TOO_LARGE);
}

static void a_key_grows_out_of_the_struct_without_a_change(void **state)
{
    char wanted[1024];
    mtc_slice bytes;

    (void)state;
    memset(wanted, 'k', sizeof(wanted));
    for (size_t step = 1; step < 300; step += 7) {
        mtc_key key = {0};
        size_t size = step;

        mtc_key_add(&key, mtc_bytes(wanted, step));
        for (; size + step + 1 <= sizeof(wanted); size += step + 1) {
            mtc_key_add(&key, mtc_bytes(wanted, step));
        }
        assert_int_equal(mtc_key_slice(&key, &bytes), MTC_OK);
        assert_int_equal(bytes.size, size);
        for (size_t i = 0; i < size; i++) {
            char byte = i % (step + 1) == step ? ':' : 'k';

            assert_int_equal(((const char *)bytes.data)[i], byte);
        }
        mtc_key_fini(&key);
    }
}

/* A list of parts, each part with its size before it. */
typedef struct part_list {
    size_t count;
    mtc_slice parts[6];
    char bytes[6][4];
} part_list;

static void list_draw(part_list *list)
{
    static const char letters[] = {':', '%', '3', 'A', '2', '5', '\0', 'a'};

    list->count = 1 + (size_t)rand() % 5;
    for (size_t i = 0; i < list->count; i++) {
        size_t size = (size_t)rand() % 4;

        for (size_t at = 0; at < size; at++) {
            list->bytes[i][at] = letters[(size_t)rand() % sizeof(letters)];
        }
        list->parts[i] = mtc_bytes(list->bytes[i], size);
    }
}

static bool slices_are_equal(mtc_slice left, mtc_slice right)
{
    return left.size == right.size &&
           (left.size == 0 || memcmp(left.data, right.data, left.size) == 0);
}

static bool lists_are_equal(const part_list *left, const part_list *right)
{
    for (size_t i = 0; i < left->count && i < right->count; i++) {
        if (!slices_are_equal(left->parts[i], right->parts[i])) {
            return false;
        }
    }
    return left->count == right->count;
}

static void list_build(const part_list *list, mtc_key *key, mtc_slice *out)
{
    mtc_key_init(key);
    for (size_t i = 0; i < list->count; i++) {
        mtc_key_add(key, list->parts[i]);
    }
    assert_int_equal(mtc_key_slice(key, out), MTC_OK);
}

static void keys_are_equal_exactly_when_the_parts_are(void **state)
{
    enum { LISTS = 1500 };
    static part_list lists[LISTS];
    static mtc_key keys[LISTS];
    static mtc_slice bytes[LISTS];
    unsigned seed = 20;

    (void)state;
    srand(seed);
    for (int i = 0; i < LISTS; i++) {
        list_draw(&lists[i]);
        list_build(&lists[i], &keys[i], &bytes[i]);
        for (int other = 0; other < i; other++) {
            bool is_equal = lists_are_equal(&lists[i], &lists[other]);

            if (slices_are_equal(bytes[i], bytes[other]) != is_equal) {
                fail_msg("seed %u: lists %d and %d", seed, i, other);
            }
        }
    }
    for (int i = 0; i < LISTS; i++) {
        mtc_key_fini(&keys[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordinary_parts_stay_readable),
        cmocka_unit_test(separators_in_parts_are_escaped),
        cmocka_unit_test(empty_parts_count),
        cmocka_unit_test(a_key_without_parts_is_refused),
        cmocka_unit_test(the_first_error_is_kept),
        cmocka_unit_test(the_limit_holds_for_the_escaped_key),
        cmocka_unit_test(a_key_grows_out_of_the_struct_without_a_change),
        cmocka_unit_test(keys_are_equal_exactly_when_the_parts_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
