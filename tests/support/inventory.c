/*
 * Descriptors and threads; see inventory.h.
 */
#include "support/inventory.h"

#include <dirent.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#define WAIT_MS_MAX 30000

static int count_in(const char *folder)
{
    DIR *dir = opendir(folder);
    int count = 0;
    if (!dir)
        abort();
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static void *end_at_once(void *ctx)
{
    return ctx;
}

/* With the first thread of a process a sanitizer starts one of its own. */
static void start_first_thread(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, end_at_once, NULL) == 0)
        pthread_join(thread, NULL);
}

mtct_inventory mtct_inventory_take(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start_first_thread);
    return (mtct_inventory){count_in("/proc/self/fd"),
                            count_in("/proc/self/task")};
}

static bool is_as_wanted(int count, int wanted)
{
    return wanted == MTCT_INVENTORY_ANY || count == wanted;
}

bool mtct_inventory_await(const mtct_inventory *before, mtct_inventory *now)
{
    const struct timespec nap = {0, 1000000};
    for (int ms = 0; ms < WAIT_MS_MAX; ms++) {
        *now = mtct_inventory_take();
        if (is_as_wanted(now->descriptors, before->descriptors) &&
            is_as_wanted(now->threads, before->threads))
            return true;
        nanosleep(&nap, NULL);
    }
    return false;
}
