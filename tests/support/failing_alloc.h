/*
 * An allocator that fails when it is told to, for programs called
 * *_alloc_test: there the build puts these wraps in place of malloc and its
 * like, for the library as well. Any thread's allocations count. SQLite, which
 * is linked as a shared library, asks it too once it is told to.
 */
#ifndef MTCT_FAILING_ALLOC_H
#define MTCT_FAILING_ALLOC_H

#include <stdbool.h>

/* Lets the n-th allocation from now on fail, and with goes_on all that follow
 * it. */
void mtct_alloc_arm(long n, bool goes_on);

/* Whether one failed since then. */
bool mtct_alloc_has_failed(void);

/* Lets all succeed again; tells whether one failed. */
bool mtct_alloc_disarm(void);

/* How many allocations are live now: made and not given back. Records of
 * threads, which are registered for ever, are left out. */
long mtct_alloc_live(void);

/* Has SQLite allocate here: its allocations fail and count like all others.
 * Before its first call; what it keeps for good is allocated by now. */
void mtct_alloc_serve_sqlite(void);

/* The same for the calls of mmap and madvise. */
void mtct_map_arm(long n, bool all_that_follow);
bool mtct_map_disarm(void);

#endif
