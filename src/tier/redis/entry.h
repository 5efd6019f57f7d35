/*
 * Entries as Redis keeps them: requests of the cache as commands, and replies
 * as values with facts. A value is stored as it is, or as a frame where its
 * facts or the form need one; both are read. Stateless; any thread.
 */
#ifndef MTCI_TIER_REDIS_ENTRY_H
#define MTCI_TIER_REDIS_ENTRY_H

#include "redis/command.h"

/* From here on a value is sent from where it is, not copied. */
#define MTCI_REDIS_BY_REFERENCE_SIZE ((size_t)16 << 10)
#define MTCI_REDIS_FAILURE_SIZE      160
/* What a frame may add to a value; and so a value to the largest bulk. */
#define MTCI_REDIS_FRAME_ROOM ((size_t)4 << 10)

/* What stands between the frame of a lease and the entry inside: what is left
 * of the key's life when the lease ends, and when the entry does. */
#define MTCI_REDIS_LEASE_NUMBERS 16

/* How values are stored, and what is believed when they are read. */
typedef struct mtci_redis_form {
    mtc_compression compression;
    size_t compress_size_min; /* smaller values are not compressed */
    bool is_checked;          /* nothing but frames: damage is noticed */
    size_t value_size_max;    /* of a compressed value, uncompressed */
} mtci_redis_form;

/* The command for a request, its ctx; NULL: out of memory. Commands that could
 * not be written carry that in their bytes. */
mtci_redis_command *mtci_redis_entry_command(const mtci_redis_form *form,
                                             mtc_verb verb,
                                             mtc_request *request);

/* Adds to a command of this request what is to be stored: as it is, or in a
 * frame. MTC_OK or MTC_E_NO_MEMORY. */
mtc_status mtci_redis_entry_add_value(const mtci_redis_form *form,
                                      const mtc_request *request,
                                      mtci_redis_command *command);

/* Adds the life, as the last argument: it is cut again before it is sent. */
void mtci_redis_entry_add_life(mtci_redis_command *command);

/* Judges what PTTL and GET said of a key, neither an error, and fills value,
 * facts and lease_ms of the request; takes the bytes of found. MTC_OK;
 * MTC_MISS; MTC_E_CORRUPT: it is not what was stored; another error, then with
 * failure. */
mtc_status mtci_redis_entry_found(const mtci_redis_form *form,
                                  mtc_request *request, const mtci_reply *life,
                                  mtci_reply *found,
                                  char failure[MTCI_REDIS_FAILURE_SIZE]);

#endif
