/*
 * The log of a cache: level, part, text, to a callback or standard error.
 *
 * Rate-limited per part: a burst of MTCI_LOG_BURST lines, refilled by one
 * every MTCI_LOG_REFILL_MS; the next line that passes says how many were left
 * out. Any thread; the callback runs without a lock held.
 */
#ifndef MTCI_BASE_LOG_H
#define MTCI_BASE_LOG_H

#include <pthread.h>

#include "base/clock.h"
#include "mtc/cache.h"

#define MTCI_LOG_BURST     10
#define MTCI_LOG_REFILL_MS 1000
#define MTCI_LOG_PARTS     16
#define MTCI_LOG_TEXT_SIZE 512

typedef struct mtci_log_part {
    char name[32];
    int64_t refilled_ms;
    int tokens;
    unsigned left_out;
} mtci_log_part;

typedef struct mtci_log {
    pthread_mutex_t mutex; /* guards parts */
    mtci_log_part parts[MTCI_LOG_PARTS];
    int level_min;
    mtc_log_function write;
    void *ctx;
    char name[72];
    mtci_clock clock;
} mtci_log;

/* write NULL: standard error, one line "NAME: LEVEL PART: TEXT". */
void mtci_log_init(mtci_log *log, const char *name, mtci_clock clock);
void mtci_log_fini(mtci_log *log);

void mtci_log_line(mtci_log *log, mtc_log_level level, const char *part,
                   const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
