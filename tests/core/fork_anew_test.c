/*
 * Forked children that close the cache of their parent and open one of their
 * own, while the parent's threads were in the middle of calls: what these
 * threads held then is nobody's in the child.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "support/cache_fixture.h"
#include "support/callers.h"

#define THREADS 4
#define HANG_S  30

static mtc_cache *cache;
static _Atomic bool is_over;

static mtc_cache *open_memory(void)
{
    mtc_cache *opened = NULL;
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    options.tiers = "memory?size=4MiB";
    options.log_level = 5;
    return mtc_cache_open(&options, NULL, &opened) == MTC_OK ? opened : NULL;
}

static mtc_status load_value(mtc_load *load, void *ctx)
{
    (void)ctx;
    return mtc_load_set_value(load, mtc_str("loaded"));
}

/* Hits, and loads: the places where a thread holds what all threads share. */
static bool use(mtc_cache *own)
{
    mtc_value value;
    mtct_caller loading = {.cache = own, .key = "l", .loader = load_value};
    if (mtc_cache_set(own, mtc_str("k"), mtc_str("v"), NULL) != MTC_OK)
        return false;
    for (int i = 0; i < 20; i++) {
        if (mtc_cache_get(own, mtc_str("k"), &value) != MTC_OK)
            return false;
        mtc_value_free(&value);
    }
    mtct_caller_run(&loading);
    return loading.status == MTC_OK &&
           mtc_cache_remove(own, mtc_str("l")) == MTC_OK;
}

static void *work(void *ctx)
{
    bool is_well = true;
    while (is_well && !atomic_load(&is_over))
        is_well = use(cache);
    return is_well ? NULL : ctx;
}

/* A hang ends with SIGALRM. */
static _Noreturn void be_child(void)
{
    alarm(HANG_S);
    if (mtc_cache_close(&cache) != MTC_OK)
        _exit(2);
    mtc_cache *own = open_memory();
    if (!own || !use(own))
        _exit(3);
    _exit(mtc_cache_close(&own) == MTC_OK ? 0 : 4);
}

static void a_child_opens_a_cache_of_its_own(void **state)
{
    pthread_t threads[THREADS];
    int bad = 0;
    (void)state;
#if defined __SANITIZE_THREAD__ || defined __SANITIZE_ADDRESS__
    skip(); /* their allocators are not ready for it: see fork_test.c */
#endif
    cache = open_memory();
    assert_non_null(cache);
    atomic_store(&is_over, false);
    for (size_t i = 0; i < THREADS; i++)
        threads[i] = mtct_thread_start(work, &threads[i]);
    for (unsigned i = 0; i < mtct_rounds(100) && bad == 0; i++) {
        int status;
        pid_t child = fork();
        if (child == 0)
            be_child();
        assert_int_equal(waitpid(child, &status, 0), child);
        if (status != 0)
            print_error("child %u: status %x\n", i, (unsigned)status);
        bad += status != 0;
    }
    atomic_store(&is_over, true);
    for (size_t i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        bad += wrong != NULL;
    }
    assert_int_equal(bad, 0);
    assert_int_equal(mtc_cache_close(&cache), MTC_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_opens_a_cache_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
