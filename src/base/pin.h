/*
 * Pins: how a thread keeps an object that others may want to free, without
 * writing to anything that other threads write.
 *
 * A thread publishes the object's address in a slot of its own and then looks
 * again whether the object can still be found. Whoever frees first makes the
 * object impossible to find, then passes the heavy fence, then reads all
 * slots: what is in none of them is nobody's.
 *
 * Between the store to the slot and the second look the reader needs a full
 * fence. Where the kernel offers membarrier, the heavy fence makes every
 * running thread pass one, and the reader's is a compiler barrier; elsewhere
 * (and under the thread sanitizer, which does not know membarrier) the
 * reader's stores are sequentially consistent. This file is all that differs,
 * and the choice is made once, when the first thread registers.
 *
 * Records of threads are registered for ever and used again by later threads.
 *
 * Source: Michael, "Hazard Pointers", IEEE TPDS 2004; the asymmetric fence:
 * Dice, Huang, Yang, "Asymmetric Dekker Synchronization", 2001.
 */
#ifndef MTCI_BASE_PIN_H
#define MTCI_BASE_PIN_H

#include <stdatomic.h>
#include <stddef.h>

#include "base/thread.h"

/* Values that a thread may hold by pins, and those it begins with. */
#define MTCI_PINS       64u
#define MTCI_PINS_FIRST 8u

/* Alignment of a record, so that a slot tells its record. */
#define MTCI_PINS_ALIGN 1024u

typedef struct mtci_pins {
    uint64_t free;           /* a bit for each free slot; its thread's own */
    bool is_plain;           /* plain stores do */
    uint8_t rounds;          /* that it waited at the end of its thread */
    _Atomic bool is_awaited; /* somebody waits for one of these pins */
    _Atomic uint16_t seen;   /* slots from here on were never used */
    uint32_t index;          /* small, and no other living thread's */
    _Atomic(void *) visited; /* what a short call is inside of */
    _Atomic(void *) at[MTCI_PINS];
    _Atomic bool is_taken; /* by a living thread */
    struct mtci_pins *next;
} mtci_pins;

/* Registers the calling thread. NULL: out of memory. */
mtci_pins *mtci_pins_register(void);

/* The calling thread's record; NULL: out of memory. */
static inline mtci_pins *mtci_pins_here(void)
{
    mtci_pins *pins = mtci_self.pins;
    return __builtin_expect(pins != NULL, 1) ? pins : mtci_pins_register();
}

/* Brings slots into use that never were; false: there are none. Most threads
 * need few, and reclaimers read no others. */
bool mtci_pins_widen(mtci_pins *pins);

/* A free slot; false: the thread holds as many values as it can by pins. */
static inline bool mtci_pins_slot(mtci_pins *pins, unsigned *slot)
{
    if (__builtin_expect(pins->free == 0, 0) && !mtci_pins_widen(pins))
        return false;
    *slot = (unsigned)__builtin_ctzll(pins->free);
    return true;
}

/* Publishes object in a slot. What is looked up after this was not freed
 * between. */
static inline void mtci_pin_set(mtci_pins *pins, unsigned slot, void *object)
{
    if (__builtin_expect(pins->is_plain, 1)) {
        atomic_store_explicit(&pins->at[slot], object, memory_order_relaxed);
        atomic_signal_fence(memory_order_seq_cst);
    } else {
        atomic_store_explicit(&pins->at[slot], object, memory_order_seq_cst);
    }
}

/* The slot that mtci_pins_slot gave now belongs to a value, until
 * mtci_pin_drop. */
static inline void mtci_pin_keep(mtci_pins *pins)
{
    pins->free &= pins->free - 1;
}

/* Empties a slot that belongs to no value. */
static inline void mtci_pin_clear(mtci_pins *pins, unsigned slot)
{
    atomic_store_explicit(&pins->at[slot], NULL, memory_order_release);
}

/* The thread is inside of something for a moment, not nested: it must look
 * whether the thing is still open after visiting and before touching more. */
static inline void mtci_pins_visit(mtci_pins *pins, void *thing)
{
    if (__builtin_expect(pins->is_plain, 1)) {
        atomic_store_explicit(&pins->visited, thing, memory_order_relaxed);
        atomic_signal_fence(memory_order_seq_cst);
    } else {
        atomic_store_explicit(&pins->visited, thing, memory_order_seq_cst);
    }
}

static inline void mtci_pins_part(mtci_pins *pins)
{
    atomic_store_explicit(&pins->visited, NULL, memory_order_release);
}

/* Waits until no thread is inside of the thing, which was closed before. */
void mtci_pins_await_visitors(const void *thing);

/* Calls those who wait for pins. */
void mtci_pins_notify(void);

/* Gives back the slot of a value. */
static inline void mtci_pin_drop(_Atomic(void *) *slot)
{
    uintptr_t mask = ~(uintptr_t)(MTCI_PINS_ALIGN - 1);
    mtci_pins *pins = (mtci_pins *)((uintptr_t)slot & mask);
    pins->free |= UINT64_C(1) << (slot - pins->at);
    if (__builtin_expect(pins->is_plain, 1)) {
        atomic_store_explicit(slot, NULL, memory_order_release);
        atomic_signal_fence(memory_order_seq_cst);
    } else {
        atomic_store_explicit(slot, NULL, memory_order_seq_cst);
    }
    if (__builtin_expect(atomic_load_explicit(&pins->is_awaited,
                                              memory_order_relaxed),
                         0))
        mtci_pins_notify();
}

/* What the caller has made impossible to find is, after this, either in a
 * slot or nobody's. A system call where readers use plain stores. */
void mtci_pins_fence(void);

/* Calls see with every object that is in a slot. After mtci_pins_fence. */
void mtci_pins_each(void (*see)(void *ctx, void *object), void *ctx);

/* Somebody who cannot end before certain pins are given back. try_end is
 * called with a lock held, at once and whenever a pin was given back, until
 * it returns true; the waiter may be gone then. */
typedef struct mtci_waiter {
    struct mtci_waiter *next;
    bool (*try_end)(struct mtci_waiter *waiter);
} mtci_waiter;

void mtci_pins_await(mtci_waiter *waiter);

#endif
