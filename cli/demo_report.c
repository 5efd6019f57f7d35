/*
 * What the demo measured, for a person. The main thread alone writes it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "demo.h"
#include "figures.h"

#define RULE                                                                   \
    "  "                                                                       \
    "-----------------------------------------------------------------------"  \
    "-\n"

/* A heading stands out on a terminal that can do it. */
static void write_heading(const char *text)
{
    const char *terminal = getenv("TERM");
    bool is_bold = isatty(STDOUT_FILENO) == 1 && getenv("NO_COLOR") == NULL &&
                   terminal != NULL && strcmp(terminal, "dumb") != 0;
    printf(is_bold ? "\n\033[1m%s\033[0m\n\n" : "\n%s\n\n", text);
}

static uint64_t rate_of(const demo_reads *reads)
{
    double seconds = (double)reads->duration_ns / 1e9;
    return seconds > 0 ? (uint64_t)((double)reads->all.count / seconds) : 0;
}

void demo_report_start(const demo *demo)
{
    printf("A shop of %s products in SQLite, made in %s.\n"
           "In front of it a cache: %d MiB of memory, then %s.\n"
           "%d threads read the pages of products in Zipf order (s = %.2f): "
           "some very\noften, most seldom.\n",
           figure_count(demo->products).text, figure_ns(demo->created_ns).text,
           DEMO_MEMORY_MIB,
           demo->is_redis ? "the Redis of REDIS_URL" : "a disk tier",
           DEMO_THREADS, ZIPF_EXPONENT);
    fflush(stdout);
}

static void write_row(const char *name, const times *times, uint64_t whole)
{
    printf("  %-20s %11s %9s", name, figure_count(times->count).text,
           figure_share(times->count, whole).text);
    if (times->count == 0)
        printf(" %9s %9s %9s\n", "-", "-", "-");
    else
        printf(" %9s %9s %9s\n", figure_ns(times_share_ns(times, 0.5)).text,
               figure_ns(times_share_ns(times, 0.99)).text,
               figure_ns(times->max_ns).text);
}

static void write_table(const demo *demo, const demo_reads *reads)
{
    uint64_t all = reads->all.count;
    printf("  %-20s %11s %9s %9s %9s %9s\n" RULE, "answered by", "requests",
           "share", "p50", "p99", "max");
    write_row("memory", &reads->outcomes[OUTCOME_MEMORY], all);
    write_row(demo->second, &reads->outcomes[OUTCOME_SECOND], all);
    write_row("load", &reads->outcomes[OUTCOME_LOAD], all);
    write_row("another's load", &reads->outcomes[OUTCOME_WAITED], all);
    if (reads->outcomes[OUTCOME_FAILED].count > 0)
        write_row("nobody (failed)", &reads->outcomes[OUTCOME_FAILED], all);
    printf(RULE);
    write_row("all, with the cache", &reads->all, all);
}

void demo_report_reads(const demo *demo)
{
    const mtc_stats *stats = &demo->stats;
    uint64_t with = rate_of(&demo->cached);
    uint64_t without = rate_of(&demo->uncached);
    write_heading("Reads");
    write_table(demo, &demo->cached);
    write_row("the same, without", &demo->uncached.all,
              demo->uncached.all.count);
    printf("\n  %s reads a second with the cache (empty at first), %s "
           "without it:\n  %.1f times as many.",
           figure_count(with).text, figure_count(without).text,
           without > 0 ? (double)with / (double)without : 0.0);
    printf(" The source was asked %s times in %s reads.\n",
           figure_count(stats->loads).text, figure_count(stats->requests).text);
    printf("  Promotions from %s to memory: %s. Requests that waited for "
           "another's\n  flight, be it a load or a read below: %s.\n",
           demo->second, figure_count(stats->promotions).text,
           figure_count(stats->followers).text);
    fflush(stdout);
}

void demo_report_stampede(const demo *demo)
{
    const demo_stampede *stampede = &demo->stampede;
    write_heading("A stampede");
    printf("  %s callers ask for one missing key at once; its load takes "
           "%d ms.\n\n  %-20s %11u\n  %-20s %11u\n",
           figure_count(stampede->callers).text, DEMO_LOAD_MS, "loads",
           stampede->loads, "waited for it", stampede->waited);
    if (stampede->failed > 0)
        printf("  %-20s %11u\n", "failed", stampede->failed);
    printf("  %-20s %11s   (p50 %s, max %s)\n", "all answered after",
           figure_ns(stampede->duration_ns).text,
           figure_ns(times_share_ns(&stampede->answers, 0.5)).text,
           figure_ns(stampede->answers.max_ns).text);
    fflush(stdout);
}

void demo_report_again(const demo *demo)
{
    write_heading("Closed and opened again");
    printf("  Closed in %s, opened in %s: memory is empty",
           figure_ns(demo->closing_ns).text, figure_ns(demo->opening_ns).text);
    if (demo->warm_entries > 0)
        printf(",\n  %s still holds %s entries", demo->second,
               figure_count(demo->warm_entries).text);
    printf(".\n  The first %s reads once more:\n\n",
           figure_count(demo->again.all.count).text);
    write_table(demo, &demo->again);
    fflush(stdout);
}

void demo_report_end(const demo *demo)
{
    double seconds = (double)(times_now_ns() - demo->begun_ns) / 1e9;
    if (demo->oddity_count > 0)
        write_heading(demo->is_broken ? "Not as promised" : "Worth knowing");
    else
        printf("\n");
    for (unsigned i = 0; i < demo->oddity_count; i++)
        printf("  %s\n", demo->oddities[i]);
    printf("%sAll measured, in %.1f s; nothing is left behind%s.\n",
           demo->oddity_count > 0 ? "\n" : "", seconds,
           demo->is_redis ? ", in Redis neither" : "");
}
