/*
 * Parsing and redacting URLs that name tiers.
 *
 * Works on bytes from outside. Messages give positions, never the text of
 * the part before the path: what looks like a bad port may be a password.
 * One thread per URL.
 */
#include "base/url.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define DIGITS       "0123456789"
#define LETTERS      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define SCHEME_CHARS LETTERS DIGITS "+-."

/* A run of the text, [begin, end). */
typedef struct span {
    const char *begin;
    const char *end;
} span;

typedef struct parser {
    const char *text; /* the whole, for positions in messages */
    char *out;        /* where the next decoded part goes */
    mtc_error *error;
    mtci_url *url;
} parser;

static mtc_status parse_fail(const parser *parser, const char *at,
                             const char *what)
{
    return mtci_fail(parser->error, MTC_E_INVALID, "url",
                     "%s, at byte %zu of the URL", what,
                     (size_t)(at - parser->text));
}

static const char *span_find(span span, char wanted)
{
    return span.begin == span.end
               ? NULL
               : memchr(span.begin, wanted, (size_t)(span.end - span.begin));
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    if (digit >= 'a' && digit <= 'f') {
        return digit - 'a' + 10;
    }
    if (digit >= 'A' && digit <= 'F') {
        return digit - 'A' + 10;
    }
    return -1;
}

/* The byte behind a '%' at at, or -1 for what is no escape or is NUL. */
static int escape_value(const char *at, const char *end)
{
    int high, low;

    if (end - at < 3) {
        return -1;
    }
    high = hex_value(at[1]);
    low = hex_value(at[2]);
    return high < 0 || low < 0 || high + low == 0 ? -1 : high * 16 + low;
}

/* Decodes a part into the URL's memory. */
static mtc_status part_add(parser *parser, span part, const char **out)
{
    int value;

    *out = parser->out;
    for (const char *at = part.begin; at < part.end; at++) {
        if (*at != '%') {
            *parser->out++ = *at;
            continue;
        }
        value = escape_value(at, part.end);
        if (value < 0) {
            return parse_fail(parser, at,
                              "a '%' without two hex digits "
                              "(and not 00) behind it");
        }
        *parser->out++ = (char)value;
        at += 2;
    }
    *parser->out++ = '\0';
    return MTC_OK;
}

static mtc_status scheme_parse(parser *parser, const char **rest)
{
    size_t size = strspn(parser->text, SCHEME_CHARS);
    const char *end = parser->text + size;
    span scheme = {parser->text, end};
    mtc_status status;

    if (size == 0 || strchr(":?", *end) == NULL) {
        return parse_fail(parser, end,
                          "the scheme must be letters, digits, "
                          "'+', '-' or '.', up to a ':' or '?'");
    }
    status = part_add(parser, scheme, &parser->url->scheme);
    for (char *at = parser->url->memory; *at != '\0'; at++) {
        *at = *at >= 'A' && *at <= 'Z' ? (char)(*at - 'A' + 'a') : *at;
    }
    *rest = *end == ':' ? end + 1 : end;
    return status;
}

static mtc_status user_parse(parser *parser, span user_info)
{
    const char *colon = span_find(user_info, ':');
    span user = {user_info.begin, colon == NULL ? user_info.end : colon};
    span password = {colon == NULL ? user_info.end : colon + 1, user_info.end};
    mtc_status status = part_add(parser, user, &parser->url->user);

    return status != MTC_OK
               ? status
               : part_add(parser, password, &parser->url->password);
}

static mtc_status port_parse(parser *parser, span port, int *out)
{
    int value = 0;

    for (const char *at = port.begin; at < port.end; at++) {
        if (*at < '0' || *at > '9' || value > 65535) {
            value = 0;
            break;
        }
        value = value * 10 + (*at - '0');
    }
    if (value < 1 || value > 65535) {
        return parse_fail(parser, port.begin, "the port is not 1 to 65535");
    }
    *out = value;
    return MTC_OK;
}

/* host, host:port, [address] or [address]:port */
static mtc_status host_parse(parser *parser, span text, mtci_url_host *out)
{
    bool bracketed = text.begin < text.end && *text.begin == '[';
    const char *end = span_find(text, bracketed ? ']' : ':');
    span host = {text.begin + bracketed, end == NULL ? text.end : end};
    span rest = {host.end, text.end};
    mtc_status status;

    if (bracketed && (end == NULL || host.begin == host.end)) {
        return parse_fail(parser, text.begin,
                          "an address in [ ] must not be "
                          "empty and needs its ']'");
    }
    rest.begin += bracketed;
    status = part_add(parser, host, &out->name);
    if (status != MTC_OK || rest.begin == rest.end) {
        return status;
    }
    if (*rest.begin != ':') {
        return parse_fail(parser, rest.begin,
                          "only a ':' and a port may "
                          "follow a ']'");
    }
    rest.begin++;
    return port_parse(parser, rest, &out->port);
}

/* host[:port],host[:port],...; the only one may be empty. */
static mtc_status hosts_parse(parser *parser, span text)
{
    mtci_url *url = parser->url;
    mtc_status status = MTC_OK;
    const char *comma = text.begin;

    for (; status == MTC_OK && comma != NULL; text.begin = comma + 1) {
        comma = span_find(text, ',');
        span one = {text.begin, comma == NULL ? text.end : comma};
        if (one.begin == one.end && (url->host_count > 0 || comma != NULL)) {
            return parse_fail(parser, one.begin, "a host without a name");
        }
        if (url->host_count == MTCI_URL_HOSTS_MAX) {
            return parse_fail(parser, one.begin, "more than 32 hosts");
        }
        status = host_parse(parser, one, &url->hosts[url->host_count]);
        url->host_count += status == MTC_OK && one.begin < one.end;
        if (comma == NULL) {
            break;
        }
    }
    if (status == MTC_OK && url->host_count > 0) {
        url->host = url->hosts[0].name;
        url->port = url->hosts[0].port;
    }
    return status;
}

/* [user[:password]@]host[:port],..., up to the path */
static mtc_status authority_parse(parser *parser, span authority)
{
    const char *at = authority.begin == authority.end
                         ? NULL
                         : memrchr(authority.begin, '@',
                                   (size_t)(authority.end - authority.begin));
    span host = {at == NULL ? authority.begin : at + 1, authority.end};
    span user_info = {authority.begin, at};
    mtc_status status;

    status = at == NULL ? MTC_OK : user_parse(parser, user_info);
    return status != MTC_OK ? status : hosts_parse(parser, host);
}

static bool param_is_known(const mtci_url *url, const char *name)
{
    for (size_t i = 0; i < url->param_count; i++) {
        if (strcmp(url->params[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static mtc_status param_parse(parser *parser, span text)
{
    mtci_url *url = parser->url;
    mtci_url_param *param = &url->params[url->param_count];
    const char *equals = span_find(text, '=');
    span name = {text.begin, equals == NULL ? text.end : equals};
    span value = {equals == NULL ? text.end : equals + 1, text.end};
    mtc_status status;

    if (url->param_count == MTCI_URL_PARAMS_MAX) {
        return parse_fail(parser, text.begin, "more than 32 parameters");
    }
    if (name.begin == name.end) {
        return parse_fail(parser, text.begin, "a parameter without a name");
    }
    status = part_add(parser, name, &param->name);
    if (status != MTC_OK) {
        return status;
    }
    if (param_is_known(url, param->name)) {
        return parse_fail(parser, text.begin, "a parameter given twice");
    }
    status = part_add(parser, value, &param->value);
    url->param_count += status == MTC_OK;
    return status;
}

static mtc_status query_parse(parser *parser, const char *query)
{
    mtc_status status = MTC_OK;
    const char *end;

    while (status == MTC_OK && *query != '\0') {
        end = strchrnul(query, '&');
        status = param_parse(parser, (span){query, end});
        query = *end == '\0' ? end : end + 1;
    }
    return status;
}

static mtc_status text_parse(parser *parser)
{
    const char *rest = parser->text;
    const char *end;
    mtc_status status = scheme_parse(parser, &rest);

    if (status == MTC_OK && rest[0] == '/' && rest[1] == '/') {
        end = rest + 2 + strcspn(rest + 2, "/?");
        status = authority_parse(parser, (span){rest + 2, end});
        rest = end;
    }
    if (status != MTC_OK) {
        return status;
    }
    end = strchrnul(rest, '?');
    status = part_add(parser, (span){rest, end}, &parser->url->path);
    if (status != MTC_OK || *end == '\0') {
        return status;
    }
    return query_parse(parser, end + 1);
}

mtc_status mtci_url_parse(const char *text, mtc_error *error, mtci_url *url)
{
    parser parser = {text, NULL, error, url};
    mtc_status status;

    *url = (mtci_url){.scheme = "", .user = "", .password = "", .host = ""};
    url->path = "";
    /* Decoding never grows a part; each part gains one NUL. */
    url->memory = calloc(1, strlen(text) + 5 + MTCI_URL_HOSTS_MAX +
                                (size_t)2 * MTCI_URL_PARAMS_MAX + 1);
    if (url->memory == NULL) {
        return mtci_fail(error, MTC_E_NO_MEMORY, "url", "out of memory");
    }
    parser.out = url->memory;
    status = text_parse(&parser);
    if (status != MTC_OK) {
        mtci_url_fini(url);
    }
    return status;
}

void mtci_url_fini(mtci_url *url)
{
    if (url->memory != NULL && url->password[0] != '\0') {
        explicit_bzero(url->memory + (url->password - url->memory),
                       strlen(url->password));
    }
    free(url->memory);
    *url = (mtci_url){.scheme = "", .user = "", .password = "", .host = ""};
    url->path = "";
}
