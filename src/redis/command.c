/*
 * Commands and queues of them. See command.h. One thread at a time.
 */
#include "redis/command.h"

#include <stdlib.h>

mtci_redis_command *mtci_command_new(uint32_t expects)
{
    mtci_redis_command *command = calloc(1, sizeof *command);
    if (!command)
        return NULL;
    command->expects[0] = expects;
    command->reply_count = 1;
    return command;
}

void mtci_command_free(mtci_redis_command *command)
{
    if (!command)
        return;
    mtci_buffer_fini(&command->bytes);
    mtc_value_free(&command->payload);
    for (size_t i = 0; i < command->replied; i++)
        mtci_reply_fini(&command->replies[i]);
    free(command);
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
    for (mtci_redis_command *c = queue->first; c; c = c->next) {
        c->status = status;
        c->failure = failure;
    }
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
