/*
 * labels: quick server
 *
 * Threads that are cancelled within calls of streams: the call goes on to its
 * end, for others share its connection; the handler of a loop may be left, and
 * then the loop is over.
 */
#include "mtc/group.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>

#include "support/callers.h"
#include "support/stream_rig.h"

/* A call in a thread that is cancelled meanwhile. */
typedef struct cancelled {
    mtc_stream *stream;
    mtc_group *group;
    mtc_status status;
    _Atomic bool has_begun, has_returned;
} cancelled;

static cancelled the_call;

static void cancel_within(pthread_t thread)
{
    while (!atomic_load(&the_call.has_begun))
        sched_yield();
    assert_int_equal(pthread_cancel(thread), 0);
}

static void join_cancelled(pthread_t thread)
{
    void *result;
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, PTHREAD_CANCELED);
}

static void (*body)(void);

/* A frame without room for values: it is left by cancellation, which the
 * address sanitizer does not see. */
static void *run_body(void *ctx)
{
    (void)ctx;
    atomic_store(&the_call.has_begun, true);
    body();
    atomic_store(&the_call.has_returned, true);
    pthread_testcancel();
    return NULL;
}

static pthread_t start_body(void (*what)(void))
{
    body = what;
    return mtct_thread_start(run_body, NULL);
}

static void publish(void)
{
    mtc_field field = {mtc_str("n"), mtc_str("1")};
    the_call.status = mtc_stream_publish(the_call.stream, &field, 1, NULL);
}

/* It drives the connection of the whole cache. */
static void a_cancelled_publisher_leaves_the_connection_to_others(void **state)
{
    stream_rig *rig = *state;
    the_call = (cancelled){.stream = stream_rig_open(rig, "s", NULL)};
    stream_rig_publish(the_call.stream, "0");
    test_server_pause(&rig->server);
    pthread_t thread = start_body(publish);
    cancel_within(thread);
    test_server_resume(&rig->server);
    join_cancelled(thread);
    assert_true(the_call.has_returned);
    assert_int_equal(the_call.status, MTC_OK);
    stream_rig_publish(the_call.stream, "2");
    mtc_stream_close(&the_call.stream);
}

static void wait_for_an_entry(void)
{
    mtc_stream_id cursor = MTC_STREAM_END;
    mtc_stream_batch *batch;
    the_call.status = mtc_stream_read_after(the_call.stream, &cursor, 1,
                                            STREAM_WAIT_MS, &batch);
    mtc_stream_batch_free(&batch);
}

static void a_cancelled_reader_waits_to_its_end(void **state)
{
    stream_rig *rig = *state;
    the_call = (cancelled){.stream = stream_rig_open(rig, "s", NULL)};
    pthread_t thread = start_body(wait_for_an_entry);
    stream_rig_await_blocked(rig);
    cancel_within(thread);
    stream_rig_publish(the_call.stream, "1");
    join_cancelled(thread);
    assert_true(the_call.has_returned);
    assert_int_equal(the_call.status, MTC_OK);
    mtc_stream_close(&the_call.stream);
}

/* -- the handler of a loop ------------------------------------------------- */

static mtc_status spin(const mtc_stream_batch *batch, size_t index, void *ctx)
{
    (void)batch;
    (void)index;
    (void)ctx;
    atomic_store(&the_call.has_begun, true);
    while (!atomic_load(&the_call.has_returned)) {
        pthread_testcancel();
        sched_yield();
    }
    return MTC_OK;
}

static mtc_status end_thread(const mtc_stream_batch *batch, size_t index,
                             void *ctx)
{
    (void)batch;
    (void)index;
    (void)ctx;
    pthread_exit(PTHREAD_CANCELED);
}

static mtc_group_handler handler;

static void *run_loop(void *ctx)
{
    (void)ctx;
    pthread_cleanup_push(mtct_frames_forget, NULL);
    mtc_group_run(the_call.group, handler, NULL);
    atomic_store(&the_call.has_returned, true);
    pthread_cleanup_pop(0);
    return NULL;
}

static pthread_t start_loop(stream_rig *rig, mtc_group_handler what)
{
    mtc_group_names names = {mtc_str("g"), mtc_str("c")};
    handler = what;
    the_call = (cancelled){.stream = stream_rig_open(rig, "s", NULL)};
    assert_int_equal(mtc_group_open(the_call.stream, &names, NULL, NULL,
                                    &the_call.group),
                     MTC_OK);
    assert_int_equal(mtc_group_create(the_call.group), MTC_OK);
    stream_rig_publish(the_call.stream, "1");
    return mtct_thread_start(run_loop, NULL);
}

/* The entry comes again, and nobody waits for a call that is gone. */
static void assert_pending_and_close(void)
{
    mtc_group_summary summary;
    assert_false(the_call.has_returned);
    assert_int_equal(mtc_group_pending(the_call.group, &summary), MTC_OK);
    assert_int_equal(summary.count, 1);
    mtc_group_close(&the_call.group);
    mtc_stream_close(&the_call.stream);
}

static void a_cancelled_handler_ends_the_loop(void **state)
{
    pthread_t thread = start_loop(*state, spin);
    cancel_within(thread);
    join_cancelled(thread);
    assert_pending_and_close();
}

static void a_handler_that_ends_its_thread_ends_the_loop(void **state)
{
    join_cancelled(start_loop(*state, end_thread));
    assert_pending_and_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STREAM_TEST(a_cancelled_publisher_leaves_the_connection_to_others),
        STREAM_TEST(a_cancelled_reader_waits_to_its_end),
        STREAM_TEST(a_cancelled_handler_ends_the_loop),
        STREAM_TEST(a_handler_that_ends_its_thread_ends_the_loop),
    };
    return cmocka_run_group_tests(tests, stream_rig_start, stream_rig_stop);
}
