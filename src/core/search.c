/*
 * Steps of a search; see search.h.
 */
#include "core/search.h"

void mtci_search_begin(mtci_search *search, mtci_look *looks, size_t count)
{
    search->looks = looks;
    search->count = count;
    search->lane = 0;
    search->is_sent = false;
    for (size_t i = 0; i < count; i++)
        looks[i].task = search->task;
}

static void send(mtci_search *search, mtci_lane *lane, int64_t now_ms)
{
    size_t sent = mtci_chain_send(lane, search->looks, search->count);
    if (sent > 0)
        mtci_task_sent(search->task, sent);
    search->lane_due_ms = now_ms + lane->deadline_ms;
    search->is_sent = true;
}

/* Takes what was answered, and leaves the rest if its time is over. Whether
 * something is still to be awaited. */
static bool take_one(mtci_search *search, mtci_look *look, mtc_status why,
                     int64_t now_ms)
{
    mtci_lane *lane = look->op->lane;
    int64_t until_ms = mtci_chain_until(look, search->until_ms);
    bool is_due = search->lane_due_ms <= until_ms;
    int64_t due_ms = is_due ? search->lane_due_ms : until_ms;
    if (mtci_op_is_done(look->op)) {
        mtci_chain_take(lane, look, look->op->request.status);
        return false;
    }
    if (why == MTC_OK && now_ms >= due_ms)
        why = MTC_E_TIMEOUT;
    if (why == MTC_OK) {
        if (due_ms < search->due_ms)
            search->due_ms = due_ms;
        return true;
    }
    if (mtci_lane_depart(lane, look->op, why, is_due)) {
        mtci_task_left(search->task);
        mtci_chain_take(lane, look, why);
    } else {
        mtci_chain_take(lane, look, look->op->request.status);
    }
    return false;
}

static bool take(mtci_search *search, mtc_status why, int64_t now_ms)
{
    bool is_awaited = false;
    search->due_ms = MTC_NO_END;
    for (size_t i = 0; i < search->count; i++) {
        mtci_look *look = &search->looks[i];
        if (look->op)
            is_awaited |= take_one(search, look, why, now_ms);
    }
    return is_awaited;
}

/* Nobody has time for the tiers that were not asked. */
static void cut_short(mtci_search *search, mtc_status why)
{
    for (size_t i = 0; i < search->count; i++) {
        mtci_look *look = &search->looks[i];
        if (!look->is_found && look->error == MTC_OK)
            look->error = why;
    }
    search->lane = search->cache->lane_count;
}

/* Asks the next tier, or has asked one that answers at once. */
static void ask(mtci_search *search, mtc_status why, int64_t now_ms)
{
    mtci_lane *lane = &search->cache->lanes[search->lane];
    if (search->lane < search->cache->front_count) {
        mtci_chain_front(lane, search->looks, search->count);
        search->lane++;
    } else if (why != MTC_OK) {
        cut_short(search, why);
    } else {
        send(search, lane, now_ms);
    }
}

bool mtci_search_step(mtci_search *search, mtc_status why, int64_t now_ms)
{
    if (why == MTC_OK && now_ms >= search->until_ms)
        why = MTC_E_TIMEOUT;
    while (search->lane < search->cache->lane_count) {
        if (!search->is_sent) {
            ask(search, why, now_ms);
            continue;
        }
        if (take(search, why, now_ms))
            return false;
        search->is_sent = false;
        search->lane++;
    }
    mtci_chain_end(search->looks, search->count);
    return true;
}
