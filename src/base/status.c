/*
 * Statuses in words, and the version. Constant tables; any thread.
 */
#include "mtc/status.h"

typedef struct status_row {
    mtc_status status;
    const char *name;
    const char *text;
} status_row;

static const status_row status_rows[] = {
    {MTC_OK, "OK", "done"},
    {MTC_MISS, "MISS", "the key is in no tier"},
    {MTC_STALE, "STALE", "the value is past its soft end"},
    {MTC_ABSENT, "ABSENT", "the source is known to have nothing"},
    {MTC_PARTIAL, "PARTIAL", "done, but some tier or key was left out"},
    {MTC_PENDING, "PENDING", "begun, and the rest follows"},
    {MTC_EXISTS, "EXISTS", "done already: it is there"},
    {MTC_E_INVALID, "E_INVALID", "an argument, option or URL is wrong"},
    {MTC_E_TOO_LARGE, "E_TOO_LARGE", "a key or value is over a limit"},
    {MTC_E_NO_MEMORY, "E_NO_MEMORY", "out of memory"},
    {MTC_E_UNSUPPORTED, "E_UNSUPPORTED", "not something this build can do"},
    {MTC_E_UNAVAILABLE, "E_UNAVAILABLE", "a tier cannot be reached"},
    {MTC_E_DENIED, "E_DENIED", "refused for want of a right or a password"},
    {MTC_E_TIMEOUT, "E_TIMEOUT", "the deadline passed first"},
    {MTC_E_BUSY, "E_BUSY", "a queue or list is full"},
    {MTC_E_CANCELLED, "E_CANCELLED", "given up on request"},
    {MTC_E_CLOSED, "E_CLOSED", "the cache is closed"},
    {MTC_E_DEADLOCK, "E_DEADLOCK", "a loader waits for its own result"},
    {MTC_E_LOAD_FAILED, "E_LOAD_FAILED", "the loader gave no value"},
    {MTC_E_CORRUPT, "E_CORRUPT", "bytes from a tier are damaged"},
    {MTC_E_FORKED, "E_FORKED", "the cache belongs to the parent process"},
};

static const status_row *status_find(mtc_status status)
{
    for (size_t i = 0; i < sizeof(status_rows) / sizeof(*status_rows); i++) {
        if (status_rows[i].status == status) {
            return &status_rows[i];
        }
    }
    return NULL;
}

const char *mtc_status_name(mtc_status status)
{
    const status_row *row = status_find(status);

    return row == NULL ? "UNKNOWN" : row->name;
}

const char *mtc_status_text(mtc_status status)
{
    const status_row *row = status_find(status);

    return row == NULL ? "unknown status" : row->text;
}

#define QUOTED(text) #text
#define DOTTED(major, minor, patch)                                            \
    QUOTED(major) "." QUOTED(minor) "." QUOTED(patch)

const char *mtc_version(void)
{
    return DOTTED(MTC_VERSION_MAJOR, MTC_VERSION_MINOR, MTC_VERSION_PATCH);
}
