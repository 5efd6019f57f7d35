/*
 * One disk tier under two processes: each sees what the other one wrote, and
 * a value that was loaded before the other's write stays nowhere.
 * labels: server
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "support/cache_fixture.h"

static char dir[64];
static mtc_cache *cache;
static pid_t other;   /* the other process */
static int orders[2]; /* 's': set k to "theirs"; 'r': remove k; '?': get k */
static int answers[2];

static mtc_cache *open_cache(void)
{
    char tiers[128];
    mtc_error error;
    mtc_cache *opened;
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    options.tiers = tiers;
    snprintf(tiers, sizeof(tiers), "memory disk:%s?deadline=20s", dir);
    if (mtc_cache_open(&options, &error, &opened) != MTC_OK) {
        fprintf(stderr, "cannot open: %s\n", error.text);
        return NULL;
    }
    return opened;
}

/* -- the other process -------------------------------------------------- */

/* Carries an order out; what it answers is the first byte of a value that was
 * found, or '-' for a miss, '+' for a write that is done, '!' otherwise. */
static char obey(mtc_cache *mine, char order)
{
    mtc_value value;
    if (order == 's')
        return mtc_cache_set(mine, mtc_str("k"), mtc_str("theirs"), NULL) ==
                       MTC_OK
                   ? '+'
                   : '!';
    if (order == 'r')
        return mtc_cache_remove(mine, mtc_str("k")) == MTC_OK ? '+' : '!';
    mtc_status status = mtc_cache_get(mine, mtc_str("k"), &value);
    char answer = status == MTC_MISS ? '-' : '!';
    if (status == MTC_OK && value.size > 0)
        answer = *(const char *)value.data;
    mtc_value_free(&value);
    return answer;
}

static void be_the_other(void)
{
    char order, answer;
    mtc_cache *mine = open_cache();
    close(orders[1]);
    close(answers[0]);
    while (mine && read(orders[0], &order, 1) == 1) {
        answer = obey(mine, order);
        if (write(answers[1], &answer, 1) != 1)
            break;
    }
    mtc_cache_close(&mine);
    _exit(0);
}

static char tell_other(char order)
{
    char answer = '!';
    assert_int_equal(write(orders[1], &order, 1), 1);
    assert_int_equal(read(answers[0], &answer, 1), 1);
    return answer;
}

/* -- this process ------------------------------------------------------- */

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/mtc-shared-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(pipe(orders), 0);
    assert_int_equal(pipe(answers), 0);
    other = fork();
    assert_true(other >= 0);
    if (other == 0)
        be_the_other();
    close(orders[0]);
    close(answers[1]);
    cache = open_cache();
    return cache ? 0 : -1;
}

static int teardown(void **state)
{
    char command[96];
    (void)state;
    close(orders[1]);
    close(answers[0]);
    waitpid(other, NULL, 0);
    mtc_cache_close(&cache);
    snprintf(command, sizeof(command), "rm -r %s", dir);
    return system(command);
}

static mtc_status set_ours(void)
{
    return mtc_cache_set(cache, mtc_str("k"), mtc_str("ours"), NULL);
}

static void what_one_process_sets_the_other_gets(void **state)
{
    (void)state;
    assert_int_equal(tell_other('?'), '-');
    assert_int_equal(set_ours(), MTC_OK);
    assert_int_equal(tell_other('?'), 'o');
    assert_int_equal(tell_other('s'), '+');
    assert_int_equal(mtc_cache_remove(cache, mtc_str("k")), MTC_OK);
    assert_int_equal(tell_other('r'), '+');
    mtct_assert_get(cache, "k", NULL);
    assert_int_equal(tell_other('s'), '+');
    mtct_assert_get(cache, "k", "theirs");
}

/* Loads what it read before the other process wrote. */
static mtc_status load_outdated(mtc_load *load, void *ctx)
{
    mtc_status status = mtc_load_set_value(load, mtc_str("outdated"));
    return tell_other(*(const char *)ctx) == '+' ? status : MTC_E_LOAD_FAILED;
}

/* Reads until memory has dropped what the disk tier refused. */
static void assert_outdated_goes(const char *expected)
{
    int64_t until_ms = mtci_boot_ms() + 20000;
    mtc_value value = {0};
    mtc_status status;
    bool is_outdated;
    do {
        mtc_value_free(&value);
        status = mtc_cache_get(cache, mtc_str("k"), &value);
        is_outdated = status == MTC_OK && value.size == 8;
        assert_true(mtci_boot_ms() < until_ms);
    } while (is_outdated);
    mtc_value_free(&value);
    mtct_assert_get(cache, "k", expected);
}

static void load_while_other_writes(const char *order)
{
    mtc_value value;
    assert_int_equal(mtc_cache_get_or_load(cache, mtc_str("k"), NULL,
                                           load_outdated, (void *)order,
                                           &value),
                     MTC_OK);
    assert_int_equal(value.size, 8);
    mtc_value_free(&value);
}

static void a_fill_after_the_others_remove_stays_nowhere(void **state)
{
    (void)state;
    load_while_other_writes("r");
    assert_outdated_goes(NULL);
    assert_int_equal(tell_other('?'), '-');
}

static void a_fill_after_the_others_set_gives_way_to_it(void **state)
{
    (void)state;
    load_while_other_writes("s");
    assert_outdated_goes("theirs");
    assert_int_equal(tell_other('?'), 't');
}

/* Not fresh any more, or soon not: then it is loaded anew. */
static void a_fill_in_place_of_a_stale_copy_stays_nowhere_either(void **state)
{
    (void)state;
    mtc_strategy strategy = MTC_STRATEGY_INIT(3600000);
    strategy.stale_ms = 3600000;
    assert_int_equal(mtc_cache_set(cache, mtc_str("k"), mtc_str("ours"),
                                   &strategy),
                     MTC_OK);
    assert_int_equal(mtc_cache_expire(cache, mtc_str("k")), MTC_OK);
    load_while_other_writes("r");
    assert_outdated_goes(NULL);
    assert_int_equal(tell_other('?'), '-');
}

static mtc_status load_in_peace(mtc_load *load, void *ctx)
{
    (void)ctx;
    return mtc_load_set_value(load, mtc_str("loaded"));
}

static void a_fill_that_nobody_disturbs_is_kept(void **state)
{
    (void)state;
    mtc_value value;
    char answer;
    assert_int_equal(mtc_cache_get_or_load(cache, mtc_str("k"), NULL,
                                           load_in_peace, NULL, &value),
                     MTC_OK);
    mtc_value_free(&value);
    int64_t until_ms = mtci_boot_ms() + 20000;
    while ((answer = tell_other('?')) == '-')
        assert_true(mtci_boot_ms() < until_ms);
    assert_int_equal(answer, 'l');
    mtct_assert_get(cache, "k", "loaded");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_one_process_sets_the_other_gets),
        TEST(a_fill_after_the_others_remove_stays_nowhere),
        TEST(a_fill_after_the_others_set_gives_way_to_it),
        TEST(a_fill_in_place_of_a_stale_copy_stays_nowhere_either),
        TEST(a_fill_that_nobody_disturbs_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
