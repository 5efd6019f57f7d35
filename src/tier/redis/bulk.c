/*
 * Many reads in one command. See bulk.h. Stateless; any thread.
 */
#include "tier/redis/bulk.h"

#include <stdlib.h>

/* What PTTL answers of a key that is not there. */
#define PTTL_NO_KEY (-2)

size_t mtci_redis_bulk_run(mtc_request *const *requests, size_t count)
{
    size_t run = 1;
    while (run < count && run < MTCI_REDIS_BULK_KEYS_MAX &&
           requests[run]->deadline_ms == requests[0]->deadline_ms &&
           requests[run]->lease_ms == 0)
        run++;
    return run;
}

static void write_reads(mtci_redis_command *command,
                        mtc_request *const *requests, size_t count)
{
    mtci_buffer *bytes = &command->bytes;
    for (size_t i = 0; i < count; i++) {
        mtci_resp_begin(bytes, 2);
        mtci_resp_add_text(bytes, "PTTL");
        mtci_resp_add(bytes, requests[i]->key);
        command->expects[i] = MTCI_REPLY_INTEGER;
    }
    mtci_resp_begin(bytes, count + 1);
    mtci_resp_add_text(bytes, "MGET");
    for (size_t i = 0; i < count; i++)
        mtci_resp_add(bytes, requests[i]->key);
    command->expects[count] = MTCI_REPLY_ARRAY;
    command->item_count = count;
    command->items_expect = MTCI_REPLY_BULK | MTCI_REPLY_NIL;
}

static bool give_up(const mtci_redis_command *command, const void *what)
{
    mtci_redis_bulk *bulk = command->ctx;
    for (size_t i = 0; i < bulk->count; i++) {
        if (bulk->requests[i] != what || bulk->is_given_up[i])
            continue;
        bulk->is_given_up[i] = true;
        bulk->wanted--;
    }
    return bulk->wanted == 0;
}

mtci_redis_command *mtci_redis_bulk_command(mtc_request *const *requests,
                                            size_t count)
{
    mtci_redis_command *command = mtci_command_new_of_many(count + 1);
    mtci_redis_bulk *bulk =
        calloc(1, sizeof *bulk + count * sizeof *bulk->requests);
    if (!command || !bulk) {
        mtci_command_free(command);
        free(bulk);
        return NULL;
    }
    bulk->count = count;
    bulk->wanted = count;
    memcpy(bulk->requests, requests, count * sizeof *requests);
    command->ctx = bulk;
    command->give_up = give_up;
    command->deadline_ms = requests[0]->deadline_ms;
    command->is_retryable = true;
    write_reads(command, requests, count);
    return command;
}

const mtci_reply *mtci_redis_bulk_life(const mtci_redis_command *command,
                                       size_t index)
{
    return &command->replies[index];
}

mtci_reply *mtci_redis_bulk_found(const mtci_redis_command *command,
                                  size_t index)
{
    return &command->replies[command->reply_count - 1].items[index];
}

bool mtci_redis_bulk_is_open(const mtci_redis_command *command, size_t index)
{
    return mtci_redis_bulk_life(command, index)->integer != PTTL_NO_KEY &&
           mtci_redis_bulk_found(command, index)->type == MTCI_REPLY_NIL;
}
