/*
 * The live line of the demo, on standard error: rewritten in place on a
 * terminal, else a line now and then. The main thread alone writes it.
 */
#include <stdio.h>
#include <unistd.h>

#include "demo.h"
#include "figures.h"

#define BAR_SIZE       20
#define STEP_MS        100
#define STEP_MS_UNSEEN 2000

static bool is_watched(void)
{
    return isatty(STDERR_FILENO) == 1;
}

int64_t demo_progress_step_ms(void)
{
    return is_watched() ? STEP_MS : STEP_MS_UNSEEN;
}

static void write_bar(double share)
{
    int full = (int)(share * BAR_SIZE + 0.5);
    for (int i = 0; i < BAR_SIZE; i++)
        fputc(i < full ? '#' : '.', stderr);
}

/* How far reads by count and by time have come; the further one counts. */
static double share_done(const demo_reads *reads, uint64_t done,
                         int64_t passed_ns)
{
    double by_time = (double)passed_ns / (double)reads->duration_ns_max;
    double by_count = 0;
    if (reads->thread_reads_max > 0)
        by_count =
            (double)done / (double)(reads->thread_reads_max * DEMO_THREADS);
    double share = by_time > by_count ? by_time : by_count;
    return share < 1 ? share : 1;
}

void demo_progress(const demo_reads *reads, const char *second,
                   const uint64_t *counts, int64_t passed_ns)
{
    uint64_t all = 0;
    for (unsigned i = 0; i < OUTCOMES; i++)
        all += counts[i];
    fflush(stdout);
    fprintf(stderr, is_watched() ? "\r\033[K  %-17s [" : "  %-17s [",
            reads->title);
    write_bar(share_done(reads, all, passed_ns));
    fprintf(stderr, "] %10s reads", figure_count(all).text);
    if (!reads->is_uncached) {
        fprintf(stderr, "  memory %s",
                figure_share(counts[OUTCOME_MEMORY], all).text);
        fprintf(stderr, "  %s %s", second,
                figure_share(counts[OUTCOME_SECOND], all).text);
    }
    if (!is_watched())
        fputc('\n', stderr);
    fflush(stderr);
}

void demo_progress_end(void)
{
    if (is_watched())
        fputs("\r\033[K", stderr);
}
