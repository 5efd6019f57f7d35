/*
 * Values: giving back, sharing, and the two kinds the library makes itself,
 * counted blocks and borrowed bytes. See value.h. Any thread.
 */
#include "core/value.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "core/sized.h"

/* What mtc_value_info held in version 0.1. */
#define INFO_SIZE_MIN 48u

typedef struct block {
    _Atomic uint32_t refs;
    int32_t tier;
    int64_t sent_ms; /* when facts held */
    mtc_facts facts;
    mtc_value inner; /* whose bytes the value has, or none */
    size_t size;
    alignas(16) char bytes[];
} block;

static void block_free(mtc_value *value)
{
    block *owner = value->owner;
    if (atomic_fetch_sub_explicit(&owner->refs, 1, memory_order_acq_rel) > 1)
        return;
    mtc_value_free(&owner->inner);
    free(owner);
}

static mtc_status block_share(const mtc_value *value, mtc_value *out)
{
    block *owner = value->owner;
    atomic_fetch_add_explicit(&owner->refs, 1, memory_order_relaxed);
    *out = *value;
    return MTC_OK;
}

static void block_info(const mtc_value *value, int64_t now_ms,
                       mtc_value_info *info)
{
    const block *owner = value->owner;
    const mtc_facts *facts = &owner->facts;
    info->tier = owner->tier;
    info->etag = facts->etag;
    info->ttl_ms = facts->ttl_ms;
    info->window_ms = facts->window_ms;
    info->load_ms = facts->load_ms;
    info->age_ms = -1;
    info->left_ms = MTC_NO_END;
    if (facts->left_ms == MTC_NO_END)
        return;
    int64_t left = facts->left_ms - (now_ms - owner->sent_ms);
    info->left_ms = left > 0 ? left : 0;
    info->is_stale = left <= facts->window_ms;
    if (facts->ttl_ms > 0)
        info->age_ms = facts->ttl_ms + facts->window_ms - left;
}

static const mtc_value_ops block_ops = {
    .struct_size = sizeof(mtc_value_ops),
    .free = block_free,
    .share = block_share,
    .info = block_info,
};

static void borrowed_free(mtc_value *value)
{
    (void)value;
}

static mtc_status borrowed_share(const mtc_value *value, mtc_value *out)
{
    return mtc_value_copy(mtc_value_slice(value), out);
}

static void borrowed_info(const mtc_value *value, int64_t now_ms,
                          mtc_value_info *info)
{
    (void)value;
    (void)now_ms;
    info->tier = -1;
    info->age_ms = -1;
    info->left_ms = MTC_NO_END;
}

static const mtc_value_ops borrowed_ops = {
    .struct_size = sizeof(mtc_value_ops),
    .free = borrowed_free,
    .share = borrowed_share,
    .info = borrowed_info,
};

/* -- facts -------------------------------------------------------------- */

static bool is_own(const mtc_value *value)
{
    const block *owner = value->owner;
    return value->ops == &block_ops &&
           atomic_load_explicit(&owner->refs, memory_order_acquire) == 1;
}

static bool is_within(const block *owner, mtc_slice etag)
{
    const char *first = etag.data;
    return etag.size == 0 || (first >= owner->bytes &&
                              first + etag.size <= owner->bytes + owner->size);
}

static void note(block *owner, int tier, const mtc_facts *facts,
                 int64_t sent_ms)
{
    owner->tier = tier;
    owner->facts = *facts;
    owner->sent_ms = sent_ms;
}

/* A holder of the bytes alone, so that wraps do not pile up. */
static mtc_status share_inner(const mtc_value *value, mtc_value *out)
{
    const block *owner = value->owner;
    bool is_wrapped = value->ops == &block_ops && owner->inner.ops;
    return mtc_value_share(is_wrapped ? &owner->inner : value, out);
}

/* Puts the value into a block of its own, which keeps facts and etag. False:
 * out of memory, nothing changed. */
static bool wrap(mtc_value *value, int tier, const mtc_facts *facts,
                 int64_t sent_ms)
{
    void *room;
    mtc_value outer;
    mtc_facts own = *facts;
    if (mtc_value_new(facts->etag.size, &room, &outer) != MTC_OK)
        return false;
    block *owner = outer.owner;
    if (share_inner(value, &owner->inner) != MTC_OK) {
        mtc_value_free(&outer);
        return false;
    }
    if (facts->etag.size > 0)
        memcpy(room, facts->etag.data, facts->etag.size);
    own.etag.data = room;
    note(owner, tier, &own, sent_ms);
    outer.data = owner->inner.data;
    outer.size = value->size;
    mtc_value_free(value);
    *value = outer;
    return true;
}

void mtci_value_describe(mtc_value *value, int tier, mtc_facts *facts,
                         int64_t sent_ms)
{
    if (!is_own(value))
        return;
    if (!is_within(value->owner, facts->etag) &&
        !wrap(value, tier, facts, sent_ms))
        facts->etag = mtc_bytes(NULL, 0);
    if (is_within(value->owner, facts->etag))
        note(value->owner, tier, facts, sent_ms);
    facts->etag = ((const block *)value->owner)->facts.etag;
}

void mtci_value_renew(mtc_value *value, mtc_facts *facts, int64_t now_ms)
{
    if (is_own(value))
        mtci_value_describe(value, -1, facts, now_ms);
    else
        wrap(value, -1, facts, now_ms);
}

mtc_status mtc_value_new(size_t size, void **bytes, mtc_value *out)
{
    *out = (mtc_value){0};
    if (size > SIZE_MAX - sizeof(block))
        return MTC_E_NO_MEMORY;
    block *owner = malloc(sizeof(block) + size);
    if (!owner)
        return MTC_E_NO_MEMORY;
    atomic_init(&owner->refs, 1);
    owner->tier = -1;
    owner->sent_ms = 0;
    owner->facts = (mtc_facts){.left_ms = MTC_NO_END};
    owner->inner = (mtc_value){0};
    owner->size = size;
    *bytes = owner->bytes;
    *out = (mtc_value){owner->bytes, size, &block_ops, owner};
    return MTC_OK;
}

mtc_status mtc_value_copy(mtc_slice bytes, mtc_value *out)
{
    void *room;
    mtc_status status = mtc_value_new(bytes.size, &room, out);
    if (status == MTC_OK && bytes.size > 0)
        memcpy(room, bytes.data, bytes.size);
    return status;
}

mtc_value mtc_value_borrow(mtc_slice bytes)
{
    return (mtc_value){bytes.data, bytes.size, &borrowed_ops, NULL};
}

void mtc_value_free(mtc_value *value)
{
    if (!value)
        return;
    if (value->ops)
        value->ops->free(value);
    *value = (mtc_value){0};
}

mtc_status mtc_value_share(const mtc_value *value, mtc_value *out)
{
    if (!out)
        return MTC_E_INVALID;
    *out = (mtc_value){0};
    if (!value)
        return MTC_E_INVALID;
    if (!value->ops)
        return MTC_OK;
    mtc_status status = value->ops->share(value, out);
    if (status != MTC_OK)
        *out = (mtc_value){0};
    return status;
}

mtc_status mtc_value_detach(mtc_value *value)
{
    mtc_value shared;
    mtc_status status = mtc_value_share(value, &shared);
    if (status != MTC_OK)
        return status;
    mtc_value_free(value);
    *value = shared;
    return MTC_OK;
}

mtc_status mtc_value_info_get(const mtc_value *value, mtc_value_info *out)
{
    if (!value || !value->ops || !out)
        return MTC_E_INVALID;
    mtc_value_info info = MTC_VALUE_INFO_INIT;
    value->ops->info(value, mtci_boot_ms(), &info);
    return mtci_sized_give(out, &info, sizeof(info), INFO_SIZE_MIN)
               ? MTC_OK
               : MTC_E_INVALID;
}
