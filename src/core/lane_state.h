/*
 * What the parts of a lane share: lane.c sends, lane_answer.c takes in what
 * comes back, lane_wait.c waits for that.
 */
#ifndef MTCI_CORE_LANE_STATE_H
#define MTCI_CORE_LANE_STATE_H

#include "core/lane.h"

static inline bool mtci_is_acknowledged(mtc_status status)
{
    return status == MTC_OK || status == MTC_PARTIAL;
}

/* Called by the tier through mtc_request_complete, once per operation. */
void mtci_op_answered(mtc_request *request);

/* A write that was acknowledged pays what its key owed before. */
void mtci_op_pay(mtci_op *op);

/* text NULL: that of the status. */
void mtci_lane_note_failure(mtci_lane *lane, mtc_status status,
                            const char *text);

/* Nobody asks the tier any more until it answers the keeper. A tier with parts
 * closes itself off from those that fail. */
void mtci_lane_close_off(mtci_lane *lane);

#endif
