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

/* A type, a number and the end of the line. */
#define HEADER_SIZE_MAX (1 + NUMBER_SIZE_MAX + 2)

/* Writes a header; the end of it. */
static char *write_header(char *at, char type, size_t size)
{
    char digits[NUMBER_SIZE_MAX];
    mtc_slice text = number_text((int64_t)size, digits);
    *at++ = type;
    memcpy(at, text.data, text.size);
    at += text.size;
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

static void add_header(mtci_buffer *buffer, char type, size_t size)
{
    char *room = mtci_buffer_room(buffer, HEADER_SIZE_MAX);
    if (room)
        mtci_buffer_grown(buffer,
                          (size_t)(write_header(room, type, size) - room));
}

void mtci_resp_begin(mtci_buffer *buffer, size_t count)
{
    add_header(buffer, '*', count);
}

/* All at once: commands are many, and most arguments are short. */
void mtci_resp_add(mtci_buffer *buffer, mtc_slice argument)
{
    size_t size = HEADER_SIZE_MAX + 2;
    if (__builtin_add_overflow(size, argument.size, &size))
        size = SIZE_MAX;
    char *room = mtci_buffer_room(buffer, size);
    if (!room)
        return;
    char *at = write_header(room, '$', argument.size);
    if (argument.size > 0)
        memcpy(at, argument.data, argument.size);
    at += argument.size;
    *at++ = '\r';
    *at++ = '\n';
    mtci_buffer_grown(buffer, (size_t)(at - room));
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
    add_header(buffer, '$', size);
}

void mtci_resp_close(mtci_buffer *buffer)
{
    mtci_buffer_add(buffer, mtc_bytes("\r\n", 2));
}
