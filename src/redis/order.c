/*
 * The order of the commands of one key. See order.h.
 */
#include "redis/order.h"

static mtci_redis_command **bucket_of(mtci_order *order, uint64_t hash)
{
    return &order->buckets[hash % MTCI_ORDER_BUCKETS];
}

static void note(mtci_order *order, mtci_redis_command *write)
{
    mtci_redis_command **bucket = bucket_of(order, write->route.key_hash);
    write->route.next = *bucket;
    *bucket = write;
}

mtci_redis_command *mtci_order_enter(mtci_order *order,
                                     mtci_redis_command *command)
{
    mtci_redis_command *write = *bucket_of(order, command->route.key_hash);
    while (write && write->route.key_hash != command->route.key_hash)
        write = write->route.next;
    if (!write) {
        if (command->route.is_write)
            note(order, command);
        return NULL;
    }
    command->next = NULL;
    if (write->route.held_last)
        write->route.held_last->next = command;
    else
        write->route.held_first = command;
    write->route.held_last = command;
    return write;
}

static mtci_redis_command *pop_held(mtci_redis_command *write)
{
    mtci_redis_command *command = write->route.held_first;
    if (!command)
        return NULL;
    write->route.held_first = command->next;
    if (!command->next)
        write->route.held_last = NULL;
    command->next = NULL;
    return command;
}

void mtci_order_leave(mtci_order *order, mtci_redis_command *write,
                      mtci_command_queue *ready)
{
    mtci_redis_command **link = bucket_of(order, write->route.key_hash);
    mtci_redis_command *command;
    while (*link != write)
        link = &(*link)->route.next;
    *link = write->route.next;
    while ((command = pop_held(write)) != NULL) {
        mtci_queue_push(ready, command);
        if (!command->route.is_write)
            continue;
        command->route.held_first = write->route.held_first;
        command->route.held_last = write->route.held_last;
        write->route.held_first = NULL;
        write->route.held_last = NULL;
        note(order, command);
    }
}
