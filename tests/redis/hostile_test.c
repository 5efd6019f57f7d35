/*
 * labels: quick unit
 *
 * The client against a server that never stops: a line, a bulk, an array,
 * arrays in arrays, pushes without end, in the greeting and later. The caller
 * gets a clear answer, the connection ends, and what it took stays small.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "redis/call.h"
#include "support/fake_server.h"
#include "support/redis_rig.h"

#define BULK_SIZE_MAX ((size_t)1 << 20)
#define MIB           ((size_t)1 << 20)
/* More than any buffer on the way holds: whoever reads it all never stops. */
#define FLOOD_MAX (2048 * MIB)
#define PATIENCE  60000

/* What is sent first, and then over and over; and what the caller gets. */
typedef struct flood {
    const char *head;
    const char *body;
    const char *failure;
    size_t heap_max; /* what the client may take meanwhile */
} flood;

static const flood FLOODS[] = {
    {"+", "endless", "endless line", MIB / 2},
    {"-ERR ", "endless", "endless line", MIB / 2},
    {"$", "0123456789", "endless line", MIB / 2},
    {":", "0", "endless line", MIB / 2},
    {"$1000000\r\n", "bytes", "wrong end of a bulk", 3 * MIB / 2},
    {"$2000000\r\n", "bytes", "wrong end of a bulk", MIB / 2},
    {"$9223372036854775807\r\n", "bytes", "bulk over the limit", MIB / 2},
    {"*1048577\r\n", ":1\r\n", "array over the limit", MIB / 2},
    {"*9223372036854775807\r\n", ":1\r\n", "array over the limit", MIB / 2},
    {"", "*1\r\n", "arrays too deep", MIB / 2},
    {"", "*1000\r\n", "arrays too deep", MIB / 2},
    {"", "%1\r\n", "arrays too deep", MIB / 2},
    {"", ">1\r\n", "a push inside a reply", MIB / 2},
};

#define FLOOD_COUNT (sizeof FLOODS / sizeof *FLOODS)

/* Those that end after a million of elements. */
static const flood LONG_FLOODS[] = {
    {"*1048576\r\n", ":1\r\n", "reply over the limit", 80 * MIB},
    {"", "|1\r\n+a\r\n+b\r\n", "reply over the limit", MIB / 2},
    {"", "|0\r\n", "reply over the limit", MIB / 2},
};

#define LONG_COUNT (sizeof LONG_FLOODS / sizeof *LONG_FLOODS)

/* -- the server ----------------------------------------------------------- */

typedef struct scene {
    const flood *flood;
    bool is_greeting;
    _Atomic size_t sent;
    size_t heap_before;
    _Atomic size_t heap_peak;
} scene;

/* Of all threads. Sanitizers bring a heap of their own, and it stays 0. */
static size_t heap_size(void)
{
    struct mallinfo2 all = mallinfo2();
    return all.uordblks + all.hblkhd;
}

/* Until the client closes. */
static void send_flood(fake_server *server, scene *scene)
{
    static char chunk[32768];
    size_t unit = strlen(scene->flood->body);
    size_t size = 0;
    while (size + unit <= sizeof chunk) {
        memcpy(chunk + size, scene->flood->body, unit);
        size += unit;
    }
    scene->heap_before = heap_size();
    if (!fake_send(server, scene->flood->head))
        return;
    while (scene->sent < FLOOD_MAX && fake_send_bytes(server, chunk, size)) {
        size_t heap = heap_size() - scene->heap_before;
        atomic_fetch_add(&scene->sent, size);
        if (heap < SIZE_MAX / 2 && heap > scene->heap_peak)
            atomic_store(&scene->heap_peak, heap);
    }
}

static void flood_without_end(fake_server *server, void *ctx)
{
    scene *scene = ctx;
    bool is_there = scene->is_greeting
                        ? fake_accept(server) && fake_take(server, 1)
                        : fake_greet(server) && fake_take(server, 1);
    if (is_there)
        send_flood(server, scene);
    fake_finish(server);
}

/* -- the client ----------------------------------------------------------- */

static mtci_redis_client *make_client(int port)
{
    mtci_redis_settings settings = redis_rig_settings(port);
    mtci_redis_client *client;
    settings.bulk_size_max = BULK_SIZE_MAX;
    settings.connect_ms = PATIENCE;
    assert_int_equal(mtci_client_new(&settings, &client), MTC_OK);
    return client;
}

static mtc_status ask(mtci_redis_client *client, int64_t wait_ms,
                      char failure[MTCI_CALL_FAILURE_SIZE])
{
    mtci_reply reply;
    mtc_status status =
        mtci_redis_call(client, redis_rig_command(MTCI_REPLY_BULK, "GET key"),
                        mtci_boot_ms() + wait_ms, failure, &reply);
    mtci_reply_fini(&reply);
    return status;
}

static void check_flood(const flood *flood, bool is_greeting)
{
    char failure[MTCI_CALL_FAILURE_SIZE];
    scene scene = {.flood = flood, .is_greeting = is_greeting};
    fake_server *server = fake_server_start(flood_without_end, &scene);
    assert_non_null(server);
    mtci_redis_client *client = make_client(fake_server_port(server));
    mtc_status status = ask(client, PATIENCE, failure);
    /* It hung up: the flood ends by itself. */
    fake_server_join(server);
    assert_null(fake_server_stop(server));
    mtci_client_free(client);
    if (status != MTC_E_UNAVAILABLE || !strstr(failure, flood->failure))
        fail_msg("%.12s...: %s %s", flood->head, mtc_status_name(status),
                 failure);
    assert_true(scene.sent < FLOOD_MAX);
    if (scene.heap_peak > flood->heap_max)
        fail_msg("%.12s...: %zu bytes", flood->head, scene.heap_peak);
}

static void what_never_ends_ends_the_connection(void **state)
{
    (void)state;
    for (size_t i = 0; i < FLOOD_COUNT; i++)
        check_flood(&FLOODS[i], false);
    for (size_t i = 0; i < LONG_COUNT; i++)
        check_flood(&LONG_FLOODS[i], false);
}

static void a_greeting_that_never_ends_ends_the_connection(void **state)
{
    (void)state;
    for (size_t i = 0; i < FLOOD_COUNT; i++)
        check_flood(&FLOODS[i], true);
}

/* -- pushes --------------------------------------------------------------- */

static const flood PUSHES = {"", ">1\r\n+x\r\n", "", 16 * MIB};

static void serve_but_for_a_flood(fake_server *server, void *ctx)
{
    if (fake_greet(server) && fake_take(server, 1) &&
        fake_send(server, "$1\r\nv\r\n") && fake_take(server, 1))
        send_flood(server, ctx);
    fake_finish(server);
    if (fake_greet(server))
        while (fake_take(server, 1) && fake_send(server, "$1\r\nv\r\n")) {
        }
}

/* No push is an answer: the caller's time passes, then the server's, and the
 * next connection is a new one: made at once, as this one has served. */
static void pushes_without_end_are_no_answer(void **state)
{
    (void)state;
    char failure[MTCI_CALL_FAILURE_SIZE];
    scene scene = {.flood = &PUSHES};
    fake_server *server = fake_server_start(serve_but_for_a_flood, &scene);
    assert_non_null(server);
    mtci_redis_client *client = make_client(fake_server_port(server));
    assert_int_equal(ask(client, PATIENCE, failure), MTC_OK);
    assert_int_equal(ask(client, 250, failure), MTC_E_TIMEOUT);
    /* This one may still have been sent to the connection that floods. */
    mtc_status status = ask(client, PATIENCE, failure);
    assert_true(status == MTC_OK || status == MTC_E_TIMEOUT);
    assert_int_equal(ask(client, PATIENCE, failure), MTC_OK);
    mtci_client_free(client);
    assert_null(fake_server_stop(server));
    if (scene.heap_peak > PUSHES.heap_max)
        fail_msg("%zu bytes", scene.heap_peak);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_never_ends_ends_the_connection),
        cmocka_unit_test(a_greeting_that_never_ends_ends_the_connection),
        cmocka_unit_test(pushes_without_end_are_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
