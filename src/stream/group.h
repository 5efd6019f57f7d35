/*
 * A group of consumers as its parts share it. Reading is for one thread at a
 * time; the rest is for any.
 */
#ifndef MTCI_STREAM_GROUP_H
#define MTCI_STREAM_GROUP_H

#include "mtc/group.h"
#include "stream/stream.h"

struct mtc_group {
    mtc_stream *stream;
    mtci_link link;
    mtc_group_options options;
    _Atomic bool had_group;   /* it was there: if it is gone, begin at 0 */
    mtc_slice name, consumer; /* in the same block */
};

/* A command about the stream and its group: WORDS key group, and then more
 * arguments. NULL: no memory. */
mtci_redis_command *mtci_group_command(const mtc_group *group, uint32_t expects,
                                       const char *words, size_t more);

/* Makes the group. MTC_OK, MTC_EXISTS, or why not. */
mtc_status mtci_group_make(mtc_group *group);

/* Calls such a command and takes it over. As mtci_stream_enter and then
 * mtci_stream_call; a group that is not there has nothing: MTC_MISS. */
mtc_status mtci_group_call(mtc_group *group, mtci_redis_command *command,
                           mtci_reply *reply);

/* Whether a call failed for want of the group, or of its stream. */
bool mtci_group_is_gone(const mtci_answer *answer);

#endif
