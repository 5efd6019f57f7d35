/*
 * labels: quick server
 *
 * Publishing with options, ranges, and tails, against a real server.
 */
#include "mtc/stream.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "support/stream_rig.h"

static const mtc_field FIELD = {{"n", 1}, {"v", 1}};

static bool is_id(mtc_stream_id id, uint64_t ms, uint64_t sequence)
{
    return id.ms == ms && id.sequence == sequence;
}

static mtc_status publish_as(mtc_stream *stream, uint64_t ms, uint64_t sequence)
{
    mtc_publish_options options = MTC_PUBLISH_OPTIONS_INIT;
    options.id = (mtc_stream_id){ms, sequence};
    return mtc_stream_publish_with(stream, &FIELD, 1, &options, NULL);
}

/* -- publishing ----------------------------------------------------------- */

static void an_id_of_ones_own_is_published_once(void **state)
{
    mtc_stream *stream = stream_rig_open(*state, "s", NULL);
    assert_int_equal(publish_as(stream, 7, 1), MTC_OK);
    assert_int_equal(publish_as(stream, 7, 1), MTC_EXISTS);
    assert_int_equal(publish_as(stream, 7, 0), MTC_EXISTS);
    assert_int_equal(publish_as(stream, 6, 9), MTC_EXISTS);
    assert_int_equal(publish_as(stream, 8, 0), MTC_OK);
    assert_string_equal(stream_rig_ask(*state, "XLEN %s", "s"), ":2");
    mtc_stream_close(&stream);
}

static void a_stream_that_holds_the_largest_id_takes_no_more(void **state)
{
    mtc_stream *stream = stream_rig_open(*state, "s", NULL);
    assert_int_equal(publish_as(stream, UINT64_MAX, UINT64_MAX), MTC_E_INVALID);
    stream_rig_ask(*state,
                   "XADD %s 18446744073709551615-18446744073709551615 n v",
                   "s");
    assert_int_equal(mtc_stream_publish(stream, &FIELD, 1, NULL),
                     MTC_E_INVALID);
    mtc_stream_close(&stream);
}

static void only_an_existing_stream_is_published_to_on_request(void **state)
{
    mtc_stream *stream = stream_rig_open(*state, "s", NULL);
    mtc_publish_options options = MTC_PUBLISH_OPTIONS_INIT;
    options.flags = MTC_PUBLISH_EXISTING_ONLY;
    assert_int_equal(mtc_stream_publish_with(stream, &FIELD, 1, &options, NULL),
                     MTC_MISS);
    stream_rig_publish(stream, "first");
    assert_int_equal(mtc_stream_publish_with(stream, &FIELD, 1, &options, NULL),
                     MTC_OK);
    options.flags = 8;
    assert_int_equal(mtc_stream_publish_with(stream, &FIELD, 1, &options, NULL),
                     MTC_E_INVALID);
    mtc_stream_close(&stream);
}

static void a_stream_is_trimmed_exactly_on_request(void **state)
{
    mtc_stream_options options = MTC_STREAM_OPTIONS_INIT;
    options.flags = MTC_STREAM_TRIM_EXACTLY;
    options.length_max = 5;
    mtc_stream *stream = stream_rig_open(*state, "s", &options);
    for (int i = 0; i < 20; i++)
        stream_rig_publish(stream, "v");
    assert_string_equal(stream_rig_ask(*state, "XLEN %s", "s"), ":5");
    mtc_stream_close(&stream);
}

static void what_is_too_old_is_trimmed(void **state)
{
    mtc_stream_options options = MTC_STREAM_OPTIONS_INIT;
    options.flags = MTC_STREAM_TRIM_EXACTLY;
    options.age_ms_max = 3600000;
    mtc_stream *stream = stream_rig_open(*state, "s", &options);
    stream_rig_ask(*state, "XADD %s 1600000000000-0 n old", "s");
    stream_rig_publish(stream, "new");
    stream_rig_publish(stream, "newer");
    assert_string_equal(stream_rig_ask(*state, "XLEN %s", "s"), ":2");
    mtc_stream_close(&stream);
}

static void length_and_age_exclude_each_other(void **state)
{
    stream_rig *rig = *state;
    mtc_stream_options options = MTC_STREAM_OPTIONS_INIT;
    mtc_stream *stream;
    mtc_error error;
    test_server_require(TEST_REDIS);
    options.length_max = 5;
    options.age_ms_max = 5;
    assert_int_equal(mtc_stream_open(rig->cache, mtc_str("k"), &options, &error,
                                     &stream),
                     MTC_E_INVALID);
    assert_non_null(strstr(error.text, "age_ms_max"));
}

/* -- ranges --------------------------------------------------------------- */

static void a_range_is_read_page_by_page_with_both_ends(void **state)
{
    mtc_stream *stream = stream_rig_open(*state, "s", NULL);
    mtc_stream_batch *batch;
    for (uint64_t i = 1; i <= 9; i++)
        assert_int_equal(publish_as(stream, i, 0), MTC_OK);
    mtc_stream_id first = {3, 0};
    const mtc_stream_id last = {7, 0};
    uint64_t wanted = 3;
    mtc_status status;
    while ((status = mtc_stream_read_range(stream, &first, last, 2, &batch)) ==
           MTC_OK) {
        for (size_t i = 0; i < mtc_stream_batch_count(batch); i++)
            assert_true(is_id(mtc_stream_batch_id(batch, i), wanted++, 0));
        mtc_stream_batch_free(&batch);
    }
    assert_int_equal(status, MTC_MISS);
    assert_int_equal(wanted, 8);
    first = (mtc_stream_id){0, 0};
    assert_int_equal(mtc_stream_read_range(stream, &first, MTC_STREAM_END, 100,
                                           &batch),
                     MTC_OK);
    assert_int_equal(mtc_stream_batch_count(batch), 9);
    mtc_stream_batch_free(&batch);
    mtc_stream_close(&stream);
}

/* -- tails ---------------------------------------------------------------- */

typedef struct tailing {
    pthread_t thread;
    mtc_tail *tail;
    mtc_status status;
    size_t index;
    mtc_stream_batch *batch;
} tailing;

static void *read_tail(void *ctx)
{
    tailing *tailing = ctx;
    tailing->status = mtc_tail_read(tailing->tail, 10, 60000, &tailing->index,
                                    &tailing->batch);
    return NULL;
}

static void begin_reading(stream_rig *rig, tailing *tailing)
{
    assert_int_equal(pthread_create(&tailing->thread, NULL, read_tail, tailing),
                     0);
    stream_rig_await_blocked(rig);
}

static void expect_read(tailing *tailing, size_t index, const char *value)
{
    pthread_join(tailing->thread, NULL);
    assert_int_equal(tailing->status, MTC_OK);
    assert_int_equal(tailing->index, index);
    assert_int_equal(mtc_stream_batch_count(tailing->batch), 1);
    assert_true(stream_rig_is_entry(tailing->batch, 0, value));
    mtc_stream_batch_free(&tailing->batch);
}

static mtc_tail *open_tail(mtc_stream *const *streams,
                           const mtc_stream_id *cursors, size_t count)
{
    mtc_tail *tail;
    assert_int_equal(mtc_tail_open(streams, cursors, count, NULL, &tail),
                     MTC_OK);
    return tail;
}

static void a_tail_follows_several_streams(void **state)
{
    mtc_stream *streams[2] = {stream_rig_open(*state, "a", NULL),
                              stream_rig_open(*state, "b", NULL)};
    stream_rig_publish(streams[0], "old");
    tailing tailing = {.tail = open_tail(streams, NULL, 2)};
    mtc_stream_batch *batch;
    size_t index;
    assert_int_equal(mtc_tail_read(tailing.tail, 10, 0, &index, &batch),
                     MTC_MISS);
    stream_rig_publish(streams[1], "b1");
    stream_rig_publish(streams[0], "a1");
    mtc_stream_id b2 = stream_rig_publish(streams[1], "b2");
    size_t counts[2] = {0, 0};
    mtc_status status;
    while ((status = mtc_tail_read(tailing.tail, 1, 0, &index, &batch)) ==
           MTC_OK) {
        counts[index] += mtc_stream_batch_count(batch);
        mtc_stream_batch_free(&batch);
    }
    assert_int_equal(status, MTC_MISS);
    assert_int_equal(counts[0], 1);
    assert_int_equal(counts[1], 2);
    mtc_stream_id cursor = mtc_tail_cursor(tailing.tail, 1);
    assert_true(is_id(cursor, b2.ms, b2.sequence));
    begin_reading(*state, &tailing);
    stream_rig_publish(streams[1], "b3");
    expect_read(&tailing, 1, "b3");
    mtc_tail_close(&tailing.tail);
    mtc_stream_close(&streams[0]);
    mtc_stream_close(&streams[1]);
}

static void a_tail_goes_on_after_its_connection_was_killed(void **state)
{
    mtc_stream *stream = stream_rig_open(*state, "s", NULL);
    tailing tailing = {.tail = open_tail(&stream, NULL, 1)};
    begin_reading(*state, &tailing);
    stream_rig_ask(*state, "CLIENT KILL TYPE normal SKIPME yes", "");
    stream_rig_ask(*state, "XADD %s * n after", "s");
    expect_read(&tailing, 0, "after");
    mtc_tail_close(&tailing.tail);
    mtc_stream_close(&stream);
}

static void a_tail_goes_on_after_the_server_was_killed(void **state)
{
    stream_rig *rig = *state;
    mtc_stream *stream = stream_rig_open(rig, "s", NULL);
    tailing tailing = {.tail = open_tail(&stream, NULL, 1)};
    stream_rig_publish(stream, "not to be seen");
    mtc_stream_batch *batch;
    size_t index;
    assert_int_equal(mtc_tail_read(tailing.tail, 1, 0, &index, &batch),
                     MTC_MISS);
    begin_reading(rig, &tailing);
    stream_rig_kill_and_restart(rig);
    /* By another way than the cache's, which pauses. */
    stream_rig_ask(rig, "XADD %s * n after", "s");
    assert_non_null(strchr(rig->text, '-'));
    expect_read(&tailing, 0, "after");
    mtc_tail_close(&tailing.tail);
    mtc_stream_close(&stream);
}

static void a_stream_begun_anew_with_smaller_ids_is_noticed(void **state)
{
    mtc_stream *stream = stream_rig_open(*state, "s", NULL);
    stream_rig_publish(stream, "old");
    tailing tailing = {.tail = open_tail(&stream, NULL, 1)};
    begin_reading(*state, &tailing);
    stream_rig_ask(*state, "DEL %s", "s");
    stream_rig_ask(*state, "XADD %s 5-0 n anew", "s");
    expect_read(&tailing, 0, "anew");
    mtc_tail_close(&tailing.tail);
    mtc_stream_close(&stream);
}

static void a_cursor_begins_anew_with_its_stream(void **state)
{
    mtc_stream *stream = stream_rig_open(*state, "s", NULL);
    mtc_stream_batch *batch;
    mtc_stream_id cursor = {50, 0};
    assert_int_equal(publish_as(stream, 7, 0), MTC_OK);
    assert_int_equal(mtc_stream_read_after(stream, &cursor, 10, 0, &batch),
                     MTC_OK);
    assert_true(is_id(cursor, 7, 0));
    mtc_stream_batch_free(&batch);
    mtc_stream_close(&stream);
}

static void cancelling_ends_a_tail(void **state)
{
    mtc_stream *stream = stream_rig_open(*state, "s", NULL);
    tailing tailing = {.tail = open_tail(&stream, NULL, 1)};
    begin_reading(*state, &tailing);
    mtc_tail_cancel(tailing.tail);
    pthread_join(tailing.thread, NULL);
    assert_int_equal(tailing.status, MTC_E_CANCELLED);
    read_tail(&tailing);
    assert_int_equal(tailing.status, MTC_E_CANCELLED);
    mtc_tail_close(&tailing.tail);
    mtc_stream_close(&stream);
}

/* The server is stopped, so that only the reader itself can end its wait. */
static void cancelling_needs_no_answer_of_the_server(void **state)
{
    stream_rig *rig = *state;
    mtc_stream *stream = stream_rig_open(rig, "s", NULL);
    tailing tailing = {.tail = open_tail(&stream, NULL, 1)};
    begin_reading(rig, &tailing);
    test_server_pause(&rig->server);
    mtc_tail_cancel(tailing.tail);
    pthread_join(tailing.thread, NULL);
    test_server_resume(&rig->server);
    assert_int_equal(tailing.status, MTC_E_CANCELLED);
    mtc_tail_close(&tailing.tail);
    mtc_stream_close(&stream);
}

static void a_tail_of_what_is_no_stream_is_an_error(void **state)
{
    mtc_stream *stream = stream_rig_open(*state, "s", NULL);
    tailing tailing = {.tail = open_tail(&stream, NULL, 1)};
    stream_rig_ask(*state, "SET %s v", "s");
    read_tail(&tailing);
    assert_int_equal(tailing.status, MTC_E_INVALID);
    mtc_tail_close(&tailing.tail);
    mtc_stream_close(&stream);
}

static void wrong_tails_are_refused(void **state)
{
    mtc_stream *streams[2] = {stream_rig_open(*state, "s", NULL),
                              stream_rig_open(*state, "s", NULL)};
    mtc_tail *tail;
    mtc_error error;
    assert_int_equal(mtc_tail_open(streams, NULL, 2, &error, &tail),
                     MTC_E_INVALID);
    assert_null(tail);
    assert_int_equal(mtc_tail_open(streams, NULL, 0, &error, &tail),
                     MTC_E_INVALID);
    mtc_tail_close(&tail);
    mtc_stream_close(&streams[0]);
    mtc_stream_close(&streams[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STREAM_TEST(an_id_of_ones_own_is_published_once),
        STREAM_TEST(a_stream_that_holds_the_largest_id_takes_no_more),
        STREAM_TEST(only_an_existing_stream_is_published_to_on_request),
        STREAM_TEST(a_stream_is_trimmed_exactly_on_request),
        STREAM_TEST(what_is_too_old_is_trimmed),
        STREAM_TEST(length_and_age_exclude_each_other),
        STREAM_TEST(a_range_is_read_page_by_page_with_both_ends),
        STREAM_TEST(a_tail_follows_several_streams),
        STREAM_TEST(a_tail_goes_on_after_its_connection_was_killed),
        STREAM_TEST(a_tail_goes_on_after_the_server_was_killed),
        STREAM_TEST(a_stream_begun_anew_with_smaller_ids_is_noticed),
        STREAM_TEST(a_cursor_begins_anew_with_its_stream),
        STREAM_TEST(cancelling_ends_a_tail),
        STREAM_TEST(cancelling_needs_no_answer_of_the_server),
        STREAM_TEST(a_tail_of_what_is_no_stream_is_an_error),
        STREAM_TEST(wrong_tails_are_refused),
    };
    return cmocka_run_group_tests(tests, stream_rig_start, stream_rig_stop);
}
