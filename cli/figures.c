/*
 * Numbers as people read them: 1,234,567, 1.5 MiB, 12.3 us. Stateless.
 */
#include "figures.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

figure figure_count(uint64_t count)
{
    char digits[24];
    figure out;
    int size = snprintf(digits, sizeof digits, "%" PRIu64, count);
    char *to = out.text;
    for (int i = 0; i < size; i++) {
        if (i > 0 && (size - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return out;
}

/* Three digits that count, then the unit. */
static figure scaled(double number, const char *unit)
{
    figure out;
    int decimals = number < 9.995 ? 2 : number < 99.95 ? 1 : 0;
    snprintf(out.text, sizeof out.text, "%.*f %s", decimals, number, unit);
    return out;
}

figure figure_bytes(uint64_t bytes)
{
    static const char *const UNITS[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double number = (double)bytes;
    size_t unit = 0;
    while (number >= 1023.5 && unit < sizeof UNITS / sizeof UNITS[0] - 1) {
        number /= 1024;
        unit++;
    }
    if (unit > 0)
        return scaled(number, UNITS[unit]);
    figure out;
    snprintf(out.text, sizeof out.text, "%" PRIu64 " B", bytes);
    return out;
}

figure figure_ns(int64_t ns)
{
    if (ns < 1000) {
        figure out;
        snprintf(out.text, sizeof out.text, "%" PRId64 " ns", ns);
        return out;
    }
    if (ns < 999500)
        return scaled((double)ns / 1e3, "us");
    if (ns < 999500000)
        return scaled((double)ns / 1e6, "ms");
    return scaled((double)ns / 1e9, "s");
}

figure figure_ms(int64_t ms)
{
    if (ms < 1000) {
        figure out;
        snprintf(out.text, sizeof out.text, "%" PRId64 " ms", ms);
        return out;
    }
    if (ms < 120000)
        return scaled((double)ms / 1e3, "s");
    if (ms < 7200000)
        return scaled((double)ms / 6e4, "min");
    if (ms < 172800000)
        return scaled((double)ms / 3.6e6, "h");
    return scaled((double)ms / 8.64e7, "d");
}

figure figure_share(uint64_t part, uint64_t whole)
{
    figure out;
    double share = whole == 0 ? 0.0 : 100.0 * (double)part / (double)whole;
    snprintf(out.text, sizeof out.text, "%.2f %%", share);
    return out;
}
