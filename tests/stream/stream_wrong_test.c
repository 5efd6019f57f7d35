/*
 * labels: quick unit
 *
 * Streams on a server that answers what no server should: no call goes on
 * without end, and none takes it for entries.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "mtc/cache.h"
#include "mtc/group.h"
#include "support/fake_server.h"

#define ANSWERS_MAX 50

/* What is answered to everything, over and over; to XACK, that it is done. */
static void answer_the_same(fake_server *server, void *ctx)
{
    static fake_command command;
    if (!fake_greet(server))
        return;
    for (int i = 0; i < ANSWERS_MAX; i++) {
        if (!fake_take_command(server, &command))
            return;
        bool is_ack = command.sizes[0] == 4;
        if (!fake_send(server, is_ack ? ":1\r\n" : (const char *)ctx))
            return;
    }
    fake_finish(server);
}

typedef struct rig {
    fake_server *server;
    mtc_cache *cache;
    mtc_stream *stream;
    mtc_group *group;
} rig;

static void begin(rig *rig, const char *answer)
{
    char url[64];
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    mtc_stream_options patient = MTC_STREAM_OPTIONS_INIT;
    const mtc_group_names names = {mtc_str("g"), mtc_str("c")};
    rig->server = fake_server_start(answer_the_same, (void *)(uintptr_t)answer);
    assert_non_null(rig->server);
    snprintf(url, sizeof url, "redis://127.0.0.1:%d?ping=0s",
             fake_server_port(rig->server));
    options.tiers = url;
    patient.deadline_ms = 60000;
    assert_int_equal(mtc_cache_open(&options, NULL, &rig->cache), MTC_OK);
    assert_int_equal(mtc_stream_open(rig->cache, mtc_str("s"), &patient, NULL,
                                     &rig->stream),
                     MTC_OK);
    assert_int_equal(mtc_group_open(rig->stream, &names, NULL, NULL,
                                    &rig->group),
                     MTC_OK);
}

static void end(rig *rig)
{
    mtc_group_close(&rig->group);
    mtc_stream_close(&rig->stream);
    mtc_cache_close(&rig->cache);
    assert_null(fake_server_stop(rig->server));
}

/* Entries of which nothing is left, and which bring the cursor no further. */
static void pending_entries_that_lead_nowhere_end_the_read(void **state)
{
    static const char *const ANSWERS[] = {
        "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*-1\r\n",
        "*1\r\n*2\r\n$1\r\ns\r\n*2\r\n$-1\r\n$-1\r\n",
        "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n5-1\r\n*-1\r\n",
        "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n0-1\r\n*-1\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof ANSWERS / sizeof *ANSWERS; i++) {
        rig rig;
        mtc_stream_batch *batch;
        mtc_stream_id cursor = {5, 1};
        begin(&rig, ANSWERS[i]);
        assert_int_equal(mtc_group_read_own(rig.group, &cursor, 10, &batch),
                         MTC_E_CORRUPT);
        assert_null(batch);
        assert_int_equal(cursor.ms, 5);
        assert_int_equal(cursor.sequence, 1);
        end(&rig);
    }
}

/* What means the end in a call means nothing in an answer. */
static void an_id_of_an_answer_is_a_number(void **state)
{
    static const char *const ANSWERS[] = {
        "*1\r\n*2\r\n$1\r\n$\r\n*2\r\n$1\r\nn\r\n$1\r\nv\r\n",
        "*1\r\n*2\r\n:1\r\n*2\r\n$1\r\nn\r\n$1\r\nv\r\n",
        "*1\r\n*2\r\n$-1\r\n*2\r\n$1\r\nn\r\n$1\r\nv\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof ANSWERS / sizeof *ANSWERS; i++) {
        rig rig;
        mtc_stream_batch *batch;
        begin(&rig, ANSWERS[i]);
        assert_int_equal(mtc_stream_read_newest(rig.stream, 1, &batch),
                         MTC_E_CORRUPT);
        end(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pending_entries_that_lead_nowhere_end_the_read),
        cmocka_unit_test(an_id_of_an_answer_is_a_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
