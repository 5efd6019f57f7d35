/*
 * labels: quick unit
 *
 * Our reader beside that of hiredis (0.14, RESP2): random and mutated bytes,
 * split at random. What both accept is the same; ours refuses more, and takes
 * arrays one level deeper, for the reasons listed in docs/redis-client.md.
 */
#include "redis/resp_reader.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "support/tier_call.h"

#define STREAMS   40000
#define BYTES_MAX 4096u
#define BULK_MAX  ((size_t)1 << 20)
#define COUNT_MAX (1 << 21) /* of an array; ours refuses a half of it */

/* -- random streams ------------------------------------------------------- */

static uint64_t next_random(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

static size_t pick(uint64_t *random, size_t bound)
{
    return (size_t)(next_random(random) >> 11) % bound;
}

static void add_bytes(mtci_buffer *out, uint64_t *random, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char byte = (char)next_random(random);
        mtci_buffer_add(out, mtc_bytes(&byte, 1));
    }
}

static void add_bulk(mtci_buffer *out, uint64_t *random)
{
    size_t size = pick(random, 40);
    mtci_buffer_add_format(out, "$%zu\r\n", size);
    add_bytes(out, random, size);
    mtci_buffer_add_text(out, "\r\n");
}

static void add_reply(mtci_buffer *out, uint64_t *random, size_t depth)
{
    static const char *const LINES[] = {"+OK\r\n",   "+\r\n",   "-ERR x y\r\n",
                                        "$-1\r\n",   "*-1\r\n", "$0\r\n\r\n",
                                        "+a b c\r\n"};
    size_t count = pick(random, 5);
    switch (pick(random, depth > 0 ? 4 : 3)) {
    case 0:
        mtci_buffer_add_text(out, LINES[pick(random, 7)]);
        break;
    case 1:
        mtci_buffer_add_format(out, ":%lld\r\n",
                               (long long)next_random(random) >>
                                   pick(random, 64));
        break;
    case 2:
        add_bulk(out, random);
        break;
    default:
        mtci_buffer_add_format(out, "*%zu\r\n", count);
        for (size_t i = 0; i < count; i++)
            add_reply(out, random, depth - 1);
    }
}

/* Changes, swaps or cuts a few bytes. */
static void mutate(mtci_buffer *bytes, uint64_t *random)
{
    static const char LIKELY[] = "\r\n$*:+-0129a";
    size_t count = pick(random, 4);
    for (size_t i = 0; i < count && bytes->size > 0; i++) {
        size_t at = pick(random, bytes->size);
        if (pick(random, 8) == 0)
            bytes->size = at;
        else if (pick(random, 2) == 0)
            bytes->data[at] = LIKELY[pick(random, sizeof LIKELY - 1)];
        else
            bytes->data[at] = (char)next_random(random);
    }
}

/* -- both readers --------------------------------------------------------- */

typedef struct ended {
    mtci_buffer shown; /* every whole reply */
    bool is_refused;
} ended;

static void show(mtci_buffer *out, char type, mtc_slice bytes)
{
    mtci_buffer_add_format(out, "%c%zu:", type, bytes.size);
    mtci_buffer_add(out, bytes);
}

static void show_ours(const mtci_reply *reply, mtci_buffer *out)
{
    switch (reply->type) {
    case MTCI_REPLY_NIL:
        mtci_buffer_add_text(out, "nil");
        break;
    case MTCI_REPLY_INTEGER:
        mtci_buffer_add_format(out, ":%lld", (long long)reply->integer);
        break;
    case MTCI_REPLY_ARRAY:
        mtci_buffer_add_format(out, "*%zu", reply->count);
        for (size_t i = 0; i < reply->count; i++)
            show_ours(&reply->items[i], out);
        break;
    default:
        show(out,
             reply->type == MTCI_REPLY_BULK     ? '$'
             : reply->type == MTCI_REPLY_STATUS ? '+'
                                                : '-',
             mtci_reply_slice(reply));
    }
}

static void show_theirs(const redisReply *reply, mtci_buffer *out)
{
    switch (reply->type) {
    case REDIS_REPLY_NIL:
        mtci_buffer_add_text(out, "nil");
        break;
    case REDIS_REPLY_INTEGER:
        mtci_buffer_add_format(out, ":%lld", reply->integer);
        break;
    case REDIS_REPLY_ARRAY:
        mtci_buffer_add_format(out, "*%zu", reply->elements);
        for (size_t i = 0; i < reply->elements; i++)
            show_theirs(reply->element[i], out);
        break;
    default:
        show(out,
             reply->type == REDIS_REPLY_STRING   ? '$'
             : reply->type == REDIS_REPLY_STATUS ? '+'
                                                 : '-',
             mtc_bytes(reply->str, reply->len));
    }
}

static void take_ours(mtci_resp_reader *reader, ended *ended)
{
    mtci_reply reply;
    mtc_status status;
    while ((status = mtci_resp_reader_next(reader, &reply)) == MTC_OK) {
        show_ours(&reply, &ended->shown);
        mtci_reply_fini(&reply);
    }
    ended->is_refused = status != MTC_PENDING;
}

static void read_ours(const mtci_buffer *bytes, uint64_t random, ended *ended)
{
    mtci_resp_reader reader;
    assert_int_equal(mtci_resp_reader_init(&reader, BULK_MAX), MTC_OK);
    reader.is_resp2 = true;
    for (size_t at = 0; at < bytes->size && !ended->is_refused;) {
        size_t room;
        void *to = mtci_resp_reader_room(&reader, &room);
        size_t piece = 1 + pick(&random, 64);
        piece = piece < room ? piece : room;
        if (piece > bytes->size - at)
            piece = bytes->size - at;
        memcpy(to, bytes->data + at, piece);
        mtci_resp_reader_fed(&reader, piece);
        at += piece;
        take_ours(&reader, ended);
    }
    mtci_resp_reader_fini(&reader);
}

static void take_theirs(redisReader *reader, ended *ended)
{
    void *reply = NULL;
    int outcome;
    while ((outcome = redisReaderGetReply(reader, &reply)) == REDIS_OK &&
           reply) {
        show_theirs(reply, &ended->shown);
        freeReplyObject(reply);
        reply = NULL;
    }
    ended->is_refused = outcome != REDIS_OK;
}

static void *(*make_array)(const redisReadTask *task, int count);

/* Theirs would set aside whatever a length says, and look through all of it in
 * the end: gigabytes for one mutated digit. */
static void *make_small_array(const redisReadTask *task, int count)
{
    return count <= COUNT_MAX ? make_array(task, count) : NULL;
}

static void read_theirs(const mtci_buffer *bytes, uint64_t random, ended *ended)
{
    redisReader *reader = redisReaderCreate();
    assert_non_null(reader);
    redisReplyObjectFunctions functions = *reader->fn;
    make_array = functions.createArray;
    functions.createArray = make_small_array;
    reader->fn = &functions;
    for (size_t at = 0; at < bytes->size && !ended->is_refused;) {
        size_t piece = 1 + pick(&random, 64);
        if (piece > bytes->size - at)
            piece = bytes->size - at;
        redisReaderFeed(reader, bytes->data + at, piece);
        at += piece;
        take_theirs(reader, ended);
    }
    redisReaderFree(reader);
}

/* -- compared ------------------------------------------------------------- */

static bool begins_with(const mtci_buffer *whole, const mtci_buffer *part)
{
    return part->size <= whole->size &&
           (part->size == 0 ||
            memcmp(whole->data, part->data, part->size) == 0);
}

/* Ours may stop earlier; up to there, and if it did not stop, all is equal.
 * Theirs refuses the beginning of a line that ours wants to see whole. */
static bool agree(const ended *ours, const ended *theirs)
{
    if (!begins_with(&theirs->shown, &ours->shown))
        return false;
    return ours->is_refused || ours->shown.size == theirs->shown.size;
}

static void compare(uint64_t seed, size_t counts[2])
{
    uint64_t random = seed;
    mtci_buffer bytes = {0};
    ended ours = {0};
    ended theirs = {0};
    while (bytes.size < BYTES_MAX && pick(&random, 6) > 0)
        add_reply(&bytes, &random, 4);
    if (pick(&random, 3) > 0)
        mutate(&bytes, &random);
    if (pick(&random, 20) == 0)
        add_bytes(&bytes, &random, 20);
    read_ours(&bytes, random, &ours);
    read_theirs(&bytes, next_random(&random) | 1, &theirs);
    if (!agree(&ours, &theirs))
        fail_msg("the readers differ: seed %llu, %zu bytes, ours %d %zu, "
                 "theirs %d %zu",
                 (unsigned long long)seed, bytes.size, ours.is_refused,
                 ours.shown.size, theirs.is_refused, theirs.shown.size);
    counts[0] += !ours.is_refused;
    counts[1] += ours.is_refused && !theirs.is_refused;
    mtci_buffer_fini(&bytes);
    mtci_buffer_fini(&ours.shown);
    mtci_buffer_fini(&theirs.shown);
}

static void what_both_readers_accept_is_equal(void **state)
{
    (void)state;
    uint64_t seed = mtct_seed("hiredis");
    size_t counts[2] = {0, 0};
    for (size_t i = 0; i < STREAMS; i++)
        compare((seed + i * 2654435761u) | 1, counts);
    print_message("%zu accepted by both, %zu refused by ours alone\n",
                  counts[0], counts[1]);
    assert_true(counts[0] > STREAMS / 10 && counts[1] > 0);
}

/* Rows of the list in docs/redis-client.md. */
static void ours_is_stricter_where_the_list_says_so(void **state)
{
    (void)state;
    static const char *const ROWS[] = {
        "$1\r\nabc", "+O\rK\r\n", "+OK\n\r\n", "$536870913\r\n", "*1048577\r\n",
    };
    for (size_t row = 0; row < sizeof ROWS / sizeof *ROWS; row++) {
        mtci_buffer bytes = {0};
        ended ours = {0};
        ended theirs = {0};
        mtci_buffer_add_text(&bytes, ROWS[row]);
        read_ours(&bytes, 1, &ours);
        read_theirs(&bytes, 1, &theirs);
        if (!ours.is_refused || theirs.is_refused)
            fail_msg("row %zu: ours %d, theirs %d", row, ours.is_refused,
                     theirs.is_refused);
        mtci_buffer_fini(&bytes);
        mtci_buffer_fini(&ours.shown);
        mtci_buffer_fini(&theirs.shown);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_both_readers_accept_is_equal),
        cmocka_unit_test(ours_is_stricter_where_the_list_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
