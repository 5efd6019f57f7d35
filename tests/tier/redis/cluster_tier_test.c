/*
 * labels: server
 *
 * The Redis tier on a real cluster: keys in all slots, slots that move under
 * load, and the death of a master. Values say which key and which write they
 * are, so that a wrong or an outdated one is known.
 */
#include "mtc/tier.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "redis/slots.h"
#include "support/redis_cluster.h"
#include "support/redis_rig.h"
#include "support/standing.h"

#define CALL_MS      10000
#define KEYS_MAX     2000
#define LOAD_KEYS    16
#define WORKERS      4
#define MOVE_MS      3000
#define MOVE_MS_FULL 30000
#define TAGS         8
#define BACK_MS_MAX  30000
#define KEY_SIZE     48

static test_cluster the_cluster;
static mtc_tier *the_tier;

static int start(void **state)
{
    (void)state;
    mtct_standing_shares_connections();
    if (!test_server_installed(TEST_REDIS))
        return 0;
    if (!test_cluster_start(&the_cluster))
        return -1;
    the_tier = redis_rig_tier(the_cluster.url, NULL);
    return the_tier ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    mtc_tier_close(the_tier);
    test_cluster_stop(&the_cluster);
    return 0;
}

/* -- requests ------------------------------------------------------------- */

typedef struct asked {
    mtc_request request;
    char key[KEY_SIZE];
    char value[KEY_SIZE + 24];
    char failure[160];
    _Atomic bool is_done; /* the request is ours again */
} asked;

static void note_failure(mtc_request *request)
{
    asked *asked = (struct asked *)request;
    if (request->failure)
        snprintf(asked->failure, sizeof asked->failure, "%s", request->failure);
    asked->is_done = true;
}

static void prepare(asked *asked, const char *key, int64_t allowed_ms)
{
    memset(asked, 0, sizeof *asked);
    snprintf(asked->key, sizeof asked->key, "%s", key);
    asked->request.key = mtc_str(asked->key);
    asked->request.done = note_failure;
    asked->request.sent_ms = mtci_boot_ms();
    asked->request.deadline_ms = asked->request.sent_ms + allowed_ms;
    asked->request.facts.left_ms = MTC_NO_END;
}

static void prepare_store(asked *asked, const char *key, unsigned version,
                          int64_t allowed_ms)
{
    prepare(asked, key, allowed_ms);
    snprintf(asked->value, sizeof asked->value, "%s=%u", key, version);
    asked->request.value = mtc_value_borrow(mtc_str(asked->value));
}

/* Waits for all of them, as long as the tier takes. */
static void carry_out(mtc_tier *tier, mtc_verb verb, asked *asked, size_t count)
{
    mtc_request **requests = calloc(count, sizeof *requests);
    for (size_t i = 0; i < count; i++)
        requests[i] = &asked[i].request;
    tier->ops->submit(tier, verb, requests, count);
    for (size_t i = 0; i < count; i++)
        while (!asked[i].is_done)
            tier->ops->drive(tier, requests[i], mtci_boot_ms() + 1000);
    free(requests);
}

/* The version that a read found; 0: none, or an error; -1: a foreign value. */
static long found_version(asked *asked)
{
    char text[sizeof asked->value + 1] = "";
    size_t size = strlen(asked->key);
    if (asked->request.status != MTC_OK)
        return 0;
    mtc_slice value = mtc_value_slice(&asked->request.value);
    if (value.size < sizeof text)
        memcpy(text, value.data, value.size);
    mtc_value_free(&asked->request.value);
    if (strncmp(text, asked->key, size) != 0 || text[size] != '=')
        return -1;
    return atol(text + size + 1);
}

/* -- all slots ------------------------------------------------------------ */

static void slots_are_those_of_the_server(void **state)
{
    static const char *const keys[] = {"a",     "foo{bar}baz", "foo{}{x}",
                                       "{{}}",  "foo{bar",     "}{x}{",
                                       "{a}{b}"};
    char words[80];
    char text[80];
    char expected[16];
    (void)state;
    test_server_require(TEST_REDIS);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        snprintf(words, sizeof words, "CLUSTER KEYSLOT %s", keys[i]);
        snprintf(expected, sizeof expected, ":%u",
                 mtci_slot_of_key(mtc_str(keys[i])));
        assert_string_equal(redis_rig_ask(the_cluster.admins[0],
                                          MTCI_REPLY_INTEGER, words, text,
                                          sizeof text),
                            expected);
    }
}

static void many_keys_go_to_all_nodes_in_one_call(void **state)
{
    static asked asked[KEYS_MAX];
    char key[KEY_SIZE];
    char text[32];
    (void)state;
    test_server_require(TEST_REDIS);
    for (unsigned i = 0; i < KEYS_MAX; i++) {
        snprintf(key, sizeof key, "many:%u", i);
        prepare_store(&asked[i], key, i + 1, CALL_MS);
    }
    carry_out(the_tier, MTC_VERB_STORE, asked, KEYS_MAX);
    for (unsigned i = 0; i < KEYS_MAX; i++) {
        assert_int_equal(asked[i].request.status, MTC_OK);
        snprintf(key, sizeof key, "many:%u", i);
        prepare(&asked[i], key, CALL_MS);
    }
    for (int i = 0; i < TEST_CLUSTER_MASTERS; i++) {
        const char *size =
            redis_rig_ask(the_cluster.admins[i], MTCI_REPLY_INTEGER, "DBSIZE",
                          text, sizeof text);
        assert_true(atoi(size + 1) > KEYS_MAX / 6);
    }
    carry_out(the_tier, MTC_VERB_READ, asked, KEYS_MAX);
    for (unsigned i = 0; i < KEYS_MAX; i++) {
        assert_int_equal(found_version(&asked[i]), i + 1);
        snprintf(key, sizeof key, "many:%u", i);
        prepare(&asked[i], key, CALL_MS);
    }
    carry_out(the_tier, MTC_VERB_REMOVE, asked, KEYS_MAX);
    for (unsigned i = 0; i < KEYS_MAX; i++) {
        assert_int_equal(asked[i].request.status, MTC_OK);
        snprintf(key, sizeof key, "many:%u", i);
        prepare(&asked[i], key, CALL_MS);
    }
    carry_out(the_tier, MTC_VERB_READ, asked, KEYS_MAX);
    for (unsigned i = 0; i < KEYS_MAX; i++)
        assert_int_equal(asked[i].request.status, MTC_MISS);
}

static void every_status_of_a_node_names_it(void **state)
{
    asked asked;
    char text[200];
    (void)state;
    test_server_require(TEST_REDIS);
    int owner =
        test_cluster_owner(&the_cluster, mtci_slot_of_key(mtc_str("l")));
    redis_rig_ask(the_cluster.admins[owner], MTCI_REPLY_INTEGER, "LPUSH l x",
                  text, sizeof text);
    prepare(&asked, "l", CALL_MS);
    carry_out(the_tier, MTC_VERB_READ, &asked, 1);
    assert_int_equal(asked.request.status, MTC_E_INVALID);
    snprintf(text, sizeof text, "127.0.0.1:%d: WRONGTYPE",
             the_cluster.servers[owner].port);
    assert_memory_equal(asked.failure, text, strlen(text));
}

static void tell_all(const char *words)
{
    char text[200];
    for (int i = 0; i < TEST_CLUSTER_NODES; i++)
        redis_rig_ask(the_cluster.admins[i], MTCI_REPLY_STATUS, words, text,
                      sizeof text);
}

static void a_password_holds_for_every_node(void **state)
{
    static asked asked[50];
    char key[KEY_SIZE];
    char text[200];
    (void)state;
    test_server_require(TEST_REDIS);
    tell_all("CONFIG SET masterauth S3CR3T");
    tell_all("CONFIG SET requirepass S3CR3T");
    snprintf(text, sizeof text, "valkey+cluster://:S3CR3T@127.0.0.1:%d/",
             the_cluster.servers[1].port);
    mtc_tier *tier = redis_rig_tier(text, NULL);
    for (unsigned i = 0; i < 50; i++) {
        snprintf(key, sizeof key, "auth:%u", i);
        prepare_store(&asked[i], key, 1, CALL_MS);
    }
    carry_out(tier, MTC_VERB_STORE, asked, 50);
    for (unsigned i = 0; i < 50; i++)
        assert_int_equal(asked[i].request.status, MTC_OK);
    mtc_tier_close(tier);
    snprintf(text, sizeof text, "redis+cluster://:WR0NG@127.0.0.1:%d",
             the_cluster.servers[1].port);
    tier = redis_rig_tier(text, NULL);
    prepare(&asked[0], "auth:0", CALL_MS);
    carry_out(tier, MTC_VERB_READ, asked, 1);
    assert_int_equal(asked[0].request.status, MTC_E_DENIED);
    assert_null(strstr(asked[0].failure, "WR0NG"));
    mtc_tier_close(tier);
    tell_all("CONFIG SET requirepass ");
    tell_all("CONFIG SET masterauth ");
}

/* -- load ----------------------------------------------------------------- */

/* One thread with keys of its own; it alone writes them. */
typedef struct worker {
    pthread_t thread;
    unsigned index;
    int64_t allowed_ms;
    unsigned sent[LOAD_KEYS], kept[LOAD_KEYS]; /* versions */
    _Atomic unsigned calls, failures;
    unsigned foreign, outdated; /* values found */
} worker;

static _Atomic bool is_over;

static void key_of(const worker *worker, unsigned key, char text[KEY_SIZE])
{
    snprintf(text, KEY_SIZE, "{t%u}:%u", key % TAGS, worker->index * 100 + key);
}

/* Two writes of one key at a time: neither may overtake the other. */
static void write_twice(worker *worker, unsigned key)
{
    asked asked[2];
    char text[KEY_SIZE];
    key_of(worker, key, text);
    for (int i = 0; i < 2; i++)
        prepare_store(&asked[i], text, ++worker->sent[key], worker->allowed_ms);
    carry_out(the_tier, MTC_VERB_STORE, asked, 2);
    if (asked[1].request.status == MTC_OK)
        worker->kept[key] = worker->sent[key];
    else if (asked[0].request.status == MTC_OK)
        worker->kept[key] = worker->sent[key] - 1;
    for (int i = 0; i < 2; i++)
        worker->failures += asked[i].request.status != MTC_OK;
}

static void read_back(worker *worker, unsigned key)
{
    asked asked;
    char text[KEY_SIZE];
    key_of(worker, key, text);
    prepare(&asked, text, worker->allowed_ms);
    carry_out(the_tier, MTC_VERB_READ, &asked, 1);
    if (asked.request.status < 0) {
        worker->failures++;
        return;
    }
    long version = found_version(&asked);
    worker->foreign += version < 0 || version > (long)worker->sent[key];
    worker->outdated += version >= 0 && version < (long)worker->kept[key];
}

static void *work(void *ctx)
{
    worker *worker = ctx;
    for (unsigned i = 0; !is_over; i++) {
        unsigned key = i % LOAD_KEYS;
        write_twice(worker, key);
        read_back(worker, key);
        read_back(worker, (i * 7) % LOAD_KEYS);
        worker->calls += 4;
    }
    return NULL;
}

static worker *begin_load(int64_t allowed_ms)
{
    worker *workers = calloc(WORKERS, sizeof *workers);
    is_over = false;
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i].index = i;
        workers[i].allowed_ms = allowed_ms;
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    }
    return workers;
}

/* The sum of the workers; the caller frees them. */
static worker end_load(worker *workers)
{
    worker sum = {.index = 0};
    is_over = true;
    for (unsigned i = 0; i < WORKERS; i++) {
        pthread_join(workers[i].thread, NULL);
        sum.calls += workers[i].calls;
        sum.failures += workers[i].failures;
        sum.foreign += workers[i].foreign;
        sum.outdated += workers[i].outdated;
    }
    return sum;
}

static void remove_all(void)
{
    char text[64];
    for (int i = 0; i < TEST_CLUSTER_MASTERS; i++)
        redis_rig_ask(the_cluster.admins[i], MTCI_REPLY_STATUS, "FLUSHALL",
                      text, sizeof text);
}

/* Moves the slots of the keys from master to master. How many times; 0: one
 * could not be moved. What the moves acknowledged is noted: other nodes hear
 * of it later. */
static unsigned move_until(int64_t until_ms)
{
    unsigned slots[TAGS];
    int owners[TAGS];
    unsigned moves = 0;
    for (unsigned i = 0; i < TAGS; i++) {
        char tag[16];
        snprintf(tag, sizeof tag, "t%u", i);
        slots[i] = mtci_slot_of_key(mtc_str(tag));
        owners[i] = test_cluster_owner(&the_cluster, slots[i]);
    }
    while (mtci_boot_ms() < until_ms) {
        unsigned i = moves++ % TAGS;
        int to = (owners[i] + 1) % TEST_CLUSTER_MASTERS;
        if (!test_cluster_move(&the_cluster, slots[i], owners[i], to))
            return 0;
        owners[i] = to;
    }
    return moves;
}

static void slots_move_back_and_forth_under_load(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    remove_all();
    bool is_full = getenv("MTC_TEST_FULL") != NULL;
    worker *workers = begin_load(CALL_MS);
    unsigned moves =
        move_until(mtci_boot_ms() + (is_full ? MOVE_MS_FULL : MOVE_MS));
    worker sum = end_load(workers);
    free(workers);
    print_message("%u moves, %u calls\n", moves, sum.calls);
    assert_true(moves > 0 && sum.calls > 0);
    assert_int_equal(sum.foreign, 0);
    assert_int_equal(sum.outdated, 0);
    assert_int_equal(sum.failures, 0);
}

/* -- the death of a master ------------------------------------------------ */

static bool all_are_served(unsigned version)
{
    static asked asked[WORKERS * LOAD_KEYS];
    char text[KEY_SIZE];
    size_t count = WORKERS * LOAD_KEYS;
    for (size_t i = 0; i < count; i++) {
        worker worker = {.index = (unsigned)(i / LOAD_KEYS) + 50};
        key_of(&worker, (unsigned)(i % LOAD_KEYS), text);
        prepare_store(&asked[i], text, version, 250);
    }
    carry_out(the_tier, MTC_VERB_STORE, asked, count);
    for (size_t i = 0; i < count; i++)
        if (asked[i].request.status != MTC_OK)
            return false;
    for (size_t i = 0; i < count; i++) {
        memcpy(text, asked[i].key, sizeof text);
        prepare(&asked[i], text, 250);
    }
    carry_out(the_tier, MTC_VERB_READ, asked, count);
    for (size_t i = 0; i < count; i++)
        if (found_version(&asked[i]) != version)
            return false;
    return true;
}

/* Redis may lose what it acknowledged shortly before, so that older values
 * are no error here; foreign ones are. */
static void service_returns_after_the_death_of_a_master(void **state)
{
    (void)state;
    test_server_require(TEST_REDIS);
    remove_all();
    worker *workers = begin_load(250);
    while (workers[0].calls < 100)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    test_server_kill(&the_cluster.servers[1]);
    int64_t killed_ms = mtci_boot_ms();
    unsigned version = 1;
    bool is_back = false;
    while (!is_back && mtci_boot_ms() < killed_ms + BACK_MS_MAX) {
        the_tier->ops->tend(the_tier, mtci_boot_ms()); /* as the cache does */
        is_back = all_are_served(version++);
    }
    int64_t away_ms = mtci_boot_ms() - killed_ms;
    worker sum = end_load(workers);
    free(workers);
    print_message("away for %lld ms, %u of %u calls failed\n",
                  (long long)away_ms, sum.failures, sum.calls);
    assert_true(is_back);
    assert_int_equal(sum.foreign, 0);
    assert_true(sum.failures > 0);
    assert_true(all_are_served(version));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_are_those_of_the_server),
        cmocka_unit_test(many_keys_go_to_all_nodes_in_one_call),
        cmocka_unit_test(every_status_of_a_node_names_it),
        cmocka_unit_test(a_password_holds_for_every_node),
        cmocka_unit_test(slots_move_back_and_forth_under_load),
        cmocka_unit_test(service_returns_after_the_death_of_a_master),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
