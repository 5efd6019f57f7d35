/*
 * Streams: a log on a Redis tier that many write to and read.
 *
 * Needs a Redis: REDIS_URL names it. Without one, opening a stream says so.
 */
#include <mtc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void expect(bool fact, const char *what)
{
    if (fact)
        return;
    fprintf(stderr, "redis_streams: it does not hold that %s\n", what);
    exit(1);
}

/* An entry is a list of fields of any bytes, under an id that grows. */
static void publish(mtc_stream *stream, const char *product, const char *price)
{
    mtc_field fields[] = {{mtc_str("product"), mtc_str(product)},
                          {mtc_str("price"), mtc_str(price)}};
    mtc_stream_id id;
    char text[MTC_STREAM_ID_SIZE];
    expect(mtc_stream_publish(stream, fields, 2, &id) == MTC_OK,
           "an entry is published");
    printf("published %s\n", mtc_stream_id_format(id, text));
}

/* Shows a batch and gives it back; how many entries it had. */
static size_t show(mtc_stream_batch *batch)
{
    size_t count = mtc_stream_batch_count(batch);
    for (size_t i = 0; i < count; i++) {
        mtc_slice product = mtc_stream_batch_field(batch, i, 0).value;
        mtc_slice price = mtc_stream_batch_field(batch, i, 1).value;
        printf("  %.*s costs %.*s\n", (int)product.size,
               (const char *)product.data, (int)price.size,
               (const char *)price.data);
    }
    mtc_stream_batch_free(&batch);
    return count;
}

static void use(mtc_stream *stream)
{
    mtc_stream_batch *batch;
    mtc_stream_id cursor = {0, 0}; /* before every entry */

    publish(stream, "teapot", "42");
    publish(stream, "kettle", "17");
    publish(stream, "teapot", "39");

    printf("the newest two:\n");
    expect(mtc_stream_read_newest(stream, 2, &batch) == MTC_OK &&
               show(batch) == 2,
           "the newest can be read");

    /* A reader keeps its place in a cursor and misses nothing. */
    printf("two from the beginning, then what follows:\n");
    expect(mtc_stream_read_after(stream, &cursor, 2, 0, &batch) == MTC_OK &&
               show(batch) == 2,
           "reading begins");
    expect(mtc_stream_read_after(stream, &cursor, 2, 0, &batch) == MTC_OK &&
               show(batch) == 1,
           "reading goes on");

    /* It may wait for more: here for 100 ms, and nothing comes. */
    expect(mtc_stream_read_after(stream, &cursor, 2, 100, &batch) == MTC_MISS,
           "nothing new is a miss");
}

int main(void)
{
    mtc_cache_options cache_options = MTC_CACHE_OPTIONS_INIT;
    mtc_stream_options options = MTC_STREAM_OPTIONS_INIT;
    mtc_cache *cache;
    mtc_stream *stream;
    mtc_error error;
    char key[40];
    cache_options.tiers = getenv("REDIS_URL") ? NULL : "memory";
    expect(mtc_cache_open(&cache_options, NULL, &cache) == MTC_OK,
           "the cache opens");
    options.length_max = 100; /* about the newest hundred are kept */
    snprintf(key, sizeof key, "mtc:example:%d", (int)getpid());
    if (mtc_stream_open(cache, mtc_str(key), &options, &error, &stream) != 0) {
        fprintf(stderr, "%s\n", error.text);
        return mtc_cache_close(&cache) == MTC_OK ? 1 : 2;
    }
    use(stream);
    mtc_stream_close(&stream);
    mtc_cache_remove(cache, mtc_str(key)); /* a stream is a key in Redis */
    return mtc_cache_close(&cache) != MTC_OK;
}
