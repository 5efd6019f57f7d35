/*
 * A hierarchical timer wheel: finds the entries whose life has ended.
 *
 * Time goes in ticks of 64 ms. The first level has a slot for each of the
 * next 64 ticks, the second one for each 64 of those, and so on; five levels
 * reach two years ahead, what ends later waits in a list of its own. When
 * time reaches a slot of an upper level its entries move down, so each moves
 * at most four times. Adding and dropping are O(1); empty stretches of time
 * are skipped. One wheel a shard, guarded by its mutex.
 *
 * Source: Varghese & Lauck, "Hashed and Hierarchical Timing Wheels", SOSP
 * 1987.
 */
#ifndef MTCI_TIER_MEMORY_WHEEL_H
#define MTCI_TIER_MEMORY_WHEEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MTCI_WHEEL_LEVELS 5u
#define MTCI_WHEEL_SLOTS  64u

/* The low 48 bits of the word that tells an entry's end: milliseconds of boot
 * time; all of them set: it has none. */
#define MTCI_END_MASK  ((UINT64_C(1) << 48) - 1)
#define MTCI_END_NEVER MTCI_END_MASK

/* Inside an entry; zeroed in one that was never added. */
typedef struct mtci_wheel_link {
    uint32_t next;
    uint32_t prev; /* 0 for the first of a list */
} mtci_wheel_link;

typedef struct mtci_wheel {
    unsigned char *base; /* the entry of a ref, and where in it are */
    unsigned shift;
    uint32_t link_at;                 /* its link */
    uint32_t end_at;                  /* and the word with its end */
    _Atomic int64_t tick;             /* the first that is not over */
    _Atomic size_t count;             /* of linked entries */
    uint64_t used[MTCI_WHEEL_LEVELS]; /* a bit for each slot with entries */
    uint32_t slots[MTCI_WHEEL_LEVELS][MTCI_WHEEL_SLOTS];
    uint32_t moving[MTCI_WHEEL_LEVELS]; /* from here to lower levels */
    uint32_t over;                      /* ended before they were added */
    uint32_t far;                       /* end beyond the last level */
} mtci_wheel;

/* Where entries are, and where in them link and end. */
void mtci_wheel_init(mtci_wheel *wheel, unsigned char *base, unsigned shift,
                     size_t link_at, size_t end_at);

/* Adds an entry, unless its life has no end. */
void mtci_wheel_add(mtci_wheel *wheel, uint32_t ref);

/* Takes an entry out if it is there. Its end is still what it was. */
void mtci_wheel_drop(mtci_wheel *wheel, uint32_t ref);

/* Takes out an entry whose end is past by a tick; 0: there is none, or *work
 * steps are used up, and *work is 0. */
uint32_t mtci_wheel_next(mtci_wheel *wheel, int64_t now_ms, size_t *work);

/* Whether there may be something to do. Needs no mutex. */
bool mtci_wheel_is_due(const mtci_wheel *wheel, int64_t now_ms);

#endif
