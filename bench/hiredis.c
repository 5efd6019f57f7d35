/*
 * What mtc bench l2-get and l2-set do, written by hand with hiredis: each
 * thread has a connection of its own and waits for every reply.
 *
 * usage: mtc_hiredis PORT get|set|many THREADS SECONDS
 *
 * get sends PTTL and GET of a key in one write, as the Redis tier does; set
 * sends SET with PX; many sends 100 PTTL and one MGET in one write. The keys
 * are those of mtc bench, a thread after the other takes the next. One JSON
 * object goes to standard output.
 */
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEYS        200000
#define BATCH       100
#define THREADS_MAX 256
#define LIFE        "300000" /* ms: the short-term strategy's */

typedef struct setting setting;

/* One call of a thread: how many keys it did; 0: it failed. */
typedef unsigned (*call)(redisContext *redis, unsigned key);

struct setting {
    int port;
    unsigned threads;
    call call;
    unsigned keys_per_call;
    _Atomic bool is_over;
    _Atomic bool has_failed;
    _Atomic unsigned long long ops;
};

typedef struct worker {
    setting *setting;
    unsigned index;
    pthread_t thread;
} worker;

static const char VALUE[] =
    "a value of one hundred bytes, the same under every key, as long as a "
    "short record of a user may be....";

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Takes one reply. Whether it is there, and no error. */
static bool take(redisContext *redis)
{
    redisReply *reply = NULL;
    if (redisGetReply(redis, (void **)&reply) != REDIS_OK || reply == NULL)
        return false;
    bool is_good = reply->type != REDIS_REPLY_ERROR;
    freeReplyObject(reply);
    return is_good;
}

static unsigned get_one(redisContext *redis, unsigned key)
{
    char name[16];
    snprintf(name, sizeof name, "user:%08u", key % KEYS);
    const char *life[] = {"PTTL", name};
    const char *value[] = {"GET", name};
    const size_t life_sizes[] = {4, 13};
    const size_t value_sizes[] = {3, 13};
    redisAppendCommandArgv(redis, 2, life, life_sizes);
    redisAppendCommandArgv(redis, 2, value, value_sizes);
    return take(redis) && take(redis);
}

static unsigned set_one(redisContext *redis, unsigned key)
{
    char name[16];
    snprintf(name, sizeof name, "user:%08u", key % KEYS);
    const char *words[] = {"SET", name, VALUE, "PX", LIFE};
    const size_t sizes[] = {3, 13, 100, 2, sizeof LIFE - 1};
    redisAppendCommandArgv(redis, 5, words, sizes);
    return take(redis);
}

static unsigned get_many(redisContext *redis, unsigned key)
{
    char names[BATCH][16];
    const char *words[BATCH + 1] = {"MGET"};
    size_t sizes[BATCH + 1] = {4};
    const size_t life_sizes[] = {4, 13};
    for (unsigned i = 0; i < BATCH; i++) {
        snprintf(names[i], sizeof names[i], "user:%08u", (key + i) % KEYS);
        const char *life[] = {"PTTL", names[i]};
        redisAppendCommandArgv(redis, 2, life, life_sizes);
        words[i + 1] = names[i];
        sizes[i + 1] = 13;
    }
    redisAppendCommandArgv(redis, BATCH + 1, words, sizes);
    for (unsigned i = 0; i <= BATCH; i++) {
        if (!take(redis))
            return 0;
    }
    return BATCH;
}

static void *work(void *ctx)
{
    worker *worker = ctx;
    setting *setting = worker->setting;
    unsigned key = worker->index * setting->keys_per_call;
    unsigned long long ops = 0;
    redisContext *redis = redisConnect("127.0.0.1", setting->port);
    while (redis && !redis->err && !atomic_load(&setting->is_over)) {
        unsigned done = setting->call(redis, key);
        if (done == 0)
            break;
        ops += done;
        key += setting->threads * setting->keys_per_call;
    }
    if (!atomic_load(&setting->is_over))
        atomic_store(&setting->has_failed, true);
    if (redis)
        redisFree(redis);
    atomic_fetch_add(&setting->ops, ops);
    return NULL;
}

static bool read_call(const char *name, setting *setting)
{
    setting->keys_per_call = 1;
    if (strcmp(name, "get") == 0)
        setting->call = get_one;
    else if (strcmp(name, "set") == 0)
        setting->call = set_one;
    else if (strcmp(name, "many") == 0)
        setting->call = get_many;
    if (setting->call == get_many)
        setting->keys_per_call = BATCH;
    return setting->call != NULL;
}

int main(int argc, char **argv)
{
    static worker workers[THREADS_MAX];
    static setting setting;
    if (argc != 5 || !read_call(argv[2], &setting)) {
        fprintf(stderr, "usage: %s PORT get|set|many THREADS SECONDS\n",
                argv[0]);
        return 2;
    }
    setting.port = atoi(argv[1]);
    setting.threads = (unsigned)atoi(argv[3]);
    double seconds = atof(argv[4]);
    if (setting.threads < 1 || setting.threads > THREADS_MAX)
        return 2;
    double begun_s = now_s();
    for (unsigned i = 0; i < setting.threads; i++) {
        workers[i] = (worker){.setting = &setting, .index = i};
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            return 1;
    }
    struct timespec pause = {(time_t)seconds,
                             (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&pause, NULL);
    atomic_store(&setting.is_over, true);
    for (unsigned i = 0; i < setting.threads; i++)
        pthread_join(workers[i].thread, NULL);
    double took_s = now_s() - begun_s;
    printf("{\"workload\": \"%s\", \"threads\": %u, \"ops\": %llu, "
           "\"ops_per_s\": %.0f}\n",
           argv[2], setting.threads, atomic_load(&setting.ops),
           (double)atomic_load(&setting.ops) / took_s);
    return atomic_load(&setting.has_failed);
}
