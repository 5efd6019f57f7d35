/*
 * The runner of the tier contract: opens a tier per test, asks and waits.
 * See contract.h. One thread, but for ask_init, trial_submit, trial_settle
 * and what is made of them, which any thread may call.
 */
#include "support/contract.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"

#define LIFE_MS     60000
#define DEADLINE_MS 5000
#define HASH_SEED   17u
/* More than any one submission of the suite. */
#define SUBMIT_MAX 256
#define TESTS_MAX  96

static unsigned next_number;

static int64_t host_now_ms(void *ctx)
{
    return trial_now_ms(ctx);
}

static void host_log(void *ctx, mtc_log_level level, const char *text)
{
    (void)ctx;
    (void)level;
    (void)text;
}

int64_t trial_now_ms(trial *trial)
{
    if (trial->contract->is_real_time)
        return mtci_boot_ms();
    return atomic_load(&trial->now_ms);
}

void trial_pass(trial *trial, int64_t ms)
{
    if (!trial->contract->is_real_time) {
        atomic_fetch_add(&trial->now_ms, ms);
        return;
    }
    struct timespec pause = {ms / 1000, (long)(ms % 1000) * 1000000};
    while (nanosleep(&pause, &pause) != 0) {
    }
}

void trial_require(trial *trial, uint32_t abilities)
{
    bool has_all = (trial->tier->ops->abilities & abilities) == abilities;
    if (!has_all || trial->contract->keeps_nothing)
        skip();
}

mtc_slice trial_key(trial *trial, const char *name)
{
    char *key = trial->keys[trial->key_count++ % 32];
    snprintf(key, sizeof(trial->keys[0]), "%s:%u:%s", trial->contract->name,
             trial->number, name);
    return mtc_str(key);
}

static mtc_tier *open_attached(trial *trial)
{
    mtc_tier *tier = trial->contract->open(trial->contract->ctx);
    if (!tier)
        return NULL;
    if (tier->ops->attach && tier->ops->attach(tier, &trial->host) != MTC_OK) {
        tier->ops->close(tier);
        return NULL;
    }
    return tier;
}

mtc_tier *trial_open_second(trial *trial)
{
    mtc_tier *tier = open_attached(trial);
    assert_non_null(tier);
    return tier;
}

void trial_close(trial *trial)
{
    if (trial->tier)
        trial->tier->ops->close(trial->tier);
    trial->tier = NULL;
}

static void count_done(mtc_request *request)
{
    atomic_fetch_add(&((ask *)request)->done_count, 1);
}

void ask_init(ask *ask, trial *trial, mtc_slice key)
{
    int64_t now_ms = trial_now_ms(trial);
    *ask = (struct ask){
        .request =
            {
                .key = key,
                .hash = mtci_hash(key, HASH_SEED),
                .facts = {.left_ms = LIFE_MS, .ttl_ms = LIFE_MS},
                .sent_ms = now_ms,
                .deadline_ms = now_ms + DEADLINE_MS,
                .done = count_done,
            },
    };
}

void ask_fini(ask *ask)
{
    mtc_value_free(&ask->request.value);
}

void trial_submit(trial *trial, mtc_verb verb, ask *asks, size_t count)
{
    mtc_request *requests[SUBMIT_MAX];
    for (size_t i = 0; i < count && i < SUBMIT_MAX; i++)
        requests[i] = &asks[i].request;
    trial->tier->ops->submit(trial->tier, verb, requests, count);
}

/* Does I/O, or waits where the tier completes awaits on a thread of its own:
 * the only requests that outlast a submit that blocks. */
static void settle_one(trial *trial, ask *ask)
{
    const mtc_tier_ops *ops = trial->tier->ops;
    const mtc_request *request = &ask->request;
    bool has_thread = !ops->drive && ops->abilities & MTC_TIER_LEASES;
    while (!mtc_request_is_complete(request) &&
           mtci_boot_ms() < request->deadline_ms + DEADLINE_MS) {
        if (ops->drive)
            ops->drive(trial->tier, request, request->deadline_ms);
        else if (has_thread)
            sched_yield();
        else
            break;
    }
    assert_true(mtc_request_is_complete(request));
    /* That thread may not have come to telling it yet. */
    while (has_thread && atomic_load(&ask->done_count) == 0)
        sched_yield();
    assert_int_equal(atomic_load(&ask->done_count), 1);
}

void trial_settle(trial *trial, ask *asks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        settle_one(trial, &asks[i]);
}

mtc_status trial_call(trial *trial, mtc_verb verb, ask *ask)
{
    trial_submit(trial, verb, ask, 1);
    trial_settle(trial, ask, 1);
    return ask->request.status;
}

mtc_status trial_store_for(trial *trial, mtc_slice key, mtc_slice value,
                           int64_t life_ms)
{
    ask ask;
    ask_init(&ask, trial, key);
    ask.request.value = mtc_value_borrow(value);
    ask.request.facts.left_ms = life_ms;
    ask.request.facts.ttl_ms = life_ms == MTC_NO_END ? 0 : life_ms;
    return trial_call(trial, MTC_VERB_STORE, &ask);
}

mtc_status trial_store(trial *trial, mtc_slice key, mtc_slice value)
{
    return trial_store_for(trial, key, value, LIFE_MS);
}

mtc_status trial_remove(trial *trial, mtc_slice key)
{
    ask ask;
    ask_init(&ask, trial, key);
    return trial_call(trial, MTC_VERB_REMOVE, &ask);
}

mtc_status trial_look(trial *trial, mtc_slice key)
{
    ask ask;
    ask_init(&ask, trial, key);
    mtc_status status = trial_call(trial, MTC_VERB_READ, &ask);
    ask_fini(&ask);
    return status;
}

void ask_expect(const trial *trial, const ask *ask, mtc_slice value)
{
    const mtc_request *request = &ask->request;
    if (trial->contract->keeps_nothing) {
        assert_int_equal(request->status, MTC_MISS);
        return;
    }
    assert_int_equal(request->status, MTC_OK);
    assert_int_equal(request->facts.kind, MTC_KIND_VALUE);
    assert_int_equal(request->value.size, value.size);
    if (value.size > 0)
        assert_memory_equal(request->value.data, value.data, value.size);
}

void trial_expect(trial *trial, mtc_slice key, mtc_slice value)
{
    ask ask;
    ask_init(&ask, trial, key);
    trial_call(trial, MTC_VERB_READ, &ask);
    ask_expect(trial, &ask, value);
    ask_fini(&ask);
}

trial *trial_new(const contract *contract)
{
    trial *trial = calloc(1, sizeof(*trial));
    if (!trial)
        return NULL;
    trial->contract = contract;
    trial->number = ++next_number;
    trial->now_ms = mtci_boot_ms();
    trial->host = (mtc_tier_host){
        .struct_size = sizeof(mtc_tier_host),
        .index = 3,
        .value_size_max = (size_t)64 << 20,
        .ctx = trial,
        .now_ms = host_now_ms,
        .log = host_log,
    };
    trial->tier = open_attached(trial);
    if (trial->tier)
        return trial;
    free(trial);
    return NULL;
}

void trial_free(trial *trial)
{
    trial_close(trial);
    free(trial);
}

static int trial_setup(void **state)
{
    *state = trial_new(*state);
    return *state ? 0 : -1;
}

static int trial_teardown(void **state)
{
    trial_free(*state);
    return 0;
}

static size_t add_tests(struct CMUnitTest *tests, size_t count,
                        const struct CMUnitTest *more, size_t more_count)
{
    for (size_t i = 0; i < more_count && count < TESTS_MAX; i++)
        tests[count++] = more[i];
    return count;
}

int contract_run(const contract *contract)
{
    static struct CMUnitTest tests[TESTS_MAX];
    size_t count = 0;
    count = add_tests(tests, count, contract_entry_tests,
                      contract_entry_test_count);
    count =
        add_tests(tests, count, contract_life_tests, contract_life_test_count);
    count = add_tests(tests, count, contract_request_tests,
                      contract_request_test_count);
    count = add_tests(tests, count, contract_lease_tests,
                      contract_lease_test_count);
    count = add_tests(tests, count, contract_thread_tests,
                      contract_thread_test_count);
    for (size_t i = 0; i < count; i++) {
        tests[i].setup_func = trial_setup;
        tests[i].teardown_func = trial_teardown;
        tests[i].initial_state = (void *)(uintptr_t)contract;
    }
    return _cmocka_run_group_tests(contract->name, tests, count, NULL, NULL);
}
