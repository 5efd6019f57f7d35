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

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "redis/call.h"
#include "support/redis_rig.h"
#include "support/server.h"
#include "tier/redis/redis.h"

#define CALL_MS 10000

typedef struct rig {
    test_server server;
    mtc_tier *tier;
    mtci_redis_client *other; /* another program */
} rig;

static rig the_rig;

static int start(void **state)
{
    *state = &the_rig;
    if (!test_server_installed(TEST_REDIS))
        return 0;
    if (!test_server_start(&the_rig.server, TEST_REDIS, NULL))
        return -1;
    the_rig.tier = redis_rig_tier(the_rig.server.url, NULL);
    the_rig.other = redis_rig_client(the_rig.server.port);
    return the_rig.tier && the_rig.other ? 0 : -1;
}

static int stop(void **state)
{
    rig *rig = *state;
    if (rig->tier)
        rig->tier->ops->close(rig->tier);
    mtci_client_free(rig->other);
    test_server_stop(&rig->server);
    return 0;
}

static rig *rig_of(void **state)
{
    test_server_require(TEST_REDIS);
    return *state;
}

/* -- requests ------------------------------------------------------------- */

typedef struct asked {
    mtc_request request;
    char failure[160];
} asked;

static void note_failure(mtc_request *request)
{
    asked *asked = (struct asked *)request;
    if (request->failure)
        snprintf(asked->failure, sizeof asked->failure, "%s", request->failure);
}

static asked make(mtc_slice key)
{
    asked asked = {.request = {.key = key, .done = note_failure}};
    asked.request.sent_ms = mtci_boot_ms();
    asked.request.deadline_ms = asked.request.sent_ms + CALL_MS;
    asked.request.facts.left_ms = 60000;
    return asked;
}

static mtc_status carry_out(mtc_tier *tier, mtc_verb verb, asked *asked)
{
    mtc_request *request = &asked->request;
    tier->ops->submit(tier, verb, &request, 1);
    tier->ops->drive(tier, request, request->deadline_ms);
    assert_true(mtc_request_is_complete(request));
    return request->status;
}

static mtc_status store(const rig *rig, mtc_slice key, mtc_slice value,
                        int64_t left_ms)
{
    asked asked = make(key);
    asked.request.value = mtc_value_borrow(value);
    asked.request.facts.left_ms = left_ms;
    return carry_out(rig->tier, MTC_VERB_STORE, &asked);
}

static asked look(const rig *rig, mtc_slice key)
{
    asked asked = make(key);
    carry_out(rig->tier, MTC_VERB_READ, &asked);
    return asked;
}

static void expect_found(const rig *rig, mtc_slice key, mtc_slice value)
{
    asked asked = look(rig, key);
    assert_int_equal(asked.request.status, MTC_OK);
    assert_int_equal(asked.request.value.size, value.size);
    if (value.size > 0)
        assert_memory_equal(asked.request.value.data, value.data, value.size);
    mtc_value_free(&asked.request.value);
}

static void expect_status(const rig *rig, const char *key, mtc_status status)
{
    asked asked = look(rig, mtc_str(key));
    assert_int_equal(asked.request.status, status);
    mtc_value_free(&asked.request.value);
}

/* Another program asks the server. */
static void expect_other(const rig *rig, uint32_t expects, const char *words,
                         const char *answer)
{
    char text[256];
    assert_string_equal(redis_rig_ask(rig->other, expects, words, text,
                                      sizeof text),
                        answer);
}

/* Another program puts any bytes under a key. */
static void put(const rig *rig, const char *key, mtc_slice value)
{
    char failure[MTCI_CALL_FAILURE_SIZE];
    mtci_reply reply;
    mtci_redis_command *command = mtci_command_new(MTCI_REPLY_STATUS);
    mtci_resp_begin(&command->bytes, 3);
    mtci_resp_add_text(&command->bytes, "SET");
    mtci_resp_add_text(&command->bytes, key);
    mtci_resp_add(&command->bytes, value);
    assert_int_equal(mtci_redis_call(rig->other, command,
                                     mtci_boot_ms() + CALL_MS, failure, &reply),
                     MTC_OK);
    mtci_reply_fini(&reply);
}

/* -- plain values --------------------------------------------------------- */

static void other_programs_read_a_plain_value(void **state)
{
    rig *rig = rig_of(state);
    assert_int_equal(store(rig, mtc_str("user:1"), mtc_str("{\"name\":1}"),
                           60000),
                     MTC_OK);
    expect_other(rig, MTCI_REPLY_BULK, "GET user:1", "{\"name\":1}");
    expect_other(rig, MTCI_REPLY_STATUS, "SET user:1 theirs", "+OK");
    expect_found(rig, mtc_str("user:1"), mtc_str("theirs"));
}

static void any_bytes_round_trip(void **state)
{
    rig *rig = rig_of(state);
    char bytes[256];
    for (int i = 0; i < 256; i++)
        bytes[i] = (char)i;
    mtc_slice all = mtc_bytes(bytes, sizeof bytes);
    mtc_slice tricky = mtc_bytes("\r\n$-1\r\n\0*", 9);
    assert_int_equal(store(rig, all, tricky, 60000), MTC_OK);
    assert_int_equal(store(rig, tricky, all, 60000), MTC_OK);
    expect_found(rig, all, tricky);
    expect_found(rig, tricky, all);
}

static void an_empty_value_is_not_a_miss(void **state)
{
    rig *rig = rig_of(state);
    assert_int_equal(store(rig, mtc_str("empty"), mtc_str(""), 60000), MTC_OK);
    expect_found(rig, mtc_str("empty"), mtc_str(""));
    assert_int_equal(store(rig, mtc_str(""), mtc_str("empty key"), 60000),
                     MTC_OK);
    expect_found(rig, mtc_str(""), mtc_str("empty key"));
}

static void values_around_the_limits_of_copying_round_trip(void **state)
{
    rig *rig = rig_of(state);
    static const size_t SIZES[] = {16383, 16384,   16385,  65535,
                                   65536, 1000000, 9000000};
    char *bytes = malloc(9000000);
    assert_non_null(bytes);
    for (size_t i = 0; i < 9000000; i++)
        bytes[i] = (char)(i * 13 + i / 255);
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        mtc_slice value = mtc_bytes(bytes, SIZES[i]);
        assert_int_equal(store(rig, mtc_str("large"), value, 60000), MTC_OK);
        expect_found(rig, mtc_str("large"), value);
    }
    free(bytes);
}

/* -- lives ---------------------------------------------------------------- */

static void a_life_is_kept_in_milliseconds(void **state)
{
    rig *rig = rig_of(state);
    assert_int_equal(store(rig, mtc_str("k"), mtc_str("v"), 34567), MTC_OK);
    asked asked = look(rig, mtc_str("k"));
    assert_in_range(asked.request.facts.left_ms, 25000, 34567);
    mtc_value_free(&asked.request.value);
}

static void what_is_left_is_never_more_than_the_server_says(void **state)
{
    rig *rig = rig_of(state);
    expect_other(rig, MTCI_REPLY_STATUS, "SET brief v PX 50", "+OK");
    asked asked = look(rig, mtc_str("brief"));
    if (asked.request.status == MTC_OK)
        assert_in_range(asked.request.facts.left_ms, 1, 50);
    mtc_value_free(&asked.request.value);
    /* Waits for the server's clock, which no test can step. */
    int64_t until_ms = mtci_boot_ms() + CALL_MS;
    do {
        mtc_value_free(&asked.request.value);
        asked = look(rig, mtc_str("brief"));
        assert_true(mtci_boot_ms() < until_ms);
    } while (asked.request.status == MTC_OK);
    assert_int_equal(asked.request.status, MTC_MISS);
}

static void without_an_end_there_is_none(void **state)
{
    rig *rig = rig_of(state);
    assert_int_equal(store(rig, mtc_str("lasting"), mtc_str("v"), MTC_NO_END),
                     MTC_OK);
    expect_other(rig, MTCI_REPLY_INTEGER, "PTTL lasting", ":-1");
    asked asked = look(rig, mtc_str("lasting"));
    assert_true(asked.request.facts.left_ms == MTC_NO_END);
    mtc_value_free(&asked.request.value);
}

static void a_life_of_any_length_is_accepted(void **state)
{
    rig *rig = rig_of(state);
    assert_int_equal(store(rig, mtc_str("long"), mtc_str("v"), MTC_NO_END - 1),
                     MTC_OK);
    assert_int_equal(store(rig, mtc_str("brief"), mtc_str("v"), 1), MTC_OK);
}

static void what_an_entry_waited_for_is_taken_off_its_life(void **state)
{
    rig *rig = rig_of(state);
    asked asked = make(mtc_str("waited"));
    asked.request.value = mtc_value_borrow(mtc_str("v"));
    asked.request.sent_ms = mtci_boot_ms() - 40000;
    assert_int_equal(carry_out(rig->tier, MTC_VERB_STORE, &asked), MTC_OK);
    asked = look(rig, mtc_str("waited"));
    assert_in_range(asked.request.facts.left_ms, 10000, 20000);
    mtc_value_free(&asked.request.value);
}

static void an_entry_whose_life_is_over_is_not_sent(void **state)
{
    rig *rig = rig_of(state);
    asked asked = make(mtc_str("over"));
    asked.request.value = mtc_value_borrow(mtc_str("v"));
    asked.request.sent_ms = mtci_boot_ms() - 60001;
    assert_int_equal(carry_out(rig->tier, MTC_VERB_STORE, &asked),
                     MTC_E_TIMEOUT);
    expect_other(rig, MTCI_REPLY_INTEGER, "EXISTS over", ":0");
}

/* -- frames --------------------------------------------------------------- */

static mtc_status store_facts(const rig *rig, const char *key, mtc_slice value,
                              mtc_facts facts)
{
    asked asked = make(mtc_str(key));
    asked.request.value = mtc_value_borrow(value);
    asked.request.facts = facts;
    return carry_out(rig->tier, MTC_VERB_STORE, &asked);
}

static void facts_are_kept_also_with_a_large_value(void **state)
{
    rig *rig = rig_of(state);
    static char bytes[100000];
    const size_t sizes[] = {1, sizeof bytes};
    memset(bytes, 'x', sizeof bytes);
    for (size_t i = 0; i < 2; i++) {
        mtc_slice value = mtc_bytes(bytes, sizes[i]);
        mtc_facts facts = {.left_ms = 50000,
                           .ttl_ms = 30000,
                           .window_ms = 20000,
                           .etag = mtc_str("W/\"1\"")};
        assert_int_equal(store_facts(rig, "framed", value, facts), MTC_OK);
        expect_found(rig, mtc_str("framed"), value);
        asked asked = look(rig, mtc_str("framed"));
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
    mtc_frame frame = {
        .facts = {.kind = kind, .left_ms = 1000, .window_ms = 500},
        .value = mtc_str(kind == MTC_KIND_VALUE ? "inside" : ""),
    };
    assert_true(mtc_frame_size(&frame) <= size);
    return mtc_frame_write(&frame, bytes);
}

static void a_value_that_looks_like_a_frame_is_not_taken_for_one(void **state)
{
    rig *rig = rig_of(state);
    char bytes[256];
    size_t size = make_frame(MTC_KIND_VALUE, bytes, sizeof bytes);
    mtc_slice value = mtc_bytes(bytes, size);
    assert_int_equal(store(rig, mtc_str("tricky"), value, 60000), MTC_OK);
    expect_found(rig, mtc_str("tricky"), value);
    value.size = 4; /* nothing but the magic */
    assert_int_equal(store(rig, mtc_str("tricky"), value, 60000), MTC_OK);
    expect_found(rig, mtc_str("tricky"), value);
}

static void a_damaged_frame_is_a_miss_and_counted(void **state)
{
    rig *rig = rig_of(state);
    char bytes[256];
    mtc_tier_usage before, after;
    size_t size = make_frame(MTC_KIND_VALUE, bytes, sizeof bytes);
    put(rig, "frame", mtc_bytes(bytes, size));
    expect_found(rig, mtc_str("frame"), mtc_str("inside"));
    rig->tier->ops->usage(rig->tier, &before);
    for (size_t i = 4; i < size; i++) {
        bytes[i] ^= 1;
        put(rig, "frame", mtc_bytes(bytes, size));
        expect_status(rig, "frame", MTC_MISS);
        bytes[i] ^= 1;
    }
    put(rig, "frame", mtc_bytes(bytes, size - 1));
    expect_status(rig, "frame", MTC_MISS);
    rig->tier->ops->usage(rig->tier, &after);
    /* Another version is a miss, not damage. */
    assert_int_equal(after.damaged - before.damaged, size - 4);
}

static void a_lease_is_a_miss_and_no_damage(void **state)
{
    rig *rig = rig_of(state);
    char bytes[256];
    mtc_tier_usage before, after;
    rig->tier->ops->usage(rig->tier, &before);
    put(rig, "lease",
        mtc_bytes(bytes, make_frame(MTC_KIND_LEASE, bytes, sizeof bytes)));
    expect_status(rig, "lease", MTC_MISS);
    rig->tier->ops->usage(rig->tier, &after);
    assert_int_equal(after.damaged, before.damaged);
}

static void expire_cuts_to_the_window_at_the_server(void **state)
{
    rig *rig = rig_of(state);
    mtc_facts facts = {.left_ms = 50000, .ttl_ms = 30000, .window_ms = 20000};
    assert_int_equal(store_facts(rig, "stale", mtc_str("v"), facts), MTC_OK);
    asked asked = make(mtc_str("stale"));
    assert_int_equal(carry_out(rig->tier, MTC_VERB_EXPIRE, &asked), MTC_OK);
    asked = look(rig, mtc_str("stale"));
    assert_in_range(asked.request.facts.left_ms, 10000, 20000);
    mtc_value_free(&asked.request.value);
    put(rig, "stale", mtc_bytes("\xf7MT\0\1\xff\xff\xff", 8));
    asked = make(mtc_str("stale"));
    assert_int_equal(carry_out(rig->tier, MTC_VERB_EXPIRE, &asked), MTC_OK);
    expect_other(rig, MTCI_REPLY_INTEGER, "EXISTS stale", ":0");
}

/* -- errors --------------------------------------------------------------- */

static void a_key_of_another_type_is_an_error_and_no_miss(void **state)
{
    rig *rig = rig_of(state);
    expect_other(rig, MTCI_REPLY_INTEGER, "LPUSH list a", ":1");
    asked asked = look(rig, mtc_str("list"));
    assert_int_equal(asked.request.status, MTC_E_INVALID);
    assert_non_null(strstr(asked.failure, "WRONGTYPE"));
    assert_int_equal(store(rig, mtc_str("list"), mtc_str("v"), 60000), MTC_OK);
    expect_found(rig, mtc_str("list"), mtc_str("v"));
}

static void
a_server_without_memory_refuses_stores_and_takes_removes(void **state)
{
    rig *rig = rig_of(state);
    assert_int_equal(store(rig, mtc_str("kept"), mtc_str("v"), 60000), MTC_OK);
    expect_other(rig, MTCI_REPLY_STATUS, "CONFIG SET maxmemory 1", "+OK");
    mtc_status stored = store(rig, mtc_str("k"), mtc_str("v"), 60000);
    asked asked = make(mtc_str("kept"));
    mtc_status removed = carry_out(rig->tier, MTC_VERB_REMOVE, &asked);
    expect_other(rig, MTCI_REPLY_STATUS, "CONFIG SET maxmemory 0", "+OK");
    assert_int_equal(stored, MTC_E_UNAVAILABLE);
    assert_int_equal(removed, MTC_OK);
    expect_status(rig, "kept", MTC_MISS);
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
