/*
 * A disk tier in a fresh directory, with a clock stepped by hand and values
 * that tell whose and which version they are.
 *
 * One thread per rig unless said otherwise.
 */
#ifndef TESTS_SUPPORT_DISK_RIG_H
#define TESTS_SUPPORT_DISK_RIG_H

#include <sys/types.h>

#include "mtc/tier.h"

/* Beginning of the stepped clock. */
#define DISK_START_MS INT64_C(1000000)

/* A life of an hour, and no deadline that a slow machine would meet. */
#define DISK_LIFE_MS     INT64_C(3600000)
#define DISK_DEADLINE_MS INT64_C(30000)

typedef struct disk_rig {
    char dir[64];
    mtc_tier *tier;
    mtc_tier_host host;
    int64_t now_ms;
    unsigned log_count;
} disk_rig;

/* Opens a tier on a fresh directory, or on the one that it has. size: as in
 * the URL, NULL for the default. Fails the test when it cannot. */
void disk_rig_open(disk_rig *rig, const char *size);
/* The same, and tells how it ended. error may be NULL. */
mtc_status disk_rig_try(disk_rig *rig, const char *size, mtc_error *error);
/* Chooses a directory in memory, if there is one, for tests that write much
 * and would wait for the disk. */
void disk_rig_in_memory(disk_rig *rig);
/* Closes the tier; the directory stays. */
void disk_rig_close(disk_rig *rig);
/* Deletes the directory. */
void disk_rig_clean(disk_rig *rig);

/* A request as the rig's clock has it. */
mtc_request disk_request(const disk_rig *rig, const char *key);
/* Submits one and returns its status. */
mtc_status disk_ask(disk_rig *rig, mtc_verb verb, mtc_request *request);

/* Bytes of a value of a key: version, key and checksum, size bytes at least.
 * The result is to be freed. */
char *disk_value_make(const char *key, unsigned version, size_t size,
                      size_t *length);
/* The version in bytes that were made for key; 0: they were not. */
unsigned disk_value_version(const char *key, mtc_slice bytes);

mtc_status disk_store(disk_rig *rig, const char *key, unsigned version);
mtc_status disk_store_sized(disk_rig *rig, const char *key, unsigned version,
                            size_t size);
mtc_status disk_fill(disk_rig *rig, const char *key, unsigned version,
                     uint64_t ticket);
mtc_status disk_remove(disk_rig *rig, const char *key);
/* The version read, 0 for a miss; fails the test for anything else. A ticket
 * may be asked for. */
unsigned disk_read(disk_rig *rig, const char *key, uint64_t *ticket);

mtc_tier_usage disk_usage_of(disk_rig *rig);
/* DIR/NAME; good until the next call. */
const char *disk_path(const disk_rig *rig, const char *name);

/* Runs body in a child process and ends it; a failed assertion there ends it
 * with an error. Forked before the rig's tier is opened. */
pid_t disk_child(void (*body)(disk_rig *rig), disk_rig *rig);
/* Waits for a child that is to end well. */
void disk_child_join(pid_t child);

/* A file as bytes, to be freed; NULL: there is none. */
char *disk_bytes_load(const char *path, size_t *size);
void disk_bytes_save(const char *path, const char *bytes, size_t size);

#endif
