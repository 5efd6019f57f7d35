/*
 * The faults that a soak injects, each on servers of its own.
 */
#ifndef SOAK_FAULT_H
#define SOAK_FAULT_H

#include "soak/board.h"
#include "support/proxy.h"
#include "support/redis_cluster.h"
#include "support/sentinel_rig.h"

typedef struct soak_fault soak_fault;

/* Where a fault happens. */
typedef struct soak_rig {
    const soak_fault *fault;
    uint64_t seed;
    soak_board *board;
    test_server server;
    test_server peer;
    mtci_redis_client *admin;
    test_proxy *proxies[SOAK_WORKERS];
    sentinel_rig sentinels;
    bool has_failed_over;
    test_cluster cluster;
    char dir[64];
    /* Kills the second worker with SIGKILL and starts it again. */
    void (*restart_worker)(struct soak_rig *rig);
} soak_rig;

struct soak_fault {
    const char *name;
    mtct_bounds bounds;
    /* Starts servers and names the tiers of each worker on the board. False:
     * they do not come up. */
    bool (*start)(soak_rig *rig);
    /* One fault, from its beginning to its end. False: there was none. */
    bool (*inject)(soak_rig *rig);
    void (*stop)(soak_rig *rig);
};

/* By index; NULL past the last. */
const soak_fault *soak_fault_get(unsigned index);

/* The lists of the files that have faults; each ends with a NULL name. */
extern const soak_fault soak_faults_server[];
extern const soak_fault soak_faults_group[];
extern const soak_fault soak_faults_path[];

/* -- for faults ----------------------------------------------------------- */

/* Names memory over this URL as the tiers of one worker. The URL is without
 * parameters, or has some already. */
void soak_rig_name_tiers(soak_rig *rig, unsigned worker, const char *url);

/* Sleeps for a random time. */
void soak_rig_nap(soak_rig *rig, uint32_t ms_min, uint32_t ms_max);

/* Asks a server in words; false, and a line on standard error, unless the
 * answer is the wanted one (NULL: any). */
bool soak_rig_tell(mtci_redis_client *admin, const char *wanted,
                   const char *words);

/* What memory keeps at most of what another cache wrote. */
#define SOAK_MEMORY_MS 400

/* For a machine with two cores that has other things to do. */
#define SOAK_SLACK_MS 500

#define SOAK_BOUNDS(arrival)                                                   \
    {                                                                          \
        .memory_ms = SOAK_MEMORY_MS, .slack_ms = SOAK_SLACK_MS,                \
        .arrival_ms = (arrival)                                                \
    }
#define SOAK_BOUNDS_KEPT(arrival)                                              \
    {                                                                          \
        .memory_ms = SOAK_MEMORY_MS, .slack_ms = SOAK_SLACK_MS,                \
        .arrival_ms = (arrival), .keeps_all = true                             \
    }

#endif
