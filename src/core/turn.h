/*
 * A caller's turn to load: waiting for it in the caller's thread, or in a task.
 */
#ifndef MTCI_CORE_TURN_H
#define MTCI_CORE_TURN_H

#include "core/cache.h"
#include "core/task.h"

/* Takes a turn, waiting until until_ms at most. MTC_OK; MTC_E_TIMEOUT: that
 * was too short; MTC_E_BUSY: others have waited too long; MTC_E_CLOSED. */
mtc_status mtci_turn_take(mtc_cache *cache, int64_t until_ms);

/* The turn that a task waits for. */
typedef struct mtci_task_turn {
    mtci_turn turn;
    mtci_task *task;
    _Atomic int status;
} mtci_task_turn;

/* Asks for a turn. MTC_OK; MTC_PENDING: the task is woken, and awaits until_ms
 * at the latest; MTC_E_BUSY, MTC_E_CLOSED. */
mtc_status mtci_task_turn_take(mtci_task_turn *waiting, mtci_task *task,
                               int64_t until_ms, int64_t now_ms);

/* Looks whether it is there; why: MTC_OK, or what to do without it for, which
 * is returned then. Else as take. */
mtc_status mtci_task_turn_step(mtci_task_turn *waiting, mtc_status why,
                               int64_t now_ms);

#endif
