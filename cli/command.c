/*
 * The table of commands.
 *
 * Static; one thread.
 */
#include "command.h"

#include <string.h>

#include "mtc/stream.h"

static const char GET_TEXT[] =
    "Writes the value's bytes and nothing else; a newline is added only when\n"
    "standard output is a terminal. Exits with 1 when no tier has the key.\n";

static const char SET_TEXT[] =
    "Stores the value in every tier. Without VALUE it is read from standard\n"
    "input, to its end, byte by byte as it is. Exits with 3 when some tier\n"
    "does not hold it afterwards.\n";

static const char REMOVE_TEXT[] =
    "Removes the key from every tier; done, too, when there was nothing.\n";

static const char LOAD_TEXT[] =
    "Writes the value of the key. When no tier has it, runs the command,\n"
    "caches what it prints if it exits with 0, and writes that. Of all mtc\n"
    "processes of a user on a host that load one key, one runs the command\n"
    "and the others wait for its result. When the command fails, nothing is\n"
    "cached or written, and the exit status is 3.\n"
    "\n"
    "The command has the standard input and standard error of mtc, is no\n"
    "shell line (sh -c is one), and may call mtc load itself for other keys.\n";

static const char STATS_TEXT[] =
    "Shows what each tier holds. Counters live in a process: those of a\n"
    "service are its own, through mtc_cache_stats; here only tiers that\n"
    "outlive a process can have something to show.\n";

static const char HEALTH_TEXT[] =
    "Asks every tier once and shows how each is doing. Exits with 0 when all\n"
    "are up, else with 3.\n";

static const char PING_TEXT[] =
    "Asks every tier for a key that does not exist, several times, and shows\n"
    "how long the median answer took. Exits with 0 when all answered, else\n"
    "with 3.\n";

static const char PUBLISH_TEXT[] =
    "Appends one entry to a stream of the Redis tier and writes its id. The\n"
    "stream is trimmed to about the newest --max entries, or to --age. With\n"
    "--id, publishing twice adds one entry; the second exits with 1.\n";

static const char READ_TEXT[] =
    "Writes the newest entries of a stream of the Redis tier, or with --after\n"
    "those behind an id, oldest first. With --wait it waits for an entry "
    "behind\n"
    "that id, by default behind the newest one now. Exits with 1 when there "
    "is\n"
    "nothing.\n";

static const char RANGE_TEXT[] =
    "Writes the entries from one id to another, both included, oldest first.\n"
    "The next page begins behind the last id: MS-SEQUENCE and one more.\n"
    "Exits with 1 when there is none.\n";

static const char TAIL_TEXT[] =
    "Writes what comes into the streams, until it is killed or has written\n"
    "--count entries; with --after, from that id on. With several streams the\n"
    "name of the stream stands before the id. A Redis that is away is waited\n"
    "for.\n";

static const char GROUP_TEXT[] =
    "Works on a group of consumers of a stream of the Redis tier.\n"
    "\n"
    "  create STREAM GROUP           behind --after, by default from the "
    "first\n"
    "                                entry; exits with 1 when it is there\n"
    "  read STREAM GROUP CONSUMER    give new entries to a consumer\n"
    "  ack STREAM GROUP ID...        acknowledge entries\n"
    "  pending STREAM GROUP          list what is not acknowledged\n"
    "  claim STREAM GROUP CONSUMER   take over what is pending for --idle\n"
    "  remove STREAM GROUP [CONSUMER]\n"
    "                                remove the group, or a consumer from it\n";

static const char DEMO_TEXT[] =
    "Makes a SQLite database of 100,000 products in a temporary folder and\n"
    "lets 8 threads read it in Zipf order through a cache of its own: memory\n"
    "and disk, or memory and the Redis that REDIS_URL names. Shows what\n"
    "answered how fast, beside the same reads without the cache; then 1,000\n"
    "callers of one missing key; then the cache closed and opened again. All\n"
    "numbers are measured. It cleans up after itself and does not touch your\n"
    "own cache. --seconds is 1 to 20, by default 10.\n";

static const char BENCH_TEXT[] =
    "Measures a workload on a cache of its own, for 5 seconds unless told\n"
    "otherwise. Keys come in Zipf order (s = 0.99), values have 100 bytes, "
    "one\n"
    "call in 61 is timed, and each value got is touched and given back.\n"
    "\n"
    "  read    100,000 keys, all present; gets\n"
    "  mixed   the same; of four calls three gets and one set\n"
    "  evict   1,000,000 keys, room for 100,000; get, on a miss set; after\n"
    "          10,000,000 operations of warm-up, fewer below a second\n"
    "  hot     as read, one single key for all threads\n"
    "  memory  1,000,000 entries set; what each costs beyond key and value\n"
    "  limit   the ceiling: a plain hash table of the keys of read\n"
    "  l2-get  200,000 keys in the tier below and cold memory before it: each\n"
    "          is got once, by all threads together\n"
    "  l2-set  the same keys set in both tiers\n"
    "  stampede\n"
    "          callers that all ask for one missing key, whose load takes 100\n"
    "          ms; 20 keys; beside waking as many threads with one call\n"
    "  storm   callers that load what is missing: 9 of 10 requests for 1,500\n"
    "          hot keys in Zipf order, the others for keys that are only in\n"
    "          the tier below, or nowhere: a load takes 5 ms\n"
    "\n"
    "The first four take turns with limit, in as many threads and for as long\n"
    "again, and are shown as a share of it. --batch is for read, evict, hot "
    "and\n"
    "l2-get. The l2 workloads open a new cache for each of five rounds. "
    "Callers\n"
    "are threads, or with --async share a queue in each of --threads. The\n"
    "second tier of l2 workloads, stampede and storm is what REDIS_URL names,\n"
    "or --tiers name both. The tiers are written to: the keys begin with "
    "user:\n"
    "stampede: cold: and new: .\n";

static const char REPLAY_TEXT[] =
    "Asks a cache for the keys of a trace in their order: a get, and a set\n"
    "when it missed. Shows how many were hits in a cache of each capacity; by\n"
    "default 1, 5, 10 and 25 percent of the trace's different keys.\n"
    "\n"
    "A trace is a stream of little-endian 64-bit ids, or text with one key a\n"
    "line, either of them plain or packed with zstd. A file is taken as ids "
    "when\n"
    "its name has .u64 in it or it has bytes that no text has. The seed of "
    "the\n"
    "hash is fixed, so that one thread always gives the same result; several\n"
    "threads take blocks of 64 requests from one cursor.\n";

static const char HELP_TEXT[] =
    "Topics: any command, and tiers (the tier URLs and their options).\n";

static const command COMMANDS[] = {
    {"get", "KEY", 1, 1, "", "write the value of a key", GET_TEXT, command_get},
    {"set", "KEY [VALUE]", 1, 2, "ttl", "store a value", SET_TEXT, command_set},
    {"remove", "KEY...", 1, SIZE_MAX, "", "remove keys", REMOVE_TEXT,
     command_remove},
    {"load", "KEY -- COMMAND [ARGUMENT...]", 2, SIZE_MAX, "ttl",
     "write the value of a key, or what a command prints", LOAD_TEXT,
     command_load},
    {"stats", "", 0, 0, "", "what the tiers hold", STATS_TEXT, command_stats},
    {"health", "", 0, 0, "", "how the tiers are doing", HEALTH_TEXT,
     command_health},
    {"ping", "", 0, 0, "count", "how fast the tiers answer", PING_TEXT,
     command_ping},
    {"stream publish", "STREAM FIELD VALUE [FIELD VALUE...]", 3, SIZE_MAX,
     "max age exact id existing", "append an entry to a stream in Redis",
     PUBLISH_TEXT, command_publish},
    {"stream read", "STREAM", 1, 1, "count after wait",
     "read entries of a stream in Redis", READ_TEXT, command_read},
    {"stream range", "STREAM", 1, 1, "from to count",
     "read entries between two ids", RANGE_TEXT, command_range},
    {"stream tail", "STREAM...", 1, MTC_TAIL_STREAMS_MAX, "after count",
     "write what comes into streams", TAIL_TEXT, command_tail},
    {"stream group", "ACTION STREAM GROUP [WORD...]", 3, SIZE_MAX,
     "after count wait idle", "consumers that share a stream", GROUP_TEXT,
     command_group},
    {"demo", "", 0, 0, "seconds", "see a cache at work", DEMO_TEXT,
     command_demo},
    {"bench", "WORKLOAD", 1, 1, "seconds threads callers async batch",
     "measure a workload, beside the ceiling", BENCH_TEXT, command_bench},
    {"replay", "TRACE...", 1, SIZE_MAX, "capacity policy threads seed",
     "the hit ratio of a trace", REPLAY_TEXT, command_replay},
    {"version", "", 0, 0, "", "the versions of tool and library", NULL,
     command_version},
    {"help", "[TOPIC]", 0, 2, "markdown", "this help, or that of a topic",
     HELP_TEXT, command_help},
};

const command *command_at(size_t index)
{
    size_t count = sizeof COMMANDS / sizeof COMMANDS[0];
    return index < count ? &COMMANDS[index] : NULL;
}

/* How many of the words spell name: 0, 1 or 2. */
static size_t spelt_by(const char *name, char **words, size_t count)
{
    const char *space = strchr(name, ' ');
    if (space == NULL)
        return count >= 1 && strcmp(words[0], name) == 0 ? 1 : 0;
    size_t size = (size_t)(space - name);
    bool is_it = count >= 2 && strlen(words[0]) == size &&
                 memcmp(words[0], name, size) == 0 &&
                 strcmp(words[1], space + 1) == 0;
    return is_it ? 2 : 0;
}

const command *command_find(char **words_in, size_t count, char ***words)
{
    const command *row = NULL;
    for (size_t i = 0; (row = command_at(i)) != NULL; i++) {
        size_t taken = spelt_by(row->name, words_in, count);
        if (taken == 0)
            continue;
        *words = words_in + taken;
        return row;
    }
    return NULL;
}
