/*
 * Faults of one server: it stops, dies, hangs up, forgets, is full, or refuses,
 * with and without TLS. See fault.h.
 */
#include "soak/fault.h"

#include <stdio.h>
#include <string.h>

#include "support/redis_rig.h"
#include "support/tier_call.h"
#include "support/tls_rig.h"

/* The longest time for which the server does not answer. */
#define AWAY_MS_MAX 1500
#define ARRIVAL_MS  (AWAY_MS_MAX + 1500)

static bool start(soak_rig *rig)
{
    static const char *const ARGS[] = {"--repl-diskless-sync", "yes",
                                       "--repl-diskless-sync-delay", "0", NULL};
    if (!test_server_start(&rig->server, TEST_REDIS, ARGS))
        return false;
    rig->admin = redis_rig_client(rig->server.port);
    for (unsigned i = 0; i < SOAK_WORKERS; i++)
        soak_rig_name_tiers(rig, i, rig->server.url);
    return rig->admin != NULL;
}

static void stop(soak_rig *rig)
{
    mtci_client_free(rig->admin);
    test_server_stop(&rig->server);
    test_server_stop(&rig->peer);
}

static bool pause_server(soak_rig *rig)
{
    test_server_pause(&rig->server);
    soak_rig_nap(rig, 5, AWAY_MS_MAX);
    test_server_resume(&rig->server);
    return true;
}

static bool kill_server(soak_rig *rig)
{
    test_server_kill(&rig->server);
    soak_rig_nap(rig, 1, AWAY_MS_MAX);
    return test_server_restart(&rig->server);
}

static bool hang_up(soak_rig *rig)
{
    for (uint32_t i = mtct_draw(&rig->seed, 20); i > 0; i--) {
        soak_rig_tell(rig->admin, NULL, "CLIENT KILL TYPE normal SKIPME yes");
        soak_rig_tell(rig->admin, NULL, "CLIENT KILL TYPE pubsub SKIPME yes");
        soak_rig_nap(rig, 1, 50);
    }
    return true;
}

static bool forget(soak_rig *rig)
{
    for (uint32_t i = mtct_draw(&rig->seed, 20); i > 0; i--) {
        soak_rig_tell(rig->admin, "+OK", "FLUSHALL");
        soak_rig_nap(rig, 1, 50);
    }
    return true;
}

static bool fill_up(soak_rig *rig)
{
    soak_rig_tell(rig->admin, "+OK", "CONFIG SET maxmemory 1");
    soak_rig_nap(rig, 5, 800);
    soak_rig_tell(rig->admin, "+OK", "CONFIG SET maxmemory 0");
    return true;
}

static bool evict(soak_rig *rig)
{
    char words[64];
    snprintf(words, sizeof words, "CONFIG SET maxmemory %u",
             900000 + mtct_draw(&rig->seed, 800000));
    soak_rig_tell(rig->admin, "+OK", "CONFIG SET maxmemory-policy allkeys-lru");
    soak_rig_tell(rig->admin, "+OK", words);
    soak_rig_nap(rig, 5, 1000);
    soak_rig_tell(rig->admin, "+OK", "CONFIG SET maxmemory 0");
    return true;
}

static void want_password(soak_rig *rig)
{
    soak_rig_tell(rig->admin, "+OK", "CONFIG SET requirepass secret");
    soak_rig_tell(rig->admin, NULL, "CLIENT KILL TYPE normal SKIPME yes");
    soak_rig_nap(rig, 5, 600);
    soak_rig_tell(rig->admin, "+OK", "CONFIG SET requirepass "); /* none */
}

static bool deny(soak_rig *rig)
{
    static const char *const RULES[] = {"-set",   "-unlink", "-get",
                                        "-eval",  "-del",    "-subscribe",
                                        "-pttl",  "-hello",  "-@write",
                                        "-@read", "-client"};
    char words[64];
    if (mtct_draw(&rig->seed, 4) == 0) {
        want_password(rig);
        return true;
    }
    snprintf(words, sizeof words, "ACL SETUSER default %s",
             RULES[mtct_draw(&rig->seed, sizeof RULES / sizeof *RULES)]);
    soak_rig_tell(rig->admin, "+OK", words);
    soak_rig_nap(rig, 5, 600);
    soak_rig_tell(rig->admin, "+OK", "ACL SETUSER default +@all");
    return true;
}

static bool start_with_peer(soak_rig *rig)
{
    return start(rig) && test_server_start(&rig->peer, TEST_REDIS, NULL);
}

/* The peer is empty, so nothing comes back that was there before. */
static bool follow(soak_rig *rig)
{
    char words[64];
    snprintf(words, sizeof words, "REPLICAOF 127.0.0.1 %d", rig->peer.port);
    soak_rig_tell(rig->admin, "+OK", words);
    soak_rig_nap(rig, 5, 1200);
    soak_rig_tell(rig->admin, "+OK", "REPLICAOF NO ONE");
    return true;
}

/* -- TLS ------------------------------------------------------------------ */

static bool start_tls(soak_rig *rig)
{
    static tls_rig_args args;
    char url[160];
    if (!tls_rig_make(rig->dir))
        return false;
    tls_rig_args_init(&args, rig->dir, "good");
    if (!test_server_start(&rig->server, TEST_REDIS_TLS, args.words))
        return false;
    rig->admin = redis_rig_client_to(&rig->server);
    snprintf(url, sizeof url, "rediss://127.0.0.1:%d?ca=%s/ca.crt",
             rig->server.port, rig->dir);
    for (unsigned i = 0; i < SOAK_WORKERS; i++)
        soak_rig_name_tiers(rig, i, url);
    return rig->admin != NULL;
}

static bool disturb(soak_rig *rig)
{
    switch (mtct_draw(&rig->seed, 3)) {
    case 0:
        return pause_server(rig);
    case 1:
        return kill_server(rig);
    default:
        return hang_up(rig);
    }
}

static void stop_tls(soak_rig *rig)
{
    stop(rig);
    tls_rig_remove(rig->dir);
}

#ifdef SOAK_MEMCACHED
/* -- memcached ------------------------------------------------------------ */

static bool start_memcached(soak_rig *rig)
{
    if (!test_server_start(&rig->server, TEST_MEMCACHED, NULL))
        return false;
    for (unsigned i = 0; i < SOAK_WORKERS; i++)
        soak_rig_name_tiers(rig, i, rig->server.url);
    return true;
}

static bool pause_or_kill(soak_rig *rig)
{
    return mtct_draw(&rig->seed, 2) ? pause_server(rig) : kill_server(rig);
}
#endif

const soak_fault soak_faults_server[] = {
    {"pause", SOAK_BOUNDS_KEPT(ARRIVAL_MS), start, pause_server, stop},
    {"kill", SOAK_BOUNDS(ARRIVAL_MS), start, kill_server, stop},
    {"hang-up", SOAK_BOUNDS_KEPT(ARRIVAL_MS), start, hang_up, stop},
    {"flush", SOAK_BOUNDS(ARRIVAL_MS), start, forget, stop},
    {"full", SOAK_BOUNDS_KEPT(ARRIVAL_MS), start, fill_up, stop},
    {"evict", SOAK_BOUNDS(ARRIVAL_MS), start, evict, stop},
    {"deny", SOAK_BOUNDS_KEPT(ARRIVAL_MS), start, deny, stop},
    {"replica", SOAK_BOUNDS(ARRIVAL_MS), start_with_peer, follow, stop},
    {"tls", SOAK_BOUNDS(ARRIVAL_MS), start_tls, disturb, stop_tls},
#ifdef SOAK_MEMCACHED
    {"memcached",
     {.memory_ms = SOAK_MEMORY_MS,
      .slack_ms = SOAK_SLACK_MS,
      .arrival_ms = ARRIVAL_MS,
      .has_no_order = true},
     start_memcached,
     pause_or_kill,
     stop},
#endif
    {0},
};
