/*
 * The memcached tier: libmemcached, the binary protocol and nothing else.
 *
 * Its calls block, so the cache runs them on worker threads; each submission
 * takes a handle of its own for as long as it lasts. A handle that saw an
 * error is never used again. Wall clock time decides how long an entry lives,
 * here alone in the library: memcached tells nobody what is left.
 */
#include "tier/memcached/pool.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "mtc/cache.h"
#include "tier/memcached/entry.h"
#include "tier/open.h"

/* The most keys in one question to a server. */
#define READ_CHUNK 64u
/* What memcached itself puts beside key and value of an item, at most. */
#define ITEM_OVERHEAD 128u

typedef struct memcached_options {
    int64_t item_size;
    char servers[2048];
} memcached_options;

typedef struct memcached_tier {
    mtc_tier base;
    const mtc_tier_host *host;
    mtci_memcached_pool pool;
    size_t item_size;
    _Atomic uint64_t damaged;
} memcached_tier;

/* One submission at work: the handle that it holds, or NULL. */
typedef struct session {
    memcached_tier *tier;
    memcached_st *handle;
} session;

static int64_t now_ms(const memcached_tier *tier)
{
    return tier->host ? tier->host->now_ms(tier->host->ctx) : mtci_boot_ms();
}

static int64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A handle whose waits end with the deadline; false: the reason is in status
 * and failure. */
static bool session_ready(session *session, int64_t deadline_ms,
                          mtc_status *status, const char **failure)
{
    int64_t left_ms = deadline_ms - now_ms(session->tier);
    *status = MTC_E_TIMEOUT;
    *failure = "the deadline passed before memcached was asked";
    if (left_ms <= 0)
        return false;
    if (!session->handle)
        session->handle = mtci_memcached_take(&session->tier->pool);
    *status = MTC_E_NO_MEMORY;
    *failure = "out of memory";
    if (!session->handle)
        return false;
    mtci_memcached_bound(session->handle, left_ms);
    return true;
}

static void session_drop(session *session)
{
    if (session->handle)
        mtci_memcached_discard(&session->tier->pool, session->handle);
    session->handle = NULL;
}

/* Whether the server gave an answer, after which its connection is in step. */
static bool is_answer(memcached_return_t rc)
{
    return rc == MEMCACHED_SUCCESS || rc == MEMCACHED_STORED ||
           rc == MEMCACHED_DELETED || rc == MEMCACHED_END ||
           rc == MEMCACHED_NOTFOUND || rc == MEMCACHED_NOTSTORED ||
           rc == MEMCACHED_DATA_EXISTS;
}

/* What went wrong, if anything did: calls that could not read an answer may
 * say that the key was not found, and the cause is then noted beside. */
static memcached_return_t true_outcome(memcached_st *handle,
                                       memcached_return_t rc)
{
    memcached_return_t noted = memcached_last_error(handle);
    if (rc == MEMCACHED_SUCCESS || rc == MEMCACHED_STORED)
        return rc;
    return is_answer(rc) && !is_answer(noted) ? noted : rc;
}

static mtc_status status_of(const session *session, memcached_return_t rc,
                            int64_t deadline_ms)
{
    switch (rc) {
    case MEMCACHED_TIMEOUT:
        return MTC_E_TIMEOUT;
    case MEMCACHED_AUTH_PROBLEM:
    case MEMCACHED_AUTH_FAILURE:
    case MEMCACHED_AUTH_CONTINUE:
        return MTC_E_DENIED;
    default:
        return now_ms(session->tier) >= deadline_ms ? MTC_E_TIMEOUT
                                                    : MTC_E_UNAVAILABLE;
    }
}

/* Completes with an answer or with an error, after which the handle goes. */
static void settle(session *session, mtc_request *request, mtc_status answer,
                   memcached_return_t rc)
{
    if (is_answer(rc)) {
        mtc_request_complete(request, answer, NULL);
        return;
    }
    mtc_status status = status_of(session, rc, request->deadline_ms);
    const char *failure = memcached_strerror(NULL, rc);
    session_drop(session);
    mtc_request_complete(request, status, failure);
}

static memcached_return_t ask_remove(session *session,
                                     const mtci_memcached_key *key)
{
    memcached_return_t rc =
        memcached_delete(session->handle, key->bytes, key->size, 0);
    return true_outcome(session->handle, rc);
}

/* What must not stay as it was, since what is stored instead cannot be kept. */
static void remove_instead(session *session, mtc_request *request,
                           mtc_status answer)
{
    mtci_memcached_key key;
    mtc_status status;
    const char *failure;
    if (!session_ready(session, request->deadline_ms, &status, &failure)) {
        mtc_request_complete(request, status, failure);
        return;
    }
    mtci_memcached_key_make(request->key, &key);
    settle(session, request, answer, ask_remove(session, &key));
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

static bool fits(const memcached_tier *tier, const mtci_memcached_key *key,
                 const mtc_frame *frame)
{
    return mtc_frame_size(frame) + key->size + ITEM_OVERHEAD <= tier->item_size;
}

static void store(session *session, mtc_request *request)
{
    mtci_memcached_key key;
    mtc_status status;
    const char *failure;
    void *bytes;
    size_t size;
    mtc_frame frame = {.facts = request->facts,
                       .key = request->key,
                       .time_ms = wall_ms(),
                       .value = mtc_value_slice(&request->value)};
    int64_t left_ms = request->facts.left_ms;
    if (left_ms != MTC_NO_END)
        left_ms -= now_ms(session->tier) - request->sent_ms;
    int64_t life_ms = mtci_memcached_life_ms(&request->facts, left_ms);
    mtci_memcached_key_make(request->key, &key);
    if (life_ms == 0 || !fits(session->tier, &key, &frame)) {
        remove_instead(session, request, MTC_PARTIAL);
        return;
    }
    if (!session_ready(session, request->deadline_ms, &status, &failure)) {
        mtc_request_complete(request, status, failure);
        return;
    }
    if (!mtci_memcached_entry_write(&frame, frame.time_ms + life_ms, &bytes,
                                    &size)) {
        remove_instead(session, request, MTC_PARTIAL);
        return;
    }
    memcached_return_t rc = memcached_set(session->handle, key.bytes, key.size,
                                          bytes, size, seconds_up(life_ms), 0);
    free(bytes);
    rc = true_outcome(session->handle, rc);
    if (!is_refusal(rc)) {
        settle(session, request, MTC_OK, rc);
        return;
    }
    session_drop(session);
    remove_instead(session, request, MTC_PARTIAL);
}

static void remove_one(session *session, mtc_request *request)
{
    remove_instead(session, request, MTC_OK);
}

/* The next value of a question; NULL: there is none, and *rc says why. The
 * count of a result keeps errors from being turned into "not found". */
static bool fetch(memcached_st *handle, memcached_result_st *result,
                  memcached_return_t *rc)
{
    result->count = 1;
    if (memcached_fetch_result(handle, result, rc))
        return true;
    *rc = true_outcome(handle, *rc);
    return false;
}

static mtc_slice result_bytes(const memcached_result_st *result)
{
    return mtc_bytes(memcached_result_value(result),
                     memcached_result_length(result));
}

/* The keys of one question, in the order of their requests. */
typedef struct question {
    mtci_memcached_key keys[READ_CHUNK];
    const char *bytes[READ_CHUNK];
    size_t sizes[READ_CHUNK];
    mtc_request *open[READ_CHUNK]; /* NULL once it is complete */
    size_t count;
    int64_t deadline_ms; /* of the first that must be answered */
} question;

static void question_add(question *question, mtc_request *request)
{
    size_t i = question->count++;
    mtci_memcached_key_make(request->key, &question->keys[i]);
    question->bytes[i] = question->keys[i].bytes;
    question->sizes[i] = question->keys[i].size;
    question->open[i] = request;
    if (i == 0 || request->deadline_ms < question->deadline_ms)
        question->deadline_ms = request->deadline_ms;
}

/* Takes the first request that asked for the key of a result; NULL: none
 * did. */
static mtc_request *question_take(question *question,
                                  const memcached_result_st *result)
{
    const char *key = memcached_result_key_value(result);
    size_t size = memcached_result_key_length(result);
    for (size_t i = 0; i < question->count; i++) {
        mtc_request *request = question->open[i];
        if (!request || size != question->sizes[i] ||
            memcmp(key, question->bytes[i], size) != 0)
            continue;
        question->open[i] = NULL;
        return request;
    }
    return NULL;
}

static void question_end(question *question, mtc_status status,
                         const char *failure)
{
    for (size_t i = 0; i < question->count; i++) {
        if (question->open[i])
            mtc_request_complete(question->open[i], status, failure);
    }
}

static void complete_found(memcached_tier *tier, mtc_request *request,
                           const memcached_result_st *result)
{
    mtc_status status =
        mtci_memcached_entry_read(result_bytes(result), request->key,
                                  wall_ms() - (now_ms(tier) - request->sent_ms),
                                  &request->value, &request->facts);
    if (status == MTC_E_CORRUPT) {
        atomic_fetch_add_explicit(&tier->damaged, 1, memory_order_relaxed);
        status = MTC_MISS;
    }
    mtc_request_complete(request, status, NULL);
}

/* Asks one question and completes every request in it. */
static void ask(session *session, question *question)
{
    mtc_status status;
    const char *failure;
    memcached_result_st result;
    if (!session_ready(session, question->deadline_ms, &status, &failure)) {
        question_end(question, status, failure);
        return;
    }
    memcached_st *handle = session->handle;
    memcached_return_t rc = memcached_mget(handle, question->bytes,
                                           question->sizes, question->count);
    rc = true_outcome(handle, rc);
    if (rc == MEMCACHED_SUCCESS && memcached_result_create(handle, &result)) {
        while (fetch(handle, &result, &rc)) {
            mtc_request *request = question_take(question, &result);
            if (request)
                complete_found(session->tier, request, &result);
        }
        memcached_result_free(&result);
    }
    if (is_answer(rc)) {
        question_end(question, MTC_MISS, NULL);
        return;
    }
    status = status_of(session, rc, question->deadline_ms);
    session_drop(session);
    question_end(question, status, memcached_strerror(NULL, rc));
}

/* With several servers, a question to more than one at a time would take a
 * server's silence for a miss: libmemcached does not tell them apart. */
static void read_many(session *session, mtc_request *const *requests,
                      size_t count)
{
    size_t chunk = session->tier->pool.server_count == 1 ? READ_CHUNK : 1;
    for (size_t i = 0; i < count; i += chunk) {
        question question;
        question.count = 0;
        for (size_t j = i; j < count && j < i + chunk; j++)
            question_add(&question, requests[j]);
        ask(session, &question);
    }
}

/* An entry as it was found, to be put back with a shorter life. */
typedef struct found {
    mtc_value value; /* zeroed: there is none */
    mtc_facts facts;
    uint64_t cas; /* says whether it was changed since */
} found;

static memcached_return_t find(session *session, const mtc_request *request,
                               const mtci_memcached_key *key, found *found)
{
    memcached_result_st result;
    const char *bytes = key->bytes;
    memcached_st *handle = session->handle;
    memcached_return_t rc = memcached_mget(handle, &bytes, &key->size, 1);
    rc = true_outcome(handle, rc);
    if (rc != MEMCACHED_SUCCESS || !memcached_result_create(handle, &result))
        return rc;
    while (fetch(handle, &result, &rc)) {
        mtc_value_free(&found->value);
        found->cas = memcached_result_cas(&result);
        mtci_memcached_entry_read(result_bytes(&result), request->key,
                                  wall_ms(), &found->value, &found->facts);
    }
    memcached_result_free(&result);
    return rc;
}

/* Puts an entry back with life_ms to go, unless somebody changed it: what was
 * written meanwhile is not what was to be expired. */
static memcached_return_t put_back(session *session, const mtc_request *request,
                                   const mtci_memcached_key *key,
                                   const found *found, int64_t life_ms)
{
    void *bytes;
    size_t size;
    mtc_frame frame = {.facts = found->facts,
                       .key = request->key,
                       .value = mtc_value_slice(&found->value)};
    if (!mtci_memcached_entry_write(&frame, wall_ms() + life_ms, &bytes, &size))
        return ask_remove(session, key);
    memcached_return_t rc =
        memcached_cas(session->handle, key->bytes, key->size, bytes, size,
                      seconds_up(life_ms), 0, found->cas);
    free(bytes);
    return true_outcome(session->handle, rc);
}

static void expire(session *session, mtc_request *request)
{
    mtci_memcached_key key;
    mtc_status status;
    const char *failure;
    found found = {.cas = 0};
    if (!session_ready(session, request->deadline_ms, &status, &failure)) {
        mtc_request_complete(request, status, failure);
        return;
    }
    mtci_memcached_key_make(request->key, &key);
    memcached_return_t rc = find(session, request, &key, &found);
    if (is_answer(rc) && found.value.ops) {
        int64_t life_ms = found.facts.left_ms < found.facts.window_ms
                              ? found.facts.left_ms
                              : found.facts.window_ms;
        life_ms = mtci_memcached_life_ms(&found.facts, life_ms);
        rc = life_ms == 0 ? ask_remove(session, &key)
                          : put_back(session, request, &key, &found, life_ms);
    }
    mtc_value_free(&found.value);
    settle(session, request, MTC_OK, rc);
}

static void tier_submit(mtc_tier *base, mtc_verb verb,
                        mtc_request *const *requests, size_t count)
{
    session session = {.tier = (memcached_tier *)base};
    if (verb == MTC_VERB_READ)
        read_many(&session, requests, count);
    for (size_t i = 0; i < count && verb != MTC_VERB_READ; i++) {
        if (verb == MTC_VERB_STORE)
            store(&session, requests[i]);
        else if (verb == MTC_VERB_REMOVE)
            remove_one(&session, requests[i]);
        else
            expire(&session, requests[i]);
    }
    if (session.handle)
        mtci_memcached_give(&session.tier->pool, session.handle);
}

static mtc_status tier_attach(mtc_tier *base, const mtc_tier_host *host)
{
    ((memcached_tier *)base)->host = host;
    return MTC_OK;
}

static void tier_usage(mtc_tier *base, mtc_tier_usage *out)
{
    memcached_tier *tier = (memcached_tier *)base;
    *out = (mtc_tier_usage){
        .damaged = atomic_load_explicit(&tier->damaged, memory_order_relaxed)};
}

static void tier_close(mtc_tier *base)
{
    memcached_tier *tier = (memcached_tier *)base;
    mtci_memcached_pool_fini(&tier->pool);
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
    mtc_status status =
        mtci_memcached_pool_init(&tier->pool, url, wanted->servers, error);
    if (status != MTC_OK) {
        free(tier);
        return status;
    }
    tier->base.ops = &tier_ops;
    tier->item_size = (size_t)wanted->item_size;
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
