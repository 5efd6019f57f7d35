/*
 * A caller's turn to load: waiting for it in the caller's thread.
 */
#ifndef MTCI_CORE_TURN_H
#define MTCI_CORE_TURN_H

#include "core/cache.h"

/* Takes a turn, waiting until until_ms at most. MTC_OK; MTC_E_TIMEOUT: that
 * was too short; MTC_E_BUSY: others have waited too long; MTC_E_CLOSED. */
mtc_status mtci_turn_take(mtc_cache *cache, int64_t until_ms);

#endif
