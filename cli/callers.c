/*
 * The threads of mtc bench stampede and storm. The main thread starts and joins
 * them.
 */
#include "callers.h"

#include <time.h>

/* A caller needs little, and there are thousands. */
#define STACK_SIZE ((size_t)256 << 10)

static pthread_t *thread_of(void *parts, size_t size, unsigned i)
{
    return (pthread_t *)((char *)parts + size * i);
}

unsigned callers_start(void *parts, size_t size, unsigned count,
                       void *(*run)(void *part))
{
    pthread_attr_t attributes;
    unsigned started = 0;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    while (started < count) {
        pthread_t thread;
        pthread_t *part = thread_of(parts, size, started);
        if (pthread_create(&thread, &attributes, run, part) != 0)
            break;
        *part = thread;
        started++;
    }
    pthread_attr_destroy(&attributes);
    return started;
}

void callers_join(void *parts, size_t size, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        pthread_join(*thread_of(parts, size, i), NULL);
}

tool_exit callers_complain(void)
{
    complain("bench: no memory, threads or descriptors for it");
    return TOOL_FAILED;
}

void callers_pause_ns(int64_t ns)
{
    struct timespec pause = {ns / 1000000000, ns % 1000000000};
    nanosleep(&pause, NULL);
}

mtc_status callers_load(mtc_load *load, int64_t ns)
{
    callers_pause_ns(ns);
    return mtc_load_set_value(load, bench_value());
}
