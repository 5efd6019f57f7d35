/*
 * labels: quick unit
 *
 * The contract suite of tiers, run against the disk tier.
 */
#include "support/contract.h"

#include <stdio.h>
#include <stdlib.h>

#include "support/disk_rig.h"
#include "tier/open.h"

static mtc_tier *open_tier(void *ctx)
{
    const disk_rig *rig = ctx;
    int64_t options[8] = {0};
    mtc_tier *tier = NULL;
    mtci_url url;
    char text[96];
    snprintf(text, sizeof(text), "disk:%s", rig->dir);
    if (mtci_url_parse(text, NULL, &url) != MTC_OK)
        return NULL;
    mtci_options_default(mtci_disk_kind.options, options);
    mtci_disk_kind.open(&url, options, NULL, &tier);
    mtci_url_fini(&url);
    return tier;
}

int main(void)
{
    disk_rig rig = {.dir = "/tmp/mtc-disk-XXXXXX"};
    const contract contract = {
        .name = "disk",
        .open = open_tier,
        .ctx = &rig,
    };
    if (!mkdtemp(rig.dir))
        return 1;
    int failures = contract_run(&contract);
    disk_rig_clean(&rig);
    return failures;
}
