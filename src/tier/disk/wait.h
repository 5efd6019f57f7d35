/*
 * Waiting for leases to end, on a thread of the tier's own: a worker would be
 * kept from other keys. It is started by the first who waits, and asleep while
 * nobody does. Any thread, but for the end.
 */
#ifndef MTCI_TIER_DISK_WAIT_H
#define MTCI_TIER_DISK_WAIT_H

#include "tier/disk/verbs.h"

/* Takes requests over, each to be completed as MTC_VERB_AWAIT says. */
void mtci_disk_wait(mtci_disk *disk, const mtci_disk_batch *batch);

/* Ends the thread and every wait. No other call is under way. */
void mtci_disk_wait_end(mtci_disk *disk);

#endif
