/*
 * Writing JSON: a few functions over a stream, one object on one line.
 *
 * Errors of the stream are kept by stdio and seen when the tool ends.
 */
#include "json.h"

#include <inttypes.h>
#include <math.h>

/* Size of the UTF-8 sequence at the front of bytes, or 0 when it is none:
 * overlong forms, surrogates and what is past U+10FFFF are none. */
static size_t utf8_size(const unsigned char *at, size_t left)
{
    static const unsigned SMALLEST[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t size = at[0] < 0x80             ? 1
                  : (at[0] & 0xe0) == 0xc0 ? 2
                  : (at[0] & 0xf0) == 0xe0 ? 3
                  : (at[0] & 0xf8) == 0xf0 ? 4
                                           : 0;
    if (size <= 1 || size > left)
        return size <= left ? size : 0;
    unsigned code = at[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (at[i] & 0x3fu);
    }
    bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
    if (code < SMALLEST[size] || is_surrogate || code > 0x10ffff)
        return 0;
    return size;
}

static bool is_utf8(mtc_slice bytes)
{
    const unsigned char *at = bytes.data;
    for (size_t left = bytes.size; left > 0;) {
        size_t size = utf8_size(at, left);
        if (size == 0)
            return false;
        at += size;
        left -= size;
    }
    return true;
}

static void write_character(FILE *out, const unsigned char *at, size_t size)
{
    if (size == 0)
        fputs("\\ufffd", out);
    else if (*at == '"' || *at == '\\')
        fprintf(out, "\\%c", *at);
    else if (*at == '\n')
        fputs("\\n", out);
    else if (*at < 0x20 || *at == 0x7f)
        fprintf(out, "\\u%04x", *at);
    else
        fwrite(at, 1, size, out);
}

static void write_string(FILE *out, mtc_slice bytes)
{
    const unsigned char *at = bytes.data;
    fputc('"', out);
    for (size_t left = bytes.size; left > 0;) {
        size_t size = utf8_size(at, left);
        write_character(out, at, size);
        size = size == 0 ? 1 : size;
        at += size;
        left -= size;
    }
    fputc('"', out);
}

static void write_base64(FILE *out, mtc_slice bytes)
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *at = bytes.data;
    fputc('"', out);
    for (size_t left = bytes.size; left > 0;) {
        size_t size = left < 3 ? left : 3;
        unsigned group = (unsigned)at[0] << 16;
        group |= size > 1 ? (unsigned)at[1] << 8 : 0;
        group |= size > 2 ? (unsigned)at[2] : 0;
        fputc(DIGITS[group >> 18], out);
        fputc(DIGITS[group >> 12 & 63], out);
        fputc(size > 1 ? DIGITS[group >> 6 & 63] : '=', out);
        fputc(size > 2 ? DIGITS[group & 63] : '=', out);
        at += size;
        left -= size;
    }
    fputc('"', out);
}

static void write_name(json *json, const char *name, const char *suffix)
{
    if (json->needs_comma)
        fputs(", ", json->out);
    json->needs_comma = true;
    if (name != NULL)
        fprintf(json->out, "\"%s%s\": ", name, suffix);
}

void json_open(json *json, const char *name, char bracket)
{
    write_name(json, name, "");
    fputc(bracket, json->out);
    json->needs_comma = false;
}

void json_close(json *json, char bracket)
{
    fputc(bracket, json->out);
    json->needs_comma = true;
}

void json_text(json *json, const char *name, const char *text)
{
    write_name(json, name, "");
    write_string(json->out, mtc_str(text));
}

void json_bytes(json *json, const char *name, mtc_slice bytes)
{
    bool is_text = is_utf8(bytes);
    write_name(json, name, is_text ? "" : "_base64");
    if (is_text)
        write_string(json->out, bytes);
    else
        write_base64(json->out, bytes);
}

void json_int(json *json, const char *name, int64_t number)
{
    write_name(json, name, "");
    fprintf(json->out, "%" PRId64, number);
}

void json_real(json *json, const char *name, double number)
{
    write_name(json, name, "");
    fprintf(json->out, "%.6g", isfinite(number) ? number : 0.0);
}

void json_bool(json *json, const char *name, bool fact)
{
    write_name(json, name, "");
    fputs(fact ? "true" : "false", json->out);
}

void json_null(json *json, const char *name)
{
    write_name(json, name, "");
    fputs("null", json->out);
}
