/*
 * The memory workload of mtc bench: what an entry costs beyond its bytes.
 *
 * Everything that the measuring itself needs is resident before it begins.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "mtc/stats.h"

int64_t bench_resident_bytes(void)
{
    long long all = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return -1;
    int read = fscanf(file, "%lld %lld", &all, &resident);
    fclose(file);
    return read == 2 ? resident * sysconf(_SC_PAGESIZE) : -1;
}

/* How many of the keys the cache still has: gets and hits. */
static void look_for_all(bench *bench)
{
    bench_counts *counts = &bench->results[BENCH_WORKLOAD].counts;
    for (uint32_t i = 0; i < bench->workload->keys; i++) {
        mtc_value value;
        mtc_status status =
            mtc_cache_get(bench->cache, bench_key(bench, i), &value);
        counts->gets++;
        counts->hits += status == MTC_OK;
        counts->failed += status < 0;
        mtc_value_free(&value);
    }
}

bool bench_memory(bench *bench)
{
    bench_result *result = &bench->results[BENCH_WORKLOAD];
    mtc_stats stats = {.struct_size = sizeof stats};
    int64_t before = bench_resident_bytes();
    if (!bench_crew_work(&result->crew, 0, UINT64_MAX, &result->counts,
                         &result->took_ns))
        return false;
    int64_t after = bench_resident_bytes();
    if (before < 0 || after < 0 ||
        mtc_cache_stats(bench->cache, &stats) != MTC_OK)
        return false;
    bench->entries = stats.tiers[0].usage.entries;
    bench->growth_bytes = after - before;
    look_for_all(bench);
    return true;
}
