/*
 * Statuses, errors and the version: what every call of the library answers.
 *
 * One signed number says how a call ended: 0 is done, a positive number is
 * done with news, a negative one is not done. A miss is not an error, and an
 * error is never called a miss.
 */
#ifndef MTC_STATUS_H
#define MTC_STATUS_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
/** Marks what the library exports. */
#define MTC_API __attribute__((visibility("default")))
#else
#define MTC_API
#endif

/** Version of the headers: major, minor, patch. */
#define MTC_VERSION_MAJOR 0
/** Minor part of the version of the headers. */
#define MTC_VERSION_MINOR 1
/** Patch part of the version of the headers. */
#define MTC_VERSION_PATCH 0

#ifdef __cplusplus
extern "C" {
#endif

/** How a call ended. The numbers are fixed for good. */
typedef enum mtc_status {
    /** Done. */
    MTC_OK = 0,

    /** Done: the key is in no tier, and no tier failed to say so. */
    MTC_MISS = 1,
    /** Done: a value past its soft end, which the caller accepts or a failed
     *  load falls back on. */
    MTC_STALE = 2,
    /** Done: it is cached that the source has nothing under this key. */
    MTC_ABSENT = 3,
    /** Done in part: some tier, or some key of many, was left out. */
    MTC_PARTIAL = 4,
    /** Begun: the rest follows without the caller. */
    MTC_PENDING = 5,
    /** Done already: what was to be created is there. */
    MTC_EXISTS = 6,

    /** An argument, option or URL is wrong: mend the call. */
    MTC_E_INVALID = -1,
    /** A key or value is over a limit; nothing was cut short. */
    MTC_E_TOO_LARGE = -2,
    /** Out of memory; nothing was changed. */
    MTC_E_NO_MEMORY = -3,
    /** This cache, tier or build cannot do that. */
    MTC_E_UNSUPPORTED = -4,
    /** A tier cannot be reached or will not serve: try later. */
    MTC_E_UNAVAILABLE = -5,
    /** Refused for want of a right or a password: mend the set-up. */
    MTC_E_DENIED = -6,
    /** The deadline passed first. */
    MTC_E_TIMEOUT = -7,
    /** A queue or list is at its limit: not done, try later. */
    MTC_E_BUSY = -8,
    /** Given up on request. */
    MTC_E_CANCELLED = -9,
    /** The cache is closed or closing. */
    MTC_E_CLOSED = -10,
    /** A loader waits, directly or through others, for its own result. */
    MTC_E_DEADLOCK = -11,
    /** The loader failed, or answered nothing. */
    MTC_E_LOAD_FAILED = -12,
    /** Bytes from a tier are damaged. */
    MTC_E_CORRUPT = -13,
    /** The cache belongs to the parent of this forked process. */
    MTC_E_FORKED = -14
} mtc_status;

/** What went wrong in a set-up call; the caller owns it. */
typedef struct mtc_error {
    /** The status that the call returned. */
    mtc_status status;
    /** errno of the system call behind it, or 0. */
    int system_error;
    /** The part that failed: "options", "url", "disk", "redis", ... */
    char part[32];
    /** One line for a person; names the field, its value and its range.
     *  Never holds a password. */
    char text[256];
} mtc_error;

/**
 * The name of a status as it is spelt in C, without "MTC_": "MISS".
 *
 * @param status any number.
 * @return a static string; "UNKNOWN" for a number that is no status.
 *
 * **Returns** never NULL.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API const char *mtc_status_name(mtc_status status);

/**
 * A status in plain words: "the key is in no tier".
 *
 * @param status any number.
 * @return a static string; "unknown status" for a number that is no status.
 *
 * **Returns** never NULL.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API const char *mtc_status_text(mtc_status status);

/**
 * The version of the library that is linked: "0.1.0".
 *
 * @return a static string.
 *
 * **Returns** never NULL.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API const char *mtc_version(void);

#ifdef __cplusplus
}
#endif

#endif
