/*
 * Callbacks and loops for completion queues; see queue_rig.h.
 */
#include "support/queue_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

#define WAIT_MS_MAX 10000

void mtct_hear(void *ctx, mtc_status status, mtc_value *value)
{
    mtct_heard *heard = ctx;
    size_t size = value->size < sizeof(heard->text) - 1
                      ? value->size
                      : sizeof(heard->text) - 1;
    heard->count++;
    heard->status = status;
    if (size > 0)
        memcpy(heard->text, value->data, size);
    heard->text[size] = '\0';
}

void mtct_hear_many(void *ctx, mtc_status status, mtc_item *items, size_t count)
{
    mtct_heard *heard = ctx;
    (void)items;
    (void)count;
    heard->count++;
    heard->status = status;
}

void mtct_drain_until(mtc_queue *queue, const mtct_heard *heard)
{
    int64_t until_ms = mtci_boot_ms() + WAIT_MS_MAX;
    while (heard->count == 0 && mtci_boot_ms() < until_ms) {
        mtc_queue_drain(queue);
        if (heard->count == 0)
            mtc_queue_wait(queue, 50);
    }
    assert_int_equal(heard->count, 1);
}

void mtct_drain_all(mtc_queue *queue)
{
    do
        mtc_queue_drain(queue);
    while (mtc_queue_wait_ms(queue) == 0);
}

void mtct_check_heard(const mtct_heard *heard, mtc_status status,
                      const char *text, const char *file, int line)
{
    if (heard->count != 1 || heard->status != status)
        print_error("%s:%d: called %u times, %s\n", file, line, heard->count,
                       mtc_status_name(heard->status));
    _assert_int_equal(heard->count, 1, file, line);
    _assert_int_equal((uint64_t)heard->status, (uint64_t)status, file, line);
    if (text)
        _assert_string_equal(heard->text, text, file, line);
}
