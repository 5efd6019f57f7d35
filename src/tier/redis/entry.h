/*
 * Entries as Redis keeps them: requests of the cache as commands, and replies
 * as values with facts. A value is stored as it is, or as a frame where its
 * facts need one. Stateless; any thread.
 */
#ifndef MTCI_TIER_REDIS_ENTRY_H
#define MTCI_TIER_REDIS_ENTRY_H

#include "redis/command.h"

/* From here on a value is sent from where it is, not copied. */
#define MTCI_REDIS_BY_REFERENCE_SIZE ((size_t)16 << 10)
/* What a frame may add to a value; and so a value to the largest bulk. */
#define MTCI_REDIS_FRAME_ROOM ((size_t)4 << 10)

/* The command for a request, its ctx; NULL: out of memory. Commands that could
 * not be written carry that in their bytes. */
mtci_redis_command *mtci_redis_entry_command(mtc_verb verb,
                                             mtc_request *request);

/* Judges the reply to a READ and fills value and facts of the request. MTC_OK,
 * MTC_MISS, or an error, then with failure. *is_damaged: a frame that was
 * not whole; it counts as a miss. */
mtc_status mtci_redis_entry_found(mtci_redis_command *command, char *failure,
                                  size_t failure_size, bool *is_damaged);

#endif
