/*
 * mtc replay: the hit ratio of traces through caches of given sizes.
 *
 * Owns the trace, and a cache for each capacity. The main thread; the threads
 * that ask are in replay_run.c.
 */
#include "replay.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "figures.h"
#include "session.h"

#define THREADS_DEFAULT 1
#define SEED_DEFAULT    1

/* Room for so many bytes an entry, beyond the default of the tier: how many
 * entries there are is what counts. */
#define ENTRY_BYTES 256
#define ROOM_MIB    64

/* A cache that keeps every key of a trace has room for twice its requests and
 * so many more, however unevenly they fall. */
#define ROOMY_ENTRIES 100000

/* Without --capacity: these parts of the different keys of the trace. */
static const uint64_t PARTS[] = {100, 20, 10, 4};

/* What a policy's name may consist of. */
#define POLICY_BYTES    "abcdefghijklmnopqrstuvwxyz0123456789_-"
#define POLICY_SIZE_MAX 32

/* What all replays of a command share, and the trace at hand. */
typedef struct replays {
    const args *args;
    const char *policy;
    int64_t seed;
    unsigned threads;
    int name_width; /* of the longest trace's name */
    const char *path;
    trace trace;
} replays;

/* The policy that memory takes when it is not told. */
static const char *default_policy(void)
{
    mtc_option_info option;
    for (size_t i = 0; mtc_option_get(i, &option) == MTC_OK; i++) {
        if (strcmp(option.scope, "memory") == 0 &&
            strcmp(option.name, "policy") == 0)
            return option.fallback;
    }
    return "";
}

static tool_exit open_cache(const replays *replays, int64_t capacity,
                            mtc_cache **cache)
{
    char tiers[160];
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    mtc_error error = {0};
    int64_t room_mib = ROOM_MIB + capacity / (1048576 / ENTRY_BYTES);
    snprintf(tiers, sizeof tiers,
             "memory?entries=%" PRId64 "&size=%" PRId64 "MiB&policy=%s",
             capacity, room_mib, replays->policy);
    options.tiers = tiers;
    options.hash_seed = (uint64_t)replays->seed;
    mtc_status status = mtc_cache_open(&options, &error, cache);
    if (status == MTC_OK)
        return TOOL_DONE;
    complain("%s: %s", error.part, error.text);
    return status == MTC_E_INVALID ? TOOL_USAGE : TOOL_FAILED;
}

/* The trace at hand through a cache of so many entries. */
static tool_exit run(const replays *replays, int64_t capacity, replay *out)
{
    mtc_cache *cache = NULL;
    tool_exit opened = open_cache(replays, capacity, &cache);
    if (opened != TOOL_DONE)
        return opened;
    *out = (replay){.trace = &replays->trace,
                    .cache = cache,
                    .threads = replays->threads};
    bool is_run = replay_run(out);
    mtc_cache_close(&cache);
    if (!is_run)
        complain("replay: no memory or threads for it");
    return is_run ? TOOL_DONE : TOOL_FAILED;
}

/* -- reporting ---------------------------------------------------------- */

/* What stands behind the last slash. */
static const char *short_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static int width_of(char **paths)
{
    size_t width = strlen("trace");
    for (; *paths != NULL; paths++) {
        size_t size = strlen(short_name(*paths));
        width = size > width ? size : width;
    }
    return (int)width;
}

static double hit_ratio(const replay *replay)
{
    return (double)replay->hits / (double)replay->trace->count;
}

static void report_head(const replays *replays)
{
    printf("  %-*s %11s  %-8s %12s %12s %9s\n", replays->name_width, "trace",
           "capacity", "policy", "requests", "hits", "hit ratio");
}

static void report(const replays *replays, int64_t capacity,
                   const replay *replay)
{
    printf("  %-*s %11s  %-8s %12s %12s %9.4f\n", replays->name_width,
           short_name(replays->path), figure_count((uint64_t)capacity).text,
           replays->policy, figure_count(replay->trace->count).text,
           figure_count(replay->hits).text, hit_ratio(replay));
}

static void report_json(const replays *replays, int64_t capacity,
                        const replay *replay)
{
    json json = session_json(replay->failed == 0 ? MTC_OK : MTC_PARTIAL);
    json_text(&json, "trace", replays->path);
    json_int(&json, "capacity", capacity);
    json_text(&json, "policy", replays->policy);
    json_int(&json, "threads", replays->threads);
    json_int(&json, "seed", replays->seed);
    json_int(&json, "requests", (int64_t)replay->trace->count);
    json_int(&json, "hits", (int64_t)replay->hits);
    json_real(&json, "hit_ratio", hit_ratio(replay));
    json_int(&json, "failed", (int64_t)replay->failed);
    session_json_end(&json);
}

/* -- replaying ---------------------------------------------------------- */

static tool_exit replay_capacity(const replays *replays, int64_t capacity)
{
    replay replay;
    tool_exit exit = run(replays, capacity, &replay);
    if (exit != TOOL_DONE)
        return exit;
    if (replays->args->json)
        report_json(replays, capacity, &replay);
    else
        report(replays, capacity, &replay);
    fflush(stdout);
    if (replay.failed == 0)
        return TOOL_DONE;
    complain("%s: %" PRIu64 " calls failed", replays->path, replay.failed);
    return TOOL_FAILED;
}

static tool_exit replay_given(const replays *replays)
{
    const count_list *capacities = &replays->args->capacities;
    tool_exit exit = TOOL_DONE;
    for (size_t i = 0; i < capacities->count && exit == TOOL_DONE; i++)
        exit = replay_capacity(replays, capacities->at[i]);
    return exit;
}

/* What a cache that keeps all does not hit is a key that was not there. */
static tool_exit count_keys(const replays *replays, uint64_t *count)
{
    replay replay;
    int64_t roomy = (int64_t)replays->trace.count * 2 + ROOMY_ENTRIES;
    tool_exit exit = run(replays, roomy, &replay);
    if (exit == TOOL_DONE)
        *count = replay.trace->count - replay.hits;
    return exit;
}

static tool_exit replay_parts(const replays *replays)
{
    uint64_t keys = 0;
    int64_t before = 0;
    tool_exit exit = count_keys(replays, &keys);
    for (size_t i = 0; i < sizeof PARTS / sizeof PARTS[0]; i++) {
        int64_t capacity = (int64_t)(keys / PARTS[i]);
        if (exit != TOOL_DONE || capacity == before)
            continue;
        exit = replay_capacity(replays, capacity);
        before = capacity;
    }
    return exit;
}

static tool_exit replay_trace(replays *replays, const char *path)
{
    tool_exit exit = TOOL_FAILED;
    replays->path = path;
    if (trace_read(path, &replays->trace))
        exit = replays->args->capacities.count > 0 ? replay_given(replays)
                                                   : replay_parts(replays);
    trace_fini(&replays->trace);
    return exit;
}

tool_exit command_replay(const args *args, char **words)
{
    replays replays = {
        .args = args,
        .policy = args->policy != NULL ? args->policy : default_policy(),
        .seed = args->seed > 0 ? args->seed : SEED_DEFAULT,
        .threads =
            args->threads > 0 ? (unsigned)args->threads : THREADS_DEFAULT,
        .name_width = width_of(words),
    };
    size_t spelt = strspn(replays.policy, POLICY_BYTES);
    if (args->tiers != NULL) {
        complain("replay has a cache of its own and takes no --tiers");
        return TOOL_USAGE;
    }
    if (replays.policy[spelt] != '\0' || spelt > POLICY_SIZE_MAX) {
        complain("--policy %s: no such policy", replays.policy);
        return TOOL_USAGE;
    }
    if (!args->json)
        report_head(&replays);
    tool_exit exit = TOOL_DONE;
    for (; *words != NULL && exit == TOOL_DONE; words++)
        exit = replay_trace(&replays, *words);
    return exit;
}
