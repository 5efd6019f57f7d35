/*
 * Forked children of a program with a disk tier. SQLite keeps the locks of a
 * process in its memory, which a child inherits together with the locks of
 * threads that it does not have: a child is told so, whatever the parent's
 * threads were doing, and may open the tier when the parent had closed it.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mtc/stats.h"
#include "support/callers.h"
#include "support/disk_rig.h"
#include "support/stamp.h"
#include "support/tier_call.h"

#define THREADS    4
#define CHILDREN   20
#define KEYS       8 /* of each writer */
#define VALUE_SIZE 3000
#define HANG_S     30

static disk_rig rig;
static char tiers[96];
static mtc_cache *cache;
static _Atomic bool is_over;

static int setup(void **state)
{
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    (void)state;
    unsetenv("MTC_TIERS");
    unsetenv("REDIS_URL");
    rig = (disk_rig){0};
    disk_rig_in_memory(&rig);
    if (rig.dir[0] == '\0')
        return -1;
    snprintf(tiers, sizeof tiers, "disk:%s?deadline=20s", rig.dir);
    options.tiers = tiers;
    options.log_level = 5;
    return mtc_cache_open(&options, NULL, &cache) == MTC_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    if (cache)
        mtc_cache_close(&cache);
    disk_rig_clean(&rig);
    return 0;
}

/* Sets, gets and removes keys that nobody else writes; what was wrong first. */
static const char *use(mtc_cache *own, uint32_t writer, uint32_t round)
{
    char text[24], bytes[VALUE_SIZE];
    uint32_t stamp = 0;
    mtc_value value;
    uint32_t key = writer * KEYS + round % KEYS;
    mtc_slice name = mtct_key(key, text);
    mtct_stamp_write(bytes, sizeof bytes, key, round);
    if (mtc_cache_set(own, name, mtc_bytes(bytes, sizeof bytes), NULL) !=
        MTC_OK)
        return "a set failed";
    if (mtc_cache_get(own, name, &value) != MTC_OK)
        return "a value that was set is not there";
    bool is_right =
        mtct_stamp_read(mtc_value_slice(&value), key, &stamp) && stamp == round;
    mtc_value_free(&value);
    if (!is_right)
        return "a wrong or an older value";
    if (round % 5 == 0 && mtc_cache_remove(own, name) != MTC_OK)
        return "a removal failed";
    return NULL;
}

static void *work(void *ctx)
{
    const char *wrong = NULL;
    uint32_t writer = (uint32_t)(uintptr_t)ctx;
    for (uint32_t i = 1; !wrong && !atomic_load(&is_over); i++)
        wrong = use(cache, writer, i);
    return (void *)(uintptr_t)wrong;
}

/* Whether a disk tier that was asked for is refused, and the default cache is
 * memory alone and says why. */
static bool is_told(void)
{
    mtc_cache *own;
    mtc_error error;
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    mtc_health health = {.struct_size = sizeof health};
    options.log_level = 5;
    options.tiers = tiers;
    if (mtc_cache_open(&options, &error, &own) != MTC_E_FORKED || own ||
        !strstr(error.text, "forked child"))
        return false;
    options.tiers = NULL;
    if (mtc_cache_open(&options, &error, &own) != MTC_OK)
        return false;
    bool is_alone = mtc_cache_health(own, &health) == MTC_OK &&
                    health.tier_count == 1 &&
                    strstr(health.note, "forked child");
    return mtc_cache_close(&own) == MTC_OK && is_alone;
}

/* A hang ends with SIGALRM. */
static _Noreturn void be_told(void)
{
    alarm(HANG_S);
    if (!is_told())
        _exit(2);
    _exit(mtc_cache_close(&cache) == MTC_OK ? 0 : 3);
}

static int status_of(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void a_child_is_told_while_its_parent_works(void **state)
{
    pthread_t threads[THREADS];
    (void)state;
#if defined __SANITIZE_THREAD__ || defined __SANITIZE_ADDRESS__
    skip(); /* their allocators are not ready for it: see fork_test.c */
#endif
    atomic_store(&is_over, false);
    for (size_t i = 0; i < THREADS; i++)
        threads[i] = mtct_thread_start(work, (void *)i);
    int bad = 0;
    for (int i = 0; i < CHILDREN; i++) {
        pid_t child = fork();
        if (child == 0)
            be_told();
        bad += status_of(child) != 0;
    }
    atomic_store(&is_over, true);
    for (size_t i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        if (wrong)
            fail_msg("thread %zu: %s", i, (const char *)wrong);
    }
    assert_int_equal(bad, 0);
}

static _Noreturn void be_user(uint32_t writer)
{
    mtc_cache *own;
    const char *wrong = NULL;
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    alarm(HANG_S);
    options.tiers = tiers;
    options.log_level = 5;
    if (mtc_cache_open(&options, NULL, &own) != MTC_OK)
        _exit(2);
    for (uint32_t i = 1; !wrong && i <= 20; i++)
        wrong = use(own, writer, i);
    _exit(wrong || mtc_cache_close(&own) != MTC_OK ? 3 : 0);
}

static void children_share_a_directory_that_their_parent_had_closed(void **s)
{
    pid_t children[4];
    (void)s;
    assert_null(use(cache, 0, 1));
    assert_int_equal(mtc_cache_close(&cache), MTC_OK);
    for (uint32_t i = 0; i < 4; i++) {
        children[i] = fork();
        if (children[i] == 0)
            be_user(i);
    }
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(status_of(children[i]), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_child_is_told_while_its_parent_works),
        TEST(children_share_a_directory_that_their_parent_had_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
