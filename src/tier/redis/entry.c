/*
 * Entries in Redis. See entry.h. Stateless; any thread.
 */
#include "tier/redis/entry.h"

#include <stdio.h>

#include "tier/redis/lease.h"
#include "tier/redis/script.h"

/* What PTTL answers beside a life. */
#define PTTL_NO_END (-1)

/* The server adds its wall clock to a life and refuses what overflows. */
#define LIFE_MS_MAX INT64_C(9000000000000000)

/* -- to Redis ------------------------------------------------------------ */

static void write_read(mtci_redis_command *command, mtc_slice key)
{
    mtci_resp_begin(&command->bytes, 2);
    mtci_resp_add_text(&command->bytes, "PTTL");
    mtci_resp_add(&command->bytes, key);
    command->second = command->bytes.size;
    mtci_resp_begin(&command->bytes, 2);
    mtci_resp_add_text(&command->bytes, "GET");
    mtci_resp_add(&command->bytes, key);
    command->expects[0] = MTCI_REPLY_INTEGER;
    command->expects[1] = MTCI_REPLY_BULK | MTCI_REPLY_NIL;
    command->reply_count = 2;
    command->is_retryable = true;
}

static bool needs_frame(const mtci_redis_form *form, const mtc_request *request)
{
    const mtc_facts *facts = &request->facts;
    return form->is_checked || facts->kind != MTC_KIND_VALUE ||
           facts->window_ms != 0 || facts->etag.size > 0 ||
           facts->load_ms > 0 || mtc_frame_is(mtc_value_slice(&request->value));
}

static bool is_worth_compressing(const mtci_redis_form *form,
                                 const mtc_request *request)
{
    return form->compression != MTC_COMPRESSION_NONE &&
           request->value.size >= form->compress_size_min;
}

/* The bytes to store: a frame around the value, compressed where that saves
 * enough, or a second holder of the value. */
static mtc_status make_payload(const mtci_redis_form *form,
                               const mtc_request *request, mtc_value *payload)
{
    mtc_frame frame = {
        .facts = request->facts,
        .value = mtc_value_slice(&request->value),
    };
    mtc_status status = MTC_E_TOO_LARGE;
    if (is_worth_compressing(form, request))
        status = mtc_frame_compress(&frame, form->compression, payload);
    if (status != MTC_E_TOO_LARGE)
        return status;
    if (!needs_frame(form, request))
        return mtc_value_share(&request->value, payload);
    void *bytes;
    status = mtc_value_new(mtc_frame_size(&frame), &bytes, payload);
    if (status == MTC_OK)
        mtc_frame_write(&frame, bytes);
    return status;
}

static mtc_status write_payload(mtci_redis_command *command, mtc_value *payload)
{
    if (payload->size <= MTCI_REDIS_BY_REFERENCE_SIZE) {
        mtci_resp_add(&command->bytes, mtc_value_slice(payload));
        mtc_value_free(payload);
        return command->bytes.status;
    }
    mtci_resp_open(&command->bytes, payload->size);
    command->split = command->bytes.size;
    command->payload = *payload;
    mtci_resp_close(&command->bytes);
    return command->bytes.status;
}

mtc_status mtci_redis_entry_add_value(const mtci_redis_form *form,
                                      const mtc_request *request,
                                      mtci_redis_command *command)
{
    mtc_value payload;
    if (request->value.size <= MTCI_REDIS_BY_REFERENCE_SIZE &&
        !is_worth_compressing(form, request) && !needs_frame(form, request)) {
        mtci_resp_add(&command->bytes, mtc_value_slice(&request->value));
        return command->bytes.status;
    }
    mtc_status status = make_payload(form, request, &payload);
    return status == MTC_OK ? write_payload(command, &payload) : status;
}

static int64_t cut_life(int64_t life_ms)
{
    return life_ms < LIFE_MS_MAX ? life_ms : LIFE_MS_MAX;
}

/* What the entry has waited for is taken off its life. */
static bool shorten_life(mtci_redis_command *command, int64_t now_ms)
{
    const mtc_request *request = command->ctx;
    int64_t waited_ms = now_ms - request->sent_ms;
    if (waited_ms <= 0)
        return true;
    if (waited_ms >= request->facts.left_ms)
        return false;
    command->bytes.size = command->mark;
    mtci_resp_add_number(&command->bytes,
                         cut_life(request->facts.left_ms - waited_ms));
    return true;
}

void mtci_redis_entry_add_life(mtci_redis_command *command)
{
    const mtc_request *request = command->ctx;
    command->mark = command->bytes.size;
    command->prepare = shorten_life;
    mtci_resp_add_number(&command->bytes, cut_life(request->facts.left_ms));
}

static mtc_status write_store(const mtci_redis_form *form,
                              const mtc_request *request,
                              mtci_redis_command *command)
{
    bool has_end = request->facts.left_ms != MTC_NO_END;
    mtci_resp_begin(&command->bytes, has_end ? 5 : 3);
    mtci_resp_add_text(&command->bytes, "SET");
    mtci_resp_add(&command->bytes, request->key);
    mtc_status status = mtci_redis_entry_add_value(form, request, command);
    command->expects[0] = MTCI_REPLY_STATUS;
    if (!has_end)
        return status;
    mtci_resp_add_text(&command->bytes, "PX");
    mtci_redis_entry_add_life(command);
    return status;
}

static void write_remove(mtci_redis_command *command, mtc_slice key)
{
    mtci_resp_begin(&command->bytes, 2);
    mtci_resp_add_text(&command->bytes, "UNLINK");
    mtci_resp_add(&command->bytes, key);
    command->expects[0] = MTCI_REPLY_INTEGER;
}

static void write_expire(mtci_redis_command *command, mtc_slice key)
{
    char message[MTCI_REDIS_LEASE_MESSAGE_SIZE];
    mtci_redis_lease_message(key, message);
    mtci_resp_begin(&command->bytes, 5);
    mtci_resp_add_text(&command->bytes, "EVAL");
    mtci_resp_add_text(&command->bytes, mtci_redis_expire_script);
    mtci_resp_add_number(&command->bytes, 1);
    mtci_resp_add(&command->bytes, key);
    mtci_resp_add_text(&command->bytes, message);
    command->expects[0] = MTCI_REPLY_INTEGER;
}

mtci_redis_command *mtci_redis_entry_command(const mtci_redis_form *form,
                                             mtc_verb verb,
                                             mtc_request *request)
{
    mtci_redis_command *command = mtci_command_new(0);
    mtc_status status = MTC_OK;
    if (!command)
        return NULL;
    command->ctx = request;
    command->deadline_ms = request->deadline_ms;
    if (verb == MTC_VERB_READ)
        write_read(command, request->key);
    else if (verb == MTC_VERB_STORE)
        status = write_store(form, request, command);
    else if (verb == MTC_VERB_REMOVE)
        write_remove(command, request->key);
    else
        write_expire(command, request->key);
    if (status != MTC_OK) {
        mtci_command_free(command);
        return NULL;
    }
    return command;
}

/* -- from Redis ---------------------------------------------------------- */

static mtc_status take_facts(mtc_request *request, const mtc_frame *frame,
                             int64_t left_ms)
{
    if (frame->key.size > 0 || frame->facts.kind == MTC_KIND_LEASE)
        return MTC_MISS;
    request->facts = frame->facts;
    request->facts.left_ms = left_ms;
    return MTC_OK;
}

/* What is left of something, from what was left of the key's life when it
 * ends: a number in the value of a lease, which no checksum covers. */
static int64_t left_until(int64_t life_ms, const void *number)
{
    const unsigned char *bytes = number;
    uint64_t rest_ms = 0;
    for (size_t i = 8; i-- > 0;)
        rest_ms = rest_ms << 8 | bytes[i];
    return rest_ms < (uint64_t)life_ms ? life_ms - (int64_t)rest_ms : 0;
}

/* Of a lease there is news, and the entry inside while that lives. */
static mtc_status unwrap(const mtci_redis_form *form, mtc_request *request,
                         mtc_value *value, mtc_frame *frame)
{
    int64_t life_ms = request->facts.left_ms;
    const char *numbers = frame->value.data;
    if (frame->value.size < MTCI_REDIS_LEASE_NUMBERS)
        return MTC_E_CORRUPT;
    if (life_ms == MTC_NO_END) /* nobody's: another program made it last */
        return MTC_MISS;
    request->lease_ms = left_until(life_ms, numbers);
    int64_t left_ms = left_until(life_ms, numbers + 8);
    if (request->lease_ms > 0)
        request->facts =
            (mtc_facts){.kind = MTC_KIND_LEASE, .left_ms = request->lease_ms};
    if (frame->value.size == MTCI_REDIS_LEASE_NUMBERS || left_ms == 0)
        return MTC_MISS;
    value->data = numbers + MTCI_REDIS_LEASE_NUMBERS;
    value->size = frame->value.size - MTCI_REDIS_LEASE_NUMBERS;
    mtc_status status = mtc_frame_open(value, form->value_size_max, frame);
    return status == MTC_OK ? take_facts(request, frame, left_ms) : status;
}

/* Takes the value out of a frame, which goes on to hold it. */
static mtc_status unframe(const mtci_redis_form *form, mtc_request *request,
                          mtc_value *value)
{
    mtc_frame frame;
    mtc_status status = mtc_frame_open(value, form->value_size_max, &frame);
    if (status != MTC_OK)
        return status;
    if (frame.facts.kind == MTC_KIND_LEASE)
        return unwrap(form, request, value, &frame);
    return take_facts(request, &frame, request->facts.left_ms);
}

/* What stands under the key, framed or plain. Where every value is framed, a
 * plain one is not what was stored: its first bytes may have been damaged. */
static mtc_status judge(const mtci_redis_form *form, mtc_request *request,
                        mtc_value *value)
{
    if (mtc_frame_is(mtc_value_slice(value)))
        return unframe(form, request, value);
    return form->is_checked ? MTC_E_CORRUPT : MTC_OK;
}

mtc_status mtci_redis_entry_found(const mtci_redis_form *form,
                                  mtc_request *request, const mtci_reply *life,
                                  mtci_reply *found,
                                  char failure[MTCI_REDIS_FAILURE_SIZE])
{
    request->lease_ms = 0;
    if (found->type == MTCI_REPLY_NIL ||
        (life->integer <= 0 && life->integer != PTTL_NO_END))
        return MTC_MISS;
    request->facts = (mtc_facts){.kind = MTC_KIND_VALUE};
    request->facts.left_ms =
        life->integer == PTTL_NO_END ? MTC_NO_END : life->integer;
    mtc_status status = judge(form, request, &found->bytes);
    if (status == MTC_E_TOO_LARGE)
        snprintf(failure, MTCI_REDIS_FAILURE_SIZE,
                 "the value is, decompressed, over the limit of %zu bytes",
                 form->value_size_max);
    if (status != MTC_OK)
        return status;
    request->value = found->bytes;
    *found = (mtci_reply){0};
    return MTC_OK;
}
