/*
 * The registry of pins; see pin.h.
 */
#include "base/pin.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/membarrier.h>

#ifdef __SANITIZE_THREAD__
#define KNOWS_MEMBARRIER false
#else
#define KNOWS_MEMBARRIER true
#endif

/* Of destructors at the end of a thread, of which there are at least four. */
#define ROUNDS_MAX 3

_Static_assert(sizeof(mtci_pins) <= MTCI_PINS_ALIGN, "a slot tells its record");

static struct registry {
    pthread_once_t once;
    pthread_key_t key; /* its destructor gives a record back */
    bool has_key;
    bool is_plain;
    _Atomic(mtci_pins *) first; /* records are only ever added */
    pthread_mutex_t mutex;      /* guards what follows */
    uint32_t count;
    mtci_waiter *waiters;
} registry = {.once = PTHREAD_ONCE_INIT, .mutex = PTHREAD_MUTEX_INITIALIZER};

/* A bit for each slot that may have been used: there are some from the
 * beginning. */
static uint64_t slots_of(const mtci_pins *pins)
{
    unsigned seen = atomic_load_explicit(&pins->seen, memory_order_relaxed);
    /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult) */
    return UINT64_MAX >> (MTCI_PINS - seen);
}

/* The thread ends. Destructors of the program's that come later may yet give
 * values back, in this record; so it waits for another round of them, or
 * more. Pins that nobody gives back stay where they are. */
static void give_back(void *record)
{
    mtci_pins *pins = record;
    bool holds_any = pins->free != slots_of(pins);
    if (holds_any && pins->rounds < ROUNDS_MAX) {
        pins->rounds++;
        if (pthread_setspecific(registry.key, pins) == 0)
            return;
    }
    pins->rounds = 0;
    mtci_self.pins = NULL;
    atomic_store_explicit(&pins->is_taken, false, memory_order_release);
}

static mtci_pins *first_record(void)
{
    return atomic_load_explicit(&registry.first, memory_order_acquire);
}

/* -- a forked child ------------------------------------------------------ */

static bool can_fence(void)
{
    return KNOWS_MEMBARRIER &&
           syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0,
                   0) == 0;
}

static void before_fork(void)
{
    pthread_mutex_lock(&registry.mutex);
}

static void in_parent(void)
{
    pthread_mutex_unlock(&registry.mutex);
}

/* Of a thread that the child does not have. */
static void forget(mtci_pins *pins)
{
    unsigned seen = atomic_load_explicit(&pins->seen, memory_order_relaxed);
    for (unsigned i = 0; i < seen; i++)
        atomic_store_explicit(&pins->at[i], NULL, memory_order_relaxed);
    pins->free = slots_of(pins);
    pins->rounds = 0;
    atomic_store_explicit(&pins->visited, NULL, memory_order_relaxed);
    atomic_store_explicit(&pins->is_taken, false, memory_order_relaxed);
}

/* What the other threads pinned and visited is nobody's; a new cache may lie
 * where one of those did. */
static void in_child(void)
{
    for (mtci_pins *pins = first_record(); pins; pins = pins->next) {
        atomic_store_explicit(&pins->is_awaited, false, memory_order_relaxed);
        if (pins != mtci_self.pins)
            forget(pins);
    }
    registry.waiters = NULL;
    if (registry.is_plain)
        can_fence();
    pthread_mutex_unlock(&registry.mutex);
}

static void begin(void)
{
    registry.is_plain = can_fence();
    pthread_atfork(before_fork, in_parent, in_child);
    registry.has_key = pthread_key_create(&registry.key, give_back) == 0;
}

static bool take(mtci_pins *pins)
{
    bool is_taken = false;
    return atomic_compare_exchange_strong_explicit(&pins->is_taken, &is_taken,
                                                   true, memory_order_acquire,
                                                   memory_order_relaxed);
}

static mtci_pins *take_used(void)
{
    for (mtci_pins *pins = first_record(); pins; pins = pins->next) {
        if (take(pins))
            return pins;
    }
    return NULL;
}

static mtci_pins *add_new(void)
{
    mtci_pins *pins = aligned_alloc(MTCI_PINS_ALIGN, MTCI_PINS_ALIGN);
    if (!pins)
        return NULL;
    *pins = (mtci_pins){.free = (UINT64_C(1) << MTCI_PINS_FIRST) - 1,
                        .is_plain = registry.is_plain};
    atomic_init(&pins->seen, MTCI_PINS_FIRST);
    atomic_init(&pins->is_taken, true);
    pthread_mutex_lock(&registry.mutex);
    pins->index = registry.count++;
    atomic_init(&pins->is_awaited, registry.waiters != NULL);
    pins->next = first_record();
    atomic_store_explicit(&registry.first, pins, memory_order_release);
    pthread_mutex_unlock(&registry.mutex);
    return pins;
}

mtci_pins *mtci_pins_register(void)
{
    pthread_once(&registry.once, begin);
    mtci_pins *pins = take_used();
    if (!pins)
        pins = add_new();
    /* Without a key the record stays with the thread that has gone. */
    if (pins && registry.has_key)
        pthread_setspecific(registry.key, pins);
    mtci_self.pins = pins;
    return pins;
}

bool mtci_pins_widen(mtci_pins *pins)
{
    unsigned seen = atomic_load_explicit(&pins->seen, memory_order_relaxed);
    if (seen == MTCI_PINS)
        return false;
    pins->free = UINT64_MAX << seen;
    atomic_store_explicit(&pins->seen, MTCI_PINS, memory_order_seq_cst);
    return true;
}

void mtci_pins_fence(void)
{
    pthread_once(&registry.once, begin);
    if (registry.is_plain)
        syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
#ifdef __SANITIZE_THREAD__
    static _Atomic int fence;
    atomic_fetch_add_explicit(&fence, 1, memory_order_seq_cst);
#else
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

void mtci_pins_each(void (*see)(void *ctx, void *object), void *ctx)
{
    for (mtci_pins *pins = first_record(); pins; pins = pins->next) {
        unsigned seen = atomic_load_explicit(&pins->seen, memory_order_relaxed);
        for (unsigned i = 0; i < seen; i++) {
            void *object =
                atomic_load_explicit(&pins->at[i], memory_order_seq_cst);
            if (object)
                see(ctx, object);
        }
    }
}

void mtci_pins_await_visitors(const void *thing)
{
    mtci_pins_fence();
    for (mtci_pins *pins = first_record(); pins; pins = pins->next) {
        while (atomic_load_explicit(&pins->visited, memory_order_seq_cst) ==
               thing)
            sched_yield();
    }
}

static void mark_all_locked(bool is_awaited)
{
    for (mtci_pins *pins = first_record(); pins; pins = pins->next)
        atomic_store_explicit(&pins->is_awaited, is_awaited,
                              memory_order_seq_cst);
}

static void try_all_locked(void)
{
    mtci_waiter **at = &registry.waiters;
    while (*at) {
        mtci_waiter *waiter = *at;
        mtci_waiter *next = waiter->next;
        if (waiter->try_end(waiter))
            *at = next;
        else
            at = &waiter->next;
    }
    if (!registry.waiters)
        mark_all_locked(false);
}

void mtci_pins_notify(void)
{
    pthread_mutex_lock(&registry.mutex);
    try_all_locked();
    pthread_mutex_unlock(&registry.mutex);
}

void mtci_pins_await(mtci_waiter *waiter)
{
    pthread_mutex_lock(&registry.mutex);
    waiter->next = registry.waiters;
    registry.waiters = waiter;
    mark_all_locked(true);
    try_all_locked();
    pthread_mutex_unlock(&registry.mutex);
}
