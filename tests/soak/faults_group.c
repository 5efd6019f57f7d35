/*
 * Faults of servers that belong together: a failover behind sentinels, slots
 * that move in a cluster, masters of it that die. See fault.h.
 */
#include "soak/fault.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/slice.h"
#include "redis/call.h"
#include "redis/slots.h"
#include "support/redis_rig.h"
#include "support/tier_call.h"

#define SWITCH_MS 15000 /* when the master was killed */
#define MOVE_MS   5000  /* when they were told to */
#define ROLE_MS   1000
#define HEAL_MS   20000 /* of a cluster with a node that is back */

/* How long the old master may go on as one, at most. */
#define SPLIT_MS_MAX 3000

/* -- sentinels ------------------------------------------------------------ */

static bool start_sentinels(soak_rig *rig)
{
    char url[200];
    sentinel_rig *all = &rig->sentinels;
    sentinel_rig_start(all, NULL);
    snprintf(url, sizeof url,
             "redis+sentinel://127.0.0.1:%d,127.0.0.1:%d,127.0.0.1:%d/mymaster",
             all->sentinels[0].port, all->sentinels[1].port,
             all->sentinels[2].port);
    for (unsigned i = 0; i < SOAK_WORKERS; i++)
        soak_rig_name_tiers(rig, i, url);
    return true;
}

static void stop_sentinels(soak_rig *rig)
{
    sentinel_rig_stop(&rig->sentinels);
}

/* Whether an item of what a server answers is a text. */
static bool answers(const test_server *server, const char *words, size_t item,
                    const char *wanted)
{
    char failure[MTCI_CALL_FAILURE_SIZE];
    mtci_reply reply;
    mtci_redis_client *client = redis_rig_client(server->port);
    mtc_status status =
        mtci_redis_call(client,
                        redis_rig_command(MTCI_REPLY_ARRAY | MTCI_REPLY_NIL,
                                          words),
                        mtci_boot_ms() + ROLE_MS, failure, &reply);
    bool does = status == MTC_OK && reply.count > item &&
                mtci_slices_equal(mtci_reply_slice(&reply.items[item]),
                                  mtc_str(wanted));
    mtci_reply_fini(&reply);
    mtci_client_free(client);
    return does;
}

static bool is_master(const test_server *server)
{
    return answers(server, "ROLE", 0, "master");
}

/* Whether a sentinel names it. */
static bool is_named(const soak_rig *rig, const test_server *server)
{
    char port[16];
    snprintf(port, sizeof port, "%d", server->port);
    return answers(&rig->sentinels.sentinels[0],
                   "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster", 1, port);
}

/* The one of the two servers that says so of itself; 2: both do, or none. */
static unsigned master_of(const soak_rig *rig)
{
    bool is_first = is_master(&rig->sentinels.servers[0]);
    bool is_second = is_master(&rig->sentinels.servers[1]);
    if (is_first == is_second)
        return 2;
    return is_first ? 0 : 1;
}

/* Waits until something is so; n as it wants it. */
static bool await_so(soak_rig *rig, bool (*is_so)(const soak_rig *rig, int n),
                     int n, int64_t wait_ms)
{
    int64_t until_ms = mtci_boot_ms() + wait_ms;
    while (!is_so(rig, n)) {
        if (mtci_boot_ms() >= until_ms)
            return false;
        soak_rig_nap(rig, 20, 50);
    }
    return true;
}

/* Whether this server is named, and says that it is a master. The old one may
 * say so of itself for some seconds more. */
static bool is_heir(const soak_rig *rig, int server)
{
    const test_server *heir = &rig->sentinels.servers[server];
    return is_master(heir) && is_named(rig, heir);
}

/* Sentinels take ten seconds for this. */
static void demote(soak_rig *rig, unsigned server)
{
    char words[64];
    test_server *servers = rig->sentinels.servers;
    mtci_redis_client *admin = redis_rig_client(servers[server].port);
    snprintf(words, sizeof words, "REPLICAOF 127.0.0.1 %d",
             servers[1 - server].port);
    soak_rig_tell(admin, NULL, words);
    mtci_client_free(admin);
}

static bool kill_master(soak_rig *rig, unsigned master)
{
    test_server_kill(&rig->sentinels.servers[master]);
    bool is_switched = await_so(rig, is_heir, 1 - (int)master, SWITCH_MS);
    soak_rig_nap(rig, 0, 500);
    if (!test_server_restart(&rig->sentinels.servers[master]))
        return false;
    demote(rig, master);
    return is_switched;
}

static bool move_master(soak_rig *rig, unsigned master)
{
    mtci_redis_client *sentinel =
        redis_rig_client(rig->sentinels.sentinels[0].port);
    char text[128];
    redis_rig_ask(sentinel, MTCI_REPLY_STATUS, "SENTINEL FAILOVER mymaster",
                  text, sizeof text);
    mtci_client_free(sentinel);
    soak_rig_nap(rig, 50, 200);
    if (strcmp(text, "+OK") != 0 ||
        !await_so(rig, is_heir, 1 - (int)master, MOVE_MS))
        return false;
    soak_rig_nap(rig, 0, SPLIT_MS_MAX);
    demote(rig, master);
    return true;
}

/* A sentinel that is still busy with the last one refuses: then there is
 * none. The first is moved: that is quick. */
static bool fail_over(soak_rig *rig)
{
    unsigned master = master_of(rig);
    if (master > 1) {
        soak_rig_nap(rig, 100, 200);
        return false;
    }
    bool is_killed = rig->has_failed_over && mtct_draw(&rig->seed, 3) == 0;
    bool is_done =
        is_killed ? kill_master(rig, master) : move_master(rig, master);
    rig->has_failed_over |= is_done;
    return is_done;
}

/* -- a cluster ------------------------------------------------------------ */

static bool start_cluster(soak_rig *rig)
{
    if (!test_cluster_start(&rig->cluster))
        return false;
    for (unsigned i = 0; i < SOAK_WORKERS; i++)
        soak_rig_name_tiers(rig, i, rig->cluster.url);
    return true;
}

static void stop_cluster(soak_rig *rig)
{
    test_cluster_stop(&rig->cluster);
}

/* The slot of one of the keys, to any other master. */
static bool move_slot(soak_rig *rig)
{
    char name[16];
    snprintf(name, sizeof name, "soak:%u",
             mtct_draw(&rig->seed, MTCT_LEDGER_KEYS));
    unsigned slot = mtci_slot_of_key(mtc_str(name));
    int from = test_cluster_owner(&rig->cluster, slot);
    if (from < 0)
        return false;
    int to = (from + 1 + (int)mtct_draw(&rig->seed, 2)) % TEST_CLUSTER_MASTERS;
    return test_cluster_move(&rig->cluster, slot, from, to);
}

static bool has_all_masters(const soak_rig *rig, int wanted)
{
    int count = 0;
    for (int i = 0; i < TEST_CLUSTER_NODES; i++)
        count += is_master(&rig->cluster.servers[i]);
    return count == wanted;
}

/* Whether the node is a replica that has all its master had. */
static bool is_replica(const soak_rig *rig, int node)
{
    return answers(&rig->cluster.servers[node], "ROLE", 3, "connected");
}

/* Its replica takes over; the node comes back empty, as a replica. */
static bool kill_cluster_master(soak_rig *rig)
{
    int node = (int)mtct_draw(&rig->seed, TEST_CLUSTER_NODES);
    while (!is_master(&rig->cluster.servers[node]))
        node = (node + 1) % TEST_CLUSTER_NODES;
    test_server_kill(&rig->cluster.servers[node]);
    bool is_switched =
        await_so(rig, has_all_masters, TEST_CLUSTER_MASTERS, SWITCH_MS);
    soak_rig_nap(rig, 0, 500);
    return test_server_restart(&rig->cluster.servers[node]) && is_switched &&
           await_so(rig, is_replica, node, HEAL_MS);
}

const soak_fault soak_faults_group[] = {
    {"failover",
     {.memory_ms = SOAK_MEMORY_MS,
      .slack_ms = SOAK_SLACK_MS,
      .arrival_ms = 5000,
      .may_lose = true},
     start_sentinels,
     fail_over,
     stop_sentinels},
    {"masters",
     {.memory_ms = SOAK_MEMORY_MS,
      .slack_ms = SOAK_SLACK_MS,
      .arrival_ms = 5000,
      .may_lose = true},
     start_cluster,
     kill_cluster_master,
     stop_cluster},
    {"slots", SOAK_BOUNDS_KEPT(3000), start_cluster, move_slot, stop_cluster},
    {0},
};
