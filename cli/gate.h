/*
 * A gate that many threads sleep at and one call opens for all: a bare futex
 * broadcast.
 */
#ifndef MTC_CLI_GATE_H
#define MTC_CLI_GATE_H

#include <stdatomic.h>
#include <stdint.h>

/* How often it was opened; zeroed it is new. */
typedef struct gate {
    _Alignas(64) _Atomic uint32_t word;
} gate;

static inline uint32_t gate_opened(gate *gate)
{
    return atomic_load(&gate->word);
}

/* Sleeps until the gate has been opened more often than seen. */
void gate_wait(gate *gate, uint32_t seen);

/* Wakes all who sleep at it. */
void gate_open(gate *gate);

#endif
