/*
 * The RESP writer. See resp_writer.h. Stateless; any thread.
 */
#include "redis/resp_writer.h"

/* "-9223372036854775808" */
#define NUMBER_SIZE_MAX 20

/* The decimal digits of a number at the end of digits. */
static mtc_slice number_text(int64_t number, char digits[NUMBER_SIZE_MAX])
{
    char *end = digits + NUMBER_SIZE_MAX;
    char *first = end;
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do {
        *--first = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0)
        *--first = '-';
    return mtc_bytes(first, (size_t)(end - first));
}

static void add_header(mtci_buffer *buffer, const char *type, size_t size)
{
    char digits[NUMBER_SIZE_MAX];
    mtci_buffer_add(buffer, mtc_bytes(type, 1));
    mtci_buffer_add(buffer, number_text((int64_t)size, digits));
    mtci_buffer_add(buffer, mtc_bytes("\r\n", 2));
}

void mtci_resp_begin(mtci_buffer *buffer, size_t count)
{
    add_header(buffer, "*", count);
}

void mtci_resp_add(mtci_buffer *buffer, mtc_slice argument)
{
    mtci_resp_open(buffer, argument.size);
    mtci_buffer_add(buffer, argument);
    mtci_resp_close(buffer);
}

void mtci_resp_add_text(mtci_buffer *buffer, const char *argument)
{
    mtci_resp_add(buffer, mtc_str(argument));
}

void mtci_resp_add_number(mtci_buffer *buffer, int64_t argument)
{
    char digits[NUMBER_SIZE_MAX];
    mtci_resp_add(buffer, number_text(argument, digits));
}

void mtci_resp_open(mtci_buffer *buffer, size_t size)
{
    add_header(buffer, "$", size);
}

void mtci_resp_close(mtci_buffer *buffer)
{
    mtci_buffer_add(buffer, mtc_bytes("\r\n", 2));
}
