/*
 * labels: quick unit
 *
 * The n-th operation on the file fails, alone or with all that follow, while a
 * script runs over the tier. What is read is right or absent, never older than
 * what was acknowledged, and the tier serves on once the fault is over.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sched.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "support/disk_rig.h"
#include "support/fault_vfs.h"

#define KEYS     4
#define LARGE    30000
#define LEASE_MS 5000
#define WAIT_MS  10000

/* The thread sanitizer takes its time. */
#ifdef __SANITIZE_THREAD__
#define STEP 13
#else
#define STEP 1
#endif

/* What a kind of failure may end a request as. */
static const fault_vfs_kind kinds[] = {
    {"write", FAULT_VFS_WRITE, SQLITE_IOERR_WRITE, false},
    {"half a write", FAULT_VFS_WRITE, SQLITE_IOERR_WRITE, true},
    {"write, full", FAULT_VFS_WRITE, SQLITE_FULL, false},
    {"half a write, full", FAULT_VFS_WRITE, SQLITE_FULL, true},
    {"read", FAULT_VFS_READ, SQLITE_IOERR_READ, false},
    {"half a read", FAULT_VFS_READ, SQLITE_IOERR_SHORT_READ, true},
    {"sync", FAULT_VFS_SYNC, SQLITE_IOERR_FSYNC, false},
    {"truncate", FAULT_VFS_TRUNCATE, SQLITE_IOERR_TRUNCATE, false},
    {"size", FAULT_VFS_SIZE, SQLITE_IOERR_FSTAT, false},
    {"lock, busy", FAULT_VFS_LOCK, SQLITE_BUSY, false},
    {"lock", FAULT_VFS_LOCK, SQLITE_IOERR_LOCK, false},
    {"unlock", FAULT_VFS_UNLOCK, SQLITE_IOERR_UNLOCK, false},
    {"map", FAULT_VFS_SHM_MAP, SQLITE_IOERR_SHMMAP, false},
    {"map, full", FAULT_VFS_SHM_MAP, SQLITE_IOERR_SHMSIZE, false},
    {"shared lock, busy", FAULT_VFS_SHM_LOCK, SQLITE_BUSY, false},
    {"shared lock", FAULT_VFS_SHM_LOCK, SQLITE_IOERR_SHMLOCK, false},
    {"open", FAULT_VFS_OPEN, SQLITE_CANTOPEN, false},
    {"open, io", FAULT_VFS_OPEN, SQLITE_IOERR, false},
    {"access", FAULT_VFS_ACCESS, SQLITE_IOERR_ACCESS, false},
};

/* -- what may be read ----------------------------------------------------- */

typedef struct trial {
    disk_rig rig;
    const fault_vfs_kind *kind;
    long n;
    bool goes_on;
    unsigned newest;      /* the version given out last */
    unsigned least[KEYS]; /* what is read must be this version at least */
} trial;

static const char *const names[KEYS] = {"a", "b", "c", "d"};

static void complain(const trial *trial, const char *what, int key)
{
    fail_msg("%s %ld%s: %s of %s", trial->kind->name, trial->n,
             trial->goes_on ? " and on" : "", what, names[key]);
}

static bool is_failure(mtc_status status)
{
    return status == MTC_E_UNAVAILABLE || status == MTC_E_TIMEOUT;
}

static mtc_request request_for(trial *trial, int key)
{
    mtc_request request = disk_request(&trial->rig, names[key]);
    /* Busy waits are the library's own and take real time. */
    request.deadline_ms = trial->rig.now_ms + (trial->goes_on ? 1 : 20);
    return request;
}

static mtc_status ask(trial *trial, mtc_verb verb, int key,
                      mtc_request *request)
{
    if (!trial->rig.tier)
        return MTC_E_UNAVAILABLE;
    mtc_status status = disk_ask(&trial->rig, verb, request);
    if (status < 0 && status != MTC_E_CANCELLED && !is_failure(status))
        complain(trial, mtc_status_name(status), key);
    return status;
}

static mtc_status read_key(trial *trial, int key, int64_t lease_ms,
                           uint64_t *ticket)
{
    mtc_request request = request_for(trial, key);
    request.lease_ms = lease_ms;
    mtc_status status = ask(trial, MTC_VERB_READ, key, &request);
    *ticket = request.lease_ms > 0 ? request.ticket : 0;
    if (status == MTC_OK) {
        unsigned version =
            disk_value_version(names[key], mtc_value_slice(&request.value));
        if (version < trial->least[key] || version > trial->newest)
            complain(trial, version ? "an older value" : "a wrong value", key);
        trial->least[key] = version;
    }
    mtc_value_free(&request.value);
    return status;
}

static mtc_status store_with(trial *trial, int key, size_t size,
                             uint64_t ticket)
{
    size_t length;
    mtc_request request = request_for(trial, key);
    char *bytes = disk_value_make(names[key], ++trial->newest, size, &length);
    request.value = mtc_value_borrow(mtc_bytes(bytes, length));
    request.ticket = ticket;
    mtc_status status = ask(trial, MTC_VERB_STORE, key, &request);
    free(bytes);
    if (status == MTC_OK)
        trial->least[key] = trial->newest;
    if (status == MTC_PARTIAL)
        trial->least[key] = trial->newest + 1;
    return status;
}

static void end(trial *trial, mtc_verb verb, int key)
{
    mtc_request request = request_for(trial, key);
    if (ask(trial, verb, key, &request) == MTC_OK)
        trial->least[key] = trial->newest + 1;
}

/* -- leases --------------------------------------------------------------- */

static _Atomic int done_count;

static void on_done(mtc_request *request)
{
    (void)request;
    atomic_fetch_add(&done_count, 1);
}

static mtc_status give_back(trial *trial, int key, uint64_t ticket)
{
    mtc_request request = request_for(trial, key);
    request.ticket = ticket;
    return ask(trial, MTC_VERB_REMOVE, key, &request);
}

/* A wait ends when the lease is given back, or is given up. */
static void await_lease(trial *trial, int key)
{
    uint64_t ticket = 0;
    mtc_request request = request_for(trial, key);
    mtc_request *requests = &request;
    if (read_key(trial, key, LEASE_MS, &ticket) != MTC_MISS || ticket == 0)
        return;
    request.done = on_done;
    request.deadline_ms += WAIT_MS;
    atomic_store(&done_count, 0);
    trial->rig.tier->ops->submit(trial->rig.tier, MTC_VERB_AWAIT, &requests, 1);
    if (give_back(trial, key, ticket) != MTC_OK)
        trial->rig.tier->ops->abandon(trial->rig.tier, &request);
    int64_t until_ms = mtci_boot_ms() + WAIT_MS;
    while (atomic_load(&done_count) == 0 && mtci_boot_ms() < until_ms)
        sched_yield();
    if (atomic_load(&done_count) != 1)
        complain(trial, "a wait that does not end", key);
}

static void fill_leased(trial *trial, int key)
{
    uint64_t ticket = 0;
    mtc_status status = read_key(trial, key, LEASE_MS, &ticket);
    if (status == MTC_MISS && ticket != 0)
        store_with(trial, key, 0, ticket);
}

/* -- the script ----------------------------------------------------------- */

static void read_all(trial *trial)
{
    uint64_t ticket;
    for (int key = 0; key < KEYS; key++)
        read_key(trial, key, 0, &ticket);
}

static void read_many(trial *trial)
{
    mtc_request all[KEYS];
    mtc_request *requests[KEYS];
    if (!trial->rig.tier)
        return;
    for (int key = 0; key < KEYS; key++) {
        all[key] = request_for(trial, key);
        requests[key] = &all[key];
    }
    trial->rig.tier->ops->submit(trial->rig.tier, MTC_VERB_READ, requests,
                                 KEYS);
    for (int key = 0; key < KEYS; key++) {
        unsigned version =
            all[key].status == MTC_OK
                ? disk_value_version(names[key],
                                     mtc_value_slice(&all[key].value))
                : trial->least[key];
        mtc_value_free(&all[key].value);
        if (version < trial->least[key])
            complain(trial, "an older value among many", key);
    }
}

static void reopen(trial *trial)
{
    mtc_error error = {0};
    disk_rig_close(&trial->rig);
    mtc_status status = disk_rig_try(&trial->rig, "1MiB", &error);
    if (status != MTC_OK && !is_failure(status))
        complain(trial, error.text, 0);
}

static void tend(trial *trial)
{
    if (trial->rig.tier)
        trial->rig.tier->ops->tend(trial->rig.tier, trial->rig.now_ms);
}

static void run(trial *trial)
{
    store_with(trial, 0, 0, 0);
    store_with(trial, 1, LARGE, 0);
    read_all(trial);
    end(trial, MTC_VERB_REMOVE, 0);
    store_with(trial, 1, 0, 0);
    fill_leased(trial, 2);
    end(trial, MTC_VERB_EXPIRE, 1);
    await_lease(trial, 3);
    read_many(trial);
    store_with(trial, 3, LARGE, 0);
    tend(trial);
    reopen(trial);
    read_all(trial);
    store_with(trial, 0, 0, 0);
}

/* Now that the fault is over, nothing is in the way any more. */
static void assert_serves(trial *trial)
{
    uint64_t ticket;
    trial->goes_on = false;
    if (!trial->rig.tier)
        disk_rig_open(&trial->rig, "1MiB");
    read_all(trial);
    for (int key = 0; key < KEYS; key++) {
        mtc_request request = disk_request(&trial->rig, names[key]);
        size_t length;
        char *bytes = disk_value_make(names[key], ++trial->newest, 0, &length);
        request.value = mtc_value_borrow(mtc_bytes(bytes, length));
        mtc_status status = ask(trial, MTC_VERB_STORE, key, &request);
        free(bytes);
        if (status != MTC_OK)
            complain(trial, request.failure ? request.failure : "a store", key);
        trial->least[key] = trial->newest;
        request = disk_request(&trial->rig, names[key]);
        status = ask(trial, MTC_VERB_READ, key, &request);
        mtc_value_free(&request.value);
        if (status != MTC_OK)
            complain(trial, "a read", key);
    }
    disk_rig_close(&trial->rig);
    disk_rig_open(&trial->rig, "1MiB");
    for (int key = 0; key < KEYS; key++) {
        if (read_key(trial, key, 0, &ticket) != MTC_OK)
            complain(trial, "a read after all", key);
    }
}

/* Whether an operation failed. */
static bool sweep_once(const fault_vfs_kind *kind, long n, bool goes_on)
{
    trial trial = {.kind = kind, .n = n, .goes_on = goes_on};
    disk_rig_in_memory(&trial.rig);
    disk_rig_open(&trial.rig, "1MiB");
    for (int key = 0; key < KEYS - 1; key++)
        store_with(&trial, key, 0, 0);
    fault_vfs_arm(kind, n, goes_on);
    run(&trial);
    bool has_failed = fault_vfs_disarm();
    assert_serves(&trial);
    disk_rig_close(&trial.rig);
    disk_rig_clean(&trial.rig);
    return has_failed;
}

static void every_failed_operation_leaves_right_values(void **state)
{
    long count = 0;
    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        for (int mode = 0; mode < 2; mode++) {
            long before = count;
            for (long n = 1; sweep_once(&kinds[i], n, mode == 1); n += STEP)
                count++;
            if (count == before)
                fail_msg("nothing to fail: %s", kinds[i].name);
        }
    }
    print_message("%ld failures\n", count);
}

static int set_up(void **state)
{
    (void)state;
    fault_vfs_register();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fault_vfs_unregister();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_failed_operation_leaves_right_values),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
