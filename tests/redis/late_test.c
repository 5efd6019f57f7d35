/*
 * labels: server
 *
 * Late replies: threads that leave after random times, behind a proxy that
 * holds replies back, never get the value of another key.
 *
 * 100,000 gets; MTC_TEST_FULL=1: a million.
 */
#include "redis/client.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "redis/call.h"
#include "support/proxy.h"
#include "support/redis_rig.h"
#include "support/server.h"
#include "support/stamp.h"
#include "support/tier_call.h"

#define THREADS     16
#define KEYS        200
#define VALUE_SIZE  100
#define PATIENCE_MS 5 /* a caller waits 0 to this many milliseconds */
#define DELAY_MS    8

typedef struct worker {
    pthread_t thread;
    mtci_redis_client *client;
    uint64_t seed;
    uint64_t gets, found, left, wrong, failed;
} worker;

static uint64_t get_count(void)
{
    const char *text = getenv("MTC_TEST_FULL");
    return text && text[0] == '1' ? 1000000 : 100000;
}

static void fill(mtci_redis_client *client)
{
    char bytes[VALUE_SIZE], key[24], failure[MTCI_CALL_FAILURE_SIZE];
    for (uint32_t number = 0; number < KEYS; number++) {
        mtci_reply reply;
        mtci_redis_command *command = mtci_command_new(MTCI_REPLY_STATUS);
        mtct_stamp_write(bytes, sizeof bytes, number, 1);
        mtci_resp_begin(&command->bytes, 3);
        mtci_resp_add_text(&command->bytes, "SET");
        mtci_resp_add(&command->bytes, mtct_key(number, key));
        mtci_resp_add(&command->bytes, mtc_bytes(bytes, sizeof bytes));
        assert_int_equal(mtci_redis_call(client, command,
                                         mtci_boot_ms() + 10000, failure,
                                         &reply),
                         MTC_OK);
        mtci_reply_fini(&reply);
    }
}

static void get(worker *worker)
{
    char words[48], key[24], failure[MTCI_CALL_FAILURE_SIZE];
    mtci_reply reply;
    uint32_t stamp;
    uint32_t number = mtct_draw(&worker->seed, KEYS);
    int64_t patience_ms = mtct_draw(&worker->seed, PATIENCE_MS + 1);
    mtc_slice name = mtct_key(number, key);
    snprintf(words, sizeof words, "GET %.*s", (int)name.size,
             (const char *)name.data);
    mtc_status status =
        mtci_redis_call(worker->client,
                        redis_rig_command(MTCI_REPLY_BULK | MTCI_REPLY_NIL,
                                          words),
                        mtci_boot_ms() + patience_ms, failure, &reply);
    worker->found += status == MTC_OK;
    worker->left += status == MTC_E_TIMEOUT || status == MTC_E_CANCELLED;
    worker->failed += status != MTC_OK && status != MTC_E_TIMEOUT &&
                      status != MTC_E_CANCELLED;
    worker->wrong += status == MTC_OK &&
                     !mtct_stamp_read(mtci_reply_slice(&reply), number, &stamp);
    mtci_reply_fini(&reply);
}

static void *work(void *ctx)
{
    worker *worker = ctx;
    for (uint64_t i = 0; i < worker->gets; i++)
        get(worker);
    return NULL;
}

static void a_late_reply_never_goes_to_another_caller(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    static worker workers[THREADS];
    test_server server;
    uint64_t seed = mtct_seed("late");
    uint64_t found = 0, left = 0, wrong = 0, failed = 0;
    assert_true(test_server_start(&server, TEST_REDIS, NULL));
    const test_proxy_delays delays = {seed, 20, DELAY_MS};
    test_proxy *proxy = test_proxy_start(server.port, &delays);
    assert_non_null(proxy);
    mtci_redis_client *client = redis_rig_client(test_proxy_port(proxy));
    fill(client);
    for (size_t i = 0; i < THREADS; i++) {
        workers[i] = (worker){.client = client, .seed = seed + i + 1};
        workers[i].gets = get_count() / THREADS;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work,
                                        &workers[i]),
                         0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        found += workers[i].found;
        left += workers[i].left;
        wrong += workers[i].wrong;
        failed += workers[i].failed;
    }
    print_message("%llu found, %llu left early, %llu failed, %llu pieces held "
                  "back\n",
                  (unsigned long long)found, (unsigned long long)left,
                  (unsigned long long)failed,
                  (unsigned long long)test_proxy_delayed(proxy));
    assert_int_equal(wrong, 0);
    assert_int_equal(failed, 0);
    assert_int_equal(found + left, get_count() / THREADS * THREADS);
    assert_true(found > 0 && left > 0);
    assert_true(test_proxy_delayed(proxy) > 0);
    mtci_client_free(client);
    test_proxy_stop(proxy);
    test_server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_late_reply_never_goes_to_another_caller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
