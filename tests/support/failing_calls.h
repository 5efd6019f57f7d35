/*
 * Calls of the system that fail when they are told to, for programs called
 * *_syscall_test: there the build puts these wraps in place of the functions
 * of the C library, for the library as well. Any thread's calls count, each
 * fails with what it fails with where something has run out.
 */
#ifndef MTCT_FAILING_CALLS_H
#define MTCT_FAILING_CALLS_H

#include <stdbool.h>

/* What fails: what makes descriptors, mappings and threads; and what moves
 * bytes over sockets. */
typedef enum mtct_call_kind { MTCT_CALLS_MAKE, MTCT_CALLS_MOVE } mtct_call_kind;

/* Lets the n-th call of a kind from now on fail, and with goes_on all that
 * follow it. */
void mtct_calls_arm(mtct_call_kind kind, long n, bool goes_on);

/* Lets all succeed again; tells whether one failed. */
bool mtct_calls_disarm(void);

#endif
