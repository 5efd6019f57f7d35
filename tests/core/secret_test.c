/*
 * labels: quick unit
 *
 * Passwords are in no message, however wrong the URL is that has them: mistyped
 * in any place, not encoded, too long. Of a password that is shown in parts no
 * six bytes in a row may be seen. The seed is printed; MTC_TEST_SEED repeats a
 * run.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "mtc/cache.h"
#include "support/tier_call.h"

#define SECRET   "Zq8vKw4Lm2xR7nTc"
#define WINDOW   6u
#define URL_SIZE 512
#define LONG     3000

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define ROUNDS 1000
#else
#define ROUNDS 10000
#endif

/* Whether a part of the secret is in a text. */
static bool shows(const char *text)
{
    char part[WINDOW + 1] = "";
    for (size_t i = 0; i + WINDOW < sizeof SECRET; i++) {
        memcpy(part, &SECRET[i], WINDOW);
        if (strcasestr(text, part))
            return true;
    }
    return false;
}

static void check_text(const char *where, const char *text, const char *url)
{
    if (shows(text))
        fail_msg("%s of \"%.200s\": %s", where, url, text);
}

static void check_line(void *ctx, mtc_log_level level, const char *part,
                       const char *text)
{
    (void)level;
    check_text("the part", part, ctx);
    check_text("the log", text, ctx);
}

/* Opens it and closes it again: nothing is connected. */
static mtc_status open_once(char *url)
{
    mtc_error error = {0};
    mtc_cache *cache;
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    options.tiers = url;
    options.log = check_line;
    options.log_ctx = url;
    options.log_level = MTC_LOG_DEBUG;
    mtc_status status = mtc_cache_open(&options, &error, &cache);
    if (status == MTC_OK)
        assert_int_equal(mtc_cache_close(&cache), MTC_OK);
    else
        check_text("the error", error.text, url);
    check_text("the part", error.part, url);
    return status;
}

/* -- mistyped ------------------------------------------------------------- */

static const char *const URLS[] = {
    "redis://app:" SECRET "@127.0.0.1:1/0?prefix=x&deadline=10ms",
    "redis://:" SECRET "@127.0.0.1",
    "memory redis+cluster://u:" SECRET "@127.0.0.1:1,127.0.0.1:2?checksum=on",
    "redis+sentinel://app:" SECRET "@127.0.0.1:1,127.0.0.1:2/main"
    "?sentinel_user=u&sentinel_password=" SECRET "&db=2",
    "redis+unix://u:" SECRET "@/none/at/all?db=1",
    "valkey://u:" SECRET "@[::1]:1",
};

#define URL_COUNT (sizeof URLS / sizeof *URLS)

/* Puts a piece in, in place of what may be there. */
static void mistype(char *url, uint64_t *seed)
{
    static const char *const PIECES[] = {"/", "?", "&",   "=", "%", "@",
                                         ":", ",", "%00", "[", "]", "#",
                                         "",  "",  "%41", "."};
    char rest[URL_SIZE];
    size_t size = strlen(url);
    size_t at = mtct_draw(seed, (uint32_t)size + 1);
    const char *piece = PIECES[mtct_draw(seed, sizeof PIECES / sizeof *PIECES)];
    size_t skip = mtct_draw(seed, 2);
    if (at + skip > size)
        skip = 0;
    strcpy(rest, url + at + skip);
    sprintf(url + at, "%s%s", piece, rest);
}

static void a_mistyped_url_shows_no_password(void **state)
{
    (void)state;
    char url[URL_SIZE];
    uint64_t seed = mtct_seed("mistyped");
    size_t refused = 0;
    for (size_t i = 0; i < ROUNDS; i++) {
        strcpy(url, URLS[mtct_draw(&seed, URL_COUNT)]);
        for (uint32_t n = mtct_draw(&seed, 3); n < 3; n++)
            mistype(url, &seed);
        refused += open_once(url) != MTC_OK;
    }
    assert_true(refused > ROUNDS / 2);
    assert_true(refused < ROUNDS);
}

/* -- too long ------------------------------------------------------------- */

static void open_long(const char *before, const char *behind)
{
    char *url = malloc(LONG + URL_SIZE);
    assert_non_null(url);
    strcpy(url, before);
    while (strlen(url) < LONG)
        strcat(url, SECRET);
    strcat(url, behind);
    assert_int_equal(open_once(url), MTC_E_INVALID);
    free(url);
}

static void a_password_that_is_too_long_is_not_shown(void **state)
{
    (void)state;
    open_long("redis://:", "@127.0.0.1");
    open_long("redis+sentinel://127.0.0.1/m?sentinel_password=", "");
    open_long("redis+sentinel://127.0.0.1/m?sentinel%5fpassword=", "&db=1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mistyped_url_shows_no_password),
        cmocka_unit_test(a_password_that_is_too_long_is_not_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
