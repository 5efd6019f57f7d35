/*
 * A thousand threads on one missing key: one load, at most one GET.
 * labels: server
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "core/cache.h"
#include "support/cache_fixture.h"
#include "support/redis_rig.h"
#include "support/server.h"

#define THREADS    1000
#define STACK_SIZE ((size_t)256 << 10)

static mtc_cache *cache;
static _Atomic uint64_t loads, wrong;
static pthread_barrier_t start;

/* Ends when all the others follow it, so that none comes too late. */
static mtc_status load_for_all(mtc_load *load, void *ctx)
{
    struct timespec nap = {0, 1000000};
    mtc_stats stats = {.struct_size = sizeof(stats)};
    (void)ctx;
    atomic_fetch_add(&loads, 1);
    while (mtc_cache_stats(cache, &stats) == MTC_OK &&
           stats.followers < THREADS - 1)
        nanosleep(&nap, NULL);
    return mtc_load_set_value(load, mtc_str("loaded"));
}

static void *ask(void *ctx)
{
    mtc_value value;
    (void)ctx;
    pthread_barrier_wait(&start);
    mtc_status status = mtc_cache_get_or_load(cache, mtc_str("k"), NULL,
                                              load_for_all, NULL, &value);
    if (status != MTC_OK || value.size != 6 ||
        memcmp(value.data, "loaded", 6) != 0)
        atomic_fetch_add(&wrong, 1);
    mtc_value_free(&value);
    return NULL;
}

static void run_threads(void)
{
    static pthread_t threads[THREADS];
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    pthread_barrier_init(&start, NULL, THREADS);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], &attr, ask, NULL), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&start);
    pthread_attr_destroy(&attr);
}

/* Runs them on a cache of these tiers, and checks what everybody got. */
static void stampede(const char *tiers)
{
    mtc_error error;
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    mtc_stats stats = {.struct_size = sizeof(stats)};
    options.tiers = tiers;
    if (mtc_cache_open(&options, &error, &cache) != MTC_OK)
        fail_msg("cannot open: %s", error.text);
    atomic_store(&loads, 0);
    atomic_store(&wrong, 0);
    run_threads();
    assert_int_equal(wrong, 0);
    assert_int_equal(loads, 1);
    assert_int_equal(mtc_cache_stats(cache, &stats), MTC_OK);
    assert_int_equal(stats.loads, 1);
    assert_int_equal(stats.requests, THREADS);
    assert_int_equal(stats.misses, THREADS);
    assert_int_equal(stats.followers, THREADS - 1);
    assert_int_equal(stats.in_flight, 0);
    assert_int_equal(stats.tiers[1].reads, 1);
}

static void a_thousand_threads_make_one_load_and_one_read_on_disk(void **state)
{
    char dir[] = "/tmp/mtc-stampede-XXXXXX";
    char command[64];
    char tiers[96];
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(tiers, sizeof(tiers), "memory disk:%s?deadline=20s", dir);
    stampede(tiers);
    /* Answers of the disk tier: the one read, and the store if it is done. */
    assert_in_range(cache->lanes[1].sample_count, 1, 2);
    assert_int_equal(mtc_cache_close(&cache), MTC_OK);
    snprintf(command, sizeof(command), "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

/* How often the server carried a command out. */
static unsigned long calls_of(test_server *server, const char *command)
{
    char text[16384];
    char wanted[48];
    mtci_redis_client *client = redis_rig_client(server->port);
    redis_rig_ask(client, MTCI_REPLY_BULK, "INFO commandstats", text,
                  sizeof(text));
    mtci_client_free(client);
    snprintf(wanted, sizeof(wanted), "cmdstat_%s:calls=", command);
    const char *found = strstr(text, wanted);
    return found ? strtoul(found + strlen(wanted), NULL, 10) : 0;
}

static void a_thousand_threads_make_one_load_and_one_get_in_redis(void **state)
{
    test_server server = {0};
    char tiers[96];
    (void)state;
    test_server_require(TEST_REDIS);
    assert_true(test_server_start(&server, TEST_REDIS, NULL));
    snprintf(tiers, sizeof(tiers), "memory %s?deadline=20s", server.url);
    stampede(tiers);
    assert_int_equal(mtc_cache_close(&cache), MTC_OK);
    assert_int_equal(calls_of(&server, "get"), 1);
    assert_int_equal(calls_of(&server, "pttl"), 1);
    assert_int_equal(calls_of(&server, "set"), 1);
    test_server_stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thousand_threads_make_one_load_and_one_read_on_disk),
        cmocka_unit_test(a_thousand_threads_make_one_load_and_one_get_in_redis),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
