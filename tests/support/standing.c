/*
 * What is checked after each test; see standing.h.
 */
#include "support/standing.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/inventory.h"

/* Tests run one after the other, in the order of their table. */
static struct {
    const struct CMUnitTest *tests;
    size_t count;
    size_t next;
    const struct CMUnitTest *current;
    mtct_inventory before;
    bool shares_connections;
} standing;

void mtct_standing_shares_connections(void)
{
    standing.shares_connections = true;
}

static int begin(void **state)
{
    assert_true(standing.next < standing.count);
    standing.current = &standing.tests[standing.next++];
    standing.before = mtct_inventory_take();
    return standing.current->setup_func ? standing.current->setup_func(state)
                                        : 0;
}

static bool is_nothing_left(char *text, size_t size)
{
    mtct_inventory now;
    mtct_inventory wanted = standing.before;
    if (standing.shares_connections)
        wanted.descriptors = MTCT_INVENTORY_ANY;
    if (mtct_inventory_await(&wanted, &now))
        return true;
    snprintf(text, size, "left behind: %d descriptors, %d threads",
             now.descriptors - standing.before.descriptors,
             now.threads - standing.before.threads);
    return false;
}

static int end(void **state)
{
    char left[80];
    int result = standing.current->teardown_func
                     ? standing.current->teardown_func(state)
                     : 0;
    if (!is_nothing_left(left, sizeof(left)))
        fail_msg("%s", left);
    return result;
}

int __real__cmocka_run_group_tests(const char *name,
                                   const struct CMUnitTest *tests, size_t count,
                                   CMFixtureFunction set_up,
                                   CMFixtureFunction tear_down);
int __wrap__cmocka_run_group_tests(const char *name,
                                   const struct CMUnitTest *tests, size_t count,
                                   CMFixtureFunction set_up,
                                   CMFixtureFunction tear_down);

int __wrap__cmocka_run_group_tests(const char *name,
                                   const struct CMUnitTest *tests, size_t count,
                                   CMFixtureFunction set_up,
                                   CMFixtureFunction tear_down)
{
    char left[80];
    struct CMUnitTest *checked = calloc(count, sizeof(*checked));
    if (!checked)
        abort();
    for (size_t i = 0; i < count; i++) {
        checked[i] = tests[i];
        checked[i].setup_func = begin;
        checked[i].teardown_func = end;
    }
    standing.tests = tests;
    standing.count = count;
    standing.next = 0;
    mtct_inventory before = mtct_inventory_take();
    int failed =
        __real__cmocka_run_group_tests(name, checked, count, set_up, tear_down);
    free(checked);
    standing.before = before;
    standing.shares_connections = false;
    if (failed == 0 && !is_nothing_left(left, sizeof(left))) {
        print_error("after all tests, %s\n", left);
        return 1;
    }
    return failed;
}
