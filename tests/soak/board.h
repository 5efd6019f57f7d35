/*
 * The board: memory that the conductor of a soak and its workers share.
 *
 * The conductor makes it; each worker finds it by a descriptor. It holds what
 * a run is made of, what every call on every key did (see oracle.h), and what
 * each worker found. All that changes is atomic; any thread of any process.
 */
#ifndef SOAK_BOARD_H
#define SOAK_BOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "support/ledger.h"

#define SOAK_WORKERS 2

/* The first keys are written now and then, and never loaded or removed; the
 * last ones are loaded, but never written. */
#define SOAK_KEYS_KEPT   4
#define SOAK_KEYS_LOADED 8

/* Milliseconds beyond the deadline; the last is for all that took longer. */
#define SOAK_LATE_MS_MAX 8192

/* What one worker did and found, all its lives together. */
typedef struct soak_tally {
    _Atomic uint32_t is_ready; /* its threads run */
    _Atomic uint64_t calls;
    _Atomic uint64_t loads;
    _Atomic uint64_t slowest_us;
    _Atomic uint64_t late[SOAK_LATE_MS_MAX + 1];
    _Atomic uint64_t stall_us; /* the longest of its process, see world.h */
    _Atomic uint32_t faults;   /* how often something was wrong */
} soak_tally;

typedef struct soak_board {
    /* Set before a worker starts. */
    uint64_t seed;
    char tiers[SOAK_WORKERS][512];
    mtct_bounds bounds;

    _Atomic uint32_t is_over; /* the workers finish */
    soak_tally tallies[SOAK_WORKERS];
    mtct_ledger ledger;
} soak_board;

/* NULL: no memory. *fd is for the workers. */
soak_board *soak_board_new(int *fd);
soak_board *soak_board_open(int fd);
void soak_board_free(soak_board *board, int fd);

/* Notes a call that took so long and was so late; negative: it was not. */
void soak_note_call(soak_tally *tally, int64_t took_us, int64_t late_ms);

/* Says that something was wrong, to the tally and on standard error. */
void soak_complain(soak_board *board, unsigned worker, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The lateness in milliseconds that all but one in a thousand calls keep,
 * both workers together, and that of the latest. */
int64_t soak_late_ms(const soak_board *board, bool is_latest);

#endif
