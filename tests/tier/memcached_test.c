/*
 * The memcached tier's own promises, against real servers: keys and lives
 * that memcached would take wrongly, damage, and servers that are away.
 * labels: server
 */
#include "support/contract.h"
#include "support/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "tier/memcached/entry.h"

#define DAY_MS    INT64_C(86400000)
#define ENTRY_MAX 4096
/* Far beyond the deadlines used here: a call that takes longer hangs. */
#define HANG_MS     5000
#define DEADLINE_MS 200

/* A server with a tier on it. */
typedef struct fixture {
    test_server server;
    char url[1024];
    contract contract;
    trial *trial;
} fixture;

static mtc_tier *open_url(void *url)
{
    mtc_tier_config config = MTC_TIER_CONFIG_INIT;
    mtc_error error;
    if (mtc_tier_open(url, &error, &config) != MTC_OK)
        return NULL;
    return config.tier;
}

static void fixture_tier(fixture *fixture, const char *parameters)
{
    snprintf(fixture->url, sizeof(fixture->url), "%s%s", fixture->server.url,
             parameters);
    fixture->contract = (contract){.name = "memcached",
                                   .open = open_url,
                                   .ctx = fixture->url,
                                   .is_real_time = true};
    fixture->trial = trial_new(&fixture->contract);
    assert_non_null(fixture->trial);
}

static void fixture_start(fixture *fixture, const char *const *args,
                          const char *parameters)
{
    test_server_require(TEST_MEMCACHED);
    assert_true(test_server_start(&fixture->server, TEST_MEMCACHED, args));
    fixture_tier(fixture, parameters);
}

static void fixture_stop(fixture *fixture)
{
    trial_free(fixture->trial);
    test_server_stop(&fixture->server);
}

static uint64_t damaged_count(const trial *trial)
{
    mtc_tier_usage usage;
    trial->tier->ops->usage(trial->tier, &usage);
    return usage.damaged;
}

/* Another program, which speaks memcached's text protocol. */
static int raw_open(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)),
                     0);
    return fd;
}

/* Reads until what came ends with an end; returns its size. */
static size_t raw_read(int fd, char *buffer, const char *end)
{
    size_t size = 0;
    size_t end_size = strlen(end);
    while (size < end_size ||
           memcmp(buffer + size - end_size, end, end_size) != 0) {
        ssize_t count = read(fd, buffer + size, ENTRY_MAX - size);
        assert_true(count > 0);
        size += (size_t)count;
    }
    return size;
}

static void raw_set(int fd, const char *key, const void *bytes, size_t size)
{
    char buffer[ENTRY_MAX + 512];
    int head =
        snprintf(buffer, sizeof(buffer), "set %s 0 60 %zu\r\n", key, size);
    memcpy(buffer + head, bytes, size);
    memcpy(buffer + head + size, "\r\n", 2);
    size_t all = (size_t)head + size + 2;
    assert_int_equal(write(fd, buffer, all), all);
    raw_read(fd, buffer, "STORED\r\n");
}

/* The bytes under a key; returns their count. */
static size_t raw_get(int fd, const char *key, char *bytes)
{
    char buffer[ENTRY_MAX];
    size_t size;
    int count = snprintf(buffer, sizeof(buffer), "get %s\r\n", key);
    assert_int_equal(write(fd, buffer, (size_t)count), count);
    size_t all = raw_read(fd, buffer, "END\r\n");
    char *line_end = memchr(buffer, '\n', all);
    assert_non_null(line_end);
    assert_int_equal(sscanf(buffer, "VALUE %*s %*u %zu", &size), 1);
    memcpy(bytes, line_end + 1, size);
    return size;
}

static void keys_that_memcached_refuses_are_hashed(void **state)
{
    static const struct {
        const char *key;
        bool is_plain;
    } rows[] = {{"user:1", true},     {"with space", false},
                {"tab\there", false}, {"del\x7f", false},
                {"", false},          {"gr\xc3\xbc\xc3\x9f", true},
                {"mtc:xxh3:", false}};
    mtci_memcached_key key;
    char long_key[251];
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        mtci_memcached_key_make(mtc_str(rows[i].key), &key);
        bool is_same = key.size == strlen(rows[i].key) &&
                       memcmp(key.bytes, rows[i].key, key.size) == 0;
        assert_int_equal(is_same, rows[i].is_plain);
    }
    memset(long_key, 'k', sizeof(long_key));
    mtci_memcached_key_make(mtc_bytes(long_key, 250), &key);
    assert_int_equal(key.size, 250);
    mtci_memcached_key_make(mtc_bytes(long_key, 251), &key);
    assert_in_range(key.size, 32, 64);
}

static void lives_are_cut_to_what_memcached_takes(void **state)
{
    mtc_facts facts = {.ttl_ms = 10000, .window_ms = 5000};
    (void)state;
    assert_int_equal(mtci_memcached_life_ms(&facts, 999), 0);
    assert_int_equal(mtci_memcached_life_ms(&facts, -5), 0);
    assert_int_equal(mtci_memcached_life_ms(&facts, 1000), 1000);
    assert_int_equal(mtci_memcached_life_ms(&facts, 20000), 15000);
    facts.ttl_ms = 31 * DAY_MS;
    assert_int_equal(mtci_memcached_life_ms(&facts, 31 * DAY_MS), 30 * DAY_MS);
    facts.ttl_ms = 0;
    assert_int_equal(mtci_memcached_life_ms(&facts, MTC_NO_END), 30 * DAY_MS);
}

static void an_entry_of_a_month_and_a_day_lives(void **state)
{
    fixture fixture;
    ask ask;
    (void)state;
    fixture_start(&fixture, NULL, "");
    trial *trial = fixture.trial;
    mtc_slice key = trial_key(trial, "month");
    assert_int_equal(trial_store_for(trial, key, mtc_str("v"), 31 * DAY_MS),
                     MTC_OK);
    ask_init(&ask, trial, key);
    assert_int_equal(trial_call(trial, MTC_VERB_READ, &ask), MTC_OK);
    assert_in_range(ask.request.facts.left_ms, 29 * DAY_MS, 30 * DAY_MS);
    ask_fini(&ask);
    fixture_stop(&fixture);
}

static void a_larger_item_size_is_used(void **state)
{
    static const char *const args[] = {"-I", "2m", NULL};
    fixture fixture;
    (void)state;
    fixture_start(&fixture, args, "?item_size=2MiB");
    size_t size = 1500000;
    char *bytes = calloc(1, size);
    assert_non_null(bytes);
    mtc_slice key = trial_key(fixture.trial, "large");
    assert_int_equal(trial_store(fixture.trial, key, mtc_bytes(bytes, size)),
                     MTC_OK);
    trial_expect(fixture.trial, key, mtc_bytes(bytes, size));
    free(bytes);
    fixture_stop(&fixture);
}

static void a_value_that_the_server_finds_too_large_is_gone(void **state)
{
    fixture fixture;
    (void)state;
    /* The tier believes in 2 MiB, the server takes 1 MiB. */
    fixture_start(&fixture, NULL, "?item_size=2MiB");
    size_t size = 1500000;
    char *bytes = calloc(1, size);
    assert_non_null(bytes);
    mtc_slice key = trial_key(fixture.trial, "large");
    trial_store(fixture.trial, key, mtc_str("old"));
    assert_int_equal(trial_store(fixture.trial, key, mtc_bytes(bytes, size)),
                     MTC_PARTIAL);
    assert_int_equal(trial_look(fixture.trial, key), MTC_MISS);
    free(bytes);
    fixture_stop(&fixture);
}

static void every_flipped_byte_of_an_entry_makes_a_miss(void **state)
{
    char bytes[ENTRY_MAX];
    fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL, "");
    trial *trial = fixture.trial;
    int fd = raw_open(fixture.server.port);
    mtc_slice key = mtc_str("flipped");
    trial_store(trial, key, mtc_str("a value"));
    size_t size = raw_get(fd, "flipped", bytes);
    for (size_t i = 0; i < size; i++) {
        bytes[i] ^= 0x20;
        raw_set(fd, "flipped", bytes, size);
        assert_int_equal(trial_look(trial, key), MTC_MISS);
        bytes[i] ^= 0x20;
        raw_set(fd, "flipped", bytes, i);
        assert_int_equal(trial_look(trial, key), MTC_MISS);
    }
    assert_true(damaged_count(trial) >= size);
    raw_set(fd, "flipped", bytes, size);
    trial_expect(trial, key, mtc_str("a value"));
    close(fd);
    fixture_stop(&fixture);
}

static void what_another_program_stored_is_a_miss(void **state)
{
    char bytes[ENTRY_MAX];
    fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL, "");
    trial *trial = fixture.trial;
    int fd = raw_open(fixture.server.port);
    raw_set(fd, "foreign", "plain text", 10);
    assert_int_equal(trial_look(trial, mtc_str("foreign")), MTC_MISS);
    assert_int_equal(damaged_count(trial), 1);
    trial_store(trial, mtc_str("original"), mtc_str("value"));
    size_t size = raw_get(fd, "original", bytes);
    raw_set(fd, "copied", bytes, size);
    assert_int_equal(trial_look(trial, mtc_str("copied")), MTC_MISS);
    close(fd);
    fixture_stop(&fixture);
}

/* An entry that a writer with another clock may have left. */
static mtc_status look_at_entry(trial *trial, int fd, int64_t ttl_ms,
                                int64_t end_offset_ms)
{
    char bytes[ENTRY_MAX];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t wall_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    mtc_frame frame = {.facts = {.ttl_ms = ttl_ms},
                       .key = mtc_str("clock"),
                       .time_ms = wall_ms + end_offset_ms,
                       .value = mtc_str("v")};
    size_t size = mtc_frame_write(&frame, bytes);
    raw_set(fd, "clock", bytes, size);
    return trial_look(trial, mtc_str("clock"));
}

static void a_life_is_believed_only_within_its_bounds(void **state)
{
    fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL, "");
    trial *trial = fixture.trial;
    int fd = raw_open(fixture.server.port);
    assert_int_equal(look_at_entry(trial, fd, 60000, 30000), MTC_OK);
    assert_int_equal(look_at_entry(trial, fd, 60000, 90000), MTC_MISS);
    assert_int_equal(look_at_entry(trial, fd, 60000, -10), MTC_MISS);
    assert_int_equal(look_at_entry(trial, fd, 0, 29 * DAY_MS), MTC_OK);
    assert_int_equal(look_at_entry(trial, fd, 0, 31 * DAY_MS), MTC_MISS);
    assert_int_equal(damaged_count(trial), 0);
    close(fd);
    fixture_stop(&fixture);
}

static mtc_status call_within(trial *trial, mtc_verb verb, mtc_slice key,
                              mtc_slice value, int64_t wait_ms)
{
    ask ask;
    int64_t begun_ms = mtci_boot_ms();
    ask_init(&ask, trial, key);
    ask.request.deadline_ms = begun_ms + wait_ms;
    if (verb == MTC_VERB_STORE)
        ask.request.value = mtc_value_borrow(value);
    mtc_status status = trial_call(trial, verb, &ask);
    ask_fini(&ask);
    assert_true(mtci_boot_ms() - begun_ms < HANG_MS);
    return status;
}

static void a_server_that_hangs_costs_the_deadline_and_no_more(void **state)
{
    static char large[900000];
    ask asks[100];
    fixture fixture;
    mtc_slice none = mtc_bytes(NULL, 0);
    (void)state;
    fixture_start(&fixture, NULL, "");
    trial *trial = fixture.trial;
    mtc_slice key = trial_key(trial, "a");
    mtc_slice bytes = mtc_bytes(large, sizeof(large));
    trial_store(trial, key, mtc_str("value"));
    test_server_pause(&fixture.server);
    /* Once on a connection that was open, once on a new one. */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(call_within(trial, MTC_VERB_READ, key, none,
                                     DEADLINE_MS),
                         MTC_E_TIMEOUT);
        assert_int_equal(call_within(trial, MTC_VERB_STORE, key, bytes,
                                     DEADLINE_MS),
                         MTC_E_TIMEOUT);
        assert_int_equal(call_within(trial, MTC_VERB_REMOVE, key, none,
                                     DEADLINE_MS),
                         MTC_E_TIMEOUT);
        assert_int_equal(call_within(trial, MTC_VERB_EXPIRE, key, none,
                                     DEADLINE_MS),
                         MTC_E_TIMEOUT);
    }
    int64_t begun_ms = mtci_boot_ms();
    for (size_t i = 0; i < 100; i++) {
        ask_init(&asks[i], trial, key);
        asks[i].request.deadline_ms = begun_ms + DEADLINE_MS;
    }
    trial_submit(trial, MTC_VERB_READ, asks, 100);
    trial_settle(trial, asks, 100);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(asks[i].request.status, MTC_E_TIMEOUT);
    assert_true(mtci_boot_ms() - begun_ms < HANG_MS);
    test_server_resume(&fixture.server);
    fixture_stop(&fixture);
}

static void a_late_answer_is_not_given_to_the_next_request(void **state)
{
    fixture fixture;
    mtc_slice none = mtc_bytes(NULL, 0);
    (void)state;
    fixture_start(&fixture, NULL, "");
    trial *trial = fixture.trial;
    mtc_slice first = trial_key(trial, "first");
    mtc_slice second = trial_key(trial, "second");
    trial_store(trial, first, mtc_str("one"));
    trial_store(trial, second, mtc_str("two"));
    for (int i = 0; i < 5; i++) {
        test_server_pause(&fixture.server);
        assert_int_equal(call_within(trial, MTC_VERB_READ, first, none, 20),
                         MTC_E_TIMEOUT);
        test_server_resume(&fixture.server);
        trial_expect(trial, second, mtc_str("two"));
        trial_expect(trial, first, mtc_str("one"));
    }
    fixture_stop(&fixture);
}

static void a_server_that_is_away_is_an_error_and_never_a_miss(void **state)
{
    fixture fixture;
    mtc_slice none = mtc_bytes(NULL, 0);
    (void)state;
    fixture_start(&fixture, NULL, "");
    trial *trial = fixture.trial;
    mtc_slice key = trial_key(trial, "a");
    trial_store(trial, key, mtc_str("value"));
    test_server_kill(&fixture.server);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(call_within(trial, MTC_VERB_READ, key, none, 500),
                         MTC_E_UNAVAILABLE);
        assert_int_equal(call_within(trial, MTC_VERB_STORE, key, mtc_str("x"),
                                     500),
                         MTC_E_UNAVAILABLE);
        assert_int_equal(call_within(trial, MTC_VERB_REMOVE, key, none, 500),
                         MTC_E_UNAVAILABLE);
        assert_int_equal(call_within(trial, MTC_VERB_EXPIRE, key, none, 500),
                         MTC_E_UNAVAILABLE);
    }
    assert_true(test_server_restart(&fixture.server));
    /* It is back, and nothing of the past keeps it away. */
    assert_int_equal(trial_look(trial, key), MTC_MISS);
    assert_int_equal(trial_store(trial, key, mtc_str("again")), MTC_OK);
    trial_expect(trial, key, mtc_str("again"));
    fixture_stop(&fixture);
}

static void a_restart_that_went_unnoticed_costs_one_error(void **state)
{
    fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL, "");
    trial *trial = fixture.trial;
    mtc_slice key = trial_key(trial, "a");
    trial_store(trial, key, mtc_str("value"));
    test_server_kill(&fixture.server);
    assert_true(test_server_restart(&fixture.server));
    assert_int_equal(trial_look(trial, key), MTC_E_UNAVAILABLE);
    assert_int_equal(trial_look(trial, key), MTC_MISS);
    fixture_stop(&fixture);
}

static void a_full_server_refuses_and_keeps_nothing_old(void **state)
{
    static const char *const args[] = {"-m", "4", "-M", NULL};
    static char bytes[200000];
    char text[32];
    fixture fixture;
    unsigned refused = 0;
    (void)state;
    fixture_start(&fixture, args, "");
    trial *trial = fixture.trial;
    mtc_slice old = mtc_str("old");
    trial_store(trial, old, mtc_str("old value"));
    for (int i = 0; i < 600; i++) {
        snprintf(text, sizeof(text), "fill%d", i);
        refused += trial_store(trial, mtc_str(text),
                               mtc_bytes(bytes, sizeof(bytes))) == MTC_PARTIAL;
    }
    assert_true(refused > 0);
    assert_int_equal(trial_store(trial, old, mtc_bytes(bytes, sizeof(bytes))),
                     MTC_PARTIAL);
    assert_int_equal(trial_look(trial, old), MTC_MISS);
    fixture_stop(&fixture);
}

#define SPREAD_COUNT 100

static void a_server_that_is_away_hands_its_keys_to_no_other(void **state)
{
    fixture fixture;
    test_server other;
    char parameters[64];
    char keys[SPREAD_COUNT][32];
    unsigned away = 0;
    (void)state;
    test_server_require(TEST_MEMCACHED);
    assert_true(test_server_start(&other, TEST_MEMCACHED, NULL));
    snprintf(parameters, sizeof(parameters), "?servers=127.0.0.1:%d",
             other.port);
    fixture_start(&fixture, NULL, parameters);
    trial *trial = fixture.trial;
    for (int i = 0; i < SPREAD_COUNT; i++) {
        snprintf(keys[i], sizeof(keys[i]), "spread%d", i);
        assert_int_equal(trial_store(trial, mtc_str(keys[i]), mtc_str("v")),
                         MTC_OK);
    }
    test_server_kill(&other);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < SPREAD_COUNT; i++) {
            mtc_status status = trial_look(trial, mtc_str(keys[i]));
            assert_true(status == MTC_OK || status == MTC_E_UNAVAILABLE);
            away += status != MTC_OK;
        }
    }
    assert_in_range(away, 20, 180);
    test_server_stop(&other);
    fixture_stop(&fixture);
}

static void a_bulk_read_over_two_servers_tells_silence_from_a_miss(void **state)
{
    fixture fixture;
    test_server other;
    char parameters[64];
    char keys[20][32];
    ask asks[20];
    (void)state;
    test_server_require(TEST_MEMCACHED);
    assert_true(test_server_start(&other, TEST_MEMCACHED, NULL));
    snprintf(parameters, sizeof(parameters), "?servers=127.0.0.1:%d",
             other.port);
    fixture_start(&fixture, NULL, parameters);
    trial *trial = fixture.trial;
    for (int i = 0; i < 20; i++) {
        snprintf(keys[i], sizeof(keys[i]), "bulk%d", i);
        trial_store(trial, mtc_str(keys[i]), mtc_str("v"));
    }
    test_server_pause(&fixture.server);
    test_server_pause(&other);
    for (int i = 0; i < 20; i++) {
        ask_init(&asks[i], trial, mtc_str(keys[i]));
        asks[i].request.deadline_ms = trial_now_ms(trial) + DEADLINE_MS;
    }
    trial_submit(trial, MTC_VERB_READ, asks, 20);
    trial_settle(trial, asks, 20);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(asks[i].request.status, MTC_E_TIMEOUT);
        ask_fini(&asks[i]);
    }
    test_server_resume(&fixture.server);
    test_server_resume(&other);
    test_server_stop(&other);
    fixture_stop(&fixture);
}

/* A server that answers whatever it is sent with one run of bytes, and then
 * says nothing more. */
typedef struct peer {
    int listener;
    int port;
    const void *answer;
    size_t answer_size;
    pthread_t thread;
} peer;

static void *peer_run(void *ctx)
{
    peer *peer = ctx;
    char question[512];
    int fd = accept(peer->listener, NULL, NULL);
    if (fd < 0)
        return NULL;
    if (read(fd, question, sizeof(question)) > 0 &&
        write(fd, peer->answer, peer->answer_size) > 0) {
        /* Until the other side has had enough. */
        while (read(fd, question, sizeof(question)) > 0) {
        }
    }
    close(fd);
    return NULL;
}

static void peer_start(peer *peer)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(peer->listener >= 0);
    assert_int_equal(bind(peer->listener, (struct sockaddr *)&address,
                          sizeof(address)),
                     0);
    assert_int_equal(listen(peer->listener, 4), 0);
    assert_int_equal(getsockname(peer->listener, (struct sockaddr *)&address,
                                 &size),
                     0);
    peer->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&peer->thread, NULL, peer_run, peer), 0);
}

/* How a read of a key ends at a server that gives this answer. */
static mtc_status look_at_answer(const void *answer, size_t size)
{
    char url[64];
    peer peer = {.answer = answer, .answer_size = size};
    peer_start(&peer);
    snprintf(url, sizeof(url), "memcached://127.0.0.1:%d", peer.port);
    contract contract = {.name = "peer",
                         .open = open_url,
                         .ctx = url,
                         .is_real_time = true};
    trial *trial = trial_new(&contract);
    assert_non_null(trial);
    mtc_status status = call_within(trial, MTC_VERB_READ, mtc_str("k"),
                                    mtc_bytes(NULL, 0), DEADLINE_MS);
    trial_free(trial);
    pthread_join(peer.thread, NULL);
    close(peer.listener);
    return status;
}

static void an_answer_that_is_no_answer_is_an_error(void **state)
{
    static const uint16_t statuses[] = {0x04, 0x20, 0x81, 0x82,
                                        0x83, 0x84, 0x85, 0x86};
    (void)state;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        unsigned char header[24] = {0x81, 0x0d};
        header[6] = (unsigned char)(statuses[i] >> 8);
        header[7] = (unsigned char)statuses[i];
        assert_true(look_at_answer(header, sizeof(header)) < 0);
    }
    assert_true(look_at_answer("ERROR\r\n", 7) < 0);
    assert_true(look_at_answer("HTTP/1.1 400 Bad Request\r\n\r\n", 28) < 0);
    unsigned char half[10] = {0x81, 0x0a};
    assert_true(look_at_answer(half, sizeof(half)) < 0);
    unsigned char done[24] = {0x81, 0x0a};
    assert_int_equal(look_at_answer(done, sizeof(done)), MTC_MISS);
}

static void wrong_urls_are_refused(void **state)
{
    static const char *const urls[] = {
        "memcached://user:secret@host",     "memcached://host/path",
        "memcached://host?item_size=1",     "memcached://host?servers=other:0",
        "memcached://host?servers=other:x", "memcached://host?servers=,other",
        "memcached://host?unknown=1",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        mtc_tier_config config = MTC_TIER_CONFIG_INIT;
        mtc_error error = {0};
        assert_int_equal(mtc_tier_open(urls[i], &error, &config),
                         MTC_E_INVALID);
        assert_true(error.text[0] != '\0');
        assert_null(strstr(error.text, "secret"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_that_memcached_refuses_are_hashed),
        cmocka_unit_test(lives_are_cut_to_what_memcached_takes),
        cmocka_unit_test(wrong_urls_are_refused),
        cmocka_unit_test(an_entry_of_a_month_and_a_day_lives),
        cmocka_unit_test(a_larger_item_size_is_used),
        cmocka_unit_test(a_value_that_the_server_finds_too_large_is_gone),
        cmocka_unit_test(every_flipped_byte_of_an_entry_makes_a_miss),
        cmocka_unit_test(what_another_program_stored_is_a_miss),
        cmocka_unit_test(a_life_is_believed_only_within_its_bounds),
        cmocka_unit_test(an_answer_that_is_no_answer_is_an_error),
        cmocka_unit_test(a_server_that_hangs_costs_the_deadline_and_no_more),
        cmocka_unit_test(a_late_answer_is_not_given_to_the_next_request),
        cmocka_unit_test(a_server_that_is_away_is_an_error_and_never_a_miss),
        cmocka_unit_test(a_restart_that_went_unnoticed_costs_one_error),
        cmocka_unit_test(a_full_server_refuses_and_keeps_nothing_old),
        cmocka_unit_test(a_server_that_is_away_hands_its_keys_to_no_other),
        cmocka_unit_test(
            a_bulk_read_over_two_servers_tells_silence_from_a_miss),
    };
    return cmocka_run_group_tests_name("memcached", tests, NULL, NULL);
}
