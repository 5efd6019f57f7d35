/*
 * The rounds of mtc bench: a turn for each side, and how they compare.
 *
 * The median over the rounds is what counts: a machine that others use, too,
 * spoils some of them.
 */
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static double rate(uint64_t ops, int64_t took_ns)
{
    return took_ns > 0 ? (double)ops * 1e9 / (double)took_ns : 0;
}

bool bench_turn(bench_result *result, int round, int64_t turn_ns)
{
    uint64_t ops = result->counts.ops;
    int64_t took_ns = result->took_ns;
    if (!bench_crew_work(&result->crew, turn_ns, 0, &result->counts,
                         &result->took_ns))
        return false;
    result->rates[round] =
        rate(result->counts.ops - ops, result->took_ns - took_ns);
    return true;
}

double bench_rate(const bench_result *result)
{
    return rate(result->counts.ops, result->took_ns);
}

static int compare(const void *one, const void *other)
{
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

bench_spread bench_spread_of(double *figures, size_t count)
{
    qsort(figures, count, sizeof figures[0], compare);
    return (bench_spread){figures[0], figures[count / 2], figures[count - 1]};
}

bench_spread bench_beside(const bench_result *one, const bench_result *other)
{
    double ratios[BENCH_ROUNDS] = {0};
    for (int i = 0; i < BENCH_ROUNDS; i++) {
        if (other->rates[i] > 0)
            ratios[i] = one->rates[i] / other->rates[i];
    }
    return bench_spread_of(ratios, BENCH_ROUNDS);
}
