/*
 * The memcached tier: libmemcached, the binary protocol and nothing else.
 *
 * Its calls block, so the cache runs them on worker threads; each submission
 * takes a handle of its own for as long as it lasts. A handle that saw an
 * error is never used again. Wall clock time decides how long an entry lives,
 * here alone in the library: memcached tells nobody what is left.
 *
 * Values from the server are not believed, but the server itself must be
 * trusted: libmemcached (1.1.4) copies a key of any length that an answer
 * claims to have over a buffer of 251 bytes, in reads and writes alike.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "base/error.h"
#include "mtc/cache.h"
#include "tier/memcached/read.h"
#include "tier/open.h"

/* What memcached itself puts beside key and value of an item, at most. */
#define ITEM_OVERHEAD 128u

typedef struct memcached_options {
    int64_t item_size;
    char servers[2048];
} memcached_options;

typedef struct memcached_tier {
    mtc_tier base;
    mtci_memcached shared;
} memcached_tier;

static memcached_return_t ask_remove(mtci_memcached_session *session,
                                     const mtci_memcached_key *key)
{
    memcached_return_t rc =
        memcached_delete(session->handle, key->bytes, key->size, 0);
    return mtci_memcached_outcome(session->handle, rc);
}

/* Removes the key and completes its request with answer. */
static void remove_key(mtci_memcached_session *session, mtc_request *request,
                       mtc_status answer)
{
    mtci_memcached_key key;
    if (!mtci_memcached_ready_for(session, request))
        return;
    mtci_memcached_key_make(request->key, &key);
    mtci_memcached_settle(session, request, answer, ask_remove(session, &key));
}

static time_t seconds_up(int64_t ms)
{
    return (time_t)((ms + 999) / 1000);
}

/* Why a server did not take a value, though it works. */
static bool is_refusal(memcached_return_t rc)
{
    return rc == MEMCACHED_E2BIG || rc == MEMCACHED_NOTSTORED ||
           rc == MEMCACHED_MEMORY_ALLOCATION_FAILURE ||
           rc == MEMCACHED_SERVER_MEMORY_ALLOCATION_FAILURE ||
           rc == MEMCACHED_SERVER_ERROR;
}

/* An entry on its way. */
typedef struct parcel {
    mtci_memcached_key key;
    mtc_frame frame;
    int64_t life_ms;
    uint64_t cas; /* 0: put it there whatever is */
} parcel;

static memcached_return_t send_entry(mtci_memcached_session *session,
                                     const parcel *parcel)
{
    void *bytes;
    size_t size;
    const mtci_memcached_key *key = &parcel->key;
    int64_t end_ms = mtci_memcached_wall_ms() + parcel->life_ms;
    if (!mtci_memcached_entry_write(&parcel->frame, end_ms, &bytes, &size))
        return MEMCACHED_MEMORY_ALLOCATION_FAILURE;
    time_t seconds = seconds_up(parcel->life_ms);
    memcached_return_t rc =
        parcel->cas == 0 ? memcached_set(session->handle, key->bytes, key->size,
                                         bytes, size, seconds, 0)
                         : memcached_cas(session->handle, key->bytes, key->size,
                                         bytes, size, seconds, 0, parcel->cas);
    free(bytes);
    return mtci_memcached_outcome(session->handle, rc);
}

static bool fits(const mtci_memcached *shared, const parcel *parcel)
{
    mtc_frame timed = parcel->frame;
    timed.time_ms = 1;
    return mtc_frame_size(&timed) + parcel->key.size + ITEM_OVERHEAD <=
           shared->item_size;
}

/* What is left of a life that counts from when its request left. */
static int64_t left_now_ms(const mtci_memcached *shared,
                           const mtc_request *request)
{
    int64_t left_ms = request->facts.left_ms;
    if (left_ms == MTC_NO_END)
        return left_ms;
    return left_ms - (mtci_memcached_now_ms(shared) - request->sent_ms);
}

static void store(mtci_memcached_session *session, mtc_request *request)
{
    int64_t left_ms = left_now_ms(session->shared, request);
    parcel parcel = {
        .frame = {.facts = request->facts,
                  .key = request->key,
                  .value = mtc_value_slice(&request->value)},
        .life_ms = mtci_memcached_life_ms(&request->facts, left_ms),
    };
    mtci_memcached_key_make(request->key, &parcel.key);
    if (parcel.life_ms == 0 || !fits(session->shared, &parcel)) {
        remove_key(session, request, MTC_PARTIAL);
        return;
    }
    if (!mtci_memcached_ready_for(session, request))
        return;
    memcached_return_t rc = send_entry(session, &parcel);
    if (!is_refusal(rc)) {
        mtci_memcached_settle(session, request, MTC_OK, rc);
        return;
    }
    mtci_memcached_fail(session, rc, request->deadline_ms);
    remove_key(session, request, MTC_PARTIAL);
}

/* Puts an entry back with what its window leaves of its life, or removes it.
 * What somebody wrote meanwhile is not what was to be expired: it stays. */
static memcached_return_t cut(mtci_memcached_session *session,
                              const mtc_request *request,
                              const mtci_memcached_found *found,
                              const mtci_memcached_key *key)
{
    const mtc_facts *facts = &found->facts;
    int64_t life_ms =
        facts->left_ms < facts->window_ms ? facts->left_ms : facts->window_ms;
    parcel parcel = {
        .key = *key,
        .frame = {.facts = *facts,
                  .key = request->key,
                  .value = mtc_value_slice(&found->value)},
        .life_ms = mtci_memcached_life_ms(facts, life_ms),
        .cas = found->cas,
    };
    if (parcel.life_ms == 0)
        return ask_remove(session, key);
    memcached_return_t rc = send_entry(session, &parcel);
    return is_refusal(rc) ? ask_remove(session, key) : rc;
}

static void expire(mtci_memcached_session *session, mtc_request *request)
{
    mtci_memcached_key key;
    mtci_memcached_found found;
    if (!mtci_memcached_ready_for(session, request))
        return;
    mtci_memcached_key_make(request->key, &key);
    memcached_return_t rc =
        mtci_memcached_find(session, request->key, &key, &found);
    if (mtci_memcached_is_answer(rc) && found.value.ops)
        rc = cut(session, request, &found, &key);
    mtc_value_free(&found.value);
    mtci_memcached_settle(session, request, MTC_OK, rc);
}

static void write_one(mtci_memcached_session *session, mtc_verb verb,
                      mtc_request *request)
{
    if (verb == MTC_VERB_STORE)
        store(session, request);
    else if (verb == MTC_VERB_REMOVE)
        remove_key(session, request, MTC_OK);
    else
        expire(session, request);
}

static void tier_submit(mtc_tier *base, mtc_verb verb,
                        mtc_request *const *requests, size_t count)
{
    mtci_memcached_session session = {.shared =
                                          &((memcached_tier *)base)->shared};
    if (verb == MTC_VERB_READ)
        mtci_memcached_read(&session, requests, count);
    for (size_t i = 0; i < count && verb != MTC_VERB_READ; i++)
        write_one(&session, verb, requests[i]);
    mtci_memcached_end(&session);
}

static mtc_status tier_attach(mtc_tier *base, const mtc_tier_host *host)
{
    ((memcached_tier *)base)->shared.host = host;
    return MTC_OK;
}

static void tier_usage(mtc_tier *base, mtc_tier_usage *out)
{
    memcached_tier *tier = (memcached_tier *)base;
    *out =
        (mtc_tier_usage){.damaged = atomic_load_explicit(&tier->shared.damaged,
                                                         memory_order_relaxed)};
}

static void tier_close(mtc_tier *base)
{
    memcached_tier *tier = (memcached_tier *)base;
    mtci_memcached_pool_fini(&tier->shared.pool);
    free(tier);
}

static const mtc_tier_ops tier_ops = {
    .struct_size = sizeof(mtc_tier_ops),
    .abilities = MTC_TIER_BLOCKS | MTC_TIER_TELLS_LEFT | MTC_TIER_SHARED |
                 MTC_TIER_KEEPS_FACTS,
    .scheme = "memcached",
    .key_size_max = MTC_KEY_SIZE_MAX,
    .value_size_max = 0,
    .life_ms_max = MTCI_MEMCACHED_LIFE_MS_MAX,
    .life_step_ms = MTCI_MEMCACHED_LIFE_STEP_MS,
    .attach = tier_attach,
    .submit = tier_submit,
    .usage = tier_usage,
    .close = tier_close,
};

static mtc_status tier_open(const mtci_url *url, const void *options,
                            mtc_error *error, mtc_tier **out)
{
    const memcached_options *wanted = options;
    memcached_tier *tier = calloc(1, sizeof(*tier));
    if (!tier)
        return mtci_fail(error, MTC_E_NO_MEMORY, "memcached", "out of memory");
    mtc_status status = mtci_memcached_pool_init(&tier->shared.pool, url,
                                                 wanted->servers, error);
    if (status != MTC_OK) {
        free(tier);
        return status;
    }
    tier->base.ops = &tier_ops;
    tier->shared.item_size = (size_t)wanted->item_size;
    *out = &tier->base;
    return MTC_OK;
}

static const mtci_option option_rows[] = {
    {
        .name = "item_size",
        .kind = MTCI_OPTION_SIZE,
        .offset = offsetof(memcached_options, item_size),
        .min = 1024,
        .max = 1024.0 * 1024 * 1024,
        .fallback = "1MiB",
        .range = "1KiB to 1GiB",
        .text = "largest item of the servers (their option -I); larger "
                "values are not stored there",
    },
    {
        .name = "servers",
        .kind = MTCI_OPTION_TEXT,
        .offset = offsetof(memcached_options, servers),
        .size = sizeof(((memcached_options *)NULL)->servers),
        .fallback = NULL,
        .range = "host[:port],host[:port],... (31 at most)",
        .text = "further servers; the same list everywhere, in one order",
    },
};

static const mtci_option_table option_table = {
    .scope = "memcached",
    .options = option_rows,
    .count = sizeof(option_rows) / sizeof(option_rows[0]),
};

const mtci_tier_kind mtci_memcached_kind = {
    .schemes = "memcached",
    .options = &option_table,
    .options_size = sizeof(memcached_options),
    .open = tier_open,
};
