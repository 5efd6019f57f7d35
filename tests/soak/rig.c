/*
 * What the faults of a soak have in common; see fault.h. The conductor's
 * thread alone.
 */
#include <stdio.h>
#include <string.h>

#include "soak/fault.h"
#include "soak/world.h"
#include "support/redis_rig.h"
#include "support/tier_call.h"

#define ANY                                                                    \
    (MTCI_REPLY_NIL | MTCI_REPLY_STATUS | MTCI_REPLY_INTEGER |                 \
     MTCI_REPLY_BULK | MTCI_REPLY_ARRAY)

static const soak_fault *const LISTS[] = {soak_faults_server, soak_faults_group,
                                          soak_faults_path};

const soak_fault *soak_fault_get(unsigned index)
{
    for (size_t i = 0; i < sizeof LISTS / sizeof *LISTS; i++)
        for (const soak_fault *fault = LISTS[i]; fault->name; fault++)
            if (index-- == 0)
                return fault;
    return NULL;
}

/* What a Redis tier can be told; drawn for each run. */
static const char *redis_params(uint64_t *seed)
{
    static const char *const PARAMS[] = {
        "", "", "&protocol=2", "&compress=lz4", "&checksum=on", "&ping=100ms",
    };
    return PARAMS[mtct_draw(seed, sizeof PARAMS / sizeof *PARAMS)];
}

void soak_rig_name_tiers(soak_rig *rig, unsigned worker, const char *url)
{
    uint64_t seed = rig->board->seed; /* the same for all workers */
    bool is_redis = strncmp(url, "redis", strlen("redis")) == 0;
    snprintf(rig->board->tiers[worker], sizeof rig->board->tiers[worker],
             "memory?size=1MiB&ttl_max=%dms %s%sdeadline=%ums%s",
             SOAK_MEMORY_MS, url, strchr(url, '?') ? "&" : "?",
             50 + mtct_draw(&seed, 250), is_redis ? redis_params(&seed) : "");
}

void soak_rig_nap(soak_rig *rig, uint32_t ms_min, uint32_t ms_max)
{
    uint32_t ms = ms_min + mtct_draw(&rig->seed, ms_max - ms_min + 1);
    soak_nap_us(ms * 1000);
}

bool soak_rig_tell(mtci_redis_client *admin, const char *wanted,
                   const char *words)
{
    char text[256];
    redis_rig_ask(admin, ANY, words, text, sizeof text);
    if (!wanted || strcmp(text, wanted) == 0)
        return true;
    fprintf(stderr, "%s: %s\n", words, text);
    return false;
}
