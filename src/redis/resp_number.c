/*
 * The numbers of RESP. See resp_number.h. Stateless; any thread.
 */
#include "redis/resp_number.h"

#include "base/slice.h"

bool mtci_resp_parse_integer(mtc_slice text, int64_t *number)
{
    const char *digit = text.data;
    const char *end = digit + text.size;
    bool is_negative = text.size > 0 && *digit == '-';
    digit += is_negative;
    if (digit == end || (*digit == '0' && (end - digit > 1 || is_negative)))
        return false;
    int64_t sum = 0; /* negative, whose range is the larger one */
    for (; digit < end; digit++) {
        if (*digit < '0' || *digit > '9')
            return false;
        if (__builtin_mul_overflow(sum, 10, &sum) ||
            __builtin_sub_overflow(sum, *digit - '0', &sum))
            return false;
    }
    if (is_negative)
        *number = sum;
    return is_negative || !__builtin_sub_overflow(0, sum, number);
}

/* Moves *at behind an optional sign. */
static void skip_sign(const char **at, const char *end)
{
    if (*at < end && (**at == '+' || **at == '-'))
        ++*at;
}

/* Moves *at behind digits; false when there are none. */
static bool skip_digits(const char **at, const char *end)
{
    const char *first = *at;
    while (*at < end && **at >= '0' && **at <= '9')
        ++*at;
    return *at > first;
}

bool mtci_resp_is_double(mtc_slice text)
{
    if (mtci_slice_is(text, "inf") || mtci_slice_is(text, "-inf") ||
        mtci_slice_is(text, "nan"))
        return true;
    const char *at = text.data;
    const char *end = at + text.size;
    skip_sign(&at, end);
    if (!skip_digits(&at, end))
        return false;
    if (at < end && *at == '.') {
        at++;
        if (!skip_digits(&at, end))
            return false;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        skip_sign(&at, end);
        if (!skip_digits(&at, end))
            return false;
    }
    return at == end;
}

bool mtci_resp_is_big_number(mtc_slice text)
{
    const char *at = text.data;
    const char *end = at + text.size;
    skip_sign(&at, end);
    return skip_digits(&at, end) && at == end;
}
