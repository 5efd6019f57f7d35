/*
 * Writing JSON: a few functions over a stream, one object on one line.
 *
 * A name is given inside an object and NULL inside an array or at the top.
 */
#ifndef MTC_CLI_JSON_H
#define MTC_CLI_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "mtc/value.h"

typedef struct json {
    FILE *out;
    bool needs_comma;
} json;

void json_open(json *json, const char *name, char bracket);
void json_close(json *json, char bracket);

/* Text that is meant for people; bytes that are no UTF-8 become U+FFFD. */
void json_text(json *json, const char *name, const char *text);

/* Any bytes: "name" when they are UTF-8, else "name_base64". */
void json_bytes(json *json, const char *name, mtc_slice bytes);

void json_int(json *json, const char *name, int64_t number);
void json_real(json *json, const char *name, double number);
void json_bool(json *json, const char *name, bool fact);
void json_null(json *json, const char *name);

#endif
