/*
 * Reading from memcached. See read.h.
 */
#include "tier/memcached/read.h"

#include <stdatomic.h>

/* The most keys in one question to a server. */
#define READ_CHUNK 64u

/* The keys of one question, in the order of their requests. */
typedef struct question {
    mtci_memcached_key keys[READ_CHUNK];
    const char *bytes[READ_CHUNK];
    size_t sizes[READ_CHUNK];
    mtc_request *open[READ_CHUNK]; /* NULL once it is complete */
    size_t count;
    int64_t deadline_ms; /* the earliest of all */
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

/* The next result of a question; false: there is none, and *rc says why. */
static bool fetch(memcached_st *handle, memcached_result_st *result,
                  memcached_return_t *rc)
{
    /* While nothing is counted, errors are turned into "not found". */
    result->count = 1;
    if (memcached_fetch_result(handle, result, rc))
        return true;
    *rc = mtci_memcached_outcome(handle, *rc);
    return false;
}

static mtc_slice result_bytes(const memcached_result_st *result)
{
    return mtc_bytes(memcached_result_value(result),
                     memcached_result_length(result));
}

static void complete_found(mtci_memcached *shared, mtc_request *request,
                           const memcached_result_st *result)
{
    mtc_status status =
        mtci_memcached_entry_read(result_bytes(result), request->key,
                                  mtci_memcached_wall_ms(), &request->value,
                                  &request->facts);
    if (status == MTC_E_CORRUPT) {
        atomic_fetch_add_explicit(&shared->damaged, 1, memory_order_relaxed);
        status = MTC_MISS;
    }
    mtc_request_complete(request, status, NULL);
}

/* Asks, and completes what is found; says how it ended. */
static memcached_return_t answers(mtci_memcached_session *session,
                                  question *question)
{
    memcached_result_st result;
    memcached_st *handle = session->handle;
    memcached_return_t rc = memcached_mget(handle, question->bytes,
                                           question->sizes, question->count);
    if (rc != MEMCACHED_SUCCESS)
        return rc == MEMCACHED_NOTFOUND ? MEMCACHED_FAILURE
                                        : mtci_memcached_outcome(handle, rc);
    if (!memcached_result_create(handle, &result))
        return MEMCACHED_MEMORY_ALLOCATION_FAILURE;
    while (fetch(handle, &result, &rc)) {
        mtc_request *request = question_take(question, &result);
        if (request)
            complete_found(session->shared, request, &result);
    }
    memcached_result_free(&result);
    return rc;
}

static void ask(mtci_memcached_session *session, question *question)
{
    mtc_status status;
    const char *failure;
    if (!mtci_memcached_ready(session, question->deadline_ms, &status,
                              &failure)) {
        question_end(question, status, failure);
        return;
    }
    memcached_return_t rc = answers(session, question);
    if (mtci_memcached_is_answer(rc)) {
        question_end(question, MTC_MISS, NULL);
        return;
    }
    status = mtci_memcached_fail(session, rc, question->deadline_ms);
    question_end(question, status, memcached_strerror(NULL, rc));
}

/* With several servers, a question to more than one at a time would take a
 * server's silence for a miss: libmemcached does not tell them apart. */
void mtci_memcached_read(mtci_memcached_session *session,
                         mtc_request *const *requests, size_t count)
{
    size_t chunk = session->shared->pool.server_count == 1 ? READ_CHUNK : 1;
    for (size_t i = 0; i < count; i += chunk) {
        question question;
        question.count = 0;
        question.deadline_ms = 0;
        for (size_t j = i; j < count && j < i + chunk; j++)
            question_add(&question, requests[j]);
        ask(session, &question);
    }
}

memcached_return_t mtci_memcached_find(mtci_memcached_session *session,
                                       mtc_slice key,
                                       const mtci_memcached_key *stored_key,
                                       mtci_memcached_found *found)
{
    memcached_result_st result;
    const char *bytes = stored_key->bytes;
    memcached_st *handle = session->handle;
    memcached_return_t rc =
        memcached_mget(handle, &bytes, &stored_key->size, 1);
    *found = (mtci_memcached_found){.cas = 0};
    if (rc != MEMCACHED_SUCCESS)
        return rc == MEMCACHED_NOTFOUND ? MEMCACHED_FAILURE
                                        : mtci_memcached_outcome(handle, rc);
    if (!memcached_result_create(handle, &result))
        return MEMCACHED_MEMORY_ALLOCATION_FAILURE;
    while (fetch(handle, &result, &rc)) {
        mtc_value_free(&found->value);
        found->cas = memcached_result_cas(&result);
        mtci_memcached_entry_read(result_bytes(&result), key,
                                  mtci_memcached_wall_ms(), &found->value,
                                  &found->facts);
    }
    memcached_result_free(&result);
    return rc;
}
