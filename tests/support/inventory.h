/*
 * What this process holds of the system's: open descriptors and threads.
 */
#ifndef MTCT_INVENTORY_H
#define MTCT_INVENTORY_H

#include <stdbool.h>

#define MTCT_INVENTORY_ANY -1

typedef struct mtct_inventory {
    int descriptors;
    int threads;
} mtct_inventory;

mtct_inventory mtct_inventory_take(void);

/* Waits, 30 seconds at most, until both are what they were (or any number, if
 * that is MTCT_INVENTORY_ANY); fills in what there was last. A thread that was
 * joined, or looks up a name, is gone before long. */
bool mtct_inventory_await(const mtct_inventory *before, mtct_inventory *now);

#endif
