/*
 * Completion queues: asking the cache from a program that does not block.
 *
 * A call that ends in _async begins and returns; mtc_queue_drain calls its
 * callback when it has ended. A queue has one descriptor for the program's
 * event loop. Its calls take part in the same flights as those of threads: one
 * load per key, however many ask and in whatever way.
 *
 * A queue belongs to one thread at a time, its owner: it alone makes the
 * queue's calls, drains and closes it. A program may have many queues, one for
 * each thread with an event loop. The owner should make no call of the blocking
 * kind without a deadline: it might wait for what only its own drain brings
 * about. Likewise a thread may wait for a call of a queue that nobody drains.
 */
#ifndef MTC_QUEUE_H
#define MTC_QUEUE_H

#include "mtc/cache.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A completion queue of one cache: opaque. */
typedef struct mtc_queue mtc_queue;

/**
 * Is told how a call ended, exactly once, by the thread that drains. The value
 * is there with MTC_OK and MTC_STALE; it may be moved out and the variable
 * zeroed, and what is left is given back after the call. It may begin calls on
 * the queue, and must not close it.
 */
typedef void (*mtc_done)(void *ctx, mtc_status status, mtc_value *value);

/** The same for many keys: each item has its status, and after a read its
 *  value, which is the caller's to give back. */
typedef void (*mtc_many_done)(void *ctx, mtc_status status, mtc_item *items,
                              size_t count);

/**
 * Opens a completion queue. It keeps the cache until it is closed: after
 * mtc_cache_close, its calls end as MTC_E_CLOSED with the next drain, and the
 * tiers close with the last queue.
 *
 * @param cache the cache.
 * @param queue receives the queue, or NULL.
 * @return MTC_OK; MTC_E_INVALID for NULL; MTC_E_NO_MEMORY; MTC_E_UNAVAILABLE
 *         without descriptors; MTC_E_CLOSED; MTC_E_FORKED.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_queue_open(mtc_cache *cache, mtc_queue **queue);

/**
 * Closes a queue. Every outstanding call ends first, through its callback, as
 * MTC_E_CANCELLED unless its result was there. In a forked child no callback is
 * called, and the queue must be closed before its cache.
 *
 * @param queue the variable that holds the queue; set to NULL.
 * @return MTC_OK; MTC_E_INVALID for NULL; MTC_E_DEADLOCK inside a callback or
 *         loader that a drain of this queue runs, nothing done.
 *
 * **Returns** as above.
 * **Threads** the owner.
 * **Blocks** never, but for the callbacks.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_queue_close(mtc_queue **queue);

/**
 * The descriptor to poll for reading, with any event loop: it is readable when
 * there is a callback to run or a connection to drive. Poll no longer than
 * mtc_queue_wait_ms says.
 *
 * @param queue the queue.
 * @return an epoll descriptor, the queue's own; -1 for NULL.
 *
 * **Returns** as above.
 * **Threads** any.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API int mtc_queue_descriptor(const mtc_queue *queue);

/**
 * Drives the connections of the tiers, goes on with the calls, runs loaders,
 * and calls back. Bounded for each call, so that an event loop stays fair: what
 * is left keeps the descriptor readable.
 *
 * @param queue the queue.
 * @return how many callbacks have run; 0 for NULL and inside a callback.
 *
 * **Returns** as above.
 * **Threads** the owner.
 * **Blocks** never, but for the callbacks and loaders.
 * **Since** 0.1
 */
MTC_API size_t mtc_queue_drain(mtc_queue *queue);

/**
 * How long at most to wait for the descriptor before the next drain.
 *
 * @param queue the queue.
 * @return milliseconds; 0: drain now; -1: no bound.
 *
 * **Returns** as above.
 * **Threads** the owner.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API int64_t mtc_queue_wait_ms(mtc_queue *queue);

/**
 * For programs without an event loop: sleeps until there is something to drain.
 *
 * @param queue the queue.
 * @param wait_ms milliseconds; negative: no bound.
 * @return MTC_OK: drain now; MTC_E_TIMEOUT: wait_ms have passed; MTC_E_INVALID
 *         for NULL and inside a callback; MTC_E_FORKED.
 *
 * **Returns** as above.
 * **Threads** the owner.
 * **Blocks** for wait_ms.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_queue_wait(mtc_queue *queue, int64_t wait_ms);

/**
 * Cancels every outstanding call that was given this ctx. A later drain calls
 * back, with the result if it was there by then, else with MTC_E_CANCELLED.
 * A load that was begun goes on; what a write did not finish is finished.
 *
 * @param queue the queue.
 * @param ctx the ctx of the callbacks.
 * @return how many calls.
 *
 * **Returns** as above.
 * **Threads** the owner.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API size_t mtc_queue_cancel(mtc_queue *queue, const void *ctx);

/**
 * Begins to get a key, as mtc_cache_get_with.
 *
 * @param queue the queue.
 * @param key the key, copied.
 * @param call options, borrowed; NULL: none. With MTC_CALL_AT_ONCE a hit in
 *        the tiers that answer at once calls done before the call returns.
 * @param done called once, by a drain.
 * @param ctx handed to done.
 * @return MTC_PENDING: done will be called. MTC_OK, MTC_STALE or MTC_ABSENT:
 *         it was called, with that (MTC_CALL_AT_ONCE alone). Negative: it is
 *         never called: MTC_E_INVALID; MTC_E_TOO_LARGE; MTC_E_NO_MEMORY;
 *         MTC_E_BUSY with 32,768 calls outstanding; MTC_E_CLOSED;
 *         MTC_E_FORKED.
 *
 * **Returns** as above; done gets what mtc_cache_get_with returns, or
 * MTC_E_CANCELLED.
 * **Threads** the owner.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_get_async(mtc_queue *queue, mtc_slice key,
                                       const mtc_call *call, mtc_done done,
                                       void *ctx);

/**
 * Begins to get a key or load it, as mtc_cache_get_or_load_with. The loader is
 * called by a drain; so that it does not hold up the event loop it may return
 * MTC_PENDING and be answered later, from any thread. Calls that such a load
 * makes should name it as their parent (mtc_call).
 *
 * @param queue the queue.
 * @param key the key, copied.
 * @param call as of mtc_cache_get_async.
 * @param loader your function; must not be NULL.
 * @param loader_ctx handed to the loader.
 * @param done called once, by a drain.
 * @param ctx handed to done.
 * @return as mtc_cache_get_async.
 *
 * **Returns** as above; done gets what mtc_cache_get_or_load_with returns, or
 * MTC_E_CANCELLED.
 * **Threads** the owner.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_get_or_load_async(mtc_queue *queue, mtc_slice key,
                                               const mtc_call *call,
                                               mtc_loader loader,
                                               void *loader_ctx, mtc_done done,
                                               void *ctx);

/**
 * Begins to set a key, as mtc_cache_set_with. Memory has the value when the
 * call returns.
 *
 * @param queue the queue.
 * @param key the key, copied.
 * @param value the bytes, copied.
 * @param call options, borrowed; NULL: none.
 * @param done called once, by a drain, with an empty value.
 * @param ctx handed to done.
 * @return MTC_PENDING; negative as mtc_cache_get_async, done never called.
 *
 * **Returns** as above; done gets what mtc_cache_set_with returns.
 * **Threads** the owner.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_set_async(mtc_queue *queue, mtc_slice key,
                                       mtc_slice value, const mtc_call *call,
                                       mtc_done done, void *ctx);

/**
 * Begins to remove a key, as mtc_cache_remove_with. Memory does not have it any
 * more when the call returns.
 *
 * @param queue the queue.
 * @param key the key, copied.
 * @param call options, borrowed; NULL: none.
 * @param done called once, by a drain, with an empty value.
 * @param ctx handed to done.
 * @return MTC_PENDING; negative as mtc_cache_get_async, done never called.
 *
 * **Returns** as above; done gets what mtc_cache_remove_with returns.
 * **Threads** the owner.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_remove_async(mtc_queue *queue, mtc_slice key,
                                          const mtc_call *call, mtc_done done,
                                          void *ctx);

/**
 * Begins to expire a key, as mtc_cache_expire_with.
 *
 * @param queue the queue.
 * @param key the key, copied.
 * @param call options, borrowed; NULL: none.
 * @param done called once, by a drain, with an empty value.
 * @param ctx handed to done.
 * @return MTC_PENDING; negative as mtc_cache_get_async, done never called.
 *
 * **Returns** as above; done gets what mtc_cache_expire_with returns.
 * **Threads** the owner.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_expire_async(mtc_queue *queue, mtc_slice key,
                                          const mtc_call *call, mtc_done done,
                                          void *ctx);

/**
 * Begins to get many keys, as mtc_cache_get_many_with: one round trip for each
 * tier below memory, for up to 1,024 keys at a time.
 *
 * @param queue the queue.
 * @param items the keys; they stay in place, with what they point to, until
 *        done is called, and are not to be touched meanwhile.
 * @param count how many.
 * @param call options, borrowed; NULL: none.
 * @param done called once, by a drain.
 * @param ctx handed to done.
 * @return MTC_PENDING; negative as mtc_cache_get_async, done never called.
 *
 * **Returns** as above; done gets MTC_OK, MTC_PARTIAL, MTC_E_CANCELLED or
 * MTC_E_CLOSED, and each item its own status.
 * **Threads** the owner.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_get_many_async(mtc_queue *queue, mtc_item *items,
                                            size_t count, const mtc_call *call,
                                            mtc_many_done done, void *ctx);

/**
 * Begins to get many keys, or to load and store them, as
 * mtc_cache_get_or_load_many_with: what no tier has and nobody else is loading
 * is loaded in one call of the bulk loader. With a strategy that has time-outs,
 * early refresh or a lease that runs on a thread of the cache; else a drain
 * calls it, when a load may run.
 *
 * @param queue the queue.
 * @param items the keys; as of mtc_cache_get_many_async.
 * @param count how many.
 * @param call options, borrowed; NULL: none.
 * @param loader the bulk loader; it may answer later through its tokens.
 * @param loader_ctx handed to loader.
 * @param done called once, by a drain.
 * @param ctx handed to done.
 * @return MTC_PENDING; negative as mtc_cache_get_async, done never called.
 *
 * **Returns** as mtc_cache_get_many_async; each item as from
 * mtc_cache_get_or_load_many_with. When the loader ends its thread,
 * MTC_E_CANCELLED.
 * **Threads** the owner.
 * **Blocks** as the loader does, within a drain.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_get_or_load_many_async(
    mtc_queue *queue, mtc_item *items, size_t count, const mtc_call *call,
    mtc_bulk_loader loader, void *loader_ctx, mtc_many_done done, void *ctx);

/**
 * Begins to set many keys, as mtc_cache_set_many_with.
 *
 * @param queue the queue.
 * @param items the keys and bytes; as of mtc_cache_get_many_async.
 * @param count how many.
 * @param call options, borrowed; NULL: none.
 * @param done called once, by a drain.
 * @param ctx handed to done.
 * @return MTC_PENDING; negative as mtc_cache_get_async, done never called.
 *
 * **Returns** as mtc_cache_get_many_async.
 * **Threads** the owner.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_set_many_async(mtc_queue *queue, mtc_item *items,
                                            size_t count, const mtc_call *call,
                                            mtc_many_done done, void *ctx);

/**
 * Begins to remove many keys, as mtc_cache_remove_many_with.
 *
 * @param queue the queue.
 * @param items the keys; as of mtc_cache_get_many_async.
 * @param count how many.
 * @param call options, borrowed; NULL: none.
 * @param done called once, by a drain.
 * @param ctx handed to done.
 * @return MTC_PENDING; negative as mtc_cache_get_async, done never called.
 *
 * **Returns** as mtc_cache_get_many_async.
 * **Threads** the owner.
 * **Blocks** never.
 * **Since** 0.1
 */
MTC_API mtc_status mtc_cache_remove_many_async(mtc_queue *queue,
                                               mtc_item *items, size_t count,
                                               const mtc_call *call,
                                               mtc_many_done done, void *ctx);

#ifdef __cplusplus
}
#endif

#endif
