/*
 * A hierarchical timer wheel: finds the entries whose life has ended.
 *
 * Time goes in ticks of 64 ms. The first level has a slot for each of the
 * next 64 ticks, the second one for each 64 of those, and so on; five levels
 * reach two years ahead, what ends later waits in a list of its own. When
 * time reaches a slot of an upper level its entries move down, so each moves
 * at most four times. Adding and dropping are O(1); empty stretches of time
 * are skipped. An entry that is replaced leaves its place to the new one, even
 * if that ends later: it is moved when its time seems to have come. One wheel
 * a shard, guarded by its mutex.
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

/* Lists, by number: the slots of all levels, for each level what is on its
 * way down from it, what ended before it was added, and what ends beyond the
 * last level. Number 0 is not used. */
enum {
    MTCI_WHEEL_MOVING = 1 + MTCI_WHEEL_LEVELS * MTCI_WHEEL_SLOTS,
    MTCI_WHEEL_OVER = MTCI_WHEEL_MOVING + MTCI_WHEEL_LEVELS,
    MTCI_WHEEL_FAR,
    MTCI_WHEEL_LISTS
};

/* The least ref of an entry: below are the numbers of lists. */
#define MTCI_WHEEL_REF_MIN 512u

/* Inside an entry; zeroed in one that is in no list. */
typedef struct mtci_wheel_link {
    uint32_t next;
    uint32_t prev; /* for the first of a list the list's number */
} mtci_wheel_link;

typedef struct mtci_wheel {
    unsigned char *base; /* the entry of a ref, and where in it are */
    unsigned shift;
    uint32_t link_at;                 /* its link */
    uint32_t end_at;                  /* and the word with its end */
    _Atomic int64_t tick;             /* the first that is not over */
    _Atomic size_t count;             /* of linked entries */
    uint64_t used[MTCI_WHEEL_LEVELS]; /* a bit for each slot with entries */
    uint32_t lists[MTCI_WHEEL_LISTS];
} mtci_wheel;

_Static_assert((int)MTCI_WHEEL_LISTS <= (int)MTCI_WHEEL_REF_MIN,
               "numbers of lists are no refs");

/* Where entries are, and where in them link and end. */
void mtci_wheel_init(mtci_wheel *wheel, unsigned char *base, unsigned shift,
                     size_t link_at, size_t end_at);

/* Adds an entry, unless its life has no end. */
void mtci_wheel_add(mtci_wheel *wheel, uint32_t ref);

/* Takes an entry out if it is there. */
void mtci_wheel_drop(mtci_wheel *wheel, uint32_t ref);

/* Puts an entry in the place of another one, which may have been nowhere. */
void mtci_wheel_swap(mtci_wheel *wheel, uint32_t old, uint32_t ref);

/* Takes out an entry whose end is past by a tick; 0: there is none, or *work
 * steps are used up, and *work is 0. */
uint32_t mtci_wheel_next(mtci_wheel *wheel, int64_t now_ms, size_t *work);

/* Whether there may be something to do. Needs no mutex. */
bool mtci_wheel_is_due(const mtci_wheel *wheel, int64_t now_ms);

#endif
