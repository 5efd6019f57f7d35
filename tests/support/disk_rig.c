/*
 * A disk tier for tests; see disk_rig.h.
 */
#include "support/disk_rig.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "tier/open.h"

#define VALUE_SEED 7u

static int64_t rig_now_ms(void *ctx)
{
    const disk_rig *rig = ctx;
    return rig->now_ms;
}

static void rig_log(void *ctx, mtc_log_level level, const char *text)
{
    disk_rig *rig = ctx;
    (void)level;
    (void)text;
    rig->log_count++;
}

mtc_status disk_rig_try(disk_rig *rig, const char *size, mtc_error *error)
{
    int64_t options[8] = {0};
    mtci_url url;
    mtci_url_param param = {"size", size};
    bool known = true;
    char text[96];
    if (rig->dir[0] == '\0') {
        snprintf(rig->dir, sizeof(rig->dir), "/tmp/mtc-disk-XXXXXX");
        assert_non_null(mkdtemp(rig->dir));
    }
    if (rig->now_ms == 0)
        rig->now_ms = DISK_START_MS;
    snprintf(text, sizeof(text), "disk:%s", rig->dir);
    assert_int_equal(mtci_url_parse(text, NULL, &url), MTC_OK);
    assert_true(mtci_disk_kind.options_size <= sizeof(options));
    mtci_options_default(mtci_disk_kind.options, options);
    if (size)
        assert_int_equal(mtci_options_set(mtci_disk_kind.options, &param, NULL,
                                          options, &known),
                         MTC_OK);
    rig->tier = NULL;
    mtc_status status = mtci_disk_kind.open(&url, options, error, &rig->tier);
    mtci_url_fini(&url);
    rig->host = (mtc_tier_host){.struct_size = sizeof(mtc_tier_host),
                                .value_size_max = 64u << 20,
                                .ctx = rig,
                                .now_ms = rig_now_ms,
                                .log = rig_log};
    if (status == MTC_OK)
        status = rig->tier->ops->attach(rig->tier, &rig->host);
    return status;
}

void disk_rig_in_memory(disk_rig *rig)
{
    snprintf(rig->dir, sizeof(rig->dir), "/dev/shm/mtc-disk-XXXXXX");
    if (!mkdtemp(rig->dir))
        rig->dir[0] = '\0';
}

void disk_rig_open(disk_rig *rig, const char *size)
{
    mtc_error error = {0};
    if (disk_rig_try(rig, size, &error) != MTC_OK)
        fail_msg("the tier did not open: %s", error.text);
}

void disk_rig_close(disk_rig *rig)
{
    if (rig->tier)
        rig->tier->ops->close(rig->tier);
    rig->tier = NULL;
}

void disk_rig_clean(disk_rig *rig)
{
    DIR *dir = rig->dir[0] ? opendir(rig->dir) : NULL;
    if (!dir)
        return;
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL)
        unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
    rmdir(rig->dir);
    rig->dir[0] = '\0';
}

/* The tier completes what the rig asks on the thread that submits. */
static _Thread_local int done_count;

static void on_done(mtc_request *request)
{
    (void)request;
    done_count++;
}

mtc_request disk_request(const disk_rig *rig, const char *key)
{
    return (mtc_request){
        .key = mtc_str(key),
        .facts = {.left_ms = DISK_LIFE_MS, .ttl_ms = DISK_LIFE_MS},
        .sent_ms = rig->now_ms,
        .deadline_ms = rig->now_ms + DISK_DEADLINE_MS,
        .done = on_done,
    };
}

mtc_status disk_ask(disk_rig *rig, mtc_verb verb, mtc_request *request)
{
    done_count = 0;
    rig->tier->ops->submit(rig->tier, verb, &request, 1);
    assert_int_equal(done_count, 1);
    return request->status;
}

char *disk_value_make(const char *key, unsigned version, size_t size,
                      size_t *length)
{
    size_t least = strlen(key) + 64;
    char *bytes = calloc(1, size > least ? size : least);
    assert_non_null(bytes);
    int count = snprintf(bytes, least, "%u %s ", version, key);
    uint64_t hash = mtci_hash(mtc_bytes(bytes, (size_t)count), VALUE_SEED);
    count += snprintf(bytes + count, least - (size_t)count, "%016llx",
                      (unsigned long long)hash);
    *length = size > (size_t)count ? size : (size_t)count;
    for (size_t i = (size_t)count; i < *length; i++)
        bytes[i] = (char)(hash >> (i % 8 * 8));
    return bytes;
}

unsigned disk_value_version(const char *key, mtc_slice bytes)
{
    size_t length;
    char head[16] = {0};
    memcpy(head, bytes.data, bytes.size < 15 ? bytes.size : 15);
    unsigned version = (unsigned)strtoul(head, NULL, 10);
    char *wanted = disk_value_make(key, version, bytes.size, &length);
    bool is_same =
        length == bytes.size && memcmp(wanted, bytes.data, length) == 0;
    free(wanted);
    return is_same ? version : 0;
}

static mtc_status store(disk_rig *rig, mtc_request *request, unsigned version,
                        size_t size)
{
    size_t length;
    char key[128];
    snprintf(key, sizeof(key), "%.*s", (int)request->key.size,
             (const char *)request->key.data);
    char *bytes = disk_value_make(key, version, size, &length);
    request->value = mtc_value_borrow(mtc_bytes(bytes, length));
    mtc_status status = disk_ask(rig, MTC_VERB_STORE, request);
    free(bytes);
    return status;
}

mtc_status disk_store_sized(disk_rig *rig, const char *key, unsigned version,
                            size_t size)
{
    mtc_request request = disk_request(rig, key);
    return store(rig, &request, version, size);
}

mtc_status disk_store(disk_rig *rig, const char *key, unsigned version)
{
    return disk_store_sized(rig, key, version, 0);
}

mtc_status disk_fill(disk_rig *rig, const char *key, unsigned version,
                     uint64_t ticket)
{
    mtc_request request = disk_request(rig, key);
    request.ticket = ticket;
    return store(rig, &request, version, 0);
}

mtc_status disk_remove(disk_rig *rig, const char *key)
{
    mtc_request request = disk_request(rig, key);
    return disk_ask(rig, MTC_VERB_REMOVE, &request);
}

unsigned disk_read(disk_rig *rig, const char *key, uint64_t *ticket)
{
    mtc_request request = disk_request(rig, key);
    mtc_status status = disk_ask(rig, MTC_VERB_READ, &request);
    if (ticket)
        *ticket = request.ticket;
    if (status == MTC_MISS) {
        assert_true(request.ticket != 0);
        return 0;
    }
    if (status != MTC_OK)
        fail_msg("reading %s ended as %s: %s", key, mtc_status_name(status),
                 request.failure ? request.failure : "");
    unsigned version = disk_value_version(key, mtc_value_slice(&request.value));
    mtc_value_free(&request.value);
    if (version == 0)
        fail_msg("a wrong value for %s", key);
    return version;
}

mtc_tier_usage disk_usage_of(disk_rig *rig)
{
    mtc_tier_usage usage;
    rig->tier->ops->usage(rig->tier, &usage);
    return usage;
}

const char *disk_path(const disk_rig *rig, const char *name)
{
    static char path[160];
    snprintf(path, sizeof(path), "%s/%s", rig->dir, name);
    return path;
}

pid_t disk_child(void (*body)(disk_rig *rig), disk_rig *rig)
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child != 0)
        return child;
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    body(rig);
    _exit(0);
}

void disk_child_join(pid_t child)
{
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

char *disk_bytes_load(const char *path, size_t *size)
{
    *size = 0;
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    fseek(file, 0, SEEK_END);
    size_t length = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(length + 1);
    assert_non_null(bytes);
    *size = fread(bytes, 1, length, file);
    fclose(file);
    return bytes;
}

void disk_bytes_save(const char *path, const char *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}
