/*
 * How processes tell each other that leases have ended: counts in memory that
 * all of them map, in cache.lock behind the version.
 *
 * Keys share a number of counts. Who ends a lease raises the count of its key,
 * then a word that sleepers wait on. Nobody is told which key it was; a count
 * that has gone up says that it may be this one.
 *
 * Any thread, between open and close.
 */
#ifndef MTCI_TIER_DISK_BELL_H
#define MTCI_TIER_DISK_BELL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mtc/value.h"

#define MTCI_DISK_BELL_COUNTS 256

typedef struct mtci_disk_bell {
    struct mtci_disk_bell_page *page; /* NULL: could not be mapped */
} mtci_disk_bell;

/* Counts that are to be raised. */
typedef struct mtci_disk_bell_set {
    uint64_t bits[MTCI_DISK_BELL_COUNTS / 64];
} mtci_disk_bell_set;

/* Maps the file, made longer if need be. False: without it nobody can be told,
 * and ring does nothing. */
bool mtci_disk_bell_open(mtci_disk_bell *bell, int fd);
void mtci_disk_bell_close(mtci_disk_bell *bell);

/* Which count is a key's; in every process the same. */
unsigned mtci_disk_bell_of(mtc_slice key);
uint32_t mtci_disk_bell_count(const mtci_disk_bell *bell, unsigned index);

void mtci_disk_bell_add(mtci_disk_bell_set *set, unsigned index);
/* Raises the counts of a set, if it has any, and wakes who sleeps. */
void mtci_disk_bell_ring(mtci_disk_bell *bell, const mtci_disk_bell_set *set);
/* Every count. */
void mtci_disk_bell_ring_all(mtci_disk_bell *bell);
/* None: who sleeps here, and elsewhere, looks again. */
void mtci_disk_bell_nudge(mtci_disk_bell *bell);

/* The word before counts are looked at, and a sleep until it has changed. */
uint32_t mtci_disk_bell_word(const mtci_disk_bell *bell);
void mtci_disk_bell_sleep(mtci_disk_bell *bell, uint32_t word, int64_t wait_ms);

#endif
