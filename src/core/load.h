/*
 * Running a loader and ending its flight with what it answered.
 */
#ifndef MTCI_CORE_LOAD_H
#define MTCI_CORE_LOAD_H

#include "core/ask.h"

/* Whether this thread is inside a loader of the same key. */
bool mtci_load_is_mine(const mtci_ask *ask);

/* Runs the loader of an ask that leads. True: result is final. False: the
 * answer comes later, and the ask follows its own flight. */
bool mtci_load_run(mtci_ask *ask);

#endif
