/*
 * labels: quick unit
 *
 * Whatever bytes keys, prefixes, values and names of streams have, the server
 * gets exactly the arguments that were meant: no byte ends a command or begins
 * another, and none is a pattern. The seed is printed; MTC_TEST_SEED repeats a
 * run.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>

#include "mtc/cache.h"
#include "mtc/group.h"
#include "support/fake_server.h"
#include "support/tier_call.h"

#define CACHES       12
#define ROUNDS       40
#define BYTES_MAX    48
#define PREFIX_MAX   24
#define COMMANDS_MAX 8

#define WORD(text) mtc_bytes(text, sizeof(text) - 1)
/* In what is expected: any argument. */
#define ANY mtc_bytes(NULL, 1)

/* -- the server ----------------------------------------------------------- */

typedef struct notes {
    pthread_mutex_t mutex; /* guards what follows */
    size_t count;
    fake_command commands[COMMANDS_MAX];
} notes;

/* What a server without data answers. */
static const char *const ANSWERS[][2] = {
    {"PTTL", ":-2\r\n"},
    {"GET", "$-1\r\n"},
    {"MGET", "*2\r\n$-1\r\n$-1\r\n"},
    {"SET", "+OK\r\n"},
    {"UNLINK", ":0\r\n"},
    {"EVAL", ":0\r\n"},
    {"XADD", "$3\r\n1-1\r\n"},
    {"XRANGE", "*0\r\n"},
    {"XREVRANGE", "*0\r\n"},
    {"XREAD", "*-1\r\n"},
    {"XREADGROUP", "*-1\r\n"},
    {"XINFO", "-ERR no such key\r\n"},
    {"XGROUP", "+OK\r\n"},
    {"XACK", ":0\r\n"},
    {"XPENDING", "*4\r\n:0\r\n$-1\r\n$-1\r\n*-1\r\n"},
    {"XAUTOCLAIM", "*2\r\n$3\r\n0-0\r\n*0\r\n"},
};

static const char *answer_to(const fake_command *command)
{
    for (size_t i = 0; i < sizeof ANSWERS / sizeof *ANSWERS; i++) {
        size_t size = strlen(ANSWERS[i][0]);
        if (command->sizes[0] == size &&
            memcmp(command->bytes, ANSWERS[i][0], size) == 0)
            return ANSWERS[i][1];
    }
    return "-ERR unknown command\r\n";
}

static void note_commands(fake_server *server, void *ctx)
{
    static fake_command command;
    notes *notes = ctx;
    if (!fake_greet(server))
        return;
    while (fake_take_command(server, &command)) {
        pthread_mutex_lock(&notes->mutex);
        if (notes->count < COMMANDS_MAX)
            notes->commands[notes->count] = command;
        notes->count++;
        pthread_mutex_unlock(&notes->mutex);
        if (!fake_send(server, answer_to(&command)))
            return;
    }
}

/* -- what was sent -------------------------------------------------------- */

static bool is_as_meant(const fake_command *command, const mtc_slice *meant)
{
    const char *at = command->bytes;
    for (size_t i = 0; i < command->count; i++) {
        bool is_any = !meant[i].data && meant[i].size == 1;
        if (!is_any && (command->sizes[i] != meant[i].size ||
                        (meant[i].size > 0 &&
                         memcmp(at, meant[i].data, meant[i].size) != 0)))
            return false;
        at += command->sizes[i];
    }
    return true;
}

/* The next command that came is this one. */
static void expect(notes *notes, size_t *next, const mtc_slice *meant,
                   size_t count)
{
    pthread_mutex_lock(&notes->mutex);
    const fake_command *command = &notes->commands[*next];
    bool is_right = *next < notes->count && command->count == count &&
                    is_as_meant(command, meant);
    pthread_mutex_unlock(&notes->mutex);
    if (!is_right)
        fail_msg("command %zu is not the %.*s that was meant", *next,
                 (int)meant[0].size, (const char *)meant[0].data);
    (*next)++;
}

#define EXPECT(...)                                                            \
    expect(notes, &next, (const mtc_slice[]){__VA_ARGS__},                     \
           sizeof((const mtc_slice[]){__VA_ARGS__}) / sizeof(mtc_slice))

/* No other came. */
static void expect_end(notes *notes, size_t next)
{
    pthread_mutex_lock(&notes->mutex);
    size_t count = notes->count;
    notes->count = 0;
    pthread_mutex_unlock(&notes->mutex);
    assert_int_equal(count, next);
}

/* -- what is meant -------------------------------------------------------- */

typedef struct text {
    size_t size;
    char bytes[BYTES_MAX];
} text;

/* Bytes that mean something to somebody, and any others. */
static text draw(uint64_t *seed, size_t size_min)
{
    static const char *const NASTY[] = {
        "\r\n", "\n",  "\r", "*",   "$",      "?",       "[a-z]", "\\",
        " ",    "{x}", "{",  "}",   "*3\r\n", "$5\r\n",  "%s%n",  "'",
        "\"",   ";",   "--", "key", "-",      "+OK\r\n", "\xff",  "\xc3\xa9"};
    text made = {0};
    size_t size = size_min + mtct_draw(seed, BYTES_MAX - (uint32_t)size_min);
    while (made.size < size) {
        const char *piece =
            NASTY[mtct_draw(seed, sizeof NASTY / sizeof *NASTY)];
        uint32_t kind = mtct_draw(seed, 4);
        if (kind == 0)
            made.bytes[made.size++] = '\0';
        else if (kind == 1)
            made.bytes[made.size++] = (char)mtct_draw(seed, 256);
        else
            while (*piece && made.size < size)
                made.bytes[made.size++] = *piece++;
    }
    return made;
}

static mtc_slice slice_of(const text *text)
{
    return mtc_bytes(text->bytes, text->size);
}

static text joined(const text *first, const text *second, char *room)
{
    memcpy(room, first->bytes, first->size);
    memcpy(room + first->size, second->bytes, second->size);
    return (text){.size = first->size + second->size};
}

/* -- rounds --------------------------------------------------------------- */

typedef struct rig {
    fake_server *server;
    notes notes;
    mtc_cache *cache;
    uint64_t seed;
    text prefix;
} rig;

/* Each byte of the prefix as %XX; a URL has no NUL. */
static void open_cache(rig *rig)
{
    char url[256];
    mtc_error error;
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    int size = snprintf(url, sizeof url,
                        "redis://127.0.0.1:%d?ping=0s&deadline=60s&prefix=",
                        fake_server_port(rig->server));
    rig->prefix = draw(&rig->seed, 0);
    if (rig->prefix.size > PREFIX_MAX)
        rig->prefix.size = PREFIX_MAX;
    for (size_t i = 0; i < rig->prefix.size; i++) {
        char *byte = &rig->prefix.bytes[i];
        *byte = *byte ? *byte : '*';
        size += snprintf(url + size, sizeof url - (size_t)size, "%%%02x",
                         (unsigned)(unsigned char)*byte);
    }
    options.tiers = url;
    if (mtc_cache_open(&options, &error, &rig->cache) != MTC_OK)
        fail_msg("%s", error.text);
}

static void begin(rig *rig, uint64_t seed)
{
    *rig = (struct rig){.seed = seed};
    pthread_mutex_init(&rig->notes.mutex, NULL);
    rig->server = fake_server_start(note_commands, &rig->notes);
    assert_non_null(rig->server);
    open_cache(rig);
}

static void end(rig *rig)
{
    assert_int_equal(mtc_cache_close(&rig->cache), MTC_OK);
    const char *deviation = fake_server_stop(rig->server);
    if (deviation)
        fail_msg("%s", deviation);
    pthread_mutex_destroy(&rig->notes.mutex);
}

static void run(void (*round)(rig *rig), const char *name)
{
    static rig rig;
    uint64_t seed = mtct_seed(name);
    for (unsigned i = 0; i < CACHES; i++) {
        begin(&rig, seed + i);
        for (unsigned j = 0; j < ROUNDS; j++)
            round(&rig);
        end(&rig);
    }
}

/* -- keys ----------------------------------------------------------------- */

static void get_both(mtc_cache *cache, const text *one, const text *other)
{
    mtc_item items[2] = {{.key = slice_of(one)}, {.key = slice_of(other)}};
    mtc_cache_get_many(cache, items, 2);
    assert_int_equal(items[0].status, MTC_MISS);
    assert_int_equal(items[1].status, MTC_MISS);
}

static void use_keys(rig *rig)
{
    size_t next = 0;
    notes *notes = &rig->notes;
    mtc_value found;
    char room[2][PREFIX_MAX + BYTES_MAX];
    text key = draw(&rig->seed, 0);
    text other = draw(&rig->seed, 0);
    text bytes = draw(&rig->seed, 0);
    mtc_slice at = mtc_bytes(room[0], joined(&rig->prefix, &key, room[0]).size);
    mtc_slice second =
        mtc_bytes(room[1], joined(&rig->prefix, &other, room[1]).size);
    assert_int_equal(mtc_cache_get(rig->cache, slice_of(&key), &found),
                     MTC_MISS);
    EXPECT(WORD("PTTL"), at);
    EXPECT(WORD("GET"), at);
    assert_int_equal(mtc_cache_set(rig->cache, slice_of(&key), slice_of(&bytes),
                                   NULL),
                     MTC_OK);
    EXPECT(WORD("SET"), at, slice_of(&bytes), WORD("PX"), ANY);
    assert_true(mtc_cache_remove(rig->cache, slice_of(&key)) >= 0);
    EXPECT(WORD("UNLINK"), at);
    assert_true(mtc_cache_expire(rig->cache, slice_of(&key)) >= 0);
    EXPECT(WORD("EVAL"), ANY, WORD("1"), at, ANY);
    expect_end(notes, next);
    if (at.size == second.size && memcmp(at.data, second.data, at.size) == 0)
        return;
    next = 0;
    get_both(rig->cache, &key, &other);
    EXPECT(WORD("PTTL"), at);
    EXPECT(WORD("PTTL"), second);
    EXPECT(WORD("MGET"), at, second);
    expect_end(notes, next);
}

static void no_byte_of_a_key_ends_its_command(void **state)
{
    (void)state;
    run(use_keys, "keys");
}

/* -- streams -------------------------------------------------------------- */

/* With patience for a busy machine. */
static mtc_stream *open_stream(rig *rig, mtc_slice key)
{
    mtc_stream *stream;
    mtc_stream_options options = MTC_STREAM_OPTIONS_INIT;
    options.deadline_ms = 60000;
    assert_int_equal(mtc_stream_open(rig->cache, key, &options, NULL, &stream),
                     MTC_OK);
    return stream;
}

static void use_stream(rig *rig)
{
    size_t next = 0;
    notes *notes = &rig->notes;
    text key = draw(&rig->seed, 0);
    text name = draw(&rig->seed, 1);
    text bytes = draw(&rig->seed, 0);
    mtc_slice at = slice_of(&key);
    mtc_stream_batch *batch;
    mtc_stream_id id = {0, 0};
    const mtc_field field = {slice_of(&name), slice_of(&bytes)};
    mtc_stream *stream = open_stream(rig, at);
    assert_int_equal(mtc_stream_publish(stream, &field, 1, NULL), MTC_OK);
    EXPECT(WORD("XADD"), at, WORD("MAXLEN"), WORD("~"), WORD("1000"), WORD("*"),
           field.name, field.value);
    assert_int_equal(mtc_stream_read_newest(stream, 3, &batch), MTC_MISS);
    EXPECT(WORD("XREVRANGE"), at, WORD("+"), WORD("-"), WORD("COUNT"),
           WORD("3"));
    assert_int_equal(mtc_stream_read_range(stream, &id, MTC_STREAM_END, 3,
                                           &batch),
                     MTC_MISS);
    EXPECT(WORD("XRANGE"), at, WORD("0-0"), ANY, WORD("COUNT"), WORD("3"));
    id = (mtc_stream_id){1, 2};
    assert_int_equal(mtc_stream_read_after(stream, &id, 3, 0, &batch),
                     MTC_MISS);
    EXPECT(WORD("XREAD"), WORD("COUNT"), WORD("3"), WORD("STREAMS"), at,
           WORD("1-2"));
    EXPECT(WORD("XINFO"), WORD("STREAM"), at);
    mtc_stream_close(&stream);
    /* That the stream is gone: the cursor began anew, and it was read again. */
    EXPECT(WORD("XREAD"), WORD("COUNT"), WORD("3"), WORD("STREAMS"), at,
           WORD("0-0"));
    expect_end(notes, next);
}

static void no_byte_of_a_stream_ends_its_command(void **state)
{
    (void)state;
    run(use_stream, "streams");
}

static void use_group(rig *rig)
{
    size_t next = 0;
    notes *notes = &rig->notes;
    text key = draw(&rig->seed, 0);
    text name = draw(&rig->seed, 1);
    text consumer = draw(&rig->seed, 1);
    mtc_slice at = slice_of(&key);
    const mtc_group_names names = {slice_of(&name), slice_of(&consumer)};
    mtc_group *group;
    mtc_group_summary summary;
    mtc_stream_batch *batch;
    mtc_stream_id id = {0, 0};
    mtc_stream *stream = open_stream(rig, at);
    assert_int_equal(mtc_group_open(stream, &names, NULL, NULL, &group),
                     MTC_OK);
    assert_int_equal(mtc_group_create(group), MTC_OK);
    EXPECT(WORD("XGROUP"), WORD("CREATE"), at, names.group, ANY,
           WORD("MKSTREAM"));
    assert_int_equal(mtc_group_read_own(group, &id, 3, &batch), MTC_MISS);
    EXPECT(WORD("XREADGROUP"), WORD("GROUP"), names.group, names.consumer,
           WORD("COUNT"), WORD("3"), WORD("STREAMS"), at, WORD("0-0"));
    assert_int_equal(mtc_group_claim(group, 5, &id, 3, &batch), MTC_MISS);
    EXPECT(WORD("XAUTOCLAIM"), at, names.group, names.consumer, WORD("5"),
           WORD("0-0"), WORD("COUNT"), WORD("3"));
    assert_int_equal(mtc_group_pending(group, &summary), MTC_OK);
    EXPECT(WORD("XPENDING"), at, names.group);
    assert_int_equal(mtc_group_acknowledge(group, &id, 1, NULL), MTC_OK);
    EXPECT(WORD("XACK"), at, names.group, WORD("0-0"));
    mtc_group_close(&group);
    mtc_stream_close(&stream);
    expect_end(notes, next);
}

static void no_byte_of_a_group_ends_its_command(void **state)
{
    (void)state;
    run(use_group, "groups");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_byte_of_a_key_ends_its_command),
        cmocka_unit_test(no_byte_of_a_stream_ends_its_command),
        cmocka_unit_test(no_byte_of_a_group_ends_its_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
