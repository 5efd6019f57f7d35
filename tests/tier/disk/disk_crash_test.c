/*
 * labels: unit
 *
 * Processes that are killed, run side by side, or stop in the middle.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/disk_rig.h"

#define SETS   10000u
#define KEYS   500u
#define ROUNDS 4u

/* Shared with children: how far they are, and a go. */
typedef struct progress {
    _Atomic unsigned stored;
    _Atomic unsigned versions[KEYS]; /* acknowledged, per key */
    _Atomic int is_going;
} progress;

static progress *shared;

static int share(void **state)
{
    (void)state;
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return shared == MAP_FAILED;
}

static int unshare_it(void **state)
{
    (void)state;
    return munmap(shared, sizeof(*shared));
}

static const char *key_of(unsigned i)
{
    static char key[32];
    snprintf(key, sizeof(key), "key-%u", i);
    return key;
}

static void nap(void)
{
    const struct timespec step = {0, 1000000};
    nanosleep(&step, NULL);
}

static void kill_and_reap(pid_t child)
{
    int status;
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* Sets every key in turn; each tenth set is a remove, shown as version 0. */
static void set_many(disk_rig *rig)
{
    disk_rig_open(rig, NULL);
    for (unsigned n = 1; n <= SETS; n++) {
        unsigned key = n % KEYS;
        if (n % 10 == 0)
            assert_int_equal(disk_remove(rig, key_of(key)), MTC_OK);
        else
            assert_int_equal(disk_store_sized(rig, key_of(key), n, n % 3000),
                             MTC_OK);
        atomic_store(&shared->versions[key], n % 10 == 0 ? 0 : n);
        atomic_store(&shared->stored, n);
        if (n % 100 == 0)
            rig->tier->ops->tend(rig->tier, rig->now_ms);
    }
    /* Not reached before the parent kills this. */
    for (;;)
        pause();
}

/* What was acknowledged is there, or the one set that was under way. */
static void check_after_kill(disk_rig *rig)
{
    unsigned last = atomic_load(&shared->stored);
    for (unsigned i = 0; i < KEYS; i++) {
        unsigned version = disk_read(rig, key_of(i), NULL);
        unsigned wanted = atomic_load(&shared->versions[i]);
        if (version != wanted && (last + 1) % KEYS != i)
            fail_msg("%s is %u, not %u", key_of(i), version, wanted);
    }
}

static void a_killed_process_leaves_every_value_right(void **state)
{
    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        disk_rig rig = {0};
        memset(shared, 0, sizeof(*shared));
        disk_rig_open(&rig, NULL);
        disk_rig_close(&rig);
        pid_t child = disk_child(set_many, &rig);
        while (atomic_load(&shared->stored) < SETS / ROUNDS * (round + 1) - 99)
            nap();
        kill_and_reap(child);
        int64_t before_ms = mtci_boot_ms();
        disk_rig_open(&rig, NULL);
        assert_int_equal(disk_usage_of(&rig).damaged, 0);
        print_message("killed after %u sets, open in %d ms\n",
                      atomic_load(&shared->stored),
                      (int)(mtci_boot_ms() - before_ms));
        check_after_kill(&rig);
        assert_int_equal(disk_store(&rig, "after", 1), MTC_OK);
        disk_rig_close(&rig);
        disk_rig_clean(&rig);
    }
}

static void wait_for_go(void)
{
    while (!atomic_load(&shared->is_going))
        nap();
}

/* Both write the same keys; each reads what either wrote. */
static void contend(disk_rig *rig)
{
    disk_rig_open(rig, NULL);
    atomic_fetch_add(&shared->stored, 1);
    wait_for_go();
    for (unsigned n = 1; n <= 1500; n++) {
        const char *key = key_of(n % 37);
        assert_int_equal(disk_store_sized(rig, key, n, n % 2000), MTC_OK);
        disk_read(rig, key_of(n % 31), NULL);
        if (n % 50 == 0)
            rig->tier->ops->tend(rig->tier, rig->now_ms);
    }
    disk_rig_close(rig);
}

static void two_processes_store_at_once(void **state)
{
    (void)state;
    disk_rig rig = {0};
    memset(shared, 0, sizeof(*shared));
    disk_rig_open(&rig, NULL);
    disk_rig_close(&rig);
    pid_t first = disk_child(contend, &rig);
    pid_t second = disk_child(contend, &rig);
    while (atomic_load(&shared->stored) < 2)
        nap();
    atomic_store(&shared->is_going, 1);
    disk_child_join(first);
    disk_child_join(second);
    disk_rig_open(&rig, NULL);
    for (unsigned i = 0; i < 37; i++)
        assert_true(disk_read(&rig, key_of(i), NULL) > 1400);
    assert_int_equal(disk_usage_of(&rig).damaged, 0);
    assert_int_equal(disk_usage_of(&rig).entries, 37);
    disk_rig_close(&rig);
    disk_rig_clean(&rig);
}

/* Many processes find no file, or a bad one, at the same moment. */
static void open_and_store(disk_rig *rig)
{
    wait_for_go();
    disk_rig_open(rig, NULL);
    assert_int_equal(disk_store(rig, key_of((unsigned)getpid()), 1), MTC_OK);
    assert_int_equal(disk_read(rig, key_of((unsigned)getpid()), NULL), 1);
    disk_rig_close(rig);
}

static void many_processes_replace_a_bad_file_once(void **state)
{
    (void)state;
    pid_t children[8];
    for (int round = 0; round < 4; round++) {
        disk_rig rig = {0};
        memset(shared, 0, sizeof(*shared));
        disk_rig_open(&rig, NULL);
        disk_rig_close(&rig);
        if (round % 2)
            disk_bytes_save(disk_path(&rig, "cache.db"), "garbage", 7);
        else
            unlink(disk_path(&rig, "cache.db"));
        for (int i = 0; i < 8; i++)
            children[i] = disk_child(open_and_store, &rig);
        atomic_store(&shared->is_going, 1);
        for (int i = 0; i < 8; i++)
            disk_child_join(children[i]);
        disk_rig_open(&rig, NULL);
        for (int i = 0; i < 8; i++)
            assert_int_equal(disk_read(&rig, key_of((unsigned)children[i]),
                                       NULL),
                             1);
        disk_rig_close(&rig);
        disk_rig_clean(&rig);
    }
}

/* Stops itself inside a write transaction. */
static void stop_while_writing(disk_rig *rig)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(disk_path(rig, "cache.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL),
                     SQLITE_OK);
    raise(SIGSTOP);
}

static int64_t run_until_deadline(disk_rig *rig, mtc_verb verb,
                                  mtc_status wanted)
{
    mtc_request request = disk_request(rig, "k");
    int64_t begun_ms = mtci_boot_ms();
    rig->now_ms = begun_ms;
    request.sent_ms = begun_ms;
    request.deadline_ms = begun_ms + 200;
    request.value = mtc_value_borrow(mtc_str("x"));
    assert_int_equal(disk_ask(rig, verb, &request), wanted);
    return mtci_boot_ms() - begun_ms;
}

/* The clock is the real one here, since SQLite's waiting is. The upper bound
 * is wide for slow machines; it shows that the wait is one deadline. */
static void a_stopped_writer_costs_the_deadline(void **state)
{
    (void)state;
    disk_rig rig = {.now_ms = mtci_boot_ms()};
    int status;
    disk_rig_open(&rig, NULL);
    assert_int_equal(disk_store(&rig, "read", 3), MTC_OK);
    pid_t child = disk_child(stop_while_writing, &rig);
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSTOPPED(status));
    int64_t spent_ms = run_until_deadline(&rig, MTC_VERB_STORE, MTC_E_TIMEOUT);
    assert_in_range(spent_ms, 150, 2000);
    spent_ms = run_until_deadline(&rig, MTC_VERB_REMOVE, MTC_E_TIMEOUT);
    assert_in_range(spent_ms, 150, 2000);
    assert_int_equal(disk_read(&rig, "read", NULL), 3);
    disk_rig other = rig;
    disk_rig_open(&other, NULL);
    assert_int_equal(disk_read(&other, "read", NULL), 3);
    disk_rig_close(&other);
    kill_and_reap(child);
    run_until_deadline(&rig, MTC_VERB_STORE, MTC_OK);
    disk_rig_close(&rig);
    disk_rig_clean(&rig);
}

/* Stops itself inside a read, which keeps the log from being emptied. */
static void stop_while_reading(disk_rig *rig)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(disk_path(rig, "cache.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN;SELECT * FROM state", NULL, NULL,
                                  NULL),
                     SQLITE_OK);
    raise(SIGSTOP);
}

static void a_stopped_reader_does_not_let_the_log_grow_for_ever(void **state)
{
    (void)state;
    disk_rig rig = {0};
    struct stat file;
    int status;
    off_t most = 0;
    disk_rig_open(&rig, NULL);
    assert_int_equal(disk_store(&rig, "k", 1), MTC_OK);
    pid_t child = disk_child(stop_while_reading, &rig);
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSTOPPED(status));
    unsigned version = 1;
    for (unsigned n = 1; n <= 160; n++) {
        version = n;
        assert_int_equal(disk_store_sized(&rig, "k", n, 1 << 20), MTC_OK);
        rig.tier->ops->tend(rig.tier, rig.now_ms);
        if (stat(disk_path(&rig, "cache.db-wal"), &file) == 0 &&
            file.st_size > most)
            most = file.st_size;
    }
    print_message("longest log: %d MiB\n", (int)(most >> 20));
    assert_true(most < 200 << 20);
    assert_int_equal(disk_read(&rig, "k", NULL), version);
    kill_and_reap(child);
    disk_rig_close(&rig);
    disk_rig_clean(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_process_leaves_every_value_right),
        cmocka_unit_test(two_processes_store_at_once),
        cmocka_unit_test(many_processes_replace_a_bad_file_once),
        cmocka_unit_test(a_stopped_writer_costs_the_deadline),
        cmocka_unit_test(a_stopped_reader_does_not_let_the_log_grow_for_ever),
    };
    return cmocka_run_group_tests(tests, share, unshare_it);
}
