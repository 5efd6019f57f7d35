/*
 * The per-thread record: what a thread needs at hand on every call.
 *
 * With the registry of pins (pin.c) it is the library's only mutable global.
 * A record is its thread's own; core keeps two links of its own in it.
 */
#ifndef MTCI_BASE_THREAD_H
#define MTCI_BASE_THREAD_H

#include <stdbool.h>
#include <stdint.h>

struct mtci_pins;
struct mtci_leading;
struct mtci_flight;

typedef struct mtci_thread {
    struct mtci_pins *pins; /* NULL until first needed; see pin.h */
    int64_t tick_s;         /* reading of the coarse clock, and between */
    int64_t tick_ns;        /* which boot times its tick lies */
    int64_t tick_ms;
    int64_t tick_end_ms;
    struct mtci_leading *leading; /* loaders it runs, innermost first */
    struct mtci_flight *waiting;  /* guarded by the mutex in core/thread.c */
    uint32_t random;              /* for one-in-N choices */
    const void *reporting;        /* whose eviction listener it runs */
} mtci_thread;

/* Found without a call: the record is small enough for the room that the
 * loader keeps for libraries which are opened late. */
extern
    __attribute__((tls_model("initial-exec"),
                   visibility("hidden"))) _Thread_local mtci_thread mtci_self;

/* True once in n calls of this thread, at random; n >= 1. */
bool mtci_thread_one_in(int64_t n);

/* A random share, at least 0 and below 1, in the same way. */
double mtci_thread_share(void);

#endif
