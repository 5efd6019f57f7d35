/*
 * Filling the caller's mtc_error. Stateless; any thread.
 */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

mtc_status mtci_fail(mtc_error *error, mtc_status status, const char *part,
                     const char *format, ...)
{
    int system_error = errno;
    va_list arguments;

    if (error == NULL) {
        return status;
    }
    error->status = status;
    error->system_error = status == MTC_E_UNAVAILABLE || status == MTC_E_DENIED
                              ? system_error
                              : 0;
    snprintf(error->part, sizeof(error->part), "%s", part);
    va_start(arguments, format);
    vsnprintf(error->text, sizeof(error->text), format, arguments);
    va_end(arguments);
    return status;
}
