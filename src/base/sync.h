/*
 * Waiting on a word: a futex with a deadline, and nothing else.
 *
 * A waiter reads the word, decides to wait, and sleeps only if the word still
 * has that value; whoever changes the word wakes. Any thread.
 */
#ifndef MTCI_BASE_SYNC_H
#define MTCI_BASE_SYNC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* No deadline. */
#define MTCI_FOREVER INT64_MAX

/* Sleeps until woken, or wait_ms have passed (MTCI_FOREVER: no bound), or at
 * once when *word != seen. Returns false only when the time ran out. May
 * return early: look at the word again. */
bool mtci_word_wait(_Atomic uint32_t *word, uint32_t seen, int64_t wait_ms);

/* Wakes every thread that waits on the word. */
void mtci_word_wake(_Atomic uint32_t *word);

/* The same for those of them who share a bit: one call wakes many, and leaves
 * the others asleep. Neither set of bits is empty. */
bool mtci_word_wait_as(_Atomic uint32_t *word, uint32_t seen, int64_t wait_ms,
                       uint32_t bits);
void mtci_word_wake_bits(_Atomic uint32_t *word, uint32_t bits);

/* The same for a word in memory that processes share. */
bool mtci_word_wait_shared(_Atomic uint32_t *word, uint32_t seen,
                           int64_t wait_ms);
void mtci_word_wake_shared(_Atomic uint32_t *word);

#endif
