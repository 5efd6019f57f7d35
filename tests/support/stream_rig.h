/*
 * A redis-server that keeps what was acknowledged across kill -9, a cache on
 * it, and streams of keys that no other test uses. One per test program.
 */
#ifndef TESTS_SUPPORT_STREAM_RIG_H
#define TESTS_SUPPORT_STREAM_RIG_H

#include "mtc/stream.h"
#include "support/redis_rig.h"
#include "support/server.h"

#define STREAM_WAIT_MS 10000

typedef struct stream_rig {
    test_server server;
    mtc_cache *cache;
    mtci_redis_client *client; /* the test's own */
    unsigned number;           /* makes keys of this test its own */
    char text[8192];           /* what ask returned */
} stream_rig;

/* Fixtures for cmocka: of the group, and of each test. */
int stream_rig_start(void **state);
int stream_rig_stop(void **state);
int stream_rig_setup(void **state);
int stream_rig_teardown(void **state);

#define STREAM_TEST(name)                                                      \
    cmocka_unit_test_setup_teardown(name, stream_rig_setup, stream_rig_teardown)

/* Opens a stream of this test with a patient deadline. options: NULL or given
 * with struct_size. */
mtc_stream *stream_rig_open(stream_rig *rig, const char *name,
                            mtc_stream_options *options);

/* Sends a command, in which %s is the key of the named stream; see
 * redis_rig_ask for what returns. */
const char *stream_rig_ask(stream_rig *rig, const char *format,
                           const char *name);

/* Publishes one field, "n" = value. */
mtc_stream_id stream_rig_publish(mtc_stream *stream, const char *value);

/* Whether the value of an entry's first field is that. */
bool stream_rig_is_entry(const mtc_stream_batch *batch, size_t index,
                         const char *value);

/* Waits until the server holds a blocked client. */
void stream_rig_await_blocked(stream_rig *rig);

/* kill -9; returns when the server is there again and has loaded its data. */
void stream_rig_kill_and_restart(stream_rig *rig);

#endif
