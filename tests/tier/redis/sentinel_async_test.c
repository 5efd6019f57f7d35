/*
 * labels: server
 *
 * Asynchronous calls over sentinels: one thread keeps calls under way while
 * the master moves or dies. Each call is called back once, within its time;
 * no value is another key's or was never written; and the new master serves.
 */
#include "mtc/queue.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdio.h>

#include "base/clock.h"
#include "support/sentinel_rig.h"
#include "support/stamp.h"

#define CALLS      64 /* under way, each for a key of its own */
#define VALUE_SIZE 64
#define SETS       500 /* so many show that a master is written to */
#define WAIT_MS    60000
/* Of a call; the machine may be busy. */
#define LATE_MS_MAX 10000

#define ANY (MTCI_REPLY_STATUS | MTCI_REPLY_BULK | MTCI_REPLY_NIL)

static mtc_cache *cache;
static mtc_queue *queue;

/* One call after the other on one key: a set, a get, a set ... */
typedef struct call {
    uint32_t key;
    uint32_t stamp; /* of the last set */
    bool is_open, is_set;
    int64_t begun_ms;
    mtc_status status;
    uint32_t found; /* stamp of what a get found; 0: nothing */
} call;

static call calls[CALLS];
static bool is_over;
static size_t open_count;
static uint64_t failed, done;
static const char *wrong;

static void begin_next(call *call);

static void blame(const char *what)
{
    if (!wrong)
        wrong = what;
}

static void hear(void *ctx, mtc_status status, mtc_value *value)
{
    call *call = ctx;
    if (!call->is_open)
        blame("a call was called back twice");
    if (mtci_boot_ms() - call->begun_ms > LATE_MS_MAX)
        blame("a call was late");
    call->is_open = false;
    call->status = status;
    call->found = 0;
    open_count--;
    done++;
    failed += status < 0 || status == MTC_PARTIAL;
    if (!call->is_set && status == MTC_OK &&
        (!mtct_stamp_read(mtc_value_slice(value), call->key, &call->found) ||
         call->found > call->stamp))
        blame("a value that was never written to the key");
    if (!is_over)
        begin_next(call);
}

static void begin(call *call, bool is_set)
{
    char name[24], bytes[VALUE_SIZE];
    snprintf(name, sizeof name, "key:%u", call->key);
    call->is_open = true;
    call->is_set = is_set;
    call->begun_ms = mtci_boot_ms();
    open_count++;
    mtc_status status;
    if (is_set) {
        mtct_stamp_write(bytes, sizeof bytes, call->key, ++call->stamp);
        status = mtc_cache_set_async(queue, mtc_str(name),
                                     mtc_bytes(bytes, sizeof bytes), NULL, hear,
                                     call);
    } else {
        status = mtc_cache_get_async(queue, mtc_str(name), NULL, hear, call);
    }
    if (status != MTC_PENDING)
        blame("a call did not begin");
}

static void begin_next(call *call)
{
    begin(call, !call->is_set);
}

/* As an event loop does it. */
static void turn(void)
{
    struct pollfd fd = {.fd = mtc_queue_descriptor(queue), .events = POLLIN};
    int64_t wait_ms = mtc_queue_wait_ms(queue);
    poll(&fd, 1, wait_ms < 0 || wait_ms > 20 ? 20 : (int)wait_ms);
    mtc_queue_drain(queue);
}

/* Until a server has carried out so many sets more. */
static void loop_until_sets(const test_server *server, long more)
{
    int64_t until_ms = mtci_boot_ms() + WAIT_MS;
    long wanted = sentinel_rig_sets(server) + more;
    uint64_t looked = done;
    while (done - looked < 100 || sentinel_rig_sets(server) < wanted) {
        assert_true(mtci_boot_ms() < until_ms);
        if (done - looked >= 100)
            looked = done;
        turn();
    }
}

static void finish(void)
{
    int64_t until_ms = mtci_boot_ms() + WAIT_MS;
    while (open_count > 0) {
        assert_true(mtci_boot_ms() < until_ms);
        turn();
    }
}

/* One more call for each key; whether all succeeded. */
static bool all_succeed(bool is_set)
{
    bool is_well = true;
    for (uint32_t i = 0; i < CALLS; i++)
        begin(&calls[i], is_set);
    finish();
    for (uint32_t i = 0; i < CALLS; i++)
        is_well &= calls[i].status == MTC_OK;
    return is_well;
}

static void open_all(const sentinel_rig *rig)
{
    char tiers[160];
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    snprintf(tiers, sizeof tiers,
             "redis+sentinel://127.0.0.1:%d,127.0.0.1:%d/mymaster",
             rig->sentinels[0].port, rig->sentinels[1].port);
    options.tiers = tiers;
    options.log_level = 5;
    assert_int_equal(mtc_cache_open(&options, NULL, &cache), MTC_OK);
    assert_int_equal(mtc_queue_open(cache, &queue), MTC_OK);
    is_over = false;
    wrong = NULL;
    open_count = 0;
    done = failed = 0;
    for (uint32_t i = 0; i < CALLS; i++) {
        calls[i] = (call){.key = i};
        begin(&calls[i], true);
    }
}

/* What is written now is read, exactly. */
static void close_all(void)
{
    int64_t until_ms = mtci_boot_ms() + WAIT_MS;
    is_over = true;
    finish();
    while (!all_succeed(true))
        assert_true(mtci_boot_ms() < until_ms);
    assert_true(all_succeed(false));
    for (uint32_t i = 0; i < CALLS; i++)
        assert_int_equal(calls[i].found, calls[i].stamp);
    if (wrong)
        fail_msg("%s", wrong);
    assert_int_equal(mtc_queue_close(&queue), MTC_OK);
    assert_int_equal(mtc_cache_close(&cache), MTC_OK);
}

static void calls_follow_a_master_that_moves(void **state)
{
    static sentinel_rig rig;
    (void)state;
    test_server_require(TEST_REDIS);
    sentinel_rig_start(&rig, NULL);
    open_all(&rig);
    loop_until_sets(&rig.servers[0], SETS);
    assert_string_equal(sentinel_rig_ask(&rig.sentinels[0], ANY,
                                         "SENTINEL FAILOVER mymaster"),
                        "+OK");
    loop_until_sets(&rig.servers[1], SETS);
    close_all();
    sentinel_rig_stop(&rig);
}

static void calls_end_while_a_master_is_dead_and_go_on_with_its_heir(void **s)
{
    static sentinel_rig rig;
    (void)s;
    test_server_require(TEST_REDIS);
    sentinel_rig_start(&rig, NULL);
    open_all(&rig);
    loop_until_sets(&rig.servers[0], SETS);
    sentinel_rig_await_sync(&rig);
    uint64_t failed_before = failed;
    test_server_kill(&rig.servers[0]);
    loop_until_sets(&rig.servers[1], SETS);
    assert_true(failed > failed_before);
    close_all();
    sentinel_rig_stop(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_follow_a_master_that_moves),
        cmocka_unit_test(
            calls_end_while_a_master_is_dead_and_go_on_with_its_heir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
