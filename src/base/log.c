/*
 * The log of a cache. Owns the counts of its rate limit; any thread.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const level_names[] = {"debug", "info", "warning", "error"};

void mtci_log_init(mtci_log *log, const char *name, mtci_clock clock)
{
    memset(log, 0, sizeof(*log));
    pthread_mutex_init(&log->mutex, NULL);
    log->level_min = MTC_LOG_WARNING;
    log->clock = clock;
    snprintf(log->name, sizeof(log->name), "%s", name);
}

void mtci_log_fini(mtci_log *log)
{
    pthread_mutex_destroy(&log->mutex);
}

/* Parts beyond the table share its last row. */
static mtci_log_part *part_find_locked(mtci_log *log, const char *name,
                                       int64_t now_ms)
{
    mtci_log_part *part = log->parts;
    const mtci_log_part *last = &log->parts[MTCI_LOG_PARTS - 1];
    size_t size_max = sizeof(part->name) - 1;

    while (part->name[0] != '\0' && strncmp(part->name, name, size_max) != 0 &&
           part != last) {
        part++;
    }
    if (part->name[0] == '\0') {
        snprintf(part->name, sizeof(part->name), "%s", name);
        part->tokens = MTCI_LOG_BURST;
        part->refilled_ms = now_ms;
    }
    return part;
}

static void part_refill_locked(mtci_log_part *part, int64_t now_ms)
{
    int64_t due = (now_ms - part->refilled_ms) / MTCI_LOG_REFILL_MS;

    if (due <= 0) {
        return;
    }
    if (due >= MTCI_LOG_BURST - part->tokens) {
        part->tokens = MTCI_LOG_BURST;
        part->refilled_ms = now_ms;
        return;
    }
    part->tokens += (int)due;
    part->refilled_ms += due * MTCI_LOG_REFILL_MS;
}

/* Whether a line may pass; *left_out lines did not since the last that did. */
static bool line_admit(mtci_log *log, const char *name, unsigned *left_out)
{
    int64_t now_ms = mtci_clock_ms(&log->clock);
    mtci_log_part *part;
    bool passes;

    pthread_mutex_lock(&log->mutex);
    part = part_find_locked(log, name, now_ms);
    part_refill_locked(part, now_ms);
    passes = part->tokens > 0;
    if (passes) {
        *left_out = part->left_out;
        part->left_out = 0;
        part->tokens--;
    } else {
        part->left_out++;
    }
    pthread_mutex_unlock(&log->mutex);
    return passes;
}

/* Bytes from outside must not start a line of their own. */
static void controls_blank(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            *text = ' ';
        }
    }
}

void mtci_log_line(mtci_log *log, mtc_log_level level, const char *part,
                   const char *format, ...)
{
    char text[MTCI_LOG_TEXT_SIZE];
    unsigned left_out;
    va_list arguments;
    size_t size;

    if ((int)level < log->level_min || !line_admit(log, part, &left_out)) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (left_out > 0) {
        size = strnlen(text, sizeof(text) - 48);
        snprintf(text + size, sizeof(text) - size, " (%u more left out before)",
                 left_out);
    }
    controls_blank(text);
    if (log->write != NULL) {
        log->write(log->ctx, level, part, text);
        return;
    }
    fprintf(stderr, "%s: %s %s: %s\n", log->name, level_names[level & 3], part,
            text);
}
