/*
 * labels: quick server
 *
 * Groups of consumers: against a real server, and a scripted older one.
 */
#include "mtc/group.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "support/fake_server.h"
#include "support/stream_rig.h"

static mtc_group *open_group(mtc_stream *stream, const char *consumer,
                             const mtc_group_options *options)
{
    mtc_group *group;
    mtc_group_names names = {mtc_str("g"), mtc_str(consumer)};
    assert_int_equal(mtc_group_open(stream, &names, options, NULL, &group),
                     MTC_OK);
    return group;
}

static void expect_new(mtc_group *group, size_t count, const char *first)
{
    mtc_stream_batch *batch;
    assert_int_equal(mtc_group_read(group, 10, 0, &batch), MTC_OK);
    assert_int_equal(mtc_stream_batch_count(batch), count);
    assert_true(stream_rig_is_entry(batch, 0, first));
    mtc_stream_batch_free(&batch);
}

static void start(pthread_t *thread, void *(*run)(void *), void *ctx)
{
    assert_int_equal(pthread_create(thread, NULL, run, ctx), 0);
}

static uint64_t pending_count(mtc_group *group)
{
    mtc_group_summary summary;
    assert_true(mtc_group_pending(group, &summary) >= 0);
    return summary.count;
}

/* -- the parts ------------------------------------------------------------- */

static void a_group_is_made_once(void **state)
{
    mtc_stream *stream = stream_rig_open(*state, "s", NULL);
    mtc_group *group = open_group(stream, "c", NULL);
    assert_int_equal(mtc_group_create(group), MTC_OK);
    assert_int_equal(mtc_group_create(group), MTC_EXISTS);
    assert_int_equal(mtc_group_remove(group), MTC_OK);
    assert_int_equal(mtc_group_remove(group), MTC_MISS);
    stream_rig_ask(*state, "DEL %s", "s");
    assert_int_equal(mtc_group_remove(group), MTC_MISS);
    mtc_group_close(&group);
    mtc_group_close(&group);
    mtc_stream_close(&stream);
}

static void consumers_share_and_acknowledge(void **state)
{
    mtc_stream *stream = stream_rig_open(*state, "s", NULL);
    mtc_group *one = open_group(stream, "one", NULL);
    mtc_group *two = open_group(stream, "two", NULL);
    mtc_stream_id ids[2] = {stream_rig_publish(stream, "1")};
    expect_new(one, 1, "1");
    ids[1] = stream_rig_publish(stream, "2");
    expect_new(two, 1, "2");
    mtc_group_summary summary;
    assert_int_equal(mtc_group_pending(one, &summary), MTC_OK);
    assert_int_equal(summary.count, 2);
    assert_int_equal(summary.consumer_count, 2);
    assert_memory_equal(&summary.first, &ids[0], sizeof ids[0]);
    assert_memory_equal(&summary.last, &ids[1], sizeof ids[1]);
    size_t done;
    assert_int_equal(mtc_group_acknowledge(one, ids, 2, &done), MTC_OK);
    assert_int_equal(done, 2);
    assert_int_equal(mtc_group_acknowledge(one, ids, 2, &done), MTC_OK);
    assert_int_equal(done, 0);
    assert_int_equal(pending_count(two), 0);
    mtc_group_close(&one);
    mtc_group_close(&two);
    mtc_stream_close(&stream);
}

static void a_group_may_begin_with_what_is_new(void **state)
{
    mtc_stream *stream = stream_rig_open(*state, "s", NULL);
    mtc_group_options options = MTC_GROUP_OPTIONS_INIT;
    mtc_stream_batch *batch;
    options.start = MTC_STREAM_END;
    stream_rig_publish(stream, "old");
    mtc_group *group = open_group(stream, "c", &options);
    assert_int_equal(mtc_group_read(group, 10, 0, &batch), MTC_MISS);
    stream_rig_publish(stream, "new");
    expect_new(group, 1, "new");
    mtc_group_close(&group);
    mtc_stream_close(&stream);
}

static void what_is_pending_is_listed(void **state)
{
    mtc_stream *stream = stream_rig_open(*state, "s", NULL);
    mtc_group *group = open_group(stream, "me", NULL);
    mtc_pending_list *list;
    mtc_stream_id first = {0, 0};
    assert_int_equal(mtc_group_list_pending(group, &first, 10, &list),
                     MTC_MISS);
    stream_rig_publish(stream, "1");
    mtc_stream_id last = stream_rig_publish(stream, "2");
    expect_new(group, 2, "1");
    assert_int_equal(mtc_group_list_pending(group, &first, 1, &list), MTC_OK);
    mtc_pending_list_free(&list);
    assert_int_equal(mtc_group_list_pending(group, &first, 1, &list), MTC_OK);
    assert_int_equal(mtc_pending_list_count(list), 1);
    mtc_pending pending = mtc_pending_list_at(list, 0);
    assert_memory_equal(&pending.id, &last, sizeof last);
    assert_int_equal(pending.deliveries, 1);
    assert_int_equal(pending.consumer.size, 2);
    assert_memory_equal(pending.consumer.data, "me", 2);
    assert_int_equal(mtc_pending_list_at(list, 1).deliveries, 0);
    mtc_pending_list_free(&list);
    assert_int_equal(mtc_group_list_pending(group, &first, 1, &list), MTC_MISS);
    mtc_group_close(&group);
    mtc_stream_close(&stream);
}

static void what_a_dead_consumer_left_is_claimed(void **state)
{
    mtc_stream *stream = stream_rig_open(*state, "s", NULL);
    mtc_group *dead = open_group(stream, "dead", NULL);
    mtc_group *heir = open_group(stream, "heir", NULL);
    mtc_stream_batch *batch;
    mtc_stream_id cursor = {0, 0};
    stream_rig_publish(stream, "left");
    stream_rig_publish(stream, "deleted");
    expect_new(dead, 2, "left");
    mtc_group_close(&dead);
    stream_rig_ask(*state, "XTRIM %s MAXLEN 1", "s");
    assert_int_equal(mtc_group_claim(heir, 3600000, &cursor, 10, &batch),
                     MTC_MISS);
    assert_int_equal(mtc_group_claim(heir, 0, &cursor, 10, &batch), MTC_OK);
    assert_int_equal(mtc_stream_batch_count(batch), 1);
    assert_true(stream_rig_is_entry(batch, 0, "deleted"));
    mtc_stream_batch_free(&batch);
    assert_true(cursor.ms == 0 && cursor.sequence == 0);
    size_t dropped;
    assert_int_equal(mtc_group_remove_consumer(heir, &dropped), MTC_OK);
    assert_int_equal(dropped, 1);
    mtc_group_close(&heir);
    mtc_stream_close(&stream);
}

static void pending_entries_that_were_trimmed_are_acknowledged(void **state)
{
    mtc_stream *stream = stream_rig_open(*state, "s", NULL);
    mtc_group *group = open_group(stream, "c", NULL);
    mtc_stream_batch *batch;
    mtc_stream_id cursor = {0, 0};
    for (int i = 0; i < 5; i++)
        stream_rig_publish(stream, "gone");
    stream_rig_publish(stream, "kept");
    expect_new(group, 6, "gone");
    stream_rig_ask(*state, "XTRIM %s MAXLEN 1", "s");
    assert_int_equal(pending_count(group), 6);
    assert_int_equal(mtc_group_read_own(group, &cursor, 2, &batch), MTC_OK);
    assert_int_equal(mtc_stream_batch_count(batch), 1);
    assert_true(stream_rig_is_entry(batch, 0, "kept"));
    mtc_stream_batch_free(&batch);
    assert_int_equal(pending_count(group), 1);
    assert_int_equal(mtc_group_read_own(group, &cursor, 2, &batch), MTC_MISS);
    mtc_group_close(&group);
    mtc_stream_close(&stream);
}

static void a_key_that_is_no_stream_is_an_error(void **state)
{
    mtc_stream *stream = stream_rig_open(*state, "s", NULL);
    mtc_group *group = open_group(stream, "c", NULL);
    mtc_stream_batch *batch;
    mtc_stream_id cursor = {0, 0};
    stream_rig_ask(*state, "SET %s v", "s");
    assert_int_equal(mtc_group_create(group), MTC_E_INVALID);
    assert_int_equal(mtc_group_read(group, 1, 0, &batch), MTC_E_INVALID);
    assert_int_equal(mtc_group_read_own(group, &cursor, 1, &batch),
                     MTC_E_INVALID);
    assert_int_equal(mtc_group_claim(group, 0, &cursor, 1, &batch),
                     MTC_E_INVALID);
    mtc_group_close(&group);
    mtc_stream_close(&stream);
}

static void wrong_groups_are_refused(void **state)
{
    mtc_stream *stream = stream_rig_open(*state, "s", NULL);
    mtc_group *group;
    mtc_error error;
    mtc_group_options options = MTC_GROUP_OPTIONS_INIT;
    mtc_group_names names = {mtc_str("g"), mtc_str("")};
    assert_int_equal(mtc_group_open(stream, &names, NULL, &error, &group),
                     MTC_E_INVALID);
    names.consumer = mtc_str("c");
    options.batch_count = -1;
    assert_int_equal(mtc_group_open(stream, &names, &options, &error, &group),
                     MTC_E_INVALID);
    assert_non_null(strstr(error.text, "batch_count"));
    assert_null(group);
    mtc_stream_close(&stream);
}

/* -- while it waits -------------------------------------------------------- */

typedef struct waiting {
    pthread_t thread;
    mtc_group *group;
    mtc_status status;
    mtc_stream_batch *batch;
} waiting;

static void *read_new(void *ctx)
{
    waiting *waiting = ctx;
    waiting->status =
        mtc_group_read(waiting->group, 10, 60000, &waiting->batch);
    return NULL;
}

/* The stream is taken away by a command while a consumer waits; what comes
 * into it afterwards, with smaller ids, arrives. */
static void survive(stream_rig *rig, const char *command)
{
    mtc_stream *stream = stream_rig_open(rig, "s", NULL);
    waiting waiting = {.group = open_group(stream, "c", NULL)};
    stream_rig_publish(stream, "old");
    expect_new(waiting.group, 1, "old");
    start(&waiting.thread, read_new, &waiting);
    stream_rig_await_blocked(rig);
    stream_rig_ask(rig, command, "s");
    stream_rig_ask(rig, "XADD %s 5-0 n anew", "s");
    pthread_join(waiting.thread, NULL);
    assert_int_equal(waiting.status, MTC_OK);
    assert_true(stream_rig_is_entry(waiting.batch, 0, "anew"));
    mtc_stream_batch_free(&waiting.batch);
    mtc_group_close(&waiting.group);
    mtc_stream_close(&stream);
}

static void a_consumer_that_waits_survives_flushall(void **state)
{
    survive(*state, "FLUSHALL");
}

static void a_consumer_that_waits_survives_del(void **state)
{
    survive(*state, "DEL %s");
}

static void a_consumer_that_waits_survives_the_end_of_its_group(void **state)
{
    mtc_stream *stream = stream_rig_open(*state, "s", NULL);
    waiting waiting = {.group = open_group(stream, "c", NULL)};
    stream_rig_publish(stream, "old");
    expect_new(waiting.group, 1, "old");
    start(&waiting.thread, read_new, &waiting);
    stream_rig_await_blocked(*state);
    assert_int_equal(mtc_group_remove(waiting.group), MTC_OK);
    pthread_join(waiting.thread, NULL);
    assert_int_equal(waiting.status, MTC_OK);
    assert_true(stream_rig_is_entry(waiting.batch, 0, "old"));
    mtc_stream_batch_free(&waiting.batch);
    mtc_group_close(&waiting.group);
    mtc_stream_close(&stream);
}

static void
a_connection_that_is_killed_is_an_error_and_the_next_read_works(void **state)
{
    mtc_stream *stream = stream_rig_open(*state, "s", NULL);
    waiting waiting = {.group = open_group(stream, "c", NULL)};
    start(&waiting.thread, read_new, &waiting);
    stream_rig_await_blocked(*state);
    stream_rig_ask(*state, "CLIENT KILL TYPE normal SKIPME yes", "");
    pthread_join(waiting.thread, NULL);
    assert_int_equal(waiting.status, MTC_E_UNAVAILABLE);
    stream_rig_ask(*state, "XADD %s * n after", "s");
    expect_new(waiting.group, 1, "after");
    mtc_group_close(&waiting.group);
    mtc_stream_close(&stream);
}

/* -- the loop -------------------------------------------------------------- */

typedef struct worker {
    pthread_t thread;
    mtc_group *group;
    size_t stop_after; /* calls of the handler */
    size_t calls;
    char seen[128];      /* the values, one after the other */
    const char *refused; /* a value that fails, once */
    mtc_status status;
} worker;

static mtc_status work(const mtc_stream_batch *batch, size_t index, void *ctx)
{
    worker *worker = ctx;
    mtc_slice value = mtc_stream_batch_field(batch, index, 0).value;
    size_t size = strlen(worker->seen);
    snprintf(worker->seen + size, sizeof worker->seen - size, "%.*s ",
             (int)value.size, (const char *)value.data);
    if (++worker->calls == worker->stop_after)
        mtc_group_stop(worker->group);
    bool is_refused =
        worker->refused && stream_rig_is_entry(batch, index, worker->refused);
    if (is_refused)
        worker->refused = NULL;
    return is_refused ? MTC_E_UNAVAILABLE : MTC_OK;
}

static void *run(void *ctx)
{
    worker *worker = ctx;
    worker->status = mtc_group_run(worker->group, work, worker);
    return NULL;
}

static void the_loop_begins_with_its_own_pending_entries(void **state)
{
    mtc_stream *stream = stream_rig_open(*state, "s", NULL);
    mtc_group *former = open_group(stream, "c", NULL);
    stream_rig_publish(stream, "trimmed");
    stream_rig_publish(stream, "own");
    expect_new(former, 2, "trimmed");
    mtc_group_close(&former);
    stream_rig_ask(*state, "XTRIM %s MAXLEN 1", "s");
    stream_rig_publish(stream, "new");
    worker worker = {.group = open_group(stream, "c", NULL), .stop_after = 2};
    run(&worker);
    assert_int_equal(worker.status, MTC_OK);
    assert_string_equal(worker.seen, "own new ");
    assert_int_equal(pending_count(worker.group), 0);
    mtc_group_close(&worker.group);
    mtc_stream_close(&stream);
}

static void the_loop_claims_what_others_left(void **state)
{
    mtc_stream *stream = stream_rig_open(*state, "s", NULL);
    mtc_group_options options = MTC_GROUP_OPTIONS_INIT;
    options.claim_idle_ms = 1;
    options.claim_every_ms = 1;
    mtc_group *dead = open_group(stream, "dead", NULL);
    stream_rig_publish(stream, "left");
    expect_new(dead, 1, "left");
    worker worker = {.group = open_group(stream, "c", &options),
                     .stop_after = 1};
    run(&worker);
    assert_int_equal(worker.status, MTC_OK);
    assert_string_equal(worker.seen, "left ");
    assert_int_equal(pending_count(dead), 0);
    mtc_group_close(&dead);
    mtc_group_close(&worker.group);
    mtc_stream_close(&stream);
}

static void an_entry_that_fails_comes_again(void **state)
{
    mtc_stream *stream = stream_rig_open(*state, "s", NULL);
    mtc_group_options options = MTC_GROUP_OPTIONS_INIT;
    options.claim_idle_ms = 1;
    options.claim_every_ms = 1;
    stream_rig_publish(stream, "bad");
    stream_rig_publish(stream, "good");
    worker worker = {.group = open_group(stream, "c", &options),
                     .stop_after = 3,
                     .refused = "bad"};
    run(&worker);
    assert_int_equal(worker.status, MTC_OK);
    assert_string_equal(worker.seen, "bad good bad ");
    assert_int_equal(pending_count(worker.group), 0);
    mtc_group_close(&worker.group);
    mtc_stream_close(&stream);
}

static void the_loop_survives_kill_9_of_the_server(void **state)
{
    stream_rig *rig = *state;
    mtc_stream *stream = stream_rig_open(rig, "s", NULL);
    worker worker = {.group = open_group(stream, "c", NULL), .stop_after = 2};
    stream_rig_publish(stream, "before");
    start(&worker.thread, run, &worker);
    stream_rig_await_blocked(rig);
    stream_rig_kill_and_restart(rig);
    /* By another way than the cache's, which pauses. */
    stream_rig_ask(rig, "XADD %s * n after", "s");
    assert_non_null(strchr(rig->text, '-'));
    pthread_join(worker.thread, NULL);
    assert_int_equal(worker.status, MTC_OK);
    assert_string_equal(worker.seen, "before after ");
    mtc_group_close(&worker.group);
    mtc_stream_close(&stream);
}

static void stopping_ends_a_loop_that_waits(void **state)
{
    mtc_stream *stream = stream_rig_open(*state, "s", NULL);
    worker worker = {.group = open_group(stream, "c", NULL)};
    start(&worker.thread, run, &worker);
    stream_rig_await_blocked(*state);
    mtc_group_stop(worker.group);
    pthread_join(worker.thread, NULL);
    assert_int_equal(worker.status, MTC_OK);
    assert_int_equal(worker.calls, 0);
    mtc_group_close(&worker.group);
    mtc_stream_close(&stream);
}

static void the_loop_ends_on_what_waiting_does_not_mend(void **state)
{
    mtc_stream *stream = stream_rig_open(*state, "s", NULL);
    worker worker = {.group = open_group(stream, "c", NULL)};
    stream_rig_ask(*state, "SET %s v", "s");
    run(&worker);
    assert_int_equal(worker.status, MTC_E_INVALID);
    mtc_group_close(&worker.group);
    mtc_stream_close(&stream);
}

/* -- older and wrong servers ---------------------------------------------- */

typedef struct scripted {
    fake_server *server;
    mtc_cache *cache;
    mtc_stream *stream;
    mtc_group *group;
} scripted;

static void begin_script(scripted *scripted, fake_script script)
{
    char tiers[64];
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    mtc_stream_options stream_options = MTC_STREAM_OPTIONS_INIT;
    scripted->server = fake_server_start(script, NULL);
    assert_non_null(scripted->server);
    snprintf(tiers, sizeof tiers, "memory redis://127.0.0.1:%d",
             fake_server_port(scripted->server));
    options.tiers = tiers;
    stream_options.deadline_ms = STREAM_WAIT_MS;
    assert_int_equal(mtc_cache_open(&options, NULL, &scripted->cache), MTC_OK);
    assert_int_equal(mtc_stream_open(scripted->cache, mtc_str("s"),
                                     &stream_options, NULL, &scripted->stream),
                     MTC_OK);
    scripted->group = open_group(scripted->stream, "c", NULL);
}

static void end_script(scripted *scripted)
{
    mtc_group_close(&scripted->group);
    mtc_stream_close(&scripted->stream);
    mtc_cache_close(&scripted->cache);
    assert_null(fake_server_stop(scripted->server));
}

static void claim_of_6_2(fake_server *server, void *ctx)
{
    (void)ctx;
    if (!fake_greet(server) ||
        !fake_expect(server, "XAUTOCLAIM s g c 5 0-0 COUNT 10"))
        return;
    fake_send(server, "*2\r\n$3\r\n9-0\r\n*3\r\n$-1\r\n"
                      "*2\r\n$3\r\n7-0\r\n*-1\r\n"
                      "*2\r\n$3\r\n8-0\r\n*2\r\n$1\r\nn\r\n$1\r\nv\r\n");
    if (fake_expect(server, "XACK s g 7-0"))
        fake_send(server, ":1\r\n");
    fake_silence(server);
}

static void the_claim_of_an_older_server_is_understood(void **state)
{
    (void)state;
    scripted scripted;
    mtc_stream_batch *batch;
    mtc_stream_id cursor = {0, 0};
    begin_script(&scripted, claim_of_6_2);
    assert_int_equal(mtc_group_claim(scripted.group, 5, &cursor, 10, &batch),
                     MTC_OK);
    assert_int_equal(mtc_stream_batch_count(batch), 1);
    assert_int_equal(mtc_stream_batch_id(batch, 0).ms, 8);
    assert_int_equal(cursor.ms, 9);
    mtc_stream_batch_free(&batch);
    end_script(&scripted);
}

static const char *const WRONG[] = {
    "*0\r\n",
    "*1\r\n$3\r\n1-0\r\n",
    "*2\r\n$1\r\nx\r\n*0\r\n",
    "*2\r\n:1\r\n*0\r\n",
    "*2\r\n$3\r\n1-0\r\n:5\r\n",
    "*2\r\n$3\r\n1-0\r\n*1\r\n*1\r\n$3\r\n1-0\r\n",
    "*2\r\n$3\r\n1-0\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*1\r\n$1\r\na\r\n",
};

static void wrong_claims(fake_server *server, void *ctx)
{
    (void)ctx;
    if (!fake_greet(server))
        return;
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        if (!fake_take(server, 1) || !fake_send(server, WRONG[i]))
            return;
    }
    fake_silence(server);
}

static void answers_of_another_shape_are_corrupt(void **state)
{
    (void)state;
    scripted scripted;
    mtc_stream_batch *batch;
    begin_script(&scripted, wrong_claims);
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        mtc_stream_id cursor = {0, 0};
        assert_int_equal(mtc_group_claim(scripted.group, 5, &cursor, 10,
                                         &batch),
                         MTC_E_CORRUPT);
        assert_null(batch);
    }
    end_script(&scripted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STREAM_TEST(a_group_is_made_once),
        STREAM_TEST(consumers_share_and_acknowledge),
        STREAM_TEST(a_group_may_begin_with_what_is_new),
        STREAM_TEST(what_is_pending_is_listed),
        STREAM_TEST(what_a_dead_consumer_left_is_claimed),
        STREAM_TEST(pending_entries_that_were_trimmed_are_acknowledged),
        STREAM_TEST(a_key_that_is_no_stream_is_an_error),
        STREAM_TEST(wrong_groups_are_refused),
        STREAM_TEST(a_consumer_that_waits_survives_flushall),
        STREAM_TEST(a_consumer_that_waits_survives_del),
        STREAM_TEST(a_consumer_that_waits_survives_the_end_of_its_group),
        STREAM_TEST(
            a_connection_that_is_killed_is_an_error_and_the_next_read_works),
        STREAM_TEST(the_loop_begins_with_its_own_pending_entries),
        STREAM_TEST(the_loop_claims_what_others_left),
        STREAM_TEST(an_entry_that_fails_comes_again),
        STREAM_TEST(the_loop_survives_kill_9_of_the_server),
        STREAM_TEST(stopping_ends_a_loop_that_waits),
        STREAM_TEST(the_loop_ends_on_what_waiting_does_not_mend),
        cmocka_unit_test(the_claim_of_an_older_server_is_understood),
        cmocka_unit_test(answers_of_another_shape_are_corrupt),
    };
    return cmocka_run_group_tests(tests, stream_rig_start, stream_rig_stop);
}
