/*
 * Making and freeing operations; see op.h.
 */
#include "core/op.h"

#include <stdlib.h>

#include "core/lane.h"

mtci_op *mtci_op_new(mtci_lane *lane, mtc_verb verb, mtc_slice key,
                     uint64_t hash)
{
    size_t prefix_size = lane->prefix_size;
    mtci_op *op = malloc(sizeof(*op) + prefix_size + key.size);
    if (!op)
        return NULL;
    *op = (mtci_op){.lane = lane, .verb = verb, .prefix_size = prefix_size};
    atomic_init(&op->refs, 1);
    if (prefix_size > 0)
        memcpy(op->key, lane->prefix, prefix_size);
    if (key.size > 0)
        memcpy(op->key + prefix_size, key.data, key.size);
    op->request.key = mtc_bytes(op->key, prefix_size + key.size);
    op->request.hash = hash;
    op->request.facts.left_ms = MTC_NO_END;
    return op;
}

void mtci_op_set_facts(mtci_op *op, const mtc_facts *facts)
{
    mtc_slice etag = facts->etag;
    op->request.facts = *facts;
    if (etag.size > 0)
        op->etag = malloc(etag.size);
    if (op->etag)
        memcpy(op->etag, etag.data, etag.size);
    op->request.facts.etag = mtc_bytes(op->etag, op->etag ? etag.size : 0);
}

void mtci_op_turn(mtci_op *op)
{
    op->verb = MTC_VERB_REMOVE;
    op->is_turned = true;
    op->request.state = 0;
    atomic_store_explicit(&op->word, MTCI_OP_OPEN, memory_order_relaxed);
}

void mtci_op_release(mtci_op *op)
{
    if (!op)
        return;
    if (atomic_fetch_sub_explicit(&op->refs, 1, memory_order_acq_rel) > 1)
        return;
    mtc_value_free(&op->request.value);
    free(op->etag);
    free(op);
}
