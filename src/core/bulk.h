/*
 * Bulk loads: many keys in one call of a bulk loader.
 *
 * A bulk leads the flights of its keys in the place of the caller that opened
 * them, who follows; so it runs in that caller's thread or behind it, and
 * takes one turn for all. It is counted: one for who runs it, one for each of
 * its loads that is open.
 */
#ifndef MTCI_CORE_BULK_H
#define MTCI_CORE_BULK_H

#include "core/ask.h"

/* What a bulk call loads with; the ctx of its asks. */
typedef struct mtci_bulk_source {
    mtc_bulk_loader loader;
    void *ctx;
} mtci_bulk_source;

/* Loads the keys of asks that lead and have looked in vain, and lets them
 * follow; in this thread, with the cancel state given, or behind it. The first
 * ask may have a turn, which is for all; else one is waited for. False: out of
 * memory, nothing is done. */
bool mtci_bulk_load(mtci_ask *const *asks, size_t count, int cancel_state);

/* Loads keys anew behind their caller, but for those that are in flight or
 * were not to be had lately. Without memory nothing is done. */
void mtci_bulk_refresh(const mtci_ask *asks, size_t count);

/* The loader of one such ask, should it have to lead alone. */
mtc_status mtci_bulk_load_one(mtc_load *load, void *ctx);

void mtci_bulk_release(mtc_bulk *bulk);

#endif
