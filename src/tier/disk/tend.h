/*
 * Housekeeping: what is past its end, what is too much, and the log.
 *
 * One thread at a time, about ten times a second.
 */
#ifndef MTCI_TIER_DISK_TEND_H
#define MTCI_TIER_DISK_TEND_H

#include "tier/disk/disk.h"

void mtci_disk_tend(mtci_disk *disk, int64_t now_ms);

#endif
