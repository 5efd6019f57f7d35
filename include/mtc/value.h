/*
 * Slices and values: the bytes that go in and come out.
 *
 * A slice is borrowed and never stored. A value is immutable and belongs to
 * whoever received it until it is given back with mtc_value_free; a hit in
 * memory copies no byte of it.
 */
#ifndef MTC_VALUE_H
#define MTC_VALUE_H

#include <stdbool.h>
#include <string.h>

#include "mtc/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Borrowed bytes; any byte may occur, and size may be 0. */
typedef struct mtc_slice {
    /** First byte; may be NULL when size is 0. */
    const void *data;
    /** Count of bytes. */
    size_t size;
} mtc_slice;

/**
 * Bytes as a slice.
 *
 * @param data first byte, borrowed.
 * @param size count of bytes.
 * @return the slice.
 *
 * **Returns** always.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
static inline mtc_slice mtc_bytes(const void *data, size_t size)
{
    mtc_slice slice = {data, size};
    return slice;
}

/**
 * A C string as a slice, without its final NUL.
 *
 * @param text a string, borrowed; not NULL.
 * @return the slice.
 *
 * **Returns** always.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
static inline mtc_slice mtc_str(const char *text)
{
    return mtc_bytes(text, strlen(text));
}

struct mtc_value_ops;

/**
 * An immutable value in the caller's hands: 32 bytes that never grow and are
 * never allocated. A zeroed one is empty and may be freed. Copying the struct
 * does not copy the value: one of the copies is given back, once.
 */
typedef struct mtc_value {
    /** First byte, aligned to 8 when the value came from the library. */
    const void *data;
    /** Count of bytes. */
    size_t size;
    /** Private. */
    const struct mtc_value_ops *ops;
    /** Private. */
    void *owner;
} mtc_value;

/** What a cached entry stands for. */
typedef enum mtc_kind {
    /** A value. */
    MTC_KIND_VALUE = 0,
    /** The knowledge that the source has nothing under the key. */
    MTC_KIND_ABSENT = 1,
    /** A promise that some process is loading the key. */
    MTC_KIND_LEASE = 2
} mtc_kind;

/** A time to live without an end, in facts only; no strategy accepts it. */
#define MTC_NO_END INT64_MAX

/** Facts about a value; set struct_size with MTC_VALUE_INFO_INIT. */
typedef struct mtc_value_info {
    /** sizeof(mtc_value_info); a smaller struct gets its first fields. */
    uint32_t struct_size;
    /** Index of the tier that answered, 0 first; -1: loaded or set just now. */
    int32_t tier;
    /** Milliseconds since the value was written; -1: not known. */
    int64_t age_ms;
    /** Milliseconds until its hard end, 0 when past; MTC_NO_END: none. */
    int64_t left_ms;
    /** Past its soft end. */
    bool is_stale;
    /** The entity tag its loader gave, borrowed from the value; may be empty.*/
    mtc_slice etag;
    /** Time to live when written, in milliseconds; 0: not known. */
    int64_t ttl_ms;
    /** Stale window behind the ttl, in milliseconds; 0: none. */
    int64_t window_ms;
    /** What loading it took, in milliseconds; 0: not known. */
    int64_t load_ms;
} mtc_value_info;

/** An empty mtc_value_info that knows its size. */
#define MTC_VALUE_INFO_INIT                                                    \
    {                                                                          \
        (uint32_t)sizeof(mtc_value_info), 0, 0, 0, false, {NULL, 0}, 0, 0, 0   \
    }

/**
 * The bytes of a value as a slice, valid until the value is given back.
 *
 * @param value a value; not NULL.
 * @return the borrowed slice.
 *
 * **Returns** always.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
static inline mtc_slice mtc_value_slice(const mtc_value *value)
{
    return mtc_bytes(value->data, value->size);
}

/**
 * Gives a value back and zeroes it.
 *
 * @param value what a call handed out, a zeroed struct, or NULL. A value that
 *        was never detached is given back in the thread that received it.
 *
 * **Returns** nothing.
 * **Threads** the one that received the value; any after mtc_value_detach.
 * **Blocks** never. Works after the cache was closed, too.
 * **Since** 0.1
 */
MTC_API void mtc_value_free(mtc_value *value);

/**
 * Makes a value outlive its thread: afterwards any thread may read it and
 * give it back. Bytes are not copied where the value is shared already.
 *
 * @param value a value; unchanged when the call fails.
 * @return MTC_OK; MTC_E_INVALID for NULL; MTC_E_NO_MEMORY.
 *
 * **Returns** as above.
 * **Threads** the one that received the value.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_value_detach(mtc_value *value);

/**
 * A second holder of the same value, detached; each is given back once.
 *
 * @param value a value; not NULL.
 * @param out receives the second one; zeroed when the call fails.
 * @return MTC_OK; MTC_E_INVALID for NULL; MTC_E_NO_MEMORY.
 *
 * **Returns** as above.
 * **Threads** the one that may read the value.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_value_share(const mtc_value *value, mtc_value *out);

/**
 * Tells where a value came from and how long it is still good, as of now.
 *
 * @param value a value that is not given back.
 * @param out struct_size set by the caller; receives the facts.
 * @return MTC_OK; MTC_E_INVALID for NULL, an empty value or a struct_size
 *         that no version had.
 *
 * **Returns** as above.
 * **Threads** the one that may read the value.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_value_info_get(const mtc_value *value,
                                      mtc_value_info *out);

#ifdef __cplusplus
}
#endif

#endif
