/*
 * labels: server
 *
 * What a real Redis refuses, through a cache: which status each call gets,
 * whether the tier is closed off, and that ten thousand refusals make no
 * flood of log lines.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "mtc/stats.h"
#include "support/redis_rig.h"
#include "support/server.h"

#define CALLS 10000
#define KEYS  100
/* A kind of refusal, and the tier's fall and return. */
#define LINES_MAX 4
#define SECRET    "S3CR3T"
#define ANY                                                                    \
    (MTCI_REPLY_NIL | MTCI_REPLY_STATUS | MTCI_REPLY_INTEGER |                 \
     MTCI_REPLY_BULK | MTCI_REPLY_ARRAY)

typedef struct rig {
    test_server server;
    mtci_redis_client *other;
    mtc_cache *cache;
    _Atomic unsigned lines;
    _Atomic unsigned leaks;
} rig;

static rig the_rig;

/* -- the rig -------------------------------------------------------------- */

static void count_line(void *ctx, mtc_log_level level, const char *part,
                       const char *text)
{
    rig *rig = ctx;
    (void)level;
    atomic_fetch_add(&rig->lines, 1);
    if (strstr(text, SECRET) || strstr(part, SECRET))
        atomic_fetch_add(&rig->leaks, 1);
    print_message("        %s: %s\n", part, text);
}

/* login: "" or "user:password@". */
static void open_cache(rig *rig, const char *login, size_t value_size_max)
{
    char tiers[160];
    mtc_error error;
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    snprintf(tiers, sizeof tiers, "redis://%s127.0.0.1:%d?deadline=5s", login,
             rig->server.port);
    options.tiers = tiers;
    options.log = count_line;
    options.log_ctx = rig;
    options.value_size_max = value_size_max;
    if (mtc_cache_open(&options, &error, &rig->cache) != MTC_OK)
        fail_msg("cannot open: %s", error.text);
}

static rig *begin(const char *const *args)
{
    rig *rig = &the_rig;
    memset(rig, 0, sizeof *rig);
    test_server_require(TEST_REDIS);
    assert_true(test_server_start(&rig->server, TEST_REDIS, args));
    rig->other = redis_rig_client(rig->server.port);
    assert_non_null(rig->other);
    return rig;
}

static int end(void **state)
{
    rig *rig = &the_rig;
    (void)state;
    if (rig->cache)
        mtc_cache_close(&rig->cache);
    mtci_client_free(rig->other);
    rig->other = NULL;
    test_server_stop(&rig->server);
    return 0;
}

static void nap_ms(int64_t ms)
{
    struct timespec nap = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&nap, NULL);
}

/* The other program says something to the server; it must be done. */
static void say(const rig *rig, const char *words)
{
    char text[256];
    redis_rig_ask(rig->other, ANY, words, text, sizeof text);
    if (strncmp(text, "E_", 2) == 0)
        fail_msg("%s: %s", words, text);
}

static mtc_status get(const rig *rig, const char *key)
{
    mtc_value value;
    mtc_status status = mtc_cache_get(rig->cache, mtc_str(key), &value);
    mtc_value_free(&value);
    return status;
}

static mtc_status set(const rig *rig, const char *key)
{
    return mtc_cache_set(rig->cache, mtc_str(key), mtc_str("v"), NULL);
}

static mtc_status drop(const rig *rig, const char *key)
{
    return mtc_cache_remove(rig->cache, mtc_str(key));
}

static mtc_tier_health health(const rig *rig)
{
    mtc_health health = {.struct_size = sizeof health};
    assert_int_equal(mtc_cache_health(rig->cache, &health), MTC_OK);
    return health.tiers[0];
}

static void expect_error(const rig *rig, const char *beginning)
{
    mtc_tier_health now = health(rig);
    if (!strstr(now.last_error_text, beginning))
        fail_msg("the last error is \"%s\"", now.last_error_text);
    assert_null(strstr(now.last_error_text, SECRET));
}

static void expect_state(const rig *rig, int state)
{
    assert_int_equal(health(rig).state, state);
}

static void expect_back(const rig *rig)
{
    int64_t until_ms = mtci_boot_ms() + 20000;
    while (health(rig).state == MTC_HEALTH_DOWN) {
        assert_true(mtci_boot_ms() < until_ms);
        nap_ms(1);
    }
}

/* Ten thousand calls that fail; nothing of them is a miss. */
static void flood_reads(rig *rig, const char *key)
{
    for (int i = 0; i < CALLS; i++)
        assert_true(get(rig, key) < 0);
}

static void flood_writes(rig *rig)
{
    char key[24];
    for (int i = 0; i < CALLS; i++) {
        snprintf(key, sizeof key, "key%d", i % KEYS);
        assert_int_equal(set(rig, key), MTC_PARTIAL);
    }
}

static void expect_few_lines(const rig *rig)
{
    assert_in_range(atomic_load(&rig->lines), 1, LINES_MAX);
    assert_int_equal(atomic_load(&rig->leaks), 0);
}

/* -- it does not write ---------------------------------------------------- */

/* Refused stores are PARTIAL, refused removals owed; reads go on, but for
 * what is owed. */
static void check_refused_writes(rig *rig, const char *error,
                                 mtc_status removed)
{
    assert_int_equal(set(rig, "k"), MTC_PARTIAL);
    expect_error(rig, error);
    assert_int_equal(get(rig, "kept"), MTC_OK);
    assert_int_equal(drop(rig, "r"), removed);
    flood_writes(rig);
    assert_int_equal(get(rig, "kept"), MTC_OK);
    assert_int_equal(get(rig, "nowhere"), MTC_MISS);
    expect_state(rig, MTC_HEALTH_UP);
    expect_few_lines(rig);
}

static void expect_debts_paid(const rig *rig)
{
    int64_t until_ms = mtci_boot_ms() + 20000;
    while (health(rig).debts > 0) {
        assert_true(mtci_boot_ms() < until_ms);
        nap_ms(1);
    }
    assert_int_equal(get(rig, "k"), MTC_MISS);
    assert_int_equal(set(rig, "k"), MTC_OK);
}

static void oom_refuses_stores_alone(void **state)
{
    (void)state;
    rig *rig = begin(NULL);
    open_cache(rig, "", 0);
    assert_int_equal(set(rig, "kept"), MTC_OK);
    say(rig, "CONFIG SET maxmemory 1");
    check_refused_writes(rig, "OOM ", MTC_OK);
    say(rig, "CONFIG SET maxmemory 0");
    expect_debts_paid(rig);
}

static void a_replica_is_read_and_not_written(void **state)
{
    (void)state;
    rig *rig = begin(NULL);
    open_cache(rig, "", 0);
    assert_int_equal(set(rig, "kept"), MTC_OK);
    say(rig, "REPLICAOF 127.0.0.1 1");
    check_refused_writes(rig, "READONLY ", MTC_PENDING);
    say(rig, "REPLICAOF NO ONE");
    expect_debts_paid(rig);
}

static void without_enough_replicas_nothing_is_written(void **state)
{
    (void)state;
    rig *rig = begin(NULL);
    open_cache(rig, "", 0);
    assert_int_equal(set(rig, "kept"), MTC_OK);
    say(rig, "CONFIG SET min-replicas-to-write 1");
    check_refused_writes(rig, "NOREPLICAS ", MTC_PENDING);
    say(rig, "CONFIG SET min-replicas-to-write 0");
    expect_debts_paid(rig);
}

/* Its snapshots fail, since their folder is gone. */
static void a_server_that_cannot_save_is_not_written(void **state)
{
    static const char *const args[] = {"--save", "3600 1000000",
                                       "--enable-protected-configs", "yes",
                                       NULL};
    char path[96], words[128];
    (void)state;
    rig *rig = begin(args);
    open_cache(rig, "", 0);
    assert_int_equal(set(rig, "kept"), MTC_OK);
    snprintf(path, sizeof path, "%s/gone", rig->server.dir);
    snprintf(words, sizeof words, "CONFIG SET dir %s", path);
    assert_int_equal(mkdir(path, 0700), 0);
    say(rig, words);
    assert_int_equal(rmdir(path), 0);
    int64_t until_ms = mtci_boot_ms() + 20000;
    say(rig, "BGSAVE");
    while (set(rig, "k") == MTC_OK) {
        assert_true(mtci_boot_ms() < until_ms);
        nap_ms(1);
    }
    check_refused_writes(rig, "MISCONF ", MTC_PENDING);
    say(rig, "CONFIG SET stop-writes-on-bgsave-error no");
    expect_debts_paid(rig);
}

/* -- it does not serve ---------------------------------------------------- */

static void check_closed(rig *rig, const char *error)
{
    assert_int_equal(get(rig, "k"), MTC_E_UNAVAILABLE);
    expect_state(rig, MTC_HEALTH_DOWN);
    expect_error(rig, error);
    assert_int_equal(set(rig, "w"), MTC_PARTIAL);
    assert_int_equal(drop(rig, "r"), MTC_PENDING);
    flood_reads(rig, "k");
    expect_few_lines(rig);
}

static void a_replica_without_its_master_is_closed_off(void **state)
{
    static const char *const args[] = {"--replica-serve-stale-data", "no",
                                       NULL};
    (void)state;
    rig *rig = begin(args);
    open_cache(rig, "", 0);
    assert_int_equal(set(rig, "k"), MTC_OK);
    say(rig, "REPLICAOF 127.0.0.1 1");
    check_closed(rig, "MASTERDOWN ");
    say(rig, "REPLICAOF NO ONE");
    expect_back(rig);
    assert_int_equal(get(rig, "k"), MTC_OK);
    assert_int_equal(get(rig, "r"), MTC_MISS);
}

static void a_cluster_without_slots_is_closed_off(void **state)
{
    static const char *const args[] = {"--cluster-enabled", "yes", NULL};
    (void)state;
    rig *rig = begin(args);
    open_cache(rig, "", 0);
    check_closed(rig, "CLUSTERDOWN ");
}

/* Says it without waiting for the answer, which is long in coming. */
static void say_and_leave(const rig *rig, mtci_redis_command *command)
{
    mtci_command_queue one = {0};
    command->done = mtci_command_free;
    command->deadline_ms = mtci_boot_ms() + 60000;
    mtci_queue_push(&one, command);
    mtci_client_submit(rig->other, &one);
    mtci_client_drive(rig->other, NULL, 0);
}

/* On a bare socket: a greeting would be refused. */
static void kill_script(const rig *rig)
{
    char answer[8];
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_port = htons((uint16_t)rig->server.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address),
                     0);
    assert_int_equal(write(fd, "SCRIPT KILL\r\n", 13), 13);
    assert_int_equal(read(fd, answer, 5), 5);
    assert_memory_equal(answer, "+OK\r\n", 5);
    close(fd);
}

static void a_server_that_is_busy_with_a_script_is_closed_off(void **state)
{
    static const char *const args[] = {"--lua-time-limit", "50", NULL};
    (void)state;
    rig *rig = begin(args);
    open_cache(rig, "", 0);
    assert_int_equal(set(rig, "k"), MTC_OK);
    say(rig, "PING");
    mtci_redis_command *script = mtci_command_new(ANY);
    mtci_resp_begin(&script->bytes, 3);
    mtci_resp_add_text(&script->bytes, "EVAL");
    mtci_resp_add_text(&script->bytes, "while true do end");
    mtci_resp_add_text(&script->bytes, "0");
    say_and_leave(rig, script);
    check_closed(rig, "BUSY ");
    kill_script(rig);
    expect_back(rig);
    assert_int_equal(get(rig, "k"), MTC_OK);
}

/* Each key takes two milliseconds to load. */
static void a_server_that_loads_is_closed_off(void **state)
{
    static const char *const args[] = {"--key-load-delay", "2000",
                                       "--loading-process-events-interval-"
                                       "bytes",
                                       "1024", NULL};
    char words[64];
    (void)state;
    rig *rig = begin(args);
    open_cache(rig, "", 0);
    assert_int_equal(set(rig, "k"), MTC_OK);
    for (int i = 0; i < 2000; i++) {
        snprintf(words, sizeof words, "SET fill%d 0123456789abcdef", i);
        say(rig, words);
    }
    say(rig, "SAVE");
    mtc_cache_close(&rig->cache);
    test_server_kill(&rig->server);
    assert_true(test_server_restart(&rig->server));
    open_cache(rig, "", 0);
    check_closed(rig, "LOADING ");
    expect_back(rig);
    assert_int_equal(get(rig, "k"), MTC_OK);
    assert_int_equal(get(rig, "r"), MTC_MISS);
}

static void too_many_clients_close_the_tier_off(void **state)
{
    (void)state;
    rig *rig = begin(NULL);
    say(rig, "CONFIG SET maxclients 1");
    open_cache(rig, "", 0);
    check_closed(rig, "max number of clients");
    say(rig, "CONFIG SET maxclients 100");
    expect_back(rig);
    assert_int_equal(get(rig, "k"), MTC_MISS);
}

/* -- it does not let in --------------------------------------------------- */

static const char *const locked[] = {"--requirepass", "right", NULL};

static void check_denied(rig *rig, const char *error)
{
    assert_int_equal(get(rig, "k"), MTC_E_DENIED);
    expect_state(rig, MTC_HEALTH_DOWN);
    expect_error(rig, error);
    flood_reads(rig, "k");
    expect_few_lines(rig);
}

static void without_a_password_the_tier_is_closed_off(void **state)
{
    (void)state;
    rig *rig = begin(locked);
    open_cache(rig, "", 0);
    check_denied(rig, "NOAUTH");
}

static void with_a_wrong_password_the_tier_is_closed_off(void **state)
{
    (void)state;
    rig *rig = begin(locked);
    open_cache(rig, ":" SECRET "@", 0);
    check_denied(rig, "WRONGPASS");
}

static void a_forbidden_command_closes_the_tier_off(void **state)
{
    (void)state;
    rig *rig = begin(NULL);
    say(rig, "ACL SETUSER app on >" SECRET " ~* +@all -get");
    open_cache(rig, "app:" SECRET "@", 0);
    assert_int_equal(set(rig, "k"), MTC_OK);
    check_denied(rig, "NOPERM ");
    say(rig, "ACL SETUSER app +get");
    expect_back(rig);
    assert_int_equal(get(rig, "k"), MTC_OK);
}

/* The tier is closed off and must open again by its probe. */
static void fall_and_return(const rig *rig, const char *key)
{
    say(rig, "CONFIG SET replica-serve-stale-data no");
    say(rig, "REPLICAOF 127.0.0.1 1");
    assert_int_equal(get(rig, key), MTC_E_UNAVAILABLE);
    expect_state(rig, MTC_HEALTH_DOWN);
    say(rig, "REPLICAOF NO ONE");
    expect_back(rig);
    assert_int_equal(get(rig, key), MTC_OK);
}

/* The tier's own probe is one of the keys that this user may not read. */
static void a_forbidden_key_is_an_error_of_that_key_alone(void **state)
{
    (void)state;
    rig *rig = begin(NULL);
    say(rig, "ACL SETUSER app on >" SECRET " ~mine:* +@all");
    open_cache(rig, "app:" SECRET "@", 0);
    assert_int_equal(set(rig, "mine:k"), MTC_OK);
    assert_int_equal(get(rig, "theirs:k"), MTC_E_INVALID);
    expect_error(rig, "NOPERM ");
    assert_int_equal(get(rig, "mine:k"), MTC_OK);
    flood_reads(rig, "theirs:k");
    expect_state(rig, MTC_HEALTH_UP);
    expect_few_lines(rig);
    fall_and_return(rig, "mine:k");
    assert_int_equal(get(rig, "mine:k"), MTC_OK);
}

/* -- one key -------------------------------------------------------------- */

static void a_key_of_another_type_is_an_error_of_that_key_alone(void **state)
{
    (void)state;
    rig *rig = begin(NULL);
    open_cache(rig, "", 0);
    assert_int_equal(set(rig, "k"), MTC_OK);
    say(rig, "LPUSH list a");
    say(rig, "LPUSH mtc:probe a");
    assert_int_equal(get(rig, "list"), MTC_E_INVALID);
    expect_error(rig, "WRONGTYPE ");
    flood_reads(rig, "list");
    expect_state(rig, MTC_HEALTH_UP);
    assert_int_equal(get(rig, "k"), MTC_OK);
    expect_few_lines(rig);
    fall_and_return(rig, "k");
    assert_int_equal(set(rig, "list"), MTC_OK);
    assert_int_equal(get(rig, "list"), MTC_OK);
}

static void a_value_over_the_limit_is_an_error_of_that_key_alone(void **state)
{
    char before[64], after[64];
    (void)state;
    rig *rig = begin(NULL);
    open_cache(rig, "", 1000000);
    assert_int_equal(set(rig, "k"), MTC_OK);
    say(rig, "SETRANGE large 2000000 x");
    say(rig, "SETRANGE huge 80000000 x");
    const char *ask =
        "EVAL return(redis.call('INFO','stats'):match('connections"
        "_received:%d+')) 0";
    redis_rig_ask(rig->other, ANY, ask, before, sizeof before);
    assert_int_equal(get(rig, "large"), MTC_E_TOO_LARGE);
    expect_error(rig, "OVERSIZE 2000001 bytes");
    assert_int_equal(get(rig, "huge"), MTC_E_TOO_LARGE);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(get(rig, "large"), MTC_E_TOO_LARGE);
        assert_int_equal(get(rig, "k"), MTC_OK);
    }
    redis_rig_ask(rig->other, ANY, ask, after, sizeof after);
    assert_non_null(strstr(before, "connections_received:"));
    assert_string_equal(after, before);
    expect_state(rig, MTC_HEALTH_UP);
    expect_few_lines(rig);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, end)
    const struct CMUnitTest tests[] = {
        TEST(oom_refuses_stores_alone),
        TEST(a_replica_is_read_and_not_written),
        TEST(without_enough_replicas_nothing_is_written),
        TEST(a_server_that_cannot_save_is_not_written),
        TEST(a_replica_without_its_master_is_closed_off),
        TEST(a_cluster_without_slots_is_closed_off),
        TEST(a_server_that_is_busy_with_a_script_is_closed_off),
        TEST(a_server_that_loads_is_closed_off),
        TEST(too_many_clients_close_the_tier_off),
        TEST(without_a_password_the_tier_is_closed_off),
        TEST(with_a_wrong_password_the_tier_is_closed_off),
        TEST(a_forbidden_command_closes_the_tier_off),
        TEST(a_forbidden_key_is_an_error_of_that_key_alone),
        TEST(a_key_of_another_type_is_an_error_of_that_key_alone),
        TEST(a_value_over_the_limit_is_an_error_of_that_key_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
