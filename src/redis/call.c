/*
 * One command, waited for. A call is counted, once for the caller and once
 * for the command, so that either may leave first. See call.h.
 */
#include "redis/call.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct call {
    _Atomic int refs;
    _Atomic bool is_complete;
    uint64_t place; /* in a cluster */
    mtci_sent sent; /* likewise */
    mtc_status status;
    char failure[MTCI_CALL_FAILURE_SIZE];
    mtci_reply reply;
} call;

static void release(call *c)
{
    if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) > 1)
        return;
    mtci_reply_fini(&c->reply);
    free(c);
}

static bool is_complete(const void *ctx)
{
    const call *c = ctx;
    return atomic_load_explicit(&c->is_complete, memory_order_acquire);
}

static void complete(mtci_redis_command *command)
{
    call *c = command->ctx;
    c->status = command->status;
    if (c->status != MTC_OK) {
        snprintf(c->failure, sizeof c->failure, "%s",
                 command->failure ? command->failure : "");
    } else if (command->replies[0].type == MTCI_REPLY_ERROR) {
        c->status = mtci_reply_error_status(&command->replies[0]);
        mtci_reply_error_text(&command->replies[0], c->failure,
                              sizeof c->failure);
    } else {
        c->reply = command->replies[0];
        command->replied = 0;
    }
    mtci_command_free(command);
    atomic_store_explicit(&c->is_complete, true, memory_order_release);
    release(c);
}

static mtc_status take_result(call *c, char failure[MTCI_CALL_FAILURE_SIZE],
                              mtci_reply *reply)
{
    if (!is_complete(c)) {
        snprintf(failure, MTCI_CALL_FAILURE_SIZE,
                 "no answer within the deadline");
        return MTC_E_TIMEOUT;
    }
    snprintf(failure, MTCI_CALL_FAILURE_SIZE, "%s", c->failure);
    *reply = c->reply;
    c->reply = (mtci_reply){0};
    return c->status;
}

static void submit(const mtci_redis_target *target, mtci_redis_command *command,
                   call *c)
{
    mtci_command_queue one = {0};
    if (!target->client) {
        mtci_cluster_route(target->cluster, command, target->key, &c->place);
        const mtci_clock *clock =
            &mtci_cluster_settings(target->cluster)->clock;
        c->sent = (mtci_sent){mtci_clock_ms(clock), command->deadline_ms};
    }
    mtci_queue_push(&one, command);
    if (target->client)
        mtci_client_submit(target->client, &one);
    else
        mtci_cluster_submit(target->cluster, &one);
}

/* Hands the command over; the call, counted twice, or NULL: no memory. */
static call *begin(const mtci_redis_target *target, mtci_redis_command *command,
                   int64_t until_ms)
{
    call *c = calloc(1, sizeof *c);
    if (!c) {
        mtci_command_free(command);
        return NULL;
    }
    atomic_init(&c->refs, 2);
    command->ctx = c;
    command->done = complete;
    command->deadline_ms = until_ms;
    submit(target, command, c);
    return c;
}

static void await(const mtci_redis_target *target, call *c, int64_t until_ms)
{
    mtci_awaited awaited = {is_complete, c};
    if (target->client)
        mtci_client_drive(target->client, &awaited, until_ms);
    else
        mtci_cluster_drive(target->cluster, &c->place, &awaited, until_ms);
    if (is_complete(c))
        return;
    if (target->client)
        mtci_client_abandon(target->client, c);
    else
        mtci_cluster_abandon(target->cluster, &c->place, c, &c->sent);
}

mtc_status mtci_redis_call_at(const mtci_redis_target *target,
                              mtci_redis_command *command, int64_t until_ms,
                              char failure[MTCI_CALL_FAILURE_SIZE],
                              mtci_reply *reply)
{
    call *c = begin(target, command, until_ms);
    *reply = (mtci_reply){0};
    if (!c) {
        snprintf(failure, MTCI_CALL_FAILURE_SIZE, "out of memory");
        return MTC_E_NO_MEMORY;
    }
    await(target, c, until_ms);
    mtc_status status = take_result(c, failure, reply);
    release(c);
    return status;
}

mtc_status mtci_redis_call(mtci_redis_client *client,
                           mtci_redis_command *command, int64_t until_ms,
                           char failure[MTCI_CALL_FAILURE_SIZE],
                           mtci_reply *reply)
{
    mtci_redis_target target = {.client = client};
    return mtci_redis_call_at(&target, command, until_ms, failure, reply);
}

typedef struct cancellable {
    const call *call;
    const _Atomic uint32_t *cancelled;
} cancellable;

static bool is_over(const void *ctx)
{
    const cancellable *one = ctx;
    return is_complete(one->call) || atomic_load(one->cancelled) != 0;
}

mtc_status mtci_redis_call_cancellable(mtci_redis_client *client,
                                       mtci_redis_command *command,
                                       int64_t until_ms,
                                       const _Atomic uint32_t *cancelled,
                                       mtci_answer *answer)
{
    mtci_redis_target target = {.client = client};
    call *c = begin(&target, command, until_ms);
    *answer = (mtci_answer){0};
    if (!c)
        return MTC_E_NO_MEMORY;
    cancellable one = {c, cancelled};
    mtci_awaited awaited = {is_over, &one};
    mtci_client_drive(client, &awaited, until_ms);
    bool was_cancelled = !is_complete(c) && atomic_load(cancelled) != 0;
    if (!is_complete(c))
        mtci_client_abandon(client, c);
    mtc_status status = take_result(c, answer->failure, &answer->reply);
    release(c);
    return was_cancelled && status != MTC_OK ? MTC_E_CANCELLED : status;
}
