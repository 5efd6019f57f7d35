/*
 * labels: unit
 *
 * Damage: flipped bytes, cut files, lost logs. Whatever happens to the file,
 * a key has its last value or none, and never an older one.
 *
 * A new file counts its versions from the microseconds since boot. The larger
 * they are the more bytes they take, and so they decide how full the pages are
 * and which write is the first to need an unused one. The files here have
 * versions of the test's choice, whatever the time of day.
 *
 * A sample of the bytes is flipped; MTC_TEST_FULL=1 flips a larger one, of
 * files with more kinds of versions.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/disk_rig.h"
#include "tier/disk/conn.h"
#include "tier/disk/place.h"
#include "tier/disk/vfs.h"

#define KEYS     30u
#define VERSIONS 3u
/* Shared by the files with different versions. */
#define SAMPLES 200u
/* More than the bytes of the file; the log has two million. */
#define SAMPLES_FULL 100000u
/* The header of the file and the table of tables, flipped whole. */
#define HEAD_SIZE 130u
#define PAGE      4096u
#define BIG_KEYS  700u
#define BIG_SIZE  9000u
/* A log's header, and a page in it with its own header. */
#define LOG_HEAD  32u
#define LOG_FRAME (PAGE + 24u)

/* The first versions that are tried: those of a boot five and nineteen hours
 * ago. In the first file the first write takes an unused page, in the second
 * only the fourth does. Then, in full, one of each length, and one that grows
 * longer on the way. */
static const int64_t starts[] = {
    INT64_C(1) << 34, INT64_C(1) << 36,        1,
    INT64_C(1) << 14, INT64_C(1) << 21,        INT64_C(1) << 28,
    INT64_C(1) << 42, (INT64_C(1) << 35) - 50,
};
#define STARTS_FULL (sizeof(starts) / sizeof(starts[0]))
#define STARTS      2u
#define PAGES_MAX   262144

/* The files of a tier, held in memory to be put back. */
typedef struct image {
    char *file;
    size_t file_size;
    char *log;
    size_t log_size;
    char *lock;
    size_t lock_size;
} image;

static const char *key_of(unsigned i)
{
    static char key[16];
    snprintf(key, sizeof(key), "key-%u", i);
    return key;
}

/* Every fifth key is removed at last. */
static unsigned last_of(unsigned i)
{
    return i % 5 == 0 ? 0 : VERSIONS;
}

static size_t size_of(unsigned i)
{
    return i % 7 == 3 ? 9000 : 40 * i;
}

static void fill(disk_rig *rig)
{
    for (unsigned v = 1; v <= VERSIONS; v++) {
        for (unsigned i = 0; i < KEYS; i++)
            assert_int_equal(disk_store_sized(rig, key_of(i), v, size_of(i)),
                             MTC_OK);
    }
    for (unsigned i = 0; i < KEYS; i += 5)
        assert_int_equal(disk_remove(rig, key_of(i)), MTC_OK);
}

/* Makes an empty file whose versions go on from start. */
static void make(disk_rig *rig, int64_t start)
{
    mtci_disk_vfs vfs;
    mtci_disk_place place;
    mtci_disk_conn *conn;
    disk_rig_open(rig, NULL);
    disk_rig_close(rig);
    assert_int_equal(unlink(disk_path(rig, "cache.db")), 0);
    assert_int_equal(mtci_disk_place_open(rig->dir, NULL, &place), MTC_OK);
    assert_int_equal(mtci_disk_vfs_init(&vfs), SQLITE_OK);
    assert_true(mtci_disk_place_create(&place));
    mtci_disk_how how = {.vfs = vfs.name, .pages_max = PAGES_MAX};
    assert_int_equal(mtci_disk_conn_open(&place, &how, &conn), SQLITE_OK);
    assert_int_equal(mtci_disk_conn_create(conn, place.clock, start),
                     SQLITE_OK);
    mtci_disk_conn_close(conn);
    mtci_disk_place_restart(&place, start);
    mtci_disk_vfs_fini(&vfs);
    mtci_disk_place_close(&place);
}

static void fill_and_close(disk_rig *rig)
{
    disk_rig_open(rig, NULL);
    fill(rig);
    disk_rig_close(rig);
}

static void fill_and_die(disk_rig *rig)
{
    disk_rig_open(rig, NULL);
    fill(rig);
    raise(SIGKILL);
}

static image image_take(const disk_rig *rig)
{
    image image;
    image.file = disk_bytes_load(disk_path(rig, "cache.db"), &image.file_size);
    image.log =
        disk_bytes_load(disk_path(rig, "cache.db-wal"), &image.log_size);
    image.lock =
        disk_bytes_load(disk_path(rig, "cache.lock"), &image.lock_size);
    assert_non_null(image.file);
    assert_non_null(image.log);
    assert_non_null(image.lock);
    return image;
}

static void image_free(image *image)
{
    free(image->file);
    free(image->log);
    free(image->lock);
}

static void image_put(const disk_rig *rig, const image *image)
{
    DIR *dir = opendir(rig->dir);
    assert_non_null(dir);
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL)
        unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
    disk_bytes_save(disk_path(rig, "cache.db"), image->file, image->file_size);
    disk_bytes_save(disk_path(rig, "cache.db-wal"), image->log,
                    image->log_size);
    disk_bytes_save(disk_path(rig, "cache.lock"), image->lock,
                    image->lock_size);
}

/* Each key has its last value or none. Returns how many have it. */
static unsigned check_all(disk_rig *rig, const char *what, size_t where)
{
    unsigned found = 0;
    for (unsigned i = 0; i < KEYS; i++) {
        unsigned version = disk_read(rig, key_of(i), NULL);
        if (version != 0 && version != last_of(i))
            fail_msg("%s %zu: %s is back as version %u", what, where, key_of(i),
                     version);
        found += version != 0;
    }
    return found;
}

/*
 * What is stored or removed once the damage was noticed holds, too.
 *
 * A page of the list of unused pages is needed by no read, and by a write only
 * when it takes or leaves a page. What was stored until then is in the file
 * that is set aside, and so absent; the write that notices the damage is done
 * again in the new file. The log tells of each file that is set aside.
 */
static void write_all(disk_rig *rig, const char *what, size_t where)
{
    unsigned logged[KEYS];
    for (unsigned i = 0; i < KEYS; i++) {
        if (i % 2)
            assert_int_equal(disk_store(rig, key_of(i), 9), MTC_OK);
        else
            assert_int_equal(disk_remove(rig, key_of(i)), MTC_OK);
        logged[i] = rig->log_count;
    }
    unsigned last = rig->log_count;
    for (unsigned i = 0; i < KEYS; i++) {
        bool is_stored = i % 2 && logged[i] == last;
        unsigned version = disk_read(rig, key_of(i), NULL);
        if (version != (is_stored ? 9 : 0))
            fail_msg("%s %zu: %s is version %u after a write", what, where,
                     key_of(i), version);
    }
    /* The reads found nothing more. */
    assert_int_equal(rig->log_count, last);
}

/* One damage sets aside one file at most. */
static unsigned use(disk_rig *rig, const char *what, size_t where)
{
    rig->log_count = 0;
    disk_rig_open(rig, NULL);
    unsigned found = check_all(rig, what, where);
    write_all(rig, what, where);
    assert_in_range(rig->log_count, 0, 1);
    disk_rig_close(rig);
    return found;
}

static bool is_full(void)
{
    const char *text = getenv("MTC_TEST_FULL");
    return text && text[0] == '1';
}

static size_t start_count(void)
{
    return is_full() ? STARTS_FULL : STARTS;
}

/* Flips bytes one at a time, a different bit each time; all eight in every
 * fifth byte. */
static void flip_each(disk_rig *rig, image *image, char *bytes, size_t size,
                      size_t samples)
{
    const char *what = bytes == image->file ? "file" : "log";
    size_t sparse = size / samples + 1;
    size_t kept = 0;
    size_t tries = 0;
    for (size_t i = 0; i < size; i += i < HEAD_SIZE ? 1 : sparse) {
        char mask = (char)(tries % 5 == 0 ? 0xff : 1u << tries % 8);
        bytes[i] = (char)(bytes[i] ^ mask);
        image_put(rig, image);
        bytes[i] = (char)(bytes[i] ^ mask);
        kept += use(rig, what, i);
        tries++;
    }
    print_message("%s: %zu flips, %zu of %zu values kept\n", what, tries, kept,
                  tries * (KEYS - KEYS / 5));
}

static void flip_file(int64_t start)
{
    disk_rig rig = {0};
    disk_rig_in_memory(&rig);
    make(&rig, start);
    fill_and_close(&rig);
    image image = image_take(&rig);
    assert_int_equal(image.log_size, 0);
    image_put(&rig, &image);
    assert_int_equal(use(&rig, "whole", 0), KEYS - KEYS / 5);
    assert_int_equal(rig.log_count, 0);
    flip_each(&rig, &image, image.file, image.file_size,
              (is_full() ? SAMPLES_FULL : SAMPLES) / start_count());
    image_free(&image);
    disk_rig_clean(&rig);
}

static void a_flipped_byte_gives_no_older_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < start_count(); i++)
        flip_file(starts[i]);
}

static void cut_file(int64_t start)
{
    disk_rig rig = {0};
    disk_rig_in_memory(&rig);
    make(&rig, start);
    fill_and_close(&rig);
    image whole = image_take(&rig);
    image cut = whole;
    for (size_t size = 0; size < whole.file_size; size += PAGE / 2) {
        cut.file_size = size;
        image_put(&rig, &cut);
        use(&rig, "cut to", size);
    }
    image_free(&whole);
    disk_rig_clean(&rig);
}

static void a_cut_file_gives_no_older_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < start_count(); i++)
        cut_file(starts[i]);
}

/* Files of a process that was killed: the log holds everything. */
static image killed_image(disk_rig *rig)
{
    int status;
    make(rig, starts[0]);
    pid_t child = disk_child(fill_and_die, rig);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    image image = image_take(rig);
    assert_true(image.log_size > LOG_FRAME);
    return image;
}

static void a_flipped_byte_of_the_log_gives_no_older_value(void **state)
{
    (void)state;
    disk_rig rig = {0};
    disk_rig_in_memory(&rig);
    image image = killed_image(&rig);
    image_put(&rig, &image);
    assert_int_equal(use(&rig, "whole log", 0), KEYS - KEYS / 5);
    flip_each(&rig, &image, image.log, image.log_size,
              is_full() ? SAMPLES_FULL : SAMPLES);
    image_free(&image);
    disk_rig_clean(&rig);
}

static void a_cut_log_gives_no_older_value(void **state)
{
    (void)state;
    disk_rig rig = {0};
    disk_rig_in_memory(&rig);
    image whole = killed_image(&rig);
    image cut = whole;
    size_t step = is_full() ? LOG_FRAME : 3 * LOG_FRAME;
    for (size_t size = 0; size < whole.log_size;
         size = size ? size + step : LOG_HEAD) {
        cut.log_size = size;
        image_put(&rig, &cut);
        use(&rig, "log cut to", size);
    }
    image_free(&whole);
    disk_rig_clean(&rig);
}

/* Copies that were set aside, their logs not counted. */
static unsigned copies_of(const disk_rig *rig)
{
    unsigned count = 0;
    struct dirent *entry;
    DIR *dir = opendir(rig->dir);
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        const char *name = strstr(entry->d_name, "damaged-");
        count += name && !strstr(name, "-wal") && !strstr(name, "-shm");
    }
    closedir(dir);
    return count;
}

static void a_file_of_garbage_is_set_aside_once(void **state)
{
    (void)state;
    disk_rig rig = {0};
    disk_rig_open(&rig, NULL);
    disk_rig_close(&rig);
    for (int i = 0; i < 3; i++) {
        disk_bytes_save(disk_path(&rig, "cache.db"), "not a database", 14);
        rig.log_count = 0;
        disk_rig_open(&rig, NULL);
        assert_int_equal(disk_usage_of(&rig).damaged, 1);
        assert_int_equal(rig.log_count, 1);
        assert_int_equal(disk_store(&rig, "k", 1), MTC_OK);
        assert_int_equal(disk_read(&rig, "k", NULL), 1);
        disk_rig_close(&rig);
        assert_int_equal(copies_of(&rig), 1);
    }
    disk_rig_clean(&rig);
}

/* Overwrites the middle of the file with zeros; in a process of its own,
 * since closing the file would drop this process's locks on it. */
static void spoil(disk_rig *rig)
{
    size_t size;
    char *bytes = disk_bytes_load(disk_path(rig, "cache.db"), &size);
    FILE *file = fopen(disk_path(rig, "cache.db"), "r+b");
    memset(bytes, 0, size);
    fseek(file, PAGE, SEEK_SET);
    fwrite(bytes, 1, size - PAGE, file);
    fclose(file);
    free(bytes);
}

/* More than SQLite keeps in memory, so that pages are read again. */
static void damage_to_an_open_file_is_noticed_and_mended(void **state)
{
    (void)state;
    disk_rig rig = {0};
    unsigned found = 0;
    disk_rig_open(&rig, NULL);
    for (unsigned i = 0; i < BIG_KEYS; i++)
        assert_int_equal(disk_store_sized(&rig, key_of(i), 1, BIG_SIZE),
                         MTC_OK);
    disk_rig_close(&rig);
    disk_rig_open(&rig, NULL);
    assert_int_equal(disk_read(&rig, key_of(0), NULL), 1);
    disk_child_join(disk_child(spoil, &rig));
    for (unsigned i = 0; i < BIG_KEYS; i++)
        found += disk_read(&rig, key_of(i), NULL);
    assert_true(found < BIG_KEYS);
    write_all(&rig, "spoilt", 0);
    assert_int_equal(disk_usage_of(&rig).damaged, 1);
    assert_int_equal(rig.log_count, 1);
    assert_int_equal(copies_of(&rig), 1);
    disk_rig_close(&rig);
    disk_rig_clean(&rig);
}

/* Somebody deletes the file while a tier has it open; another makes a new
 * one. Closing the first must not delete the new one's log. */
static void those_who_had_it_open_follow_to_the_new_file(void **state)
{
    (void)state;
    disk_rig rig = {0};
    uint64_t ticket;
    fill_and_close(&rig);
    disk_rig_open(&rig, NULL);
    assert_int_equal(disk_read(&rig, "nothing", &ticket), 0);
    disk_rig other = {.now_ms = rig.now_ms};
    memcpy(other.dir, rig.dir, sizeof(rig.dir));
    assert_int_equal(unlink(disk_path(&rig, "cache.db")), 0);
    disk_rig_open(&other, NULL);
    assert_int_equal(disk_store(&other, "fresh", 5), MTC_OK);
    assert_int_equal(disk_read(&rig, "fresh", NULL), 5);
    assert_int_equal(disk_read(&rig, key_of(1), NULL), 0);
    assert_int_equal(disk_fill(&rig, "nothing", 1, ticket), MTC_E_CANCELLED);
    assert_int_equal(disk_remove(&rig, "fresh"), MTC_OK);
    assert_int_equal(disk_read(&other, "fresh", NULL), 0);
    disk_rig_close(&rig);
    assert_int_equal(disk_store(&other, "fresh", 6), MTC_OK);
    disk_rig_close(&other);
    disk_rig_open(&other, NULL);
    assert_int_equal(disk_read(&other, "fresh", NULL), 6);
    disk_rig_close(&other);
    disk_rig_clean(&other);
}

static void a_deleted_directory_is_made_again(void **state)
{
    (void)state;
    disk_rig rig = {0};
    char dir[sizeof(rig.dir)];
    disk_rig_open(&rig, NULL);
    assert_int_equal(disk_store(&rig, "k", 1), MTC_OK);
    memcpy(dir, rig.dir, sizeof(dir));
    disk_rig_clean(&rig);
    memcpy(rig.dir, dir, sizeof(dir));
    assert_int_equal(disk_read(&rig, "k", NULL), 0);
    assert_int_equal(disk_store(&rig, "k", 2), MTC_OK);
    assert_int_equal(disk_read(&rig, "k", NULL), 2);
    disk_rig_close(&rig);
    disk_rig_clean(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flipped_byte_gives_no_older_value),
        cmocka_unit_test(a_cut_file_gives_no_older_value),
        cmocka_unit_test(a_flipped_byte_of_the_log_gives_no_older_value),
        cmocka_unit_test(a_cut_log_gives_no_older_value),
        cmocka_unit_test(a_file_of_garbage_is_set_aside_once),
        cmocka_unit_test(damage_to_an_open_file_is_noticed_and_mended),
        cmocka_unit_test(those_who_had_it_open_follow_to_the_new_file),
        cmocka_unit_test(a_deleted_directory_is_made_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
