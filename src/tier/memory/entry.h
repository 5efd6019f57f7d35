/*
 * Entries of the memory tier and the book that counts them.
 *
 * An entry is one allocation: header, value, key, etag. It lives as long as
 * somebody holds it: its shard while it is linked there, and every value that
 * was handed out. Links and the sieve mark are guarded by the mutex of the
 * shard; key, value and facts never change; any thread may hold and drop.
 *
 * The book counts bytes and entries against their limits. It outlives the
 * tier for as long as entries do, so that an entry which was evicted but is
 * still held goes on counting until it is given back.
 */
#ifndef MTCI_TIER_MEMORY_ENTRY_H
#define MTCI_TIER_MEMORY_ENTRY_H

#include <stdatomic.h>

#include "mtc/tier.h"

typedef struct mtci_book {
    _Atomic uint64_t holder_count; /* the tier, and every entry alive */
    _Atomic uint64_t bytes;        /* charged now; never above bytes_max */
    uint64_t bytes_max;
    _Atomic uint64_t entries; /* linked now; never above entries_max */
    uint64_t entries_max;     /* UINT64_MAX: no limit */
    _Atomic int32_t tier;     /* index of the tier in its cache */
} mtci_book;

/* A book with one holder; NULL: out of memory. It is charged with itself. */
mtci_book *mtci_book_new(uint64_t bytes_max, uint64_t entries_max);
void mtci_book_drop(mtci_book *book);

/* Counts bytes if they fit. */
bool mtci_book_charge(mtci_book *book, uint64_t bytes);
void mtci_book_uncharge(mtci_book *book, uint64_t bytes);

/* When a life of left_ms that counts from sent_ms ends here, on boot time. */
int64_t mtci_life_end_ms(int64_t sent_ms, int64_t left_ms);

/* What an allocation of size bytes costs, the allocator's part included. */
uint64_t mtci_charge_of(size_t size);

typedef struct mtci_entry {
    struct mtci_entry *next;  /* in its bucket */
    struct mtci_entry *newer; /* in the order of arrival */
    struct mtci_entry *older;
    mtci_book *book;
    uint64_t hash;
    _Atomic int64_t end_ms; /* boot time; cut under the mutex of the shard */
    int64_t ttl_ms;
    int64_t window_ms;
    size_t value_size;
    _Atomic uint32_t holder_count;
    uint32_t key_size;
    int32_t load_ms;
    uint16_t etag_size;
    uint8_t kind;
    bool is_visited; /* asked for since the hand of the sieve last passed */
    _Alignas(16) unsigned char bytes[]; /* value, key, etag */
} mtci_entry;

/* Bytes that the entry of a request will be charged with. */
uint64_t mtci_entry_charge(const mtc_request *request);

/* Bytes that the entry is charged with. */
uint64_t mtci_entry_charged(const mtci_entry *entry);

/* An entry from a STORE request, for which its charge is already counted:
 * dropping the last holder uncharges it. NULL: out of memory, and the charge
 * is still the caller's. */
mtci_entry *mtci_entry_new(mtci_book *book, const mtc_request *request);

void mtci_entry_hold(mtci_entry *entry);
void mtci_entry_drop(mtci_entry *entry);

bool mtci_entry_has_key(const mtci_entry *entry, mtc_slice key, uint64_t hash);

/* What is left at now_ms; 0 or less when its life has ended, MTC_NO_END when
 * it never does. */
int64_t mtci_entry_left_ms(const mtci_entry *entry, int64_t now_ms);

void mtci_entry_facts(const mtci_entry *entry, int64_t now_ms,
                      mtc_facts *facts);

/* A value that takes over one hold on the entry. */
mtc_value mtci_entry_value_take(mtci_entry *entry);

#endif
