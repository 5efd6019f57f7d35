/*
 * The tier contract, part four: threads, with an oracle.
 *
 * Every key has one writer, which stores rising versions and now and then
 * removes; a value carries its key, its version and a checksum. Every thread
 * reads every key. A read that began after a write was acknowledged must not
 * find an older version, and none finds what was never written.
 */
#include "support/contract.h"

#include <pthread.h>
#include <stdio.h>

#include "base/hash.h"

#define THREAD_COUNT    4
#define KEYS_PER_WRITER 4
#define KEY_COUNT       (THREAD_COUNT * KEYS_PER_WRITER)
#define ROUNDS          400

typedef struct stamp {
    uint64_t key;
    uint64_t version;
    uint64_t checksum;
    uint64_t filling[5];
} stamp;

typedef struct oracle {
    trial *trial;
    char keys[KEY_COUNT][32];
    _Atomic uint64_t begun[KEY_COUNT]; /* versions; a remove has one, too */
    _Atomic uint64_t acked[KEY_COUNT];
    _Atomic uint32_t next_writer;
    _Atomic uint32_t wrong_key;
    _Atomic uint32_t torn;
    _Atomic uint32_t too_old;
    _Atomic uint32_t unwritten;
    _Atomic uint32_t failed;
} oracle;

static uint64_t checksum_of(const stamp *stamp)
{
    return mtci_hash(mtc_bytes(stamp, 2 * sizeof(uint64_t)), 5);
}

static void judge(oracle *oracle, size_t key, uint64_t acked,
                  const mtc_request *request)
{
    stamp stamp;
    if (request->status == MTC_MISS)
        return;
    if (request->status != MTC_OK) {
        atomic_fetch_add(&oracle->failed, 1);
        return;
    }
    if (request->value.size != sizeof(stamp)) {
        atomic_fetch_add(&oracle->torn, 1);
        return;
    }
    memcpy(&stamp, request->value.data, sizeof(stamp));
    if (stamp.checksum != checksum_of(&stamp) ||
        stamp.filling[4] != stamp.version)
        atomic_fetch_add(&oracle->torn, 1);
    if (stamp.key != key)
        atomic_fetch_add(&oracle->wrong_key, 1);
    if (stamp.version < acked)
        atomic_fetch_add(&oracle->too_old, 1);
    if (stamp.version > atomic_load(&oracle->begun[key]))
        atomic_fetch_add(&oracle->unwritten, 1);
}

/* What trial_settle does, without a failing test on a foreign thread. */
static void finish(oracle *oracle, ask *ask)
{
    mtc_tier *tier = oracle->trial->tier;
    mtc_request *request = &ask->request;
    if (tier->ops->drive && !mtc_request_is_complete(request))
        tier->ops->drive(tier, request, request->deadline_ms);
    while (tier->ops->drive && !mtc_request_is_complete(request))
        tier->ops->drive(tier, request, INT64_MAX);
    if (atomic_load(&ask->done_count) != 1)
        atomic_fetch_add(&oracle->failed, 1);
}

static void read_once(oracle *oracle, size_t key)
{
    ask ask;
    ask_init(&ask, oracle->trial, mtc_str(oracle->keys[key]));
    uint64_t acked = atomic_load(&oracle->acked[key]);
    trial_submit(oracle->trial, MTC_VERB_READ, &ask, 1);
    finish(oracle, &ask);
    judge(oracle, key, acked, &ask.request);
    ask_fini(&ask);
}

static void write_once(oracle *oracle, size_t key, uint64_t version)
{
    ask ask;
    stamp stamp = {.key = key, .version = version};
    stamp.checksum = checksum_of(&stamp);
    stamp.filling[4] = version;
    ask_init(&ask, oracle->trial, mtc_str(oracle->keys[key]));
    ask.request.value = mtc_value_borrow(mtc_bytes(&stamp, sizeof(stamp)));
    atomic_store(&oracle->begun[key], version);
    mtc_verb verb = version % 7 == 0 ? MTC_VERB_REMOVE : MTC_VERB_STORE;
    trial_submit(oracle->trial, verb, &ask, 1);
    finish(oracle, &ask);
    if (ask.request.status != MTC_OK)
        atomic_fetch_add(&oracle->failed, 1);
    atomic_store(&oracle->acked[key], version);
}

static void *run_thread(void *ctx)
{
    oracle *oracle = ctx;
    size_t first = atomic_fetch_add(&oracle->next_writer, 1) * KEYS_PER_WRITER;
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        write_once(oracle, first + round % KEYS_PER_WRITER, round);
        read_once(oracle, round * 7 % KEY_COUNT);
        read_once(oracle, first + round % KEYS_PER_WRITER);
    }
    return NULL;
}

static void threads_never_see_an_older_or_foreign_value(void **state)
{
    trial *trial = *state;
    static oracle oracle;
    memset(&oracle, 0, sizeof(oracle));
    oracle.trial = trial;
    for (size_t i = 0; i < KEY_COUNT; i++)
        snprintf(oracle.keys[i], sizeof(oracle.keys[i]), "thread:%u:%zu",
                 trial->number, i);
    pthread_t threads[THREAD_COUNT];
    for (size_t i = 0; i < THREAD_COUNT; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_thread, &oracle),
                         0);
    for (size_t i = 0; i < THREAD_COUNT; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(oracle.wrong_key, 0);
    assert_int_equal(oracle.torn, 0);
    assert_int_equal(oracle.too_old, 0);
    assert_int_equal(oracle.unwritten, 0);
    assert_int_equal(oracle.failed, 0);
}

const struct CMUnitTest contract_thread_tests[] = {
    cmocka_unit_test(threads_never_see_an_older_or_foreign_value),
};

const size_t contract_thread_test_count =
    sizeof(contract_thread_tests) / sizeof(contract_thread_tests[0]);
