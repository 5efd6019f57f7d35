/*
 * Requests of a Redis tier: made into commands, answered with their replies.
 * See redis_state.h. Any thread.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "tier/redis/bulk.h"
#include "tier/redis/lease.h"
#include "tier/redis/redis_state.h"

/* -- replies ------------------------------------------------------------- */

static void submit_each(mtci_redis_tier *tier, mtc_verb verb,
                        mtc_request *const *requests, size_t count);

/* How a command failed, its own way or the server's; MTC_OK: it did not. */
static mtc_status explain(mtci_redis_tier *tier,
                          const mtci_redis_command *command,
                          char failure[MTCI_REDIS_FAILURE_SIZE])
{
    const mtci_reply *error = mtci_command_error(command);
    if (command->status != MTC_OK) {
        snprintf(failure, MTCI_REDIS_FAILURE_SIZE, "%s",
                 command->failure ? command->failure : "");
        return command->status;
    }
    if (!error)
        return MTC_OK;
    mtci_redis_refusals_note(&tier->refusals, tier->host, error);
    mtci_reply_error_text(error, failure, MTCI_REDIS_FAILURE_SIZE);
    return mtci_reply_error_status(error);
}

static void complete(mtc_request *request, mtc_status status,
                     const char *failure)
{
    mtc_request_complete(request, status, failure[0] ? failure : NULL);
}

/* What was not stored under a key by a tier is a miss, and counted. */
static mtc_status count_damage(mtci_redis_tier *tier, mtc_status status)
{
    if (status != MTC_E_CORRUPT)
        return status;
    atomic_fetch_add_explicit(&tier->damaged, 1, memory_order_relaxed);
    return MTC_MISS;
}

/* What the server said of a key goes to its request. */
static void answer(mtci_redis_tier *tier, mtc_request *request,
                   const mtci_reply *life, mtci_reply *found)
{
    char failure[MTCI_REDIS_FAILURE_SIZE] = "";
    mtc_status status =
        mtci_redis_entry_found(&tier->form, request, life, found, failure);
    complete(request, count_damage(tier, status), failure);
}

/* A command's request knows its tier by its link. */
static void finish_read(mtci_redis_command *command)
{
    mtc_request *request = command->ctx;
    mtci_redis_tier *tier = request->link;
    char failure[MTCI_REDIS_FAILURE_SIZE] = "";
    mtc_status status = explain(tier, command, failure);
    if (status == MTC_OK)
        answer(tier, request, &command->replies[0], &command->replies[1]);
    else
        complete(request, status, failure);
    mtci_command_free(command);
}

/* Whether the answer is to this command alone: others would get another. */
static bool may_ask_alone(const mtci_redis_command *command, mtc_status status)
{
    return command->status == MTC_OK &&
           (status == MTC_E_TOO_LARGE || status == MTC_E_DENIED);
}

static void finish_bulk(mtci_redis_command *command)
{
    mtci_redis_bulk *bulk = command->ctx;
    mtci_redis_tier *tier = bulk->requests[0]->link;
    mtc_request *alone[MTCI_REDIS_BULK_KEYS_MAX];
    size_t alone_count = 0;
    char failure[MTCI_REDIS_FAILURE_SIZE] = "";
    mtc_status status = explain(tier, command, failure);
    bool is_alone = may_ask_alone(command, status);
    for (size_t i = 0; i < bulk->count; i++) {
        if (is_alone ||
            (status == MTC_OK && mtci_redis_bulk_is_open(command, i)))
            alone[alone_count++] = bulk->requests[i];
        else if (status == MTC_OK)
            answer(tier, bulk->requests[i], mtci_redis_bulk_life(command, i),
                   mtci_redis_bulk_found(command, i));
        else
            complete(bulk->requests[i], status, failure);
    }
    mtci_command_free(command);
    free(bulk);
    if (alone_count > 0)
        submit_each(tier, MTC_VERB_READ, alone, alone_count);
}

/* Whoever waits for the key's lease here need not wait for a message. */
static void finish_write(mtci_redis_command *command)
{
    mtc_request *request = command->ctx;
    mtci_redis_tier *tier = request->link;
    char failure[MTCI_REDIS_FAILURE_SIZE] = "";
    mtc_status status = explain(tier, command, failure);
    mtci_command_free(command);
    mtci_redis_await_end(&tier->awaits, request->key);
    complete(request, status, failure);
}

/* -- leases -------------------------------------------------------------- */

static uint64_t new_ticket(mtci_redis_tier *tier)
{
    uint64_t count =
        atomic_fetch_add_explicit(&tier->lease_count, 1, memory_order_relaxed);
    uint64_t ticket =
        mtci_hash(mtc_bytes(&count, sizeof count), tier->lease_seed);
    return ticket ? ticket : 1;
}

/* Whether the connection that a command is about to be sent on can tell of
 * leases; without that nobody could wait. By the driver of it. */
static bool has_pushes(const mtci_redis_command *command)
{
    const mtc_request *request = command->ctx;
    const mtci_redis_tier *tier = request->link;
    return tier->cluster ? mtci_cluster_has_pushes(tier->cluster, command)
                         : mtci_client_has_pushes(tier->client);
}

static bool prepare_take(mtci_redis_command *command, int64_t time_ms)
{
    (void)time_ms;
    mtci_redis_lease_allow(command, has_pushes(command));
    return true;
}

static bool prepare_await(mtci_redis_command *command, int64_t time_ms)
{
    (void)time_ms;
    return has_pushes(command);
}

static void finish_take(mtci_redis_command *command)
{
    mtc_request *request = command->ctx;
    mtci_redis_tier *tier = request->link;
    char failure[MTCI_REDIS_FAILURE_SIZE] = "";
    mtc_status status = explain(tier, command, failure);
    if (status == MTC_OK) {
        status = mtci_redis_lease_found(&tier->form, request,
                                        &command->replies[0], failure);
        status = count_damage(tier, status);
    } else {
        request->ticket = 0;
        request->lease_ms = 0;
    }
    mtci_command_free(command);
    complete(request, status, failure);
}

/* A fill, a renewal or a lease given back: 0 says that it was not held. */
static void finish_held(mtci_redis_command *command)
{
    mtc_request *request = command->ctx;
    mtci_redis_tier *tier = request->link;
    char failure[MTCI_REDIS_FAILURE_SIZE] = "";
    mtc_status status = explain(tier, command, failure);
    if (status == MTC_OK && command->replies[0].integer != 1)
        status = MTC_E_CANCELLED;
    mtci_command_free(command);
    complete(request, status, failure);
}

/* What is left of the lease that an await found. */
static int64_t lease_left(mtci_redis_tier *tier, mtci_redis_command *command)
{
    mtc_request *request = command->ctx;
    char failure[MTCI_REDIS_FAILURE_SIZE] = "";
    mtci_redis_entry_found(&tier->form, request, &command->replies[0],
                           &command->replies[1], failure);
    mtc_value_free(&request->value);
    request->facts = (mtc_facts){.kind = MTC_KIND_VALUE};
    return request->lease_ms;
}

static void finish_await(mtci_redis_command *command)
{
    mtc_request *request = command->ctx;
    mtci_redis_tier *tier = request->link;
    char failure[MTCI_REDIS_FAILURE_SIZE] = "";
    mtc_status status = explain(tier, command, failure);
    int64_t left_ms = status == MTC_OK ? lease_left(tier, command) : 0;
    mtci_command_free(command);
    if (left_ms > 0) {
        mtci_awaits_add(&tier->awaits, request, left_ms,
                        mtci_redis_tier_now_ms(tier));
        return;
    }
    /* Not sent though there was time: see prepare_await. */
    if (status == MTC_E_TIMEOUT &&
        mtci_redis_tier_now_ms(tier) < request->deadline_ms) {
        complete(request, MTC_E_UNSUPPORTED, "the server has no pushes");
        return;
    }
    complete(request, status, failure);
}

static void set_lease_calls(mtci_redis_command *command, mtc_verb verb)
{
    command->done = finish_held;
    if (verb == MTC_VERB_READ) {
        command->prepare = prepare_take;
        command->done = finish_take;
    } else if (verb == MTC_VERB_AWAIT) {
        command->prepare = prepare_await;
        command->done = finish_await;
    }
}

/* -- submitting ---------------------------------------------------------- */

/* The command for one request, or NULL: the request has ended. */
static mtci_redis_command *make_one(mtci_redis_tier *tier, mtc_verb verb,
                                    mtc_request *request)
{
    bool is_lease = mtci_redis_lease_is(verb, request);
    if (is_lease && verb == MTC_VERB_READ)
        request->ticket = new_ticket(tier);
    mtci_redis_command *command =
        is_lease ? mtci_redis_lease_command(&tier->form, verb, request)
                 : mtci_redis_entry_command(&tier->form, verb, request);
    request->link = tier;
    if (!command) {
        complete(request, MTC_E_NO_MEMORY, "out of memory");
        return NULL;
    }
    if (is_lease)
        set_lease_calls(command, verb);
    else
        command->done = verb == MTC_VERB_READ ? finish_read : finish_write;
    if (tier->cluster)
        mtci_cluster_route(tier->cluster, command, request->key,
                           &request->mark);
    return command;
}

static void submit_each(mtci_redis_tier *tier, mtc_verb verb,
                        mtc_request *const *requests, size_t count)
{
    mtci_command_queue commands = {0};
    for (size_t i = 0; i < count; i++) {
        mtci_redis_command *command = make_one(tier, verb, requests[i]);
        if (command)
            mtci_queue_push(&commands, command);
    }
    if (tier->cluster)
        mtci_cluster_submit(tier->cluster, &commands);
    else
        mtci_client_submit(tier->client, &commands);
}

/* As one command; where there is no memory for it, one by one. */
static void submit_bulk(mtci_redis_tier *tier, mtc_request *const *requests,
                        size_t count)
{
    mtci_command_queue one = {0};
    mtci_redis_command *command = mtci_redis_bulk_command(requests, count);
    if (!command) {
        submit_each(tier, MTC_VERB_READ, requests, count);
        return;
    }
    for (size_t i = 0; i < count; i++)
        requests[i]->link = tier;
    command->done = finish_bulk;
    mtci_queue_push(&one, command);
    mtci_client_submit(tier->client, &one);
}

void mtci_redis_submit(mtc_tier *base, mtc_verb verb,
                       mtc_request *const *requests, size_t count)
{
    mtci_redis_tier *tier = (mtci_redis_tier *)base;
    if (verb != MTC_VERB_READ || tier->cluster) {
        submit_each(tier, verb, requests, count);
        return;
    }
    for (size_t done = 0; done < count;) {
        size_t run = requests[done]->lease_ms > 0
                         ? 1
                         : mtci_redis_bulk_run(requests + done, count - done);
        if (run > 1)
            submit_bulk(tier, requests + done, run);
        else
            submit_each(tier, verb, requests + done, 1);
        done += run;
    }
}
