/*
 * Commands and queues of them. See command.h. One thread at a time.
 */
#include "redis/command.h"

#include <stdlib.h>

static const char ASKING[] = "*1\r\n$6\r\nASKING\r\n";
#define ASKING_SIZE (sizeof ASKING - 1)

mtci_redis_command *mtci_command_new(uint32_t expects)
{
    mtci_redis_command *command = calloc(1, sizeof *command);
    if (!command)
        return NULL;
    command->expects = command->own_expects;
    command->replies = command->own_replies;
    command->expects[0] = expects;
    command->reply_count = 1;
    return command;
}

mtci_redis_command *mtci_command_new_of_many(size_t reply_count)
{
    mtci_redis_command *command = mtci_command_new(0);
    if (!command)
        return NULL;
    command->reply_count = reply_count;
    if (reply_count <= MTCI_COMMAND_REPLIES_OWN)
        return command;
    command->expects = calloc(reply_count, sizeof *command->expects);
    command->replies = calloc(reply_count, sizeof *command->replies);
    if (command->expects && command->replies)
        return command;
    mtci_command_free(command);
    return NULL;
}

void mtci_command_free(mtci_redis_command *command)
{
    if (!command)
        return;
    mtci_buffer_fini(&command->bytes);
    mtc_value_free(&command->payload);
    for (size_t i = 0; i < command->replied; i++)
        mtci_reply_fini(&command->replies[i]);
    if (command->expects != command->own_expects)
        free(command->expects);
    if (command->replies != command->own_replies)
        free(command->replies);
    free(command);
}

void mtci_command_reset(mtci_redis_command *command)
{
    while (command->replied > 0)
        mtci_reply_fini(&command->replies[--command->replied]);
    command->was_sent = false;
    command->stall_ms = 0;
    command->status = MTC_OK;
    command->failure = NULL;
}

void mtci_command_fail(mtci_redis_command *command, mtc_status status,
                       const char *failure)
{
    command->status = status;
    command->failure = failure;
}

void mtci_command_fail_copy(mtci_redis_command *command, mtc_status status,
                            const char *failure)
{
    mtci_buffer *bytes = &command->bytes;
    mtci_buffer_clear(bytes);
    mtci_buffer_add(bytes, mtc_bytes(failure, strlen(failure) + 1));
    mtci_command_fail(command, status,
                      bytes->status == MTC_OK ? bytes->data : "out of memory");
}

const mtci_reply *mtci_command_error(const mtci_redis_command *command)
{
    for (size_t i = command->replied; i > 0; i--)
        if (command->replies[i - 1].type == MTCI_REPLY_ERROR)
            return &command->replies[i - 1];
    return NULL;
}

static void put_asking(mtci_redis_command *command, size_t at)
{
    char *bytes = command->bytes.data;
    memmove(bytes + at + ASKING_SIZE, bytes + at, command->bytes.size - at);
    memcpy(bytes + at, ASKING, ASKING_SIZE);
    command->bytes.size += ASKING_SIZE;
}

static void cut_asking(mtci_redis_command *command, size_t at)
{
    char *bytes = command->bytes.data;
    command->bytes.size -= ASKING_SIZE;
    memmove(bytes + at, bytes + at + ASKING_SIZE, command->bytes.size - at);
}

mtc_status mtci_command_ask(mtci_redis_command *command)
{
    bool has_two = command->reply_count == 2;
    mtci_command_reset(command);
    if (!mtci_buffer_room(&command->bytes, 2 * ASKING_SIZE))
        return MTC_E_NO_MEMORY;
    if (has_two)
        put_asking(command, command->second);
    put_asking(command, 0);
    command->split += command->split > 0 ? ASKING_SIZE : 0;
    command->mark += command->mark > 0 ? ASKING_SIZE : 0;
    if (has_two)
        command->expects[3] = command->expects[1];
    command->expects[1] = command->expects[0];
    command->expects[0] = MTCI_REPLY_STATUS;
    command->expects[2] = MTCI_REPLY_STATUS;
    command->reply_count *= 2;
    return MTC_OK;
}

void mtci_command_unask(mtci_redis_command *command)
{
    bool has_two = command->reply_count == 4;
    mtci_command_reset(command);
    cut_asking(command, 0);
    if (has_two)
        cut_asking(command, command->second);
    command->split -= command->split > 0 ? ASKING_SIZE : 0;
    command->mark -= command->mark > 0 ? ASKING_SIZE : 0;
    command->expects[0] = command->expects[1];
    command->expects[1] = has_two ? command->expects[3] : 0;
    command->reply_count /= 2;
}

bool mtci_command_is_late(const mtci_redis_command *command, const void *ctx)
{
    const int64_t *now_ms = ctx;
    return *now_ms >= command->deadline_ms;
}

void mtci_queue_push(mtci_command_queue *queue, mtci_redis_command *command)
{
    command->next = NULL;
    if (queue->last)
        queue->last->next = command;
    else
        queue->first = command;
    queue->last = command;
    queue->count++;
}

mtci_redis_command *mtci_queue_pop(mtci_command_queue *queue)
{
    mtci_redis_command *command = queue->first;
    if (!command)
        return NULL;
    queue->first = command->next;
    if (!queue->first)
        queue->last = NULL;
    queue->count--;
    command->next = NULL;
    return command;
}

void mtci_queue_append(mtci_command_queue *queue, mtci_command_queue *from)
{
    if (!from->first)
        return;
    if (queue->last)
        queue->last->next = from->first;
    else
        queue->first = from->first;
    queue->last = from->last;
    queue->count += from->count;
    *from = (mtci_command_queue){0};
}

void mtci_queue_fail(mtci_command_queue *queue, mtc_status status,
                     const char *failure, mtci_command_queue *finished)
{
    for (mtci_redis_command *c = queue->first; c; c = c->next)
        mtci_command_fail(c, status, failure);
    mtci_queue_append(finished, queue);
}

void mtci_queue_extract(mtci_command_queue *queue,
                        bool (*is_meant)(const mtci_redis_command *command,
                                         const void *ctx),
                        const void *ctx, mtci_command_queue *out)
{
    mtci_command_queue rest = {0};
    mtci_redis_command *command;
    while ((command = mtci_queue_pop(queue)) != NULL)
        mtci_queue_push(is_meant(command, ctx) ? out : &rest, command);
    *queue = rest;
}
