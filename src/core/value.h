/*
 * Counted values: one block of bytes with a reference count and the facts of
 * the entry that it was read from.
 *
 * A block belongs to the values that refer to it; the last one frees it.
 * Any thread may share and give back; the facts are written before a second
 * value refers to the block.
 */
#ifndef MTCI_CORE_VALUE_H
#define MTCI_CORE_VALUE_H

#include "mtc/tier.h"

/* Notes what is known of a value that nobody else holds yet: the tier that
 * answered (-1: none), its facts as of sent_ms. An etag that is not among the
 * value's bytes is copied, and facts then has the copy. Values that are no
 * blocks know themselves and are left alone, and so are those that others
 * hold. */
void mtci_value_describe(mtc_value *value, int tier, mtc_facts *facts,
                         int64_t sent_ms);

/* Gives a value of any kind, also one that others hold, new facts without a
 * copy of its bytes: it was loaded now. Out of memory: it knows no more than
 * before, or all but the etag. */
void mtci_value_renew(mtc_value *value, mtc_facts *facts, int64_t now_ms);

#endif
