/*
 * labels: quick server
 *
 * The Redis tier on a real server: what it keeps there, as other programs see
 * it, and what it makes of what they put there.
 */
#include "mtc/tier.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/clock.h"
#include "support/redis_pair.h"
#include "support/redis_rig.h"
#include "tier/redis/redis.h"

#define CALL_MS 10000

static redis_pair the_pair;

static int start(void **state)
{
    *state = &the_pair;
    if (test_server_installed(TEST_REDIS))
        redis_pair_start(&the_pair, NULL, "");
    return 0;
}

static int stop(void **state)
{
    redis_pair_stop(*state);
    return 0;
}

static redis_pair *pair_of(void **state)
{
    test_server_require(TEST_REDIS);
    return *state;
}

static mtc_status store(const redis_pair *pair, mtc_slice key, mtc_slice value,
                        int64_t left_ms)
{
    mtc_facts facts = {.left_ms = left_ms};
    return redis_pair_store(pair->tier, key, value, &facts);
}

static redis_asked look(const redis_pair *pair, mtc_slice key)
{
    return redis_pair_ask(pair->tier, MTC_VERB_READ, key);
}

static void expect_found(const redis_pair *pair, mtc_slice key, mtc_slice value)
{
    redis_pair_expect(pair->tier, key, value);
}

static void expect_status(const redis_pair *pair, const char *key,
                          mtc_status status)
{
    assert_int_equal(redis_pair_look(pair->tier, mtc_str(key)), status);
}

/* -- plain values --------------------------------------------------------- */

static void other_programs_read_a_plain_value(void **state)
{
    redis_pair *pair = pair_of(state);
    assert_int_equal(store(pair, mtc_str("user:1"), mtc_str("{\"name\":1}"),
                           60000),
                     MTC_OK);
    redis_pair_other(pair, MTCI_REPLY_BULK, "GET user:1", "{\"name\":1}");
    redis_pair_other(pair, MTCI_REPLY_STATUS, "SET user:1 theirs", "+OK");
    expect_found(pair, mtc_str("user:1"), mtc_str("theirs"));
}

static void any_bytes_round_trip(void **state)
{
    redis_pair *pair = pair_of(state);
    char bytes[256];
    for (int i = 0; i < 256; i++)
        bytes[i] = (char)i;
    mtc_slice all = mtc_bytes(bytes, sizeof bytes);
    mtc_slice tricky = mtc_bytes("\r\n$-1\r\n\0*", 9);
    assert_int_equal(store(pair, all, tricky, 60000), MTC_OK);
    assert_int_equal(store(pair, tricky, all, 60000), MTC_OK);
    expect_found(pair, all, tricky);
    expect_found(pair, tricky, all);
}

static void an_empty_value_is_not_a_miss(void **state)
{
    redis_pair *pair = pair_of(state);
    assert_int_equal(store(pair, mtc_str("empty"), mtc_str(""), 60000), MTC_OK);
    expect_found(pair, mtc_str("empty"), mtc_str(""));
    assert_int_equal(store(pair, mtc_str(""), mtc_str("empty key"), 60000),
                     MTC_OK);
    expect_found(pair, mtc_str(""), mtc_str("empty key"));
}

static void values_around_the_limits_of_copying_round_trip(void **state)
{
    redis_pair *pair = pair_of(state);
    static const size_t SIZES[] = {16383, 16384,   16385,  65535,
                                   65536, 1000000, 9000000};
    char *bytes = malloc(9000000);
    assert_non_null(bytes);
    for (size_t i = 0; i < 9000000; i++)
        bytes[i] = (char)(i * 13 + i / 255);
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        mtc_slice value = mtc_bytes(bytes, SIZES[i]);
        assert_int_equal(store(pair, mtc_str("large"), value, 60000), MTC_OK);
        expect_found(pair, mtc_str("large"), value);
    }
    free(bytes);
}

/* -- lives ---------------------------------------------------------------- */

static void a_life_is_kept_in_milliseconds(void **state)
{
    redis_pair *pair = pair_of(state);
    assert_int_equal(store(pair, mtc_str("k"), mtc_str("v"), 34567), MTC_OK);
    redis_asked asked = look(pair, mtc_str("k"));
    assert_in_range(asked.request.facts.left_ms, 25000, 34567);
    mtc_value_free(&asked.request.value);
}

static void what_is_left_is_never_more_than_the_server_says(void **state)
{
    redis_pair *pair = pair_of(state);
    redis_pair_other(pair, MTCI_REPLY_STATUS, "SET brief v PX 50", "+OK");
    redis_asked asked = look(pair, mtc_str("brief"));
    if (asked.request.status == MTC_OK)
        assert_in_range(asked.request.facts.left_ms, 1, 50);
    mtc_value_free(&asked.request.value);
    /* Waits for the server's clock, which no test can step. */
    int64_t until_ms = mtci_boot_ms() + CALL_MS;
    do {
        mtc_value_free(&asked.request.value);
        asked = look(pair, mtc_str("brief"));
        assert_true(mtci_boot_ms() < until_ms);
    } while (asked.request.status == MTC_OK);
    assert_int_equal(asked.request.status, MTC_MISS);
}

static void without_an_end_there_is_none(void **state)
{
    redis_pair *pair = pair_of(state);
    assert_int_equal(store(pair, mtc_str("lasting"), mtc_str("v"), MTC_NO_END),
                     MTC_OK);
    redis_pair_other(pair, MTCI_REPLY_INTEGER, "PTTL lasting", ":-1");
    redis_asked asked = look(pair, mtc_str("lasting"));
    assert_true(asked.request.facts.left_ms == MTC_NO_END);
    mtc_value_free(&asked.request.value);
}

static void a_life_of_any_length_is_accepted(void **state)
{
    redis_pair *pair = pair_of(state);
    assert_int_equal(store(pair, mtc_str("long"), mtc_str("v"), MTC_NO_END - 1),
                     MTC_OK);
    redis_asked brief = redis_pair_request(mtc_str("brief"));
    brief.request.value = mtc_value_borrow(mtc_str("v"));
    brief.request.facts.left_ms = 1;
    brief.request.sent_ms += CALL_MS; /* so that it is not over before */
    assert_int_equal(redis_pair_carry_out(pair->tier, MTC_VERB_STORE, &brief),
                     MTC_OK);
}

static void what_an_entry_waited_for_is_taken_off_its_life(void **state)
{
    redis_pair *pair = pair_of(state);
    redis_asked asked = redis_pair_request(mtc_str("waited"));
    asked.request.value = mtc_value_borrow(mtc_str("v"));
    asked.request.sent_ms = mtci_boot_ms() - 40000;
    assert_int_equal(redis_pair_carry_out(pair->tier, MTC_VERB_STORE, &asked),
                     MTC_OK);
    asked = look(pair, mtc_str("waited"));
    assert_in_range(asked.request.facts.left_ms, 10000, 20000);
    mtc_value_free(&asked.request.value);
}

static void an_entry_whose_life_is_over_is_not_sent(void **state)
{
    redis_pair *pair = pair_of(state);
    redis_asked asked = redis_pair_request(mtc_str("over"));
    asked.request.value = mtc_value_borrow(mtc_str("v"));
    asked.request.sent_ms = mtci_boot_ms() - 60001;
    assert_int_equal(redis_pair_carry_out(pair->tier, MTC_VERB_STORE, &asked),
                     MTC_E_TIMEOUT);
    redis_pair_other(pair, MTCI_REPLY_INTEGER, "EXISTS over", ":0");
}

/* -- frames --------------------------------------------------------------- */

static mtc_status store_facts(const redis_pair *pair, const char *key,
                              mtc_slice value, mtc_facts facts)
{
    return redis_pair_store(pair->tier, mtc_str(key), value, &facts);
}

static void facts_are_kept_also_with_a_large_value(void **state)
{
    redis_pair *pair = pair_of(state);
    static char bytes[100000];
    const size_t sizes[] = {1, sizeof bytes};
    memset(bytes, 'x', sizeof bytes);
    for (size_t i = 0; i < 2; i++) {
        mtc_slice value = mtc_bytes(bytes, sizes[i]);
        mtc_facts facts = {.left_ms = 50000,
                           .ttl_ms = 30000,
                           .window_ms = 20000,
                           .etag = mtc_str("W/\"1\"")};
        assert_int_equal(store_facts(pair, "framed", value, facts), MTC_OK);
        expect_found(pair, mtc_str("framed"), value);
        redis_asked asked = look(pair, mtc_str("framed"));
        assert_int_equal(asked.request.facts.window_ms, 20000);
        assert_int_equal(asked.request.facts.etag.size, 5);
        assert_in_range(asked.request.facts.left_ms, 40000, 50000);
        assert_int_equal((uintptr_t)asked.request.value.data % 8, 0);
        mtc_value_free(&asked.request.value);
    }
}

/* Some frame, as bytes. */
static size_t make_frame(int32_t kind, char *bytes, size_t size)
{
    static const char numbers[16];
    mtc_frame frame = {
        .facts = {.kind = kind, .left_ms = 1000, .window_ms = 500},
        .value = kind == MTC_KIND_LEASE ? mtc_bytes(numbers, sizeof numbers)
                                        : mtc_str("inside"),
    };
    assert_true(mtc_frame_size(&frame) <= size);
    return mtc_frame_write(&frame, bytes);
}

static void a_value_that_looks_like_a_frame_is_not_taken_for_one(void **state)
{
    redis_pair *pair = pair_of(state);
    char bytes[256];
    size_t size = make_frame(MTC_KIND_VALUE, bytes, sizeof bytes);
    mtc_slice value = mtc_bytes(bytes, size);
    assert_int_equal(store(pair, mtc_str("tricky"), value, 60000), MTC_OK);
    expect_found(pair, mtc_str("tricky"), value);
    value.size = 4; /* nothing but the magic */
    assert_int_equal(store(pair, mtc_str("tricky"), value, 60000), MTC_OK);
    expect_found(pair, mtc_str("tricky"), value);
}

static void a_damaged_frame_is_a_miss_and_counted(void **state)
{
    redis_pair *pair = pair_of(state);
    char bytes[256];
    size_t size = make_frame(MTC_KIND_VALUE, bytes, sizeof bytes);
    redis_pair_put(pair, mtc_str("frame"), mtc_bytes(bytes, size));
    expect_found(pair, mtc_str("frame"), mtc_str("inside"));
    uint64_t before = redis_pair_damaged(pair->tier);
    for (size_t i = 4; i < size; i++) {
        bytes[i] ^= 1;
        redis_pair_put(pair, mtc_str("frame"), mtc_bytes(bytes, size));
        expect_status(pair, "frame", MTC_MISS);
        bytes[i] ^= 1;
    }
    redis_pair_put(pair, mtc_str("frame"), mtc_bytes(bytes, size - 1));
    expect_status(pair, "frame", MTC_MISS);
    /* Another version is a miss, not damage. */
    assert_int_equal(redis_pair_damaged(pair->tier) - before, size - 4);
}

static void a_lease_is_a_miss_and_no_damage(void **state)
{
    redis_pair *pair = pair_of(state);
    char bytes[256];
    uint64_t before = redis_pair_damaged(pair->tier);
    redis_pair_put(pair, mtc_str("lease"),
                   mtc_bytes(bytes,
                             make_frame(MTC_KIND_LEASE, bytes, sizeof bytes)));
    expect_status(pair, "lease", MTC_MISS);
    assert_int_equal(redis_pair_damaged(pair->tier), before);
}

static void expire_cuts_to_the_window_at_the_server(void **state)
{
    redis_pair *pair = pair_of(state);
    mtc_facts facts = {.left_ms = 50000, .ttl_ms = 30000, .window_ms = 20000};
    assert_int_equal(store_facts(pair, "stale", mtc_str("v"), facts), MTC_OK);
    redis_asked asked = redis_pair_request(mtc_str("stale"));
    assert_int_equal(redis_pair_carry_out(pair->tier, MTC_VERB_EXPIRE, &asked),
                     MTC_OK);
    asked = look(pair, mtc_str("stale"));
    assert_in_range(asked.request.facts.left_ms, 10000, 20000);
    mtc_value_free(&asked.request.value);
    redis_pair_put(pair, mtc_str("stale"),
                   mtc_bytes("\xf7MT\0\1\xff\xff\xff", 8));
    asked = redis_pair_request(mtc_str("stale"));
    assert_int_equal(redis_pair_carry_out(pair->tier, MTC_VERB_EXPIRE, &asked),
                     MTC_OK);
    redis_pair_other(pair, MTCI_REPLY_INTEGER, "EXISTS stale", ":0");
}

/* -- errors --------------------------------------------------------------- */

static void a_key_of_another_type_is_an_error_and_no_miss(void **state)
{
    redis_pair *pair = pair_of(state);
    redis_pair_other(pair, MTCI_REPLY_INTEGER, "LPUSH list a", ":1");
    redis_asked asked = look(pair, mtc_str("list"));
    assert_int_equal(asked.request.status, MTC_E_INVALID);
    assert_non_null(strstr(asked.failure, "WRONGTYPE"));
    assert_int_equal(store(pair, mtc_str("list"), mtc_str("v"), 60000), MTC_OK);
    expect_found(pair, mtc_str("list"), mtc_str("v"));
}

static void
a_server_without_memory_refuses_stores_and_takes_removes(void **state)
{
    redis_pair *pair = pair_of(state);
    assert_int_equal(store(pair, mtc_str("kept"), mtc_str("v"), 60000), MTC_OK);
    redis_pair_other(pair, MTCI_REPLY_STATUS, "CONFIG SET maxmemory 1", "+OK");
    mtc_status stored = store(pair, mtc_str("k"), mtc_str("v"), 60000);
    redis_asked asked = redis_pair_request(mtc_str("kept"));
    mtc_status removed =
        redis_pair_carry_out(pair->tier, MTC_VERB_REMOVE, &asked);
    redis_pair_other(pair, MTCI_REPLY_STATUS, "CONFIG SET maxmemory 0", "+OK");
    assert_int_equal(stored, MTC_E_UNAVAILABLE);
    assert_int_equal(removed, MTC_OK);
    expect_status(pair, "kept", MTC_MISS);
}

static void a_wrong_url_is_refused_and_shows_no_password(void **state)
{
    (void)state;
    static const char *const URLS[] = {
        "redis://h/notanumber",
        "redis://h/1x",
        "redis://h/-1",
        "redis://h/99999999999999999999",
        "redis://user@h",
        "redis://u:S3CR3T@h/x",
        "redis+unix://h/path",
        "redis+unix://",
        "redis://u:S3CR3T@h?connect=0",
        "redis://u:S3CR3T@h?db=-1",
        "redis+sentinel://h",
        "redis+sentinel://h/",
        "redis+sentinel:///name",
        "redis+sentinel://h,,i/name",
        "redis+sentinel://h/a%20name",
        "redis+sentinel://u:S3CR3T@h/name/x",
        "redis+sentinel://h/name/1/2",
        "redis+sentinel://h/name/2147483648",
        "redis+sentinel://1,2,3,4,5,6,7,8,9/name",
        "redis+sentinel://h/name?sentinel_user=u",
        "redis://h?sentinel_password=S3CR3T",
        "redis+cluster://u:S3CR3T@h,i?ca=x",
        "redis+sentinel://u:S3CR3T@h,i/name?tls_name=x",
    };
    for (size_t i = 0; i < sizeof URLS / sizeof *URLS; i++) {
        mtc_error error = {.status = MTC_OK};
        assert_null(redis_rig_tier(URLS[i], &error));
        assert_int_equal(error.status, MTC_E_INVALID);
        assert_true(strlen(error.text) > 0);
        assert_null(strstr(error.text, "S3CR3T"));
    }
}

static void a_url_says_where_and_how(void **state)
{
    (void)state;
    mtc_tier *tier =
        redis_rig_tier("valkey://me:p%40ss@host:7/12?connect=2s", NULL);
    assert_non_null(tier);
    const mtci_redis_settings *settings =
        mtci_client_settings(mtci_redis_tier_client(tier));
    assert_string_equal(settings->address.host, "host");
    assert_string_equal(settings->user, "me");
    assert_string_equal(settings->password, "p@ss");
    assert_int_equal(settings->address.port, 7);
    assert_int_equal(settings->db, 12);
    assert_int_equal(settings->connect_ms, 2000);
    tier->ops->close(tier);
    tier = redis_rig_tier("redis+unix:///run/r.sock?db=3", NULL);
    assert_non_null(tier);
    settings = mtci_client_settings(mtci_redis_tier_client(tier));
    assert_string_equal(settings->path, "/run/r.sock");
    assert_int_equal(settings->db, 3);
    tier->ops->close(tier);
}

static void a_url_names_sentinels(void **state)
{
    (void)state;
    mtc_tier *tier = redis_rig_tier(
        "valkey+sentinel://me:p%40ss@one:7,two/the-master/12?sentinel_user=s"
        "&sentinel_password=S3C%40RET",
        NULL);
    assert_non_null(tier);
    const mtci_redis_settings *settings =
        mtci_client_settings(mtci_redis_tier_client(tier));
    const mtci_sentinel_settings *sentinels = settings->sentinels;
    assert_string_equal(settings->user, "me");
    assert_string_equal(settings->password, "p@ss");
    assert_int_equal(settings->db, 12);
    assert_int_equal(sentinels->count, 2);
    assert_string_equal(sentinels->addresses[0].host, "one");
    assert_int_equal(sentinels->addresses[0].port, 7);
    assert_string_equal(sentinels->addresses[1].host, "two");
    assert_int_equal(sentinels->addresses[1].port, 26379);
    assert_string_equal(sentinels->master, "the-master");
    assert_string_equal(sentinels->user, "s");
    assert_string_equal(sentinels->password, "S3C@RET");
    tier->ops->close(tier);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_programs_read_a_plain_value),
        cmocka_unit_test(any_bytes_round_trip),
        cmocka_unit_test(an_empty_value_is_not_a_miss),
        cmocka_unit_test(values_around_the_limits_of_copying_round_trip),
        cmocka_unit_test(a_life_is_kept_in_milliseconds),
        cmocka_unit_test(what_is_left_is_never_more_than_the_server_says),
        cmocka_unit_test(without_an_end_there_is_none),
        cmocka_unit_test(a_life_of_any_length_is_accepted),
        cmocka_unit_test(what_an_entry_waited_for_is_taken_off_its_life),
        cmocka_unit_test(an_entry_whose_life_is_over_is_not_sent),
        cmocka_unit_test(facts_are_kept_also_with_a_large_value),
        cmocka_unit_test(a_value_that_looks_like_a_frame_is_not_taken_for_one),
        cmocka_unit_test(a_damaged_frame_is_a_miss_and_counted),
        cmocka_unit_test(a_lease_is_a_miss_and_no_damage),
        cmocka_unit_test(expire_cuts_to_the_window_at_the_server),
        cmocka_unit_test(a_key_of_another_type_is_an_error_and_no_miss),
        cmocka_unit_test(
            a_server_without_memory_refuses_stores_and_takes_removes),
        cmocka_unit_test(a_wrong_url_is_refused_and_shows_no_password),
        cmocka_unit_test(a_url_says_where_and_how),
        cmocka_unit_test(a_url_names_sentinels),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
