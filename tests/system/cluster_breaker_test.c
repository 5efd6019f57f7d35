/*
 * labels: server
 *
 * A cache over a real cluster of which nodes stand still, die, or refuse: what
 * the others serve is served as ever, the keys of the lost node fail at once,
 * what it owes is paid, and the tier is down only when nothing is served.
 *
 * Replicas may not take over, so that a lost master stays lost.
 */
#include "mtc/cache.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "mtc/stats.h"
#include "redis/slots.h"
#include "support/redis_cluster.h"
#include "support/redis_rig.h"

#define DEADLINE_MS 500
#define WAIT_MS     30000
#define KEYS        8 /* of each master */
#define ROUNDS      25
#define READERS     4

static test_cluster the_cluster;
static mtc_cache *the_cache;
static char the_keys[TEST_CLUSTER_MASTERS][KEYS][16];
static _Atomic uint64_t downs, backs, tier_lines;
static char down_line[256];

/* -- the cluster ---------------------------------------------------------- */

static void tell_all(const char *words)
{
    char text[200];
    for (int i = 0; i < TEST_CLUSTER_NODES; i++)
        assert_string_equal(redis_rig_ask(the_cluster.admins[i],
                                          MTCI_REPLY_STATUS, words, text,
                                          sizeof text),
                            "+OK");
}

/* A server forgets what it was told. */
static void revive(int node, const char *words)
{
    char text[200];
    assert_true(test_server_restart(&the_cluster.servers[node]));
    assert_string_equal(redis_rig_ask(the_cluster.admins[node],
                                      MTCI_REPLY_STATUS, words, text,
                                      sizeof text),
                        "+OK");
}

static void choose_keys(void)
{
    int counts[TEST_CLUSTER_MASTERS] = {0};
    for (int found = 0, i = 0; found < KEYS * TEST_CLUSTER_MASTERS; i++) {
        char key[16];
        snprintf(key, sizeof key, "key:%d", i);
        int owner =
            test_cluster_owner(&the_cluster, mtci_slot_of_key(mtc_str(key)));
        if (counts[owner] == KEYS)
            continue;
        memcpy(the_keys[owner][counts[owner]++], key, sizeof key);
        found++;
    }
}

static int start(void **state)
{
    (void)state;
    if (!test_server_installed(TEST_REDIS))
        return 0;
    if (!test_cluster_start(&the_cluster))
        return -1;
    tell_all("CONFIG SET cluster-require-full-coverage no");
    tell_all("CONFIG SET cluster-replica-no-failover yes");
    choose_keys();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    test_cluster_stop(&the_cluster);
    return 0;
}

/* -- the cache ------------------------------------------------------------ */

static void take_line(void *ctx, mtc_log_level level, const char *part,
                      const char *text)
{
    (void)ctx;
    (void)level;
    (void)part;
    if (strncmp(text, "tier ", 5) == 0)
        tier_lines++;
    else if (strstr(text, " is down: ")) {
        snprintf(down_line, sizeof down_line, "%s", text);
        downs++;
    } else if (strstr(text, " is back after "))
        backs++;
}

static mtc_status set(const char *key)
{
    return mtc_cache_set(the_cache, mtc_str(key), mtc_str(key), &MTC_LONG_TERM);
}

/* What is found is the key's own value. */
static mtc_status get(const char *key)
{
    mtc_value value = {0};
    mtc_status status = mtc_cache_get(the_cache, mtc_str(key), &value);
    mtc_slice found = mtc_value_slice(&value);
    if (status == MTC_OK &&
        (found.size != strlen(key) || memcmp(found.data, key, found.size) != 0))
        status = MTC_E_CORRUPT;
    mtc_value_free(&value);
    return status;
}

static void open_cache(void)
{
    char tiers[256];
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    snprintf(tiers, sizeof tiers, "%s?deadline=%dms", the_cluster.url,
             DEADLINE_MS);
    options.tiers = tiers;
    options.log = take_line;
    downs = backs = tier_lines = 0;
    assert_int_equal(mtc_cache_open(&options, NULL, &the_cache), MTC_OK);
    for (int i = 0; i < TEST_CLUSTER_MASTERS; i++)
        for (int j = 0; j < KEYS; j++)
            assert_int_equal(set(the_keys[i][j]), MTC_OK);
}

static mtc_tier_stats stats(void)
{
    mtc_stats stats = {.struct_size = sizeof stats};
    assert_int_equal(mtc_cache_stats(the_cache, &stats), MTC_OK);
    return stats.tiers[0];
}

static mtc_tier_health health(void)
{
    mtc_health health = {.struct_size = sizeof health};
    assert_int_equal(mtc_cache_health(the_cache, &health), MTC_OK);
    return health.tiers[0];
}

static void nap(void)
{
    nanosleep(&(struct timespec){0, 1000000}, NULL);
}

/* Waits until all parts are up and all debts are paid. */
static void await_whole(void)
{
    int64_t until_ms = mtci_boot_ms() + WAIT_MS;
    for (;;) {
        mtc_tier_health now = health();
        if (now.state != MTC_HEALTH_DOWN && now.parts > 0 &&
            now.parts_down == 0 && now.debts == 0)
            return;
        assert_true(mtci_boot_ms() < until_ms);
        nap();
    }
}

static void expect_all(int master, mtc_status status)
{
    for (int j = 0; j < KEYS; j++)
        assert_int_equal(get(the_keys[master][j]), status);
}

/* Two masters serve, one does not: so often, and nobody waits for it. */
static void expect_all_but(int lost)
{
    mtc_tier_stats before = stats();
    for (int i = 0; i < ROUNDS; i++)
        for (int master = 0; master < TEST_CLUSTER_MASTERS; master++)
            expect_all(master, master == lost ? MTC_E_UNAVAILABLE : MTC_OK);
    mtc_tier_stats after = stats();
    assert_int_equal(after.timeouts, before.timeouts);
    assert_int_equal(after.skipped, 0);
    assert_int_equal(after.usage.parts, TEST_CLUSTER_MASTERS);
    assert_int_equal(after.usage.parts_down, 1);
}

static void expect_named(const char *text, int master)
{
    char name[32];
    snprintf(name, sizeof name,
             "127.0.0.1:%d is down: ", the_cluster.servers[master].port);
    if (!strstr(text, name))
        fail_msg("\"%s\" does not say %s", text, name);
}

/* -- one node ------------------------------------------------------------- */

static void a_standing_master_costs_one_deadline(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    open_cache();
    assert_int_equal(health().state, MTC_HEALTH_UP);
    assert_int_equal(health().parts, TEST_CLUSTER_MASTERS);
    test_server_pause(&the_cluster.servers[1]);
    assert_int_equal(get(the_keys[1][0]), MTC_E_TIMEOUT);
    expect_all_but(1);
    assert_int_equal(stats().timeouts, 1);
    assert_int_equal(health().state, MTC_HEALTH_DEGRADED);
    assert_int_equal(health().parts_down, 1);
    expect_named(health().last_error_text, 1);
    test_server_resume(&the_cluster.servers[1]);
    await_whole();
    for (int master = 0; master < TEST_CLUSTER_MASTERS; master++)
        expect_all(master, MTC_OK);
    assert_int_equal(health().state, MTC_HEALTH_UP);
    mtc_cache_close(&the_cache);
    assert_int_equal(downs, 1);
    assert_int_equal(backs, 1);
    assert_int_equal(tier_lines, 0);
    expect_named(down_line, 1);
}

static void removes_of_its_keys_are_owed_and_paid(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    open_cache();
    test_server_pause(&the_cluster.servers[0]);
    assert_int_equal(mtc_cache_remove(the_cache, mtc_str(the_keys[0][0])),
                     MTC_PENDING);
    uint64_t timeouts = stats().timeouts;
    for (int j = 1; j < KEYS - 1; j++)
        assert_int_equal(mtc_cache_remove(the_cache, mtc_str(the_keys[0][j])),
                         MTC_PENDING);
    assert_int_equal(mtc_cache_remove(the_cache, mtc_str(the_keys[2][0])),
                     MTC_OK);
    assert_int_equal(stats().debts, KEYS - 1);
    assert_int_equal(stats().timeouts, timeouts);
    test_server_resume(&the_cluster.servers[0]);
    await_whole();
    for (int j = 0; j < KEYS - 1; j++)
        assert_int_equal(get(the_keys[0][j]), MTC_MISS);
    assert_int_equal(get(the_keys[0][KEYS - 1]), MTC_OK);
    mtc_cache_close(&the_cache);
}

static void a_dead_master_costs_nobody_a_deadline(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    open_cache();
    test_server_kill(&the_cluster.servers[2]);
    assert_int_equal(get(the_keys[2][0]), MTC_E_UNAVAILABLE);
    expect_all_but(2);
    assert_int_equal(stats().timeouts, 0);
    expect_named(health().last_error_text, 2);
    revive(2, "CONFIG SET cluster-require-full-coverage no");
    await_whole();
    for (int j = 0; j < KEYS; j++)
        assert_true(get(the_keys[2][j]) >= 0);
    mtc_cache_close(&the_cache);
}

/* -- threads -------------------------------------------------------------- */

static _Atomic bool is_over;
static _Atomic uint64_t served, lost, wrong;

/* Every failure is of the node that stands still. */
static void *read_all(void *ctx)
{
    (void)ctx;
    while (!is_over) {
        for (int master = 0; master < TEST_CLUSTER_MASTERS; master++) {
            for (int j = 0; j < KEYS; j++) {
                mtc_status status = get(the_keys[master][j]);
                served += status == MTC_OK;
                lost += master == 1 && (status == MTC_E_UNAVAILABLE ||
                                        status == MTC_E_TIMEOUT);
                wrong += status < 0 && master != 1;
            }
        }
    }
    return NULL;
}

static void await_count(const _Atomic uint64_t *count, uint64_t more)
{
    uint64_t until = *count + more;
    int64_t until_ms = mtci_boot_ms() + WAIT_MS;
    while (*count < until) {
        assert_true(mtci_boot_ms() < until_ms);
        nap();
    }
}

static void threads_are_served_by_the_others_meanwhile(void **state)
{
    pthread_t readers[READERS];
    (void)state;
    test_server_require(TEST_REDIS);
    open_cache();
    is_over = false;
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_all, NULL), 0);
    for (int i = 0; i < 3; i++) {
        test_server_pause(&the_cluster.servers[1]);
        await_count(&lost, 200);
        await_count(&served, 200);
        assert_int_not_equal(health().state, MTC_HEALTH_DOWN);
        test_server_resume(&the_cluster.servers[1]);
        await_whole();
    }
    is_over = true;
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    assert_int_equal(wrong, 0);
    assert_int_equal(stats().skipped, 0);
    assert_int_equal(downs, 1); /* and no more within a minute */
    mtc_cache_close(&the_cache);
}

/* -- all nodes ------------------------------------------------------------ */

static void expect_down(void)
{
    int64_t until_ms = mtci_boot_ms() + WAIT_MS;
    while (health().state != MTC_HEALTH_DOWN) {
        for (int master = 0; master < TEST_CLUSTER_MASTERS; master++)
            get(the_keys[master][0]);
        assert_true(mtci_boot_ms() < until_ms);
    }
    uint64_t skipped = stats().skipped;
    assert_int_equal(get(the_keys[0][0]), MTC_E_UNAVAILABLE);
    assert_int_equal(stats().skipped, skipped + 1);
    assert_int_equal(stats().usage.parts_down, TEST_CLUSTER_MASTERS);
}

static void the_tier_is_down_when_all_nodes_are(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    open_cache();
    for (int i = 0; i < TEST_CLUSTER_NODES; i++)
        test_server_pause(&the_cluster.servers[i]);
    expect_down();
    assert_int_equal(stats().timeouts, TEST_CLUSTER_MASTERS);
    for (int i = 0; i < TEST_CLUSTER_NODES; i++)
        test_server_resume(&the_cluster.servers[i]);
    await_whole();
    for (int master = 0; master < TEST_CLUSTER_MASTERS; master++)
        expect_all(master, MTC_OK);
    mtc_cache_close(&the_cache);
}

/* Which is not the one that has the key that the keeper asks for. */
static void the_first_node_to_come_back_serves_its_keys(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    int owner = test_cluster_owner(&the_cluster,
                                   mtci_slot_of_key(mtc_str("mtc:probe")));
    int first = (owner + 1) % TEST_CLUSTER_MASTERS;
    open_cache();
    for (int i = 0; i < TEST_CLUSTER_MASTERS; i++)
        test_server_pause(&the_cluster.servers[i]);
    expect_down();
    test_server_resume(&the_cluster.servers[first]);
    int64_t until_ms = mtci_boot_ms() + WAIT_MS;
    while (get(the_keys[first][0]) != MTC_OK) {
        assert_true(mtci_boot_ms() < until_ms);
        nap();
    }
    assert_int_equal(stats().usage.parts_down, TEST_CLUSTER_MASTERS - 1);
    for (int i = 0; i < TEST_CLUSTER_MASTERS; i++)
        if (i != first)
            test_server_resume(&the_cluster.servers[i]);
    await_whole();
    mtc_cache_close(&the_cache);
}

/* Nodes that answer, but see too little of the cluster to serve. */
static void a_cluster_that_refuses_is_down(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    tell_all("CONFIG SET cluster-require-full-coverage yes");
    open_cache();
    test_server_kill(&the_cluster.servers[0]);
    expect_down();
    revive(0, "CONFIG SET cluster-require-full-coverage yes");
    await_whole();
    mtc_cache_close(&the_cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_standing_master_costs_one_deadline),
        cmocka_unit_test(removes_of_its_keys_are_owed_and_paid),
        cmocka_unit_test(a_dead_master_costs_nobody_a_deadline),
        cmocka_unit_test(threads_are_served_by_the_others_meanwhile),
        cmocka_unit_test(the_tier_is_down_when_all_nodes_are),
        cmocka_unit_test(the_first_node_to_come_back_serves_its_keys),
        cmocka_unit_test(a_cluster_that_refuses_is_down),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
