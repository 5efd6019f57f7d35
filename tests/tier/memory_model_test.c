/*
 * Model of the memory tier, one thread: random operations and steps of the
 * clock against a reference of a few lines.
 *
 * How to read it: a reference is what each key was last given. With room for
 * all, every answer is exact; in a tier that is too small a miss is also
 * right if something was evicted since the key was stored. A run is had again
 * with MTC_TEST_SEED, and is longer with MTC_TEST_ROUNDS. Several threads:
 * memory_history_test.c. labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "mtc/cache.h"
#include "support/callers.h"
#include "support/stamp.h"
#include "support/tier_call.h"

#define KEYS        256
#define STEPS       20000
#define CLOCK_TICKS 2 /* lives are rounded down by the clocks' ticks */
#define VALUE_MAX   100000u
#define ETAG_MAX    40u

/* What a key was last given. */
typedef struct fact {
    bool is_there;
    uint32_t stamp;
    size_t size;
    int64_t end_ms; /* MTC_NO_END: none */
    mtc_facts facts;
    uint64_t evicted_before; /* count of evictions when it was stored */
} fact;

typedef struct model {
    mtc_tier *tier;
    bool is_tight;
    uint64_t seed; /* as printed */
    uint64_t state;
    int step;
    int64_t now_ms;
    uint32_t stamp;
    uint64_t stores; /* that were kept */
    fact facts[KEYS];
} model;

static model m;
static char value_bytes[VALUE_MAX];
static char key_bytes[MTC_KEY_SIZE_MAX];
static char etag_bytes[ETAG_MAX];

#define check(condition)                                                       \
    do {                                                                       \
        if (!(condition))                                                      \
            complain(#condition, __LINE__);                                    \
    } while (0)

static void complain(const char *what, int line)
{
    fail_msg("MTC_TEST_SEED=%llu, step %d, line %d: not so: %s",
             (unsigned long long)m.seed, m.step, line, what);
}

static uint32_t draw(uint32_t below)
{
    return mtct_draw(&m.state, below);
}

/* Most keys are short; some have the lengths at which something changes. */
static mtc_slice key_of(unsigned i)
{
    static const size_t sizes[] = {7,   8,   9,   15,    16,    17,   255,
                                   256, 257, 300, 65535, 65536, 32768};
    size_t size = 3 + i % 40;
    if (i == 0)
        return mtc_bytes(key_bytes, 0);
    if (i <= sizeof(sizes) / sizeof(*sizes) && (i <= 10 || !m.is_tight))
        size = sizes[i - 1];
    memset(key_bytes, 'a' + (int)(i % 3), size);
    memcpy(key_bytes, &i, 2);
    key_bytes[size - 1] = (char)i;
    return mtc_bytes(key_bytes, size);
}

static size_t draw_size(void)
{
    if (m.is_tight)
        return draw(100) ? draw(700) : VALUE_MAX;
    switch (draw(200)) {
    case 0:
        return draw(VALUE_MAX);
    case 1:
        return 0;
    default:
        return draw(1000);
    }
}

static int64_t draw_life_ms(void)
{
    switch (draw(12)) {
    case 0:
        return MTC_NO_END;
    case 1:
        return 1 + draw(4);
    case 2:
        return 1 + draw(100000000);
    case 3:
        return MTC_TTL_MS_MAX - draw(1000);
    default:
        return 1 + draw(3000);
    }
}

static mtc_facts draw_facts(void)
{
    mtc_facts facts = {.left_ms = draw_life_ms()};
    if (draw(3) > 0)
        facts.ttl_ms = facts.left_ms == MTC_NO_END ? 0 : facts.left_ms;
    if (draw(4) == 0)
        facts.window_ms = draw(1000);
    if (draw(4) == 0)
        facts.load_ms = (int32_t)draw(100000);
    if (draw(8) == 0)
        facts.kind = draw(2) ? MTC_KIND_ABSENT : MTC_KIND_LEASE;
    if (draw(8) == 0)
        facts.etag = mtc_bytes(etag_bytes, 1 + draw(ETAG_MAX));
    return facts;
}

static uint64_t evicted(void)
{
    return mtct_tier_usage(m.tier).evicted_size;
}

/* -- what the reference expects ----------------------------------------- */

static int64_t fact_left_ms(const fact *fact)
{
    if (!fact->is_there)
        return 0;
    return fact->end_ms == MTC_NO_END ? MTC_NO_END : fact->end_ms - m.now_ms;
}

/* A miss is right if the life is over, or nearly, or room was made. */
static void check_miss(const fact *fact)
{
    if (fact_left_ms(fact) <= CLOCK_TICKS)
        return;
    check(m.is_tight);
    check(evicted() > fact->evicted_before);
}

static void check_left(const fact *fact, int64_t left_ms)
{
    int64_t expected_ms = fact_left_ms(fact);
    check(expected_ms > 0);
    check(left_ms > 0);
    if (expected_ms == MTC_NO_END) {
        check(left_ms == MTC_NO_END);
        return;
    }
    check(left_ms <= expected_ms);
    check(left_ms >= expected_ms - CLOCK_TICKS);
}

static void check_bytes(const fact *fact, unsigned key, const mtc_value *value)
{
    check(value->size == fact->size);
    check(mtct_stamp_is(mtc_value_slice(value), key, fact->stamp));
    check((uintptr_t)value->data % 8 == 0);
}

static void check_facts(const fact *fact, const mtc_facts *facts)
{
    check_left(fact, facts->left_ms);
    check(facts->kind == fact->facts.kind);
    check(facts->load_ms == fact->facts.load_ms);
    check(facts->ttl_ms == fact->facts.ttl_ms);
    check(facts->window_ms == fact->facts.window_ms);
    check(facts->etag.size == fact->facts.etag.size);
    if (facts->etag.size > 0)
        check(memcmp(facts->etag.data, etag_bytes, facts->etag.size) == 0);
}

/* -- operations --------------------------------------------------------- */

static void do_read(unsigned i)
{
    const fact *fact = &m.facts[i];
    mtc_request request = mtct_request_for(key_of(i), m.now_ms);
    mtc_status status = mtct_tier_submit(m.tier, MTC_VERB_READ, &request);
    if (status == MTC_OK) {
        check_facts(fact, &request.facts);
        check_bytes(fact, i, &request.value);
    } else {
        check(status == MTC_MISS);
        check_miss(fact);
    }
    mtc_value_free(&request.value);
}

static void do_store(unsigned i)
{
    fact *fact = &m.facts[i];
    mtc_request request = mtct_request_for(key_of(i), m.now_ms);
    request.sent_ms -= draw(4) == 0 ? draw(20) : 0;
    request.facts = draw_facts();
    int64_t left_ms = request.facts.left_ms;
    fact->evicted_before = evicted();
    fact->stamp = ++m.stamp;
    fact->size = draw_size();
    fact->facts = request.facts;
    fact->end_ms =
        left_ms == MTC_NO_END ? MTC_NO_END : request.sent_ms + left_ms;
    mtct_stamp_write(value_bytes, fact->size, i, fact->stamp);
    request.value = mtc_value_borrow(mtc_bytes(value_bytes, fact->size));
    mtc_status status = mtct_tier_submit(m.tier, MTC_VERB_STORE, &request);
    fact->is_there = status == MTC_OK;
    m.stores += status == MTC_OK;
    if (status == MTC_OK)
        return;
    check(status == MTC_PARTIAL);
    check(left_ms <= CLOCK_TICKS || fact->size == VALUE_MAX);
    do_read(i);
}

/* Whether the value is past its soft end; near it, it may be or not. */
static void check_softness(const fact *fact, mtc_status status)
{
    int64_t left_ms = fact_left_ms(fact);
    if (left_ms <= fact->facts.window_ms)
        check(status == MTC_STALE);
    else if (left_ms > fact->facts.window_ms + CLOCK_TICKS)
        check(status != MTC_STALE);
}

/* Near its soft end, a negative entry says nothing any more; a lease never
 * does. */
static bool says_nothing(const fact *fact)
{
    return fact->is_there &&
           (fact->facts.kind == MTC_KIND_LEASE ||
            (fact->facts.kind == MTC_KIND_ABSENT &&
             fact_left_ms(fact) <= fact->facts.window_ms + CLOCK_TICKS));
}

static void check_info(const fact *fact, const mtc_value *value)
{
    mtc_value_info info = MTC_VALUE_INFO_INIT;
    value->ops->info(value, m.now_ms, &info);
    check_left(fact, info.left_ms);
    check(info.etag.size == fact->facts.etag.size);
    check(info.age_ms >= -1);
}

static void do_find(unsigned i)
{
    mtc_value value;
    const fact *fact = &m.facts[i];
    mtc_status status = mtct_tier_find(m.tier, key_of(i), m.now_ms, &value);
    if (status == MTC_MISS) {
        check(value.data == NULL && value.ops == NULL);
        if (!says_nothing(fact))
            check_miss(fact);
        return;
    }
    check_bytes(fact, i, &value);
    check_info(fact, &value);
    if (fact->facts.kind == MTC_KIND_ABSENT)
        check(status == MTC_ABSENT);
    else
        check_softness(fact, status);
    check(fact->facts.kind != MTC_KIND_LEASE);
    mtc_value_free(&value);
}

static void do_remove(unsigned i)
{
    check(mtct_tier_end(m.tier, MTC_VERB_REMOVE, key_of(i), m.now_ms) ==
          MTC_OK);
    m.facts[i].is_there = false;
}

static void do_expire(unsigned i)
{
    fact *fact = &m.facts[i];
    check(mtct_tier_end(m.tier, MTC_VERB_EXPIRE, key_of(i), m.now_ms) ==
          MTC_OK);
    if (fact_left_ms(fact) > fact->facts.window_ms)
        fact->end_ms = m.now_ms + fact->facts.window_ms;
}

static void do_tend(unsigned i)
{
    (void)i;
    m.tier->ops->tend(m.tier, m.now_ms);
}

/* Mostly small steps; now and then the machine slept for a day. */
static void do_pass(unsigned i)
{
    (void)i;
    m.now_ms += draw(100) == 0 ? draw(86400000) : draw(50);
}

static const struct {
    void (*call)(unsigned i);
    uint32_t weight;
} operations[] = {
    {do_store, 30}, {do_find, 35}, {do_read, 15}, {do_remove, 6},
    {do_expire, 4}, {do_pass, 8},  {do_tend, 2},
};

static void do_something(void)
{
    uint32_t what = draw(100);
    size_t i = 0;
    while (what >= operations[i].weight)
        what -= operations[i++].weight;
    operations[i].call(draw(KEYS));
}

/* -- runs --------------------------------------------------------------- */

/* Nothing is lost from the count: what was stored is there, or it went for
 * one of the known reasons. */
static void check_usage(void)
{
    mtc_tier_usage usage = mtct_tier_usage(m.tier);
    check(usage.bytes <= usage.bytes_max);
    check(usage.entries + mtct_usage_gone(&usage) == m.stores);
    if (!m.is_tight)
        check(usage.evicted_size == 0);
}

static void run(const char *url, bool is_tight, uint64_t seed)
{
    m = (model){.is_tight = is_tight, .seed = seed, .state = seed};
    m.now_ms = 100000 + draw(1000000);
    m.tier = mtct_tier_open(url);
    for (m.step = 0; m.step < STEPS; m.step++) {
        do_something();
        if (m.step % 16 == 0)
            check_usage();
    }
    for (unsigned i = 0; i < KEYS; i++)
        do_find(i);
    m.tier->ops->close(m.tier);
}

static void runs(const char *test, const char *url, bool is_tight)
{
    uint64_t seed = mtct_seed(test);
    for (unsigned i = 0; i < mtct_rounds(3); i++)
        run(url, is_tight, seed + i);
}

static void with_room_for_all_every_answer_is_exact(void **state)
{
    (void)state;
    runs(__func__, "memory?size=64MiB", false);
}

static void in_few_bytes_a_hit_is_the_latest_value(void **state)
{
    (void)state;
    runs(__func__, "memory?size=64KiB", true);
}

static void among_few_entries_a_hit_is_the_latest_value(void **state)
{
    (void)state;
    runs(__func__, "memory?entries=37", true);
}

static void in_one_entry_a_hit_is_the_latest_value(void **state)
{
    (void)state;
    runs(__func__, "memory?entries=1", true);
}

/* The tier is given the hash; all bits of it are the same here. */
static void keys_of_one_hash_are_kept_apart(void **state)
{
    (void)state;
    char text[24];
    unsigned found = 0;
    mtc_tier *tier = mtct_tier_open("memory?size=4MiB");
    for (unsigned i = 0; i < 200; i++) {
        mtc_request request = mtct_request_for(mtct_key(i, text), 0);
        char bytes[20];
        mtct_stamp_write(bytes, sizeof(bytes), i, i);
        request.hash = UINT64_C(0x123456789abcdef);
        request.value = mtc_value_borrow(mtc_bytes(bytes, sizeof(bytes)));
        assert_int_equal(mtct_tier_submit(tier, MTC_VERB_STORE, &request),
                         MTC_OK);
    }
    for (unsigned i = 0; i < 200; i++) {
        mtc_request request = mtct_request_for(mtct_key(i, text), 0);
        request.hash = UINT64_C(0x123456789abcdef);
        if (mtct_tier_submit(tier, MTC_VERB_READ, &request) == MTC_OK) {
            found++;
            assert_true(mtct_stamp_is(mtc_value_slice(&request.value), i, i));
        }
        mtc_value_free(&request.value);
    }
    mtc_tier_usage usage = mtct_tier_usage(tier);
    assert_int_equal(found, usage.entries);
    assert_int_equal(found + usage.evicted_size, 200);
    tier->ops->close(tier);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_room_for_all_every_answer_is_exact),
        cmocka_unit_test(in_few_bytes_a_hit_is_the_latest_value),
        cmocka_unit_test(among_few_entries_a_hit_is_the_latest_value),
        cmocka_unit_test(in_one_entry_a_hit_is_the_latest_value),
        cmocka_unit_test(keys_of_one_hash_are_kept_apart),
    };
    for (unsigned i = 0; i < ETAG_MAX; i++)
        etag_bytes[i] = (char)('A' + i % 26);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
