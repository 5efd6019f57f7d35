/*
 * Leases in Redis. See lease.h. Stateless; any thread.
 */
#include "tier/redis/lease.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"
#include "tier/redis/script.h"

/* Of the frame around a lease, without what the server puts behind it. */
#define LEASE_FRAME_SIZE 40

/* The same in every process: keys on the channel. */
#define MESSAGE_SEED UINT64_C(0x6d74632d6c656173)

void mtci_redis_lease_message(mtc_slice key,
                              char text[MTCI_REDIS_LEASE_MESSAGE_SIZE])
{
    snprintf(text, MTCI_REDIS_LEASE_MESSAGE_SIZE, "%016" PRIx64,
             mtci_hash(key, MESSAGE_SEED));
}

bool mtci_redis_lease_is(mtc_verb verb, const mtc_request *request)
{
    if (verb == MTC_VERB_READ)
        return request->lease_ms > 0;
    if (verb == MTC_VERB_STORE || verb == MTC_VERB_REMOVE)
        return request->ticket != 0;
    return verb == MTC_VERB_AWAIT;
}

/* A script, its key, and the frame of the lease. */
static void begin_script(mtci_redis_command *command, const char *script,
                         const mtc_request *request, size_t argument_count)
{
    unsigned char bytes[LEASE_FRAME_SIZE];
    mtc_frame frame = {
        .facts = {.kind = MTC_KIND_LEASE},
        .ticket = request->ticket,
    };
    size_t size = mtc_frame_write(&frame, bytes);
    mtci_resp_begin(&command->bytes, 4 + argument_count);
    mtci_resp_add_text(&command->bytes, "EVAL");
    mtci_resp_add_text(&command->bytes, script);
    mtci_resp_add_number(&command->bytes, 1);
    mtci_resp_add(&command->bytes, request->key);
    mtci_resp_add(&command->bytes, mtc_bytes(bytes, size));
    command->expects[0] = MTCI_REPLY_INTEGER;
}

static void add_message(mtci_redis_command *command, mtc_slice key)
{
    char message[MTCI_REDIS_LEASE_MESSAGE_SIZE];
    mtci_redis_lease_message(key, message);
    mtci_resp_add_text(&command->bytes, message);
}

/* Sent twice it takes one lease: it may be, when a connection is lost. */
static void write_take(mtci_redis_command *command, const mtc_request *request)
{
    begin_script(command, mtci_redis_take_script, request, 2);
    command->mark = command->bytes.size;
    mtci_resp_add_number(&command->bytes, request->lease_ms);
    command->expects[0] = MTCI_REPLY_ARRAY;
    command->item_count = 3;
    command->items_expect =
        MTCI_REPLY_INTEGER | MTCI_REPLY_BULK | MTCI_REPLY_NIL;
    command->is_retryable = true;
}

void mtci_redis_lease_allow(mtci_redis_command *command, bool may_take)
{
    const mtc_request *request = command->ctx;
    command->bytes.size = command->mark;
    mtci_resp_add_number(&command->bytes, may_take ? request->lease_ms : 0);
}

static mtc_status write_fill(const mtci_redis_form *form,
                             const mtc_request *request,
                             mtci_redis_command *command)
{
    begin_script(command, mtci_redis_fill_script, request, 4);
    add_message(command, request->key);
    mtc_status status = mtci_redis_entry_add_value(form, request, command);
    if (request->facts.left_ms == MTC_NO_END)
        mtci_resp_add_number(&command->bytes, 0);
    else
        mtci_redis_entry_add_life(command);
    return status;
}

static void write_renew(mtci_redis_command *command, const mtc_request *request)
{
    begin_script(command, mtci_redis_renew_script, request, 3);
    add_message(command, request->key);
    mtci_resp_add_number(&command->bytes, request->lease_ms);
}

static void write_give_back(mtci_redis_command *command,
                            const mtc_request *request)
{
    begin_script(command, mtci_redis_give_back_script, request, 2);
    add_message(command, request->key);
}

/* Listens, and looks only then: what ends the lease after that is heard. What
 * answers SUBSCRIBE is a push, and so no reply. */
static void write_await(mtci_redis_command *command, const mtc_request *request)
{
    mtci_buffer *bytes = &command->bytes;
    mtci_resp_begin(bytes, 2);
    mtci_resp_add_text(bytes, "PTTL");
    mtci_resp_add(bytes, request->key);
    mtci_resp_begin(bytes, 2);
    mtci_resp_add_text(bytes, "SUBSCRIBE");
    mtci_resp_add_text(bytes, MTCI_REDIS_LEASE_CHANNEL);
    command->second = bytes->size;
    mtci_resp_begin(bytes, 2);
    mtci_resp_add_text(bytes, "GET");
    mtci_resp_add(bytes, request->key);
    command->expects[0] = MTCI_REPLY_INTEGER;
    command->expects[1] = MTCI_REPLY_BULK | MTCI_REPLY_NIL;
    command->reply_count = 2;
    command->is_retryable = true;
}

static mtc_status write_command(const mtci_redis_form *form, mtc_verb verb,
                                const mtc_request *request,
                                mtci_redis_command *command)
{
    mtc_status status = MTC_OK;
    if (verb == MTC_VERB_READ)
        write_take(command, request);
    else if (verb == MTC_VERB_AWAIT)
        write_await(command, request);
    else if (verb == MTC_VERB_REMOVE)
        write_give_back(command, request);
    else if (request->facts.kind == MTC_KIND_LEASE)
        write_renew(command, request);
    else
        status = write_fill(form, request, command);
    return status;
}

mtci_redis_command *mtci_redis_lease_command(const mtci_redis_form *form,
                                             mtc_verb verb,
                                             mtc_request *request)
{
    mtci_redis_command *command = mtci_command_new(0);
    if (!command)
        return NULL;
    command->ctx = request;
    command->deadline_ms = request->deadline_ms;
    if (write_command(form, verb, request, command) == MTC_OK)
        return command;
    mtci_command_free(command);
    return NULL;
}

static bool is_whole(const mtci_reply *answer)
{
    return answer->items[0].type == MTCI_REPLY_INTEGER &&
           answer->items[1].type != MTCI_REPLY_INTEGER &&
           answer->items[2].type == MTCI_REPLY_INTEGER;
}

mtc_status mtci_redis_lease_found(const mtci_redis_form *form,
                                  mtc_request *request, mtci_reply *answer,
                                  char failure[MTCI_REDIS_FAILURE_SIZE])
{
    int64_t lease_ms = request->lease_ms;
    if (!is_whole(answer)) {
        request->ticket = 0;
        request->lease_ms = 0;
        snprintf(failure, MTCI_REDIS_FAILURE_SIZE,
                 "a script was answered in a form that is not its own");
        return MTC_E_UNAVAILABLE;
    }
    bool is_taken = answer->items[2].integer == 1;
    mtc_status status = mtci_redis_entry_found(form, request, &answer->items[0],
                                               &answer->items[1], failure);
    if (!is_taken) {
        request->ticket = 0;
        return status;
    }
    request->lease_ms = lease_ms;
    if (status != MTC_OK)
        request->facts =
            (mtc_facts){.kind = MTC_KIND_LEASE, .left_ms = lease_ms};
    return status;
}
