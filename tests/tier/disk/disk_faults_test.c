/*
 * labels: quick unit
 *
 * Directories that cannot be used, disks that are full, files of another
 * boot, URLs that are wrong.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/disk_rig.h"
#include "tier/disk/vfs.h"
#include "tier/open.h"

/* Somebody who is not root, whose rights are looked at. */
#define NOBODY 65534

/* How a child ends that may not mount anything. */
#define MAY_NOT_MOUNT 77

/* Opens a URL as it is written. */
static mtc_status open_url(const char *text, mtc_error *error)
{
    int64_t options[8] = {0};
    mtc_tier *tier = NULL;
    mtci_url url;
    assert_int_equal(mtci_url_parse(text, NULL, &url), MTC_OK);
    mtci_options_default(mtci_disk_kind.options, options);
    mtc_status status = mtci_disk_kind.open(&url, options, error, &tier);
    mtci_url_fini(&url);
    if (tier)
        tier->ops->close(tier);
    return status;
}

static void a_wrong_url_is_refused_with_a_reason(void **state)
{
    (void)state;
    char text[700] = "disk:/tmp/";
    mtc_error error = {0};
    assert_int_equal(open_url("disk:", &error), MTC_E_INVALID);
    assert_non_null(strstr(error.text, "absolute"));
    assert_int_equal(open_url("disk:cache", &error), MTC_E_INVALID);
    assert_non_null(strstr(error.text, "absolute"));
    assert_int_equal(open_url("disk://host/cache", &error), MTC_E_INVALID);
    assert_non_null(strstr(error.text, "host"));
    memset(text + strlen(text), 'x', 600);
    assert_int_equal(open_url(text, &error), MTC_E_INVALID);
    assert_non_null(strstr(error.text, "400"));
}

static void directories_are_made_for_the_owner_alone(void **state)
{
    (void)state;
    disk_rig rig = {0};
    struct stat found;
    char top[64];
    disk_rig_open(&rig, NULL);
    disk_rig_close(&rig);
    memcpy(top, rig.dir, sizeof(top));
    snprintf(rig.dir, sizeof(rig.dir), "%.40s/a", top);
    strcat(rig.dir, "/b");
    disk_rig_open(&rig, NULL);
    assert_int_equal(disk_store(&rig, "k", 1), MTC_OK);
    assert_int_equal(stat(rig.dir, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0700);
    assert_int_equal(stat(disk_path(&rig, "cache.db"), &found), 0);
    assert_int_equal(found.st_mode & 0777, 0600);
    assert_int_equal(stat(disk_path(&rig, "cache.db-wal"), &found), 0);
    assert_int_equal(found.st_mode & 0777, 0600);
    disk_rig_close(&rig);
    disk_rig_clean(&rig);
    snprintf(rig.dir, sizeof(rig.dir), "%.40s/a", top);
    assert_int_equal(stat(rig.dir, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0700);
    disk_rig_clean(&rig);
    memcpy(rig.dir, top, sizeof(top));
    disk_rig_clean(&rig);
}

static void a_file_in_place_of_a_directory_is_refused(void **state)
{
    (void)state;
    disk_rig rig = {0};
    char text[160];
    mtc_error error = {0};
    disk_rig_open(&rig, NULL);
    disk_rig_close(&rig);
    snprintf(text, sizeof(text), "disk:%s/cache.lock/sub", rig.dir);
    assert_int_equal(open_url(text, &error), MTC_E_UNAVAILABLE);
    assert_non_null(strstr(error.text, "cache.lock"));
    assert_string_equal(error.part, "disk");
    disk_rig_clean(&rig);
}

/* In a child, which gives up its rights. */
static void open_without_rights(disk_rig *rig)
{
    mtc_error error = {0};
    if (geteuid() == 0)
        assert_int_equal(seteuid(NOBODY), 0);
    assert_int_equal(disk_rig_try(rig, NULL, &error), MTC_E_DENIED);
    assert_non_null(strstr(error.text, rig->dir));
}

static void a_directory_without_rights_is_denied(void **state)
{
    (void)state;
    disk_rig rig = {.dir = "/tmp/mtc-disk-XXXXXX"};
    assert_non_null(mkdtemp(rig.dir));
    assert_int_equal(chmod(rig.dir, 0555), 0);
    disk_child_join(disk_child(open_without_rights, &rig));
    assert_int_equal(chmod(rig.dir, 0700), 0);
    disk_rig_clean(&rig);
}

static void limit_files(rlim_t size)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* In a child, where files cannot grow beyond a limit for a while. */
static void fill_the_disk(disk_rig *rig)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    signal(SIGXFSZ, SIG_IGN);
    disk_rig_open(rig, NULL);
    assert_int_equal(disk_store(rig, "old", 1), MTC_OK);
    limit_files(200000);
    int failures = 0;
    for (unsigned v = 1; v <= 20; v++) {
        mtc_status status = disk_store_sized(rig, "big", v, 50000);
        assert_true(status == MTC_OK || status == MTC_E_UNAVAILABLE);
        failures += status != MTC_OK;
    }
    assert_true(failures > 0);
    assert_int_equal(disk_read(rig, "old", NULL), 1);
    limit_files(limit.rlim_cur);
    assert_int_equal(disk_store_sized(rig, "big", 99, 50000), MTC_OK);
    assert_int_equal(disk_read(rig, "big", NULL), 99);
    assert_int_equal(disk_read(rig, "old", NULL), 1);
    assert_int_equal(disk_usage_of(rig).damaged, 0);
    disk_rig_close(rig);
}

static void a_full_disk_is_unavailable_until_there_is_room(void **state)
{
    (void)state;
    disk_rig rig = {.dir = "/tmp/mtc-disk-XXXXXX"};
    assert_non_null(mkdtemp(rig.dir));
    disk_child_join(disk_child(fill_the_disk, &rig));
    disk_rig_open(&rig, NULL);
    assert_int_equal(disk_read(&rig, "big", NULL), 99);
    disk_rig_close(&rig);
    disk_rig_clean(&rig);
}

/* In a child with mounts of its own: a disk of a few pages, later of more. */
static void fill_a_small_disk(disk_rig *rig)
{
    if (unshare(CLONE_NEWNS) != 0 ||
        mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", rig->dir, "tmpfs", 0, "size=400k") != 0)
        _exit(MAY_NOT_MOUNT);
    disk_rig_open(rig, NULL);
    int failures = 0;
    for (unsigned v = 1; v <= 40; v++) {
        mtc_status status = disk_store_sized(rig, "big", v, 20000);
        assert_true(status == MTC_OK || status == MTC_E_UNAVAILABLE);
        failures += status != MTC_OK;
        disk_read(rig, "big", NULL);
    }
    assert_true(failures > 0);
    assert_int_equal(mount("tmpfs", rig->dir, "tmpfs", MS_REMOUNT, "size=10m"),
                     0);
    assert_int_equal(disk_store_sized(rig, "big", 99, 50000), MTC_OK);
    assert_int_equal(disk_read(rig, "big", NULL), 99);
    disk_rig_close(rig);
}

static void a_small_disk_is_unavailable_until_it_is_larger(void **state)
{
    (void)state;
    int status = -1;
    disk_rig rig = {.dir = "/tmp/mtc-disk-XXXXXX"};
    assert_non_null(mkdtemp(rig.dir));
    pid_t child = disk_child(fill_a_small_disk, &rig);
    assert_int_equal(waitpid(child, &status, 0), child);
    disk_rig_clean(&rig);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == MAY_NOT_MOUNT)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_failure_says_where_and_what(void **state)
{
    (void)state;
    disk_rig rig = {0};
    disk_rig_open(&rig, NULL);
    mtc_request request = disk_request(&rig, "k");
    /* A folder where the file should be: it cannot be opened. */
    assert_int_equal(unlink(disk_path(&rig, "cache.db")), 0);
    assert_int_equal(mkdir(disk_path(&rig, "cache.db"), 0700), 0);
    assert_int_equal(disk_ask(&rig, MTC_VERB_READ, &request),
                     MTC_E_UNAVAILABLE);
    assert_int_equal(rmdir(disk_path(&rig, "cache.db")), 0);
    assert_int_equal(disk_read(&rig, "k", NULL), 0);
    assert_int_equal(disk_store(&rig, "k", 1), MTC_OK);
    disk_rig_close(&rig);
    disk_rig_clean(&rig);
}

/* Changes the file behind the tier's back, checksums of pages included. */
static void change(disk_rig *rig, const char *sql)
{
    mtci_disk_vfs vfs;
    sqlite3 *db;
    assert_int_equal(mtci_disk_vfs_init(&vfs), SQLITE_OK);
    assert_int_equal(sqlite3_open_v2(disk_path(rig, "cache.db"), &db,
                                     SQLITE_OPEN_READWRITE, vfs.name),
                     SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    mtci_disk_vfs_fini(&vfs);
}

static void a_file_of_another_boot_is_emptied(void **state)
{
    (void)state;
    disk_rig rig = {0};
    disk_rig_open(&rig, NULL);
    assert_int_equal(disk_store(&rig, "k", 1), MTC_OK);
    disk_rig_close(&rig);
    change(&rig, "UPDATE state SET clock='another boot'");
    disk_rig_open(&rig, NULL);
    assert_int_equal(disk_read(&rig, "k", NULL), 0);
    assert_int_equal(disk_usage_of(&rig).entries, 0);
    assert_int_equal(disk_usage_of(&rig).damaged, 0);
    assert_int_equal(disk_store(&rig, "k", 2), MTC_OK);
    disk_rig_close(&rig);
    disk_rig_open(&rig, NULL);
    assert_int_equal(disk_read(&rig, "k", NULL), 2);
    disk_rig_close(&rig);
    disk_rig_clean(&rig);
}

static void spoil_frame(disk_rig *rig)
{
    change(rig, "UPDATE entries SET frame=CAST(substr(frame,1,"
                "length(frame)-1)||'?' AS BLOB) WHERE key=x'61';"
                "UPDATE entries SET frame=(SELECT frame FROM entries "
                "WHERE key=x'63') WHERE key=x'62'");
}

/* One byte wrong, and another key's frame: both are misses, cleared away. */
static void a_damaged_value_is_a_miss_and_counted(void **state)
{
    (void)state;
    disk_rig rig = {0};
    uint64_t ticket;
    disk_rig_open(&rig, NULL);
    assert_int_equal(disk_store(&rig, "a", 1), MTC_OK);
    assert_int_equal(disk_store(&rig, "b", 1), MTC_OK);
    assert_int_equal(disk_store(&rig, "c", 1), MTC_OK);
    disk_child_join(disk_child(spoil_frame, &rig));
    assert_int_equal(disk_read(&rig, "a", &ticket), 0);
    assert_int_equal(disk_usage_of(&rig).damaged, 1);
    assert_int_equal(disk_read(&rig, "a", NULL), 0);
    assert_int_equal(disk_read(&rig, "b", NULL), 0);
    assert_int_equal(disk_read(&rig, "c", NULL), 1);
    assert_int_equal(disk_usage_of(&rig).damaged, 2);
    assert_int_equal(disk_usage_of(&rig).entries, 1);
    assert_int_equal(disk_fill(&rig, "a", 2, ticket), MTC_OK);
    assert_int_equal(disk_read(&rig, "a", NULL), 2);
    disk_rig_close(&rig);
    disk_rig_clean(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_url_is_refused_with_a_reason),
        cmocka_unit_test(directories_are_made_for_the_owner_alone),
        cmocka_unit_test(a_file_in_place_of_a_directory_is_refused),
        cmocka_unit_test(a_directory_without_rights_is_denied),
        cmocka_unit_test(a_full_disk_is_unavailable_until_there_is_room),
        cmocka_unit_test(a_small_disk_is_unavailable_until_it_is_larger),
        cmocka_unit_test(a_failure_says_where_and_what),
        cmocka_unit_test(a_file_of_another_boot_is_emptied),
        cmocka_unit_test(a_damaged_value_is_a_miss_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
