/*
 * A worker: one consumer of a group, which shares the entries of a stream with
 * others and handles each at least once.
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
    fprintf(stderr, "stream_worker: it does not hold that %s\n", what);
    exit(1);
}

typedef struct worker {
    mtc_group *group;
    int left; /* orders until it stops; a real one would run on */
} worker;

/* What MTC_OK is returned for is acknowledged. Anything else leaves the entry
 * pending: it comes again, here or at another worker. */
static mtc_status ship(const mtc_stream_batch *batch, size_t index, void *ctx)
{
    worker *worker = ctx;
    mtc_slice product = mtc_stream_batch_field(batch, index, 0).value;
    printf("shipping %.*s\n", (int)product.size, (const char *)product.data);
    if (--worker->left == 0)
        mtc_group_stop(worker->group);
    return MTC_OK;
}

static void order(mtc_stream *stream, const char *product)
{
    mtc_field field = {mtc_str("product"), mtc_str(product)};
    expect(mtc_stream_publish(stream, &field, 1, NULL) == MTC_OK,
           "an order is published");
}

/* A worker that dies between reading and acknowledging. */
static void die_early(mtc_stream *stream)
{
    mtc_group *group;
    mtc_stream_batch *batch;
    mtc_group_names names = {mtc_str("shipping"), mtc_str("worker-1")};
    expect(mtc_group_open(stream, &names, NULL, NULL, &group) == MTC_OK &&
               mtc_group_read(group, 1, 0, &batch) == MTC_OK,
           "the first worker takes an order");
    mtc_stream_batch_free(&batch);
    mtc_group_close(&group);
}

static void use(mtc_stream *stream)
{
    mtc_group_summary summary;
    mtc_group_options options = MTC_GROUP_OPTIONS_INIT;
    mtc_group_names names = {mtc_str("shipping"), mtc_str("worker-2")};
    worker worker = {.left = 3};
    order(stream, "teapot");
    order(stream, "kettle");
    die_early(stream);
    order(stream, "cup");
    options.claim_idle_ms = 1; /* in earnest longer than a batch takes */
    options.claim_every_ms = 100;
    expect(mtc_group_open(stream, &names, &options, NULL, &worker.group) == 0,
           "the second worker starts");
    expect(mtc_group_run(worker.group, ship, &worker) == MTC_OK,
           "it runs until it is stopped");
    expect(mtc_group_pending(worker.group, &summary) == MTC_OK &&
               summary.count == 0,
           "all orders are acknowledged, also that of the first worker");
    mtc_group_close(&worker.group);
}

int main(void)
{
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    mtc_cache *cache;
    mtc_stream *stream;
    mtc_error error;
    char key[40];
    options.tiers = getenv("REDIS_URL") ? NULL : "memory";
    expect(mtc_cache_open(&options, NULL, &cache) == MTC_OK, "it opens");
    snprintf(key, sizeof key, "mtc:orders:%d", (int)getpid());
    if (mtc_stream_open(cache, mtc_str(key), NULL, &error, &stream) != 0) {
        fprintf(stderr, "%s\n", error.text);
        return mtc_cache_close(&cache) == MTC_OK ? 1 : 2;
    }
    use(stream);
    mtc_stream_close(&stream);
    mtc_cache_remove(cache, mtc_str(key));
    return mtc_cache_close(&cache) != MTC_OK;
}
