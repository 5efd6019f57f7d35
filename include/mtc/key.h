/*
 * Keys from parts: "user:42" from "user" and 42.
 *
 * A builder that joins parts so that no two lists of parts give the same key,
 * whatever bytes are in them. It lives in the caller's storage, allocates
 * only for keys over 256 bytes, keeps its first error, and is asked once at
 * the end:
 *
 *     mtc_key key;
 *     mtc_slice bytes;
 *
 *     mtc_key_init(&key);
 *     mtc_key_add(&key, mtc_str("user"));
 *     mtc_key_add_int(&key, id);
 *     status = mtc_key_slice(&key, &bytes);
 *     ...
 *     mtc_key_fini(&key);
 */
#ifndef MTC_KEY_H
#define MTC_KEY_H

#include "mtc/value.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Bytes of a key that are kept without an allocation. */
#define MTC_KEY_INLINE_SIZE 256

/** A key being built. All fields are private; a zeroed one is empty. */
typedef struct mtc_key {
    /** Private. */
    char *heap;
    /** Private. */
    size_t size;
    /** Private. */
    size_t capacity;
    /** Private. */
    uint32_t is_begun;
    /** Private: mtc_status. */
    int32_t status;
    /** Private. */
    char bytes[MTC_KEY_INLINE_SIZE];
} mtc_key;

/**
 * Begins a key without parts.
 *
 * @param key the caller's storage.
 *
 * **Returns** nothing.
 * **Threads** owner.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API void mtc_key_init(mtc_key *key);

/**
 * Adds a part: its bytes, with ':' written as "%3A" and '%' as "%25", behind
 * a ':' unless it is the first. An empty part counts. An error is kept and
 * told by mtc_key_slice.
 *
 * @param key the key.
 * @param part any bytes, borrowed for the call.
 *
 * **Returns** nothing.
 * **Threads** owner.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API void mtc_key_add(mtc_key *key, mtc_slice part);

/**
 * Adds a number in decimal as a part; the same part as its text.
 *
 * @param key the key.
 * @param number any number.
 *
 * **Returns** nothing.
 * **Threads** owner.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API void mtc_key_add_int(mtc_key *key, int64_t number);

/**
 * The key that was built.
 *
 * @param key the key.
 * @param out receives the key, borrowed until key is changed, copied or
 *        ended; emptied when the call fails.
 * @return MTC_OK; MTC_E_INVALID for a key without parts, a part of NULL with
 *         a size, or NULL; MTC_E_TOO_LARGE over MTC_KEY_SIZE_MAX;
 *         MTC_E_NO_MEMORY.
 *
 * **Returns** as above.
 * **Threads** owner.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_key_slice(const mtc_key *key, mtc_slice *out);

/**
 * Gives back what the key holds; it is empty then and may be used again.
 *
 * @param key the key, a zeroed one, or NULL.
 *
 * **Returns** nothing.
 * **Threads** owner.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API void mtc_key_fini(mtc_key *key);

#ifdef __cplusplus
}
#endif

#endif
