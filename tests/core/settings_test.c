/*
 * Settings: wrong options are refused by name, value and range; the
 * environment, its precedence, and the default tiers.
 *
 * That the environment is not heeded in a program with raised rights
 * (secure_getenv) cannot be shown here: it needs a set-uid program.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "mtc/stats.h"
#include "support/cache_fixture.h"

static mtc_cache *cache;
static mtc_error error;
static mtc_cache_options options;
static char home[64];
static char logged[1024]; /* the last line */

static void keep_line(void *ctx, mtc_log_level level, const char *part,
                      const char *text)
{
    (void)ctx;
    snprintf(logged, sizeof(logged), "%d %s: %s", level, part, text);
}

static int setup(void **state)
{
    (void)state;
    cache = NULL;
    logged[0] = '\0';
    options = (mtc_cache_options)MTC_CACHE_OPTIONS_INIT;
    options.log = keep_line;
    strcpy(home, "/tmp/mtc-settings-XXXXXX");
    assert_non_null(mkdtemp(home));
    setenv("HOME", home, 1);
    unsetenv("XDG_CACHE_HOME");
    unsetenv("MTC_TIERS");
    unsetenv("REDIS_URL");
    return 0;
}

static int teardown(void **state)
{
    char command[96];
    (void)state;
    if (cache)
        assert_int_equal(mtc_cache_close(&cache), MTC_OK);
    snprintf(command, sizeof(command), "rm -r %s", home);
    return system(command);
}

/* Opening with the options fails, with a text that has every word. */
static void check_refusal(mtc_status status, const char *words, int line)
{
    char copy[256];
    char *rest = NULL;
    snprintf(copy, sizeof(copy), "%s", words);
    mtc_status opened = mtc_cache_open(&options, &error, &cache);
    _assert_int_equal((LargestIntegralType)opened, (LargestIntegralType)status,
                      __FILE__, line);
    assert_null(cache);
    assert_int_equal(error.status, status);
    for (char *word = strtok_r(copy, " ", &rest); word;
         word = strtok_r(NULL, " ", &rest)) {
        if (!strstr(error.text, word))
            fail_msg("line %d: no '%s' in '%s'", line, word, error.text);
    }
}

#define assert_refused(status, words) check_refusal(status, words, __LINE__)

/* Opens and tells the schemes of the tiers. */
static const char *open_tiers(void)
{
    static char schemes[128];
    mtc_stats stats = {.struct_size = sizeof(stats)};
    if (mtc_cache_open(&options, &error, &cache) != MTC_OK)
        fail_msg("cannot open: %s", error.text);
    assert_int_equal(mtc_cache_stats(cache, &stats), MTC_OK);
    schemes[0] = '\0';
    for (uint32_t i = 0; i < stats.tier_count; i++) {
        strcat(schemes, i > 0 ? " " : "");
        strcat(schemes, stats.tiers[i].scheme);
    }
    return schemes;
}

static mtc_health health(void)
{
    mtc_health all = {.struct_size = sizeof(all)};
    assert_int_equal(mtc_cache_health(cache, &all), MTC_OK);
    return all;
}

/* -- wrong options ------------------------------------------------------ */

static void a_name_out_of_its_alphabet_is_refused(void **state)
{
    (void)state;
    char longer[66];
    memset(longer, 'a', 65);
    longer[65] = '\0';
    options.tiers = "memory";
    options.name = "";
    assert_refused(MTC_E_INVALID, "name 0 1 64");
    options.name = longer;
    assert_refused(MTC_E_INVALID, "name 65 1 64");
    options.name = "a/b";
    assert_refused(MTC_E_INVALID, "name 'a/b' letters digits");
    options.name = "..";
    assert_refused(MTC_E_INVALID, "name '..' begin");
    options.name = longer + 1;
    assert_string_equal(open_tiers(), "memory");
}

static void numbers_out_of_range_are_refused(void **state)
{
    (void)state;
    options.tiers = "memory";
    options.log_level = 6;
    assert_refused(MTC_E_INVALID, "log_level 6 0 5");
    options.log_level = 0;
    options.value_size_max = ((size_t)512 << 20) + 1;
    assert_refused(MTC_E_INVALID, "value_size_max 536870913 1 536870912");
    options.value_size_max = SIZE_MAX;
    assert_refused(MTC_E_INVALID, "value_size_max");
    options.value_size_max = 0;
    options.grace_ms = -1;
    assert_refused(MTC_E_INVALID, "grace_ms -1 1 600000");
    options.grace_ms = 600001;
    assert_refused(MTC_E_INVALID, "grace_ms 600001 1 600000");
}

static void a_wrong_strategy_is_refused(void **state)
{
    (void)state;
    mtc_strategy strategy = MTC_STRATEGY_INIT(0);
    options.tiers = "memory";
    options.strategy = &strategy;
    assert_refused(MTC_E_INVALID, "strategy.ttl_ms 0 1 3155760000000");
    strategy.ttl_ms = MTC_TTL_MS_MAX + 1;
    assert_refused(MTC_E_INVALID, "strategy.ttl_ms 3155760000001");
    strategy.struct_size = 3;
    assert_refused(MTC_E_INVALID, "strategy.struct_size 3");
}

static void structs_of_unknown_size_are_refused(void **state)
{
    (void)state;
    struct {
        mtc_cache_options known;
        uint64_t later;
    } newer = {MTC_CACHE_OPTIONS_INIT, 0};
    options.tiers = "memory";
    options.struct_size = 7;
    assert_refused(MTC_E_INVALID, "struct_size 7");
    newer.known.struct_size = sizeof(newer);
    newer.known.tiers = "memory";
    newer.later = 1;
    assert_int_equal(mtc_cache_open(&newer.known, &error, &cache),
                     MTC_E_INVALID);
    newer.later = 0;
    assert_int_equal(mtc_cache_open(&newer.known, &error, &cache), MTC_OK);
}

static void nowhere_to_put_the_cache_is_refused(void **state)
{
    (void)state;
    assert_int_equal(mtc_cache_open(NULL, NULL, NULL), MTC_E_INVALID);
}

/* -- tiers -------------------------------------------------------------- */

static mtc_tier_config made[2];

static void make_tiers(void)
{
    for (int i = 0; i < 2; i++) {
        made[i] = (mtc_tier_config)MTC_TIER_CONFIG_INIT;
        assert_int_equal(mtc_tier_open(i ? "noop:" : "memory", NULL, &made[i]),
                         MTC_OK);
    }
    options.tier_configs = made;
    options.tier_count = 2;
}

/* After a refusal the tiers are still the caller's. */
static void close_made(void)
{
    mtc_tier_close(made[0].tier);
    mtc_tier_close(made[1].tier);
}

static void wrong_numbers_of_a_tier_are_refused_and_leave_the_tiers(void **s)
{
    (void)s;
    make_tiers();
    mtc_tier_config fine = made[1];
#define REFUSE(field, value, words)                                            \
    made[1].field = (value);                                                   \
    assert_refused(MTC_E_INVALID, words);                                      \
    made[1] = fine
    REFUSE(promote_one_in, -2, "tier 1: promote_one_in -2 -1 1000000");
    REFUSE(promote_one_in, 1000001, "tier 1: promote_one_in 1000001");
    REFUSE(ttl_scale, 0.0001, "tier 1: ttl_scale 0.0001 0.001 1000");
    REFUSE(ttl_scale, -1, "tier 1: ttl_scale -1");
    REFUSE(ttl_scale, (double)NAN, "tier 1: ttl_scale nan");
    REFUSE(ttl_ms_max, -5, "tier 1: ttl_ms_max -5");
    REFUSE(deadline_ms, -5, "tier 1: deadline_ms -5 1 600000");
    REFUSE(deadline_ms, 600001, "tier 1: deadline_ms 600001");
    REFUSE(struct_size, 8, "tier_configs[1].struct_size 8");
    REFUSE(tier, NULL, "tier_configs[1].tier");
    REFUSE(tier, made[0].tier, "tiers 0 1 same");
#undef REFUSE
    memset(made[1].prefix, 'p', sizeof(made[1].prefix));
    assert_refused(MTC_E_INVALID, "tier 1: prefix 255");
    made[1] = fine;
    strcpy(made[0].prefix, "p");
    assert_refused(MTC_E_INVALID, "tier 0: prefix");
    close_made();
}

static void a_wrong_count_of_tiers_is_refused(void **state)
{
    (void)state;
    make_tiers();
    options.tier_count = 0;
    assert_refused(MTC_E_INVALID, "tier_count 0 1 8");
    options.tier_count = MTC_TIERS_MAX + 1;
    assert_refused(MTC_E_INVALID, "tier_count 9 1 8");
    options.tier_count = 2;
    options.tier_configs = NULL;
    assert_refused(MTC_E_INVALID, "tier_configs NULL");
    close_made();
}

/* The step from one configuration to the next is the caller's. */
static void tiers_of_a_newer_header_are_found(void **state)
{
    (void)state;
    struct {
        mtc_tier_config known;
        uint64_t later;
    } newer[2];
    make_tiers();
    for (int i = 0; i < 2; i++) {
        made[i].struct_size = sizeof(newer[0]);
        newer[i].known = made[i];
        newer[i].later = 0;
    }
    options.tier_configs = &newer[0].known;
    assert_string_equal(open_tiers(), "memory noop");
}

static void a_wrong_url_is_refused_and_the_others_are_closed(void **state)
{
    (void)state;
    options.tiers = "";
    assert_refused(MTC_E_INVALID, "tiers");
    options.tiers = " \t\n ";
    assert_refused(MTC_E_INVALID, "tiers");
    options.tiers = "memory nonesuch:";
    assert_refused(MTC_E_UNSUPPORTED, "nonesuch memory redis disk");
    options.tiers = "memory noop: memory?size=many";
    assert_refused(MTC_E_INVALID, "size=many");
    options.tiers = "memory?colour=red";
    assert_refused(MTC_E_INVALID, "colour size");
    options.tiers = "noop: noop: noop: noop: noop: noop: noop: noop: noop:";
    assert_refused(MTC_E_INVALID, "more 8 tiers");
    options.tiers = "memory?prefix=p";
    assert_refused(MTC_E_INVALID, "prefix");
}

static void no_message_tells_a_password(void **state)
{
    static const char *const urls[] = {"redis://me:S3CR3T@host:99999",
                                       "redis://me:S3CR3T@host?colour=red",
                                       "nonesuch://me:S3CR3T@host",
                                       "redis://:S3CR3T@[::1",
                                       "redis://host?password=S3CR3T%00",
                                       "redis://me:S3CR3T",
                                       "memory://me:S3CR3T@host"};
    (void)state;
    options.log_level = 1;
    for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++) {
        options.tiers = urls[i];
        assert_int_not_equal(mtc_cache_open(&options, &error, &cache), MTC_OK);
        assert_null(strstr(error.text, "S3CR3T"));
        assert_null(strstr(logged, "S3CR3T"));
        options.tiers = NULL;
        setenv("REDIS_URL", urls[i], 1);
        assert_int_not_equal(mtc_cache_open(&options, &error, &cache), MTC_OK);
        assert_ptr_equal(strstr(error.text, "REDIS_URL: "), error.text);
        assert_null(strstr(error.text, "S3CR3T"));
        assert_null(strstr(logged, "S3CR3T"));
    }
}

/* -- environment -------------------------------------------------------- */

static void a_wrong_variable_is_named(void **state)
{
    (void)state;
    setenv("MTC_TIERS", "memory?size=many", 1);
    assert_refused(MTC_E_INVALID, "MTC_TIERS: size=many");
    assert_refused(MTC_E_INVALID, "MTC_TIERS");
    setenv("MTC_TIERS", "  ", 1);
    assert_refused(MTC_E_INVALID, "MTC_TIERS: tiers");
}

static void what_is_nearer_to_the_program_wins(void **state)
{
    (void)state;
    setenv("REDIS_URL", "noop:", 1);
    assert_string_equal(open_tiers(), "memory noop");
    assert_int_equal(mtc_cache_close(&cache), MTC_OK);
    setenv("MTC_TIERS", "noop: noop:", 1);
    assert_string_equal(open_tiers(), "noop noop");
    assert_int_equal(mtc_cache_close(&cache), MTC_OK);
    options.tiers = "noop:";
    assert_string_equal(open_tiers(), "noop");
    assert_int_equal(mtc_cache_close(&cache), MTC_OK);
    make_tiers();
    assert_string_equal(open_tiers(), "memory noop");
}

/* The folder is there and nobody else may look into it. */
static void assert_private_folder(const char *below_home)
{
    char path[256];
    struct stat facts;
    snprintf(path, sizeof(path), "%s/%s", home, below_home);
    assert_int_equal(stat(path, &facts), 0);
    assert_true(S_ISDIR(facts.st_mode));
    assert_int_equal(facts.st_mode & 0777, 0700);
}

static void the_default_is_memory_over_a_disk_tier_of_that_name(void **state)
{
    (void)state;
    char path[128];
    assert_string_equal(open_tiers(), "memory disk");
    assert_private_folder(".cache/mtc/settings_test");
    assert_int_equal(mtc_cache_close(&cache), MTC_OK);
    snprintf(path, sizeof(path), "%s/x d&g%%?", home);
    setenv("XDG_CACHE_HOME", path, 1);
    setenv("REDIS_URL", "", 1);
    setenv("MTC_TIERS", "", 1);
    options.name = "my-app.1";
    assert_string_equal(open_tiers(), "memory disk");
    assert_private_folder("x d&g%?/mtc/my-app.1");
    assert_string_equal(health().note, "");
}

static void a_relative_cache_folder_is_not_used(void **state)
{
    (void)state;
    setenv("XDG_CACHE_HOME", "somewhere", 1);
    assert_string_equal(open_tiers(), "memory disk");
    assert_private_folder(".cache/mtc/settings_test");
}

static void without_a_home_the_cache_is_memory_alone_and_says_why(void **state)
{
    (void)state;
    unsetenv("HOME");
    assert_string_equal(open_tiers(), "memory");
    assert_non_null(strstr(health().note, "XDG_CACHE_HOME nor HOME"));
    assert_int_equal(health().state, MTC_HEALTH_DEGRADED);
    assert_non_null(strstr(logged, "2 cache: no disk tier"));
    assert_int_equal(mtc_cache_close(&cache), MTC_OK);
    setenv("HOME", "/proc/nobody", 1);
    assert_string_equal(open_tiers(), "memory");
    assert_non_null(strstr(health().note, "/proc/nobody"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_name_out_of_its_alphabet_is_refused),
        TEST(numbers_out_of_range_are_refused),
        TEST(a_wrong_strategy_is_refused),
        TEST(structs_of_unknown_size_are_refused),
        TEST(nowhere_to_put_the_cache_is_refused),
        TEST(wrong_numbers_of_a_tier_are_refused_and_leave_the_tiers),
        TEST(a_wrong_count_of_tiers_is_refused),
        TEST(tiers_of_a_newer_header_are_found),
        TEST(a_wrong_url_is_refused_and_the_others_are_closed),
        TEST(no_message_tells_a_password),
        TEST(a_wrong_variable_is_named),
        TEST(what_is_nearer_to_the_program_wins),
        TEST(the_default_is_memory_over_a_disk_tier_of_that_name),
        TEST(a_relative_cache_folder_is_not_used),
        TEST(without_a_home_the_cache_is_memory_alone_and_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
