/*
 * The tier contract: what a storage tier offers and what it may rely on.
 *
 * Everything between the cache and a tier goes through this header; the
 * library's own tiers use nothing else. docs/writing-a-tier.md is the guide,
 * examples/custom_tier.c and src/tier/noop/noop.c are the smallest tiers.
 */
#ifndef MTC_TIER_H
#define MTC_TIER_H

#include "mtc/value.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The most tiers that one cache may have. */
#define MTC_TIERS_MAX 8

typedef struct mtc_tier mtc_tier;
typedef struct mtc_request mtc_request;

/** What a request asks for. */
typedef enum mtc_verb {
    /** Find the entry of a key. */
    MTC_VERB_READ = 0,
    /** Put an entry in place of whatever the key had. */
    MTC_VERB_STORE = 1,
    /** Take the entry of a key away. */
    MTC_VERB_REMOVE = 2,
    /** Cut what is left of an entry to its stale window. */
    MTC_VERB_EXPIRE = 3,
    /** Tell when the lease of a key has ended; only to a tier with LEASES. */
    MTC_VERB_AWAIT = 4
} mtc_verb;

/**
 * What is known of an entry beside its bytes. Lengths, never points in time:
 * with p left, the entry is stale when p <= window, and its age is
 * ttl + window - p.
 */
typedef struct mtc_facts {
    /** mtc_kind. */
    int32_t kind;
    /** What loading the value took, in milliseconds; 0: not known. */
    int32_t load_ms;
    /** Milliseconds until the hard end, > 0; MTC_NO_END: none. */
    int64_t left_ms;
    /** Time to live when written, in milliseconds; 0: not known. */
    int64_t ttl_ms;
    /** Stale window behind the ttl, in milliseconds; 0: none. */
    int64_t window_ms;
    /** Entity tag; borrowed from the request or the value; may be empty. */
    mtc_slice etag;
} mtc_facts;

/**
 * One key asked of one tier. It belongs to the tier from submission until it
 * is completed with mtc_request_complete, exactly once, and stays in place
 * that long; key, value and etag stay valid that long too.
 */
struct mtc_request {
    /** The key, prefix included. */
    mtc_slice key;
    /** Hash of the key, seeded per cache. */
    uint64_t hash;
    /** STORE: the bytes to keep; to hold on to them, mtc_value_share. READ:
     *  what was found, put here before completion; it goes to the caller. */
    mtc_value value;
    /** STORE: in. READ: out, with left_ms as of sent_ms. */
    mtc_facts facts;
    /** READ: out, the ticket for a later fill, or 0. STORE: a
     *  ticket given back, or 0: the store counts unconditionally. With
     *  LEASES: of a READ with lease_ms, the lease that was taken, or 0; of a
     *  REMOVE, the lease to be given back, or 0. */
    uint64_t ticket;
    /** When the request left, milliseconds of boot time. Lives count from
     *  here. */
    int64_t sent_ms;
    /** Complete by then, milliseconds of boot time. */
    int64_t deadline_ms;
    /** How it ended; set by mtc_request_complete. */
    mtc_status status;
    /** Private to the library. */
    uint32_t state;
    /** One line on a failure, valid during done only; NULL: none. */
    const char *failure;
    /** Called by mtc_request_complete; set by whoever submits. */
    void (*done)(mtc_request *request);
    /** For the tier's own use between submission and completion. */
    void *link;
    /** For the tier's own use between submission and completion. */
    uint64_t mark;
    /** STORE: what the cache's weigher said; 0: not weighed. */
    uint32_t weight;
    /** Only with LEASES. READ: in, how long a lease to take if the key needs
     *  a load, 0: none; out, what is left of the key's lease, whose ever it
     *  is, 0: it has none. STORE of kind LEASE: in, how long from now.
     *  AWAIT: for the tier's own use. */
    int64_t lease_ms;
};

/** Calls of the tier block on a library of its own: the cache runs them on
 *  worker threads. Requests of one key always run on the same worker. */
#define MTC_TIER_BLOCKS 1u
/** A read tells what is left of the entry's life. */
#define MTC_TIER_TELLS_LEFT 2u
/** Other processes see and change the same entries. */
#define MTC_TIER_SHARED 4u
/** Tickets are kept: a fill after a foreign write or remove is refused. */
#define MTC_TIER_ATOMIC_FILL 8u
/** Entries outlive the process. */
#define MTC_TIER_PERSISTS 16u
/** Facts other than kind VALUE and a life are kept (window, etag, kinds). */
#define MTC_TIER_KEEPS_FACTS 32u
/** One process at a time may have the lease of a key: READ with lease_ms takes
 *  it, STORE and REMOVE with its ticket end it, AWAIT tells when it ended. */
#define MTC_TIER_LEASES 64u

/** What a tier holds, and what became of the rest. */
typedef struct mtc_tier_usage {
    /** Bytes held now, everything that the tier can count. */
    uint64_t bytes;
    /** The most bytes that it may hold; 0: no such limit. */
    uint64_t bytes_max;
    /** Entries held now. */
    uint64_t entries;
    /** Entries that made room for others. */
    uint64_t evicted_size;
    /** Entries dropped because their life had ended. */
    uint64_t evicted_expired;
    /** Entries replaced by a store. */
    uint64_t evicted_replaced;
    /** Entries taken away by a remove. */
    uint64_t evicted_removed;
    /** Entries or files found damaged. */
    uint64_t damaged;
    /** Parts that fail each by itself, as far as they are known: the masters
     *  of a cluster. 0: the tier has none, or knows none. */
    uint32_t parts;
    /** Of those, how many are down now. */
    uint32_t parts_down;
} mtc_tier_usage;

/** Severity of a line for the log. */
typedef enum mtc_log_level {
    /** Detail for a developer. */
    MTC_LOG_DEBUG = 0,
    /** What happened in the ordinary way. */
    MTC_LOG_INFO = 1,
    /** Something is wrong, and the service goes on. */
    MTC_LOG_WARNING = 2,
    /** Something was lost or cannot go on. */
    MTC_LOG_ERROR = 3
} mtc_log_level;

/** Why an entry left a tier. */
typedef enum mtc_eviction {
    /** It made room for others. */
    MTC_EVICTED_SIZE = 0,
    /** Its life had ended. */
    MTC_EVICTED_EXPIRED = 1,
    /** It was removed. */
    MTC_EVICTED_REMOVED = 2,
    /** A newer one of its key came. */
    MTC_EVICTED_REPLACED = 3
} mtc_eviction;

/** Is told of an entry that left memory; key and value are borrowed for the
 *  call. Called by any thread that changed memory, once its call has let go
 *  of every lock, or by the cache's own thread a little later. It may call
 *  the cache, but not close it; what that drives out is told later. It returns:
 *  it must not end its thread. */
typedef void (*mtc_eviction_function)(void *ctx, mtc_slice key, mtc_slice value,
                                      mtc_eviction cause);

/** Tells the weight of an entry, 1 and up; 0 counts as not weighed. Called
 *  before the entry is stored, with no lock held, by any thread. It must not
 *  call the cache. */
typedef uint32_t (*mtc_weigh_function)(void *ctx, mtc_slice key,
                                       mtc_slice value);

/** What the cache offers to a tier that joined it. */
typedef struct mtc_tier_host {
    /** sizeof(mtc_tier_host). */
    uint32_t struct_size;
    /** Index of the tier in its cache. */
    uint32_t index;
    /** The largest value that the cache accepts, in bytes. */
    size_t value_size_max;
    /** For the functions below. */
    void *ctx;
    /** Milliseconds of boot time, from the clock that the cache uses. */
    int64_t (*now_ms)(void *ctx);
    /** Writes a line to the cache's log (rate-limited there); text is borrowed
     *  and holds no password. */
    void (*log)(void *ctx, mtc_log_level level, const char *text);
    /** The listener for what leaves the tier, for report; NULL: none. */
    mtc_eviction_function evicted;
    /** Handed to evicted. */
    void *evicted_ctx;
    /** Name of the cache (letters, digits, '.', '_', '-'), or NULL. */
    const char *name;
} mtc_tier_host;

/**
 * The functions of a tier and what it can do. One static table per kind.
 * Optional entries may be NULL. All are called by any thread at any time
 * between attach and close, unless said otherwise.
 */
typedef struct mtc_tier_ops {
    /** sizeof(mtc_tier_ops). */
    uint32_t struct_size;
    /** MTC_TIER_BLOCKS and so on. */
    uint32_t abilities;
    /** What URLs and statistics call it: "memory". */
    const char *scheme;
    /** Largest key in bytes; longer ones are not sent to this tier. */
    size_t key_size_max;
    /** Largest value in bytes; 0: only the cache's own limit. A larger one is
     *  turned into a remove. */
    size_t value_size_max;
    /** Longest life it can keep, in milliseconds; longer ones are cut. */
    int64_t life_ms_max;
    /** Steps in which it counts lives, in milliseconds. A life below one step
     *  is not stored: the request is turned into a remove. */
    int64_t life_step_ms;

    /** Optional. Joins a cache; host stays valid until close. Called once,
     *  before anything else. MTC_OK, or the cache does not open. */
    mtc_status (*attach)(mtc_tier *tier, const mtc_tier_host *host);

    /** Optional, for a tier that always answers at once: finds one key.
     *  MTC_OK, MTC_STALE, MTC_ABSENT (out filled), or MTC_MISS. now_ms may be
     *  behind that of a request that is complete: an entry that was expired
     *  is stale all the same. Never blocks beyond a short lock. */
    mtc_status (*find)(mtc_tier *tier, mtc_slice key, uint64_t hash,
                       int64_t now_ms, mtc_value *out);

    /**
     * Takes requests of one verb. Each is completed exactly once, here or
     * later. Requests for one key take effect in the order of submission.
     * Called with a lock of the cache held unless the tier BLOCKS: it must
     * not wait and must not do I/O, only queue.
     *
     * READ completes with MTC_OK (value, facts), MTC_MISS, or an error.
     * STORE with MTC_OK; with MTC_PARTIAL: not stored, and the key is gone
     * here; with MTC_E_CANCELLED: the ticket was refused; with an error: the
     * outcome is unknown. REMOVE and EXPIRE with MTC_OK (also when there was
     * nothing) or an error: not done, or unknown. REMOVE with a ticket also
     * with MTC_E_CANCELLED: the lease was not held any more. AWAIT with MTC_OK
     * (the lease has ended, or may have: read again), MTC_E_TIMEOUT at
     * deadline_ms, or an error (MTC_E_UNSUPPORTED: the server cannot tell):
     * do without the lease.
     */
    void (*submit)(mtc_tier *tier, mtc_verb verb, mtc_request *const *requests,
                   size_t count);

    /**
     * Optional: does the tier's I/O on the caller's thread until awaited is
     * complete or until_ms (boot time) has passed, completing others' requests
     * on the way. With awaited NULL: whatever can be done by until_ms, which
     * may be past: then it only sends what is queued and takes in what has
     * come. Returns at once when another thread drives and awaited is NULL.
     * A tier with neither drive nor BLOCKS completes inside submit.
     */
    void (*drive)(mtc_tier *tier, const mtc_request *awaited, int64_t until_ms);

    /** Optional: nobody waits for this request any more. It may be dropped if
     *  it has not been sent (completed as MTC_E_CANCELLED), else its reply is
     *  taken in and completes it later. */
    void (*abandon)(mtc_tier *tier, mtc_request *request);

    /** Optional housekeeping (expiry, eviction), about ten times a second
     *  while the tier is in use, by one thread at a time of the library: a
     *  worker where the tier BLOCKS. Bounded: ends within a few
     *  milliseconds. */
    void (*tend)(mtc_tier *tier, int64_t now_ms);

    /** Optional: fills what the tier knows of itself. Never blocks. The cache
     *  asks also when a call has failed: a tier is not closed off while some
     *  part of it is up. */
    void (*usage)(mtc_tier *tier, mtc_tier_usage *out);

    /** Ends the tier and frees it. Requests still open are completed with
     *  MTC_E_CLOSED first. Values it handed out stay readable. Called once,
     *  when no other call is under way. */
    void (*close)(mtc_tier *tier);

    /** Optional, beside find: keys with these hashes are looked up next (READ),
     *  or changed (any other verb). The tier may have the processor fetch what
     *  it will touch. */
    void (*expect)(mtc_tier *tier, mtc_verb verb, const uint64_t *hashes,
                   size_t count);

    /** Optional: tells the host's listener what left since the last time. It
     *  runs user code, so the cache calls it with no lock held: after each
     *  call that may have changed the tier, and beside tend. Only if there is
     *  a listener. */
    void (*report)(mtc_tier *tier);

    /** Optional: changes the budget in bytes, evicting if need be. MTC_OK;
     *  MTC_E_INVALID: less than the tier can do with; MTC_E_TOO_LARGE. */
    mtc_status (*resize)(mtc_tier *tier, uint64_t size);

    /** Optional, beside drive: a descriptor that is readable (poll) when drive
     *  with awaited NULL has something to take in, or room again for what it
     *  could not send; -1: none is to be had. What was submitted and not sent
     *  yet does not count: who submits drives once. It stays the tier's, and
     *  open until close. A drive that finds nothing more to do leaves it not
     *  readable. */
    int (*descriptor)(mtc_tier *tier);
} mtc_tier_ops;

/** The head of every tier; a tier embeds it as its first member. */
struct mtc_tier {
    /** The table of its kind. */
    const mtc_tier_ops *ops;
};

/** How the cache uses one of its tiers; set struct_size with
 *  MTC_TIER_CONFIG_INIT. */
typedef struct mtc_tier_config {
    /** sizeof(mtc_tier_config). */
    uint32_t struct_size;
    /** One read in this many promotes a hit of a lower tier into this one:
     *  1 all (default, also for 0), -1 none. Range -1 to 1,000,000. */
    int32_t promote_one_in;
    /** The tier; mtc_cache_open takes it over when it succeeds. */
    mtc_tier *tier;
    /** Lives of set and loaded entries are multiplied by this. Default (0)
     *  1.0, range 0.001 to 1000. Promotion is not scaled. */
    double ttl_scale;
    /** Longest life here, in milliseconds. Default (0): none; 5 minutes for a
     *  memory tier over a shared one. */
    int64_t ttl_ms_max;
    /** Deadline of one call, in milliseconds. Default (0) 250, range 1 to
     *  600,000. */
    int64_t deadline_ms;
    /** Prepended to every key: a string of at most 255 bytes. Default "":
     *  none. Refused for a tier with find. */
    char prefix[256];
} mtc_tier_config;

/** A tier configuration with every default. */
#define MTC_TIER_CONFIG_INIT                                                   \
    {                                                                          \
        (uint32_t)sizeof(mtc_tier_config), 0, NULL, 0.0, 0, 0, ""              \
    }

/**
 * Opens a tier from a URL: "memory?size=256MiB", "disk:/var/cache/app",
 * "redis://host:6379/0", "redis+cluster://host:7000,host2:7000",
 * "memcached://host", "noop:". `mtc help tiers` lists every parameter.
 * Parameters that the cache itself acts on (ttl_scale, ttl_max, promote,
 * deadline, prefix) go into config.
 *
 * @param url the URL, borrowed for the call.
 * @param error optional; receives what is wrong, naming the parameter.
 * @param config struct_size set by the caller (MTC_TIER_CONFIG_INIT);
 *        receives the tier and those parameters, the rest its defaults.
 * @return MTC_OK; MTC_E_INVALID for a wrong URL, parameter or struct_size;
 *         MTC_E_UNSUPPORTED for a scheme that this build does not have;
 *         MTC_E_NO_MEMORY; MTC_E_UNAVAILABLE or MTC_E_DENIED when a local
 *         file cannot be opened. A server that is away is not an error.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** for local files only.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_tier_open(const char *url, mtc_error *error,
                                 mtc_tier_config *config);

/**
 * Closes a tier that no cache has taken.
 *
 * @param tier the tier, or NULL.
 *
 * **Returns** nothing.
 * **Threads** one, with no other call under way.
 * **Blocks** as the tier's close does.
 * **Since** 0.1
 */
MTC_API void mtc_tier_close(mtc_tier *tier);

/**
 * Completes a request: sets its status and calls its done. The request may be
 * gone when this returns.
 *
 * @param request a request that the tier owns.
 * @param status as submit says.
 * @param failure one line on what went wrong, borrowed; NULL when nothing did.
 *
 * **Returns** nothing.
 * **Threads** any, once per request; no lock of the tier may be held that its
 * submit takes.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API void mtc_request_complete(mtc_request *request, mtc_status status,
                                  const char *failure);

/**
 * Whether a request is complete; for drive, whose awaited request is kept in
 * place by its caller.
 *
 * @param request a request whose memory the caller of drive holds.
 * @return true once mtc_request_complete was called for it; what it wrote is
 *         then visible.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API bool mtc_request_is_complete(const mtc_request *request);

/** How a kind of value is shared and given back; private to whoever made the
 *  value. */
typedef struct mtc_value_ops {
    /** sizeof(mtc_value_ops). */
    uint32_t struct_size;
    /** Must be 0. */
    uint32_t reserved;
    /** Gives the value back. */
    void (*free)(mtc_value *value);
    /** Makes a second, detached holder. MTC_OK or MTC_E_NO_MEMORY. */
    mtc_status (*share)(const mtc_value *value, mtc_value *out);
    /** Fills info as of now_ms (boot time). */
    void (*info)(const mtc_value *value, int64_t now_ms, mtc_value_info *info);
} mtc_value_ops;

/**
 * A new counted value with room for bytes that the caller then writes, before
 * anyone else sees it.
 *
 * @param size count of bytes; may be 0.
 * @param bytes receives where to write, aligned to 16.
 * @param out receives the value.
 * @return MTC_OK; MTC_E_NO_MEMORY, out zeroed.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_value_new(size_t size, void **bytes, mtc_value *out);

/**
 * A new counted value with a copy of bytes.
 *
 * @param bytes what to copy, borrowed for the call.
 * @param out receives the value.
 * @return MTC_OK; MTC_E_NO_MEMORY, out zeroed.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_value_copy(mtc_slice bytes, mtc_value *out);

/**
 * A value that borrows its bytes: giving it back does nothing, sharing it
 * copies.
 *
 * @param bytes borrowed as long as the value is used.
 * @return the value.
 *
 * **Returns** always.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_value mtc_value_borrow(mtc_slice bytes);

/**
 * A frame: an entry with its facts in one run of bytes, for tiers that keep
 * bytes alone. docs/frame.md has the layout.
 */
typedef struct mtc_frame {
    /** Kind, ttl, window, load time and etag are written; left_ms is not:
     *  the tier keeps it, in time_ms if it has no other place. */
    mtc_facts facts;
    /** Optional: the key, for tiers that cannot use it as it is; empty: not
     *  written. */
    mtc_slice key;
    /** Optional: a point in time of the tier's own clock; 0: not written. */
    int64_t time_ms;
    /** The bytes of the value. Of a lease: two numbers of 8 bytes, and the
     *  entry inside; not covered by the checksum. */
    mtc_slice value;
    /** Of a lease: its ticket; 0: not written. */
    uint64_t ticket;
} mtc_frame;

/**
 * Whether bytes begin with the magic of a frame.
 *
 * @param bytes borrowed.
 * @return true also for a damaged frame, as long as its magic is whole.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API bool mtc_frame_is(mtc_slice bytes);

/**
 * The size that mtc_frame_write needs.
 *
 * @param frame what to write.
 * @return count of bytes.
 *
 * **Returns** always.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API size_t mtc_frame_size(const mtc_frame *frame);

/**
 * Writes a frame, checksum included.
 *
 * @param frame what to write; etag at most 255 bytes, key at most 64 KiB.
 * @param buffer room for mtc_frame_size bytes.
 * @return count of bytes written.
 *
 * **Returns** always.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API size_t mtc_frame_write(const mtc_frame *frame, void *buffer);

/**
 * Reads a frame and checks it. Fields that are unknown and optional are
 * skipped.
 *
 * @param bytes from outside, of any content.
 * @param frame receives slices into bytes; left_ms becomes MTC_NO_END. The
 *        value begins at a multiple of 8 bytes. Emptied unless MTC_OK.
 * @return MTC_OK; MTC_MISS for an unknown version, an unknown required field,
 *         or a compressed value; MTC_E_CORRUPT for anything that
 *         mtc_frame_write did not write.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_frame_read(mtc_slice bytes, mtc_frame *frame);

/** How the value of a frame is compressed. The numbers are fixed for good. */
typedef enum mtc_compression {
    /** Not at all. */
    MTC_COMPRESSION_NONE = 0,
    /** lz4, block format: for speed. */
    MTC_COMPRESSION_LZ4 = 1,
    /** zstd: for size. */
    MTC_COMPRESSION_ZSTD = 2
} mtc_compression;

/**
 * Writes a frame whose value is compressed, if that saves an eighth of the
 * value's size or more, everything counted. mtc_frame_open reads it;
 * mtc_frame_read finds a miss.
 *
 * @param frame what to write, as for mtc_frame_write.
 * @param method how to compress.
 * @param out receives a counted value that is the whole frame; emptied unless
 *        MTC_OK.
 * @return MTC_OK; MTC_E_TOO_LARGE: it would not save that much;
 *         MTC_E_UNSUPPORTED: this build does not have the method;
 *         MTC_E_NO_MEMORY.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** never; takes time as the value is long.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_frame_compress(const mtc_frame *frame,
                                      mtc_compression method, mtc_value *out);

/**
 * Reads a frame that fills a value, compressed or not, and leaves the value
 * that was in it: in place where it was not compressed, else a new one, of a
 * size that is looked at before anything is allocated.
 *
 * @param value a counted value with bytes from outside, of any content; as
 *        it was unless MTC_OK.
 * @param size_max the largest value to accept out of a compressed one.
 * @param frame receives slices that live as long as value; left_ms becomes
 *        MTC_NO_END. Emptied unless MTC_OK.
 * @return MTC_OK; MTC_MISS for an unknown version, an unknown required field,
 *         or a compression that is unknown or not in this build;
 *         MTC_E_TOO_LARGE: larger than size_max; MTC_E_CORRUPT for anything
 *         that the library did not write; MTC_E_NO_MEMORY.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** never; takes time as the value is long.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_frame_open(mtc_value *value, size_t size_max,
                                  mtc_frame *frame);

/** One option of a tier URL or of the cache. */
typedef struct mtc_option_info {
    /** Where it belongs: "memory", "disk", ..., "any" for every tier. */
    const char *scope;
    /** As it is spelt in a URL. */
    const char *name;
    /** What it takes: "size", "duration", "count", "text", ... */
    const char *kind;
    /** Default, in words; "" for none. */
    const char *fallback;
    /** Range, in words; "" for none. */
    const char *range;
    /** One line of explanation. */
    const char *text;
} mtc_option_info;

/**
 * The options that tier URLs take, one at a time.
 *
 * @param index 0 and up.
 * @param out receives the option; its strings are static.
 * @return MTC_OK; MTC_MISS past the last; MTC_E_INVALID for NULL.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_option_get(size_t index, mtc_option_info *out);

#ifdef __cplusplus
}
#endif

#endif
