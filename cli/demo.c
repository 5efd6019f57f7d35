/*
 * mtc demo: a cache at work in front of a database, measured.
 *
 * Owns a temporary folder (source and disk tier) and a cache of its own;
 * gives both back, also when a signal ends it. Threads: demo_read.c and
 * demo_stampede.c start their own and join them.
 */
#include "demo.h"

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "session.h"

#define PRODUCTS        100000
#define DURATION_MS     10000
#define DURATION_MS_MIN 1000
#define DURATION_MS_MAX 20000
#define REMOVE_BATCH    1000
#define OPEN_FILES      8
#define PAY_NAPS        500 /* of 10 ms */

void demo_note(demo *demo, bool is_broken, const char *format, ...)
{
    va_list arguments;
    demo->is_broken = demo->is_broken || is_broken;
    if (demo->oddity_count == DEMO_ODDITIES_MAX)
        return;
    va_start(arguments, format);
    vsnprintf(demo->oddities[demo->oddity_count++], DEMO_ODDITY_SIZE, format,
              arguments);
    va_end(arguments);
}

bool demo_sleep_ms(demo *demo, int64_t ms)
{
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    int signal = sigtimedwait(&demo->signals, NULL, &pause);
    if (signal > 0)
        demo->signal = signal;
    return demo->signal == 0;
}

mtc_slice demo_key(const demo *demo, uint64_t id, char *key)
{
    int size = snprintf(key, DEMO_KEY_SIZE, "%s:product:%06" PRIu64,
                        demo->key_prefix, id);
    return mtc_bytes(key, (size_t)size);
}

static bool make_folder(demo *demo)
{
    const char *base = secure_getenv("TMPDIR");
    if (base == NULL || base[0] != '/')
        base = "/tmp";
    snprintf(demo->folder, sizeof demo->folder, "%s/mtc-demo-XXXXXX", base);
    if (mkdtemp(demo->folder) == NULL) {
        complain("demo: %s: %s", demo->folder, strerror(errno));
        demo->folder[0] = '\0';
        return false;
    }
    snprintf(demo->source_path, sizeof demo->source_path, "%s/source.db",
             demo->folder);
    return true;
}

/* Appends a path to a URL, percent-encoded where it must be. */
static void add_path(char *url, const char *path)
{
    char *to = url + strlen(url);
    for (; *path != '\0'; path++) {
        unsigned char byte = (unsigned char)*path;
        bool is_plain =
            (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
            (byte >= '0' && byte <= '9') || strchr("/-._~", byte) != NULL;
        to += sprintf(to, is_plain ? "%c" : "%%%02X", byte);
    }
}

static bool choose_tiers(demo *demo)
{
    const char *redis = secure_getenv("REDIS_URL");
    demo->is_redis = redis != NULL && redis[0] != '\0';
    sprintf(demo->tiers, "memory?size=%dMiB ", DEMO_MEMORY_MIB);
    size_t size = strlen(demo->tiers);
    if (!demo->is_redis) {
        strcat(demo->tiers, "disk:");
        add_path(demo->tiers, demo->folder);
        strcat(demo->tiers, "/cache");
        return true;
    }
    if (strlen(redis) >= sizeof demo->tiers - size) {
        complain("demo: REDIS_URL is too long");
        return false;
    }
    strcat(demo->tiers, redis);
    return true;
}

static bool open_cache(demo *demo)
{
    args args = {.tiers = demo->tiers, .name = "mtc-demo"};
    int64_t begun_ns = times_now_ns();
    if (session_open(&args, &demo->cache) != TOOL_DONE)
        return false;
    demo->opening_ns = times_now_ns() - begun_ns;
    mtc_health health = {.struct_size = (uint32_t)sizeof health};
    if (mtc_cache_ping(demo->cache, &health) != MTC_OK ||
        health.tier_count != 2 || health.tiers[1].state == MTC_HEALTH_DOWN) {
        complain("demo: the second tier does not answer: %s",
                 health.tiers[1].last_error_text);
        if (demo->is_redis)
            complain("without REDIS_URL the demo runs on a disk tier");
        return false;
    }
    memcpy(demo->second, health.tiers[1].scheme, sizeof demo->second);
    return true;
}

static void take_stats(mtc_cache *cache, mtc_stats *stats)
{
    memset(stats, 0, sizeof *stats);
    stats->struct_size = (uint32_t)sizeof *stats;
    if (mtc_cache_stats(cache, stats) != MTC_OK)
        memset(stats, 0, sizeof *stats);
}

static bool create_source(demo *demo)
{
    int64_t begun_ns = times_now_ns();
    if (!source_create(demo->source_path, demo->products))
        return false;
    demo->created_ns = times_now_ns() - begun_ns;
    zipf_shape_init(&demo->shape, demo->products);
    return demo_sleep_ms(demo, 0);
}

static void compare(demo *demo, const char *what, uint64_t ours,
                    uint64_t theirs)
{
    if (ours != theirs)
        demo_note(demo, true,
                  "%s: the threads saw %" PRIu64 ", the cache counted %" PRIu64,
                  what, ours, theirs);
}

static void check_reads(demo *demo, const demo_reads *reads,
                        const mtc_stats *stats)
{
    const times *outcomes = reads->outcomes;
    if (reads->wrong > 0)
        demo_note(demo, true, "%" PRIu64 " values were another product's",
                  reads->wrong);
    if (outcomes[OUTCOME_FAILED].count > 0)
        demo_note(demo, true, "%" PRIu64 " reads failed",
                  outcomes[OUTCOME_FAILED].count);
    compare(demo, "requests", reads->all.count, stats->requests);
    compare(demo, "hits in memory", outcomes[OUTCOME_MEMORY].count,
            stats->tiers[0].hits);
    compare(demo, "hits below", outcomes[OUTCOME_SECOND].count,
            stats->tiers[1].hits);
    compare(demo, "loads", outcomes[OUTCOME_LOAD].count, stats->loads);
    if (stats->tiers[1].errors > 0)
        demo_note(demo, false,
                  "%s: %" PRIu64 " calls failed, %" PRIu64
                  " of them at their deadline",
                  demo->second, stats->tiers[1].errors,
                  stats->tiers[1].timeouts);
}

static bool read_both_ways(demo *demo)
{
    int64_t duration_ns = demo->duration_ms * 1000000;
    demo->cached.title = "with the cache";
    demo->cached.duration_ns_max = duration_ns;
    demo->uncached.title = "without the cache";
    demo->uncached.is_uncached = true;
    demo->uncached.duration_ns_max = duration_ns / DEMO_WITHOUT_SHARE;
    if (!demo_read(demo, &demo->cached))
        return false;
    take_stats(demo->cache, &demo->stats);
    check_reads(demo, &demo->cached, &demo->stats);
    if (!demo_read(demo, &demo->uncached))
        return false;
    if (!demo->is_json)
        demo_report_reads(demo);
    return true;
}

static bool stampede(demo *demo)
{
    const demo_stampede *result = &demo->stampede;
    if (!demo_stampede_run(demo))
        return false;
    if (result->callers < DEMO_CALLERS)
        demo_note(demo, false, "only %u of %d callers: no more threads",
                  result->callers, DEMO_CALLERS);
    if (result->loads != 1)
        demo_note(demo, true, "the stampede made %u loads", result->loads);
    if (result->failed > 0)
        demo_note(demo, true, "%u callers of the stampede failed",
                  result->failed);
    if (!demo->is_json)
        demo_report_stampede(demo);
    return true;
}

/* The first reads of each thread again: every key of them was in the cache
 * when it closed. */
static bool reopen(demo *demo)
{
    uint64_t repeats = demo->cached.fewest;
    int64_t begun_ns = times_now_ns();
    mtc_status closed = mtc_cache_close(&demo->cache);
    demo->closing_ns = times_now_ns() - begun_ns;
    if (closed != MTC_OK)
        demo_note(demo, false, "stores were under way when closing: %s",
                  mtc_status_text(closed));
    if (!open_cache(demo))
        return false;
    take_stats(demo->cache, &demo->again_stats);
    demo->warm_entries = demo->again_stats.tiers[1].usage.entries;
    demo->again.title = "reopened";
    demo->again.duration_ns_max = DEMO_AGAIN_NS;
    demo->again.thread_reads_max =
        repeats < DEMO_REPEATS ? repeats : DEMO_REPEATS;
    if (!demo_read(demo, &demo->again))
        return false;
    take_stats(demo->cache, &demo->again_stats);
    check_reads(demo, &demo->again, &demo->again_stats);
    if (demo->again.outcomes[OUTCOME_LOAD].count > 0)
        demo_note(demo, false,
                  "%s did not keep everything: %" PRIu64 " loads again",
                  demo->second, demo->again.outcomes[OUTCOME_LOAD].count);
    if (!demo->is_json)
        demo_report_again(demo);
    return true;
}

/* What was stored in a Redis, taken away again, now or once it has time. */
static void remove_batch(demo *demo, uint64_t first, size_t count)
{
    char keys[REMOVE_BATCH][DEMO_KEY_SIZE];
    mtc_item items[REMOVE_BATCH];
    memset(items, 0, sizeof items);
    for (size_t i = 0; i < count; i++)
        items[i].key = demo_key(demo, first + i, keys[i]);
    (void)mtc_cache_remove_many(demo->cache, items, count);
}

static int remove_one(const char *path, const struct stat *facts, int kind,
                      struct FTW *place)
{
    (void)facts;
    (void)kind;
    (void)place;
    return remove(path);
}

/* Removals that Redis was too busy for are owed: the cache pays them while it
 * is open. */
static bool wait_until_paid(const demo *demo)
{
    mtc_stats stats = {.struct_size = sizeof stats};
    struct timespec nap = {0, 10000000};
    for (int i = 0; i < PAY_NAPS; i++) {
        if (mtc_cache_stats(demo->cache, &stats) != MTC_OK)
            return false;
        if (stats.tiers[1].debts + stats.tiers[1].storing == 0)
            return true;
        nanosleep(&nap, NULL);
    }
    return false;
}

static void remove_all(demo *demo)
{
    uint64_t keys = demo->products + 1;
    for (uint64_t first = 0; first < keys; first += REMOVE_BATCH) {
        uint64_t left = keys - first;
        remove_batch(demo, first,
                     left < REMOVE_BATCH ? (size_t)left : REMOVE_BATCH);
    }
    if (!wait_until_paid(demo))
        demo_note(demo, false, "Redis keeps some keys for ten minutes");
}

static void clean_up(demo *demo)
{
    if (demo->is_redis && demo->cache != NULL)
        remove_all(demo);
    if (demo->cache != NULL)
        mtc_cache_close(&demo->cache);
    if (demo->folder[0] != '\0' &&
        nftw(demo->folder, remove_one, OPEN_FILES, FTW_DEPTH | FTW_PHYS) != 0)
        complain("demo: cannot remove %s: %s", demo->folder, strerror(errno));
}

static bool run(demo *demo)
{
    if (!make_folder(demo) || !choose_tiers(demo) || !open_cache(demo))
        return false;
    if (!create_source(demo))
        return false;
    if (!demo->is_json)
        demo_report_start(demo);
    return read_both_ways(demo) && stampede(demo) && reopen(demo);
}

static demo *demo_new(const args *args)
{
    demo *demo = calloc(1, sizeof *demo);
    if (demo == NULL)
        return NULL;
    demo->begun_ns = times_now_ns();
    demo->is_json = args->json;
    demo->products = PRODUCTS;
    demo->duration_ms = args->duration_ms > 0 ? args->duration_ms : DURATION_MS;
    snprintf(demo->key_prefix, sizeof demo->key_prefix, "mtc-demo:%ld",
             (long)getpid());
    sigemptyset(&demo->signals);
    sigaddset(&demo->signals, SIGINT);
    sigaddset(&demo->signals, SIGTERM);
    sigaddset(&demo->signals, SIGHUP);
    return demo;
}

tool_exit command_demo(const args *args, char **words)
{
    (void)words;
    sigset_t before;
    if (args->tiers != NULL || args->name != NULL) {
        complain("demo: it has tiers and a name of its own; REDIS_URL alone "
                 "chooses the second tier");
        return TOOL_USAGE;
    }
    if (args->duration_ms != 0 && (args->duration_ms < DURATION_MS_MIN ||
                                   args->duration_ms > DURATION_MS_MAX)) {
        complain("demo: --seconds is %d to %d", DURATION_MS_MIN / 1000,
                 DURATION_MS_MAX / 1000);
        return TOOL_USAGE;
    }
    demo *demo = demo_new(args);
    if (demo == NULL) {
        complain("demo: out of memory");
        return TOOL_FAILED;
    }
    pthread_sigmask(SIG_BLOCK, &demo->signals, &before);
    bool is_whole = run(demo);
    clean_up(demo);
    int signal = demo->signal;
    bool is_good = is_whole && !demo->is_broken;
    if (is_whole && demo->is_json)
        demo_report_json(demo);
    else if (is_whole)
        demo_report_end(demo);
    free(demo);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (signal != 0)
        raise(signal);
    return is_good ? TOOL_DONE : TOOL_FAILED;
}
