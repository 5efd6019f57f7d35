/*
 * Faults on the way to a tier, or beside it: a network that does what it
 * likes, and a process that is killed while it uses a disk tier. See fault.h.
 */
#include "soak/fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/tier_call.h"

#define ODD_MS_MAX 800

/* -- a network ------------------------------------------------------------ */

static bool start_network(soak_rig *rig)
{
    if (!test_server_start(&rig->server, TEST_REDIS, NULL))
        return false;
    for (unsigned i = 0; i < SOAK_WORKERS; i++) {
        char url[64];
        test_proxy_delays delays = {rig->seed + i, 200, 60};
        rig->proxies[i] = test_proxy_start(rig->server.port, &delays);
        if (!rig->proxies[i])
            return false;
        snprintf(url, sizeof url, "redis://127.0.0.1:%d",
                 test_proxy_port(rig->proxies[i]));
        soak_rig_name_tiers(rig, i, url);
    }
    return true;
}

static void stop_network(soak_rig *rig)
{
    for (unsigned i = 0; i < SOAK_WORKERS; i++)
        if (rig->proxies[i])
            test_proxy_stop(rig->proxies[i]);
    test_server_stop(&rig->server);
}

static bool be_odd(soak_rig *rig)
{
    test_proxy *proxy = rig->proxies[mtct_draw(&rig->seed, SOAK_WORKERS)];
    switch (mtct_draw(&rig->seed, 5)) {
    case 0:
        test_proxy_cut(proxy, 1 + mtct_draw(&rig->seed, 5000));
        break;
    case 1:
        test_proxy_hold(proxy, true);
        break;
    case 2:
        test_proxy_reset(proxy);
        break;
    case 3:
        test_proxy_throttle(proxy, 1 + mtct_draw(&rig->seed, 200));
        break;
    default:
        test_proxy_split_at_random(proxy, 1 + mtct_draw(&rig->seed, 60));
    }
    soak_rig_nap(rig, 1, ODD_MS_MAX);
    test_proxy_hold(proxy, false);
    test_proxy_throttle(proxy, 0);
    if (mtct_draw(&rig->seed, 2))
        test_proxy_split_at_random(proxy, 0);
    return true;
}

/* -- a disk --------------------------------------------------------------- */

static bool start_disk(soak_rig *rig)
{
    char url[80];
    strcpy(rig->dir, "/tmp/mtc_soak_XXXXXX");
    if (!mkdtemp(rig->dir))
        return false;
    snprintf(url, sizeof url, "disk:%s", rig->dir);
    for (unsigned i = 0; i < SOAK_WORKERS; i++)
        soak_rig_name_tiers(rig, i, url);
    return true;
}

static void stop_disk(soak_rig *rig)
{
    char command[96];
    snprintf(command, sizeof command, "rm -r %s", rig->dir);
    if (system(command) != 0)
        fprintf(stderr, "%s stays\n", rig->dir);
}

static bool kill_worker(soak_rig *rig)
{
    rig->restart_worker(rig);
    return true;
}

const soak_fault soak_faults_path[] = {
    {"network", SOAK_BOUNDS_KEPT(4000), start_network, be_odd, stop_network},
    {"disk",
     {.memory_ms = SOAK_MEMORY_MS,
      .slack_ms = SOAK_SLACK_MS,
      .arrival_ms = 2000,
      .fences_fills = true,
      .keeps_all = true},
     start_disk,
     kill_worker,
     stop_disk},
    {0},
};
