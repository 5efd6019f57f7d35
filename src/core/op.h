/*
 * An operation: one request to one tier, from its making to its end.
 *
 * It is counted, once for the caller who made it and once for the tier while
 * it is under way, so that a caller may leave at its deadline. word says who
 * came first, the answer or the caller's departure.
 */
#ifndef MTCI_CORE_OP_H
#define MTCI_CORE_OP_H

#include <stdatomic.h>

#include "mtc/tier.h"

struct mtci_lane;
struct mtci_task;

/* States of an operation's word. */
enum {
    MTCI_OP_OPEN = 0,     /* under way, or not submitted yet */
    MTCI_OP_SLEEPING = 1, /* under way, and its caller sleeps on the word */
    MTCI_OP_LEFT = 2,     /* under way, and nobody waits */
    MTCI_OP_DONE = 3      /* request.status says how */
};

typedef struct mtci_op {
    mtc_request request; /* first: a request is cast to its operation */
    struct mtci_lane *lane;
    struct mtci_op *next; /* in a worker's queue, or the keeper's list */
    _Atomic uint32_t word;
    _Atomic uint32_t refs;
    /* Optional: is told of the end, unless it has left. */
    struct mtci_task *task;

    mtc_verb verb;    /* as sent */
    bool is_turned;   /* sent as a remove, whatever was asked */
    bool is_fill;     /* stores what was loaded or promoted */
    bool is_probe;    /* asked by the library itself */
    bool wants_lease; /* a read that may bring one */
    int64_t wait_ms;  /* in place of the tier's deadline; 0: not */
    uint64_t order;   /* of a write: see mtci_debts_order */
    int64_t sent_us;
    void *etag; /* the operation's own copy; NULL: none */
    size_t prefix_size;
    char key[]; /* prefix, then key */
} mtci_op;

/* A new operation on a key of a lane; the caller fills value and facts. NULL:
 * out of memory. */
mtci_op *mtci_op_new(struct mtci_lane *lane, mtc_verb verb, mtc_slice key,
                     uint64_t hash);

/* What the operation stores; an etag is copied, and left out without memory
 * for it. */
void mtci_op_set_facts(mtci_op *op, const mtc_facts *facts);

/* Makes a remove of an operation that is complete, to be submitted again. */
void mtci_op_turn(mtci_op *op);

/* Gives back one count; NULL is fine. The last one frees value and all. */
void mtci_op_release(mtci_op *op);

static inline bool mtci_op_is_done(const mtci_op *op)
{
    return atomic_load_explicit(&op->word, memory_order_acquire) ==
           MTCI_OP_DONE;
}

/* The key without the tier's prefix. */
static inline mtc_slice mtci_op_key(const mtci_op *op)
{
    return mtc_bytes(op->key + op->prefix_size,
                     op->request.key.size - op->prefix_size);
}

#endif
