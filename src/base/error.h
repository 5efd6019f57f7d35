/*
 * Filling the caller's mtc_error. Stateless; any thread.
 */
#ifndef MTCI_BASE_ERROR_H
#define MTCI_BASE_ERROR_H

#include "mtc/status.h"

/* Sets error (may be NULL) and returns status, so that a guard clause can say
 * both in one line. errno is noted when status is UNAVAILABLE or DENIED. */
mtc_status mtci_fail(mtc_error *error, mtc_status status, const char *part,
                     const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
