/*
 * Compressed frames while memory runs out: a status, and nothing is lost.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/compress.h"
#include "support/failing_alloc.h"
#include "support/frame_rig.h"

#define SIZE 5000

static char bytes[SIZE];

static void fails_cleanly(mtc_compression method)
{
    mtc_value value, other;
    mtc_frame out;
    mtc_frame frame = {.value = mtc_bytes(bytes, SIZE)};
    frame_rig_text(bytes, SIZE);
    mtct_alloc_arm(1, false);
    mtc_status status = mtc_frame_compress(&frame, method, &value);
    assert_true(mtct_alloc_disarm());
    assert_int_equal(status, MTC_E_NO_MEMORY);
    assert_null(value.ops);
    assert_int_equal(mtc_frame_compress(&frame, method, &value), MTC_OK);
    other = value;
    mtct_alloc_arm(1, false);
    status = mtc_frame_open(&value, SIZE, &out);
    assert_true(mtct_alloc_disarm());
    assert_int_equal(status, MTC_E_NO_MEMORY);
    assert_memory_equal(&value, &other, sizeof value);
    assert_int_equal(mtc_frame_open(&value, SIZE, &out), MTC_OK);
    assert_memory_equal(value.data, bytes, SIZE);
    mtc_value_free(&value);
}

static void without_memory_the_value_stays_as_it_was(void **state)
{
    (void)state;
    if (mtci_compress_has(MTC_COMPRESSION_LZ4))
        fails_cleanly(MTC_COMPRESSION_LZ4);
    if (mtci_compress_has(MTC_COMPRESSION_ZSTD))
        fails_cleanly(MTC_COMPRESSION_ZSTD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory_the_value_stays_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
