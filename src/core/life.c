/*
 * How long entries live. See life.h.
 */
#include "core/life.h"

#include <math.h>

#include "core/lane.h"
#include "core/sized.h"

/* A number between whole ones counts as the next; one that is none, as -1. */
static int64_t whole(double number)
{
    return number >= 0 && number <= 1000 ? (int64_t)(number + 0.999) : -1;
}

bool mtci_strategy_fault(const mtc_strategy *strategy,
                         mtci_strategy_field *fault)
{
    const mtci_strategy_field fields[] = {
        {"ttl_ms", strategy->ttl_ms, 1, MTC_TTL_MS_MAX},
        {"jitter_percent", strategy->jitter_percent, 0, 100},
        {"stale_ms", strategy->stale_ms, 0, MTC_TTL_MS_MAX},
        {"throttle_ms", strategy->throttle_ms, 0, MTC_TTL_MS_MAX},
        {"absent_ms", strategy->absent_ms, 0, MTC_TTL_MS_MAX},
        {"error_ms", strategy->error_ms, 0, MTC_TTL_MS_MAX},
        {"soft_ms", strategy->soft_ms, -1, MTC_TTL_MS_MAX},
        {"hard_ms", strategy->hard_ms, 0, MTC_TTL_MS_MAX},
        {"refresh_percent", strategy->refresh_percent, 0, 99},
        {"reserved", strategy->reserved, 0, 0},
        {"refresh_beta", whole(strategy->refresh_beta), 0, 1000},
        {"lease_ms", strategy->lease_ms, 0, MTC_LEASE_MS_MAX},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        *fault = fields[i];
        if (fault->value < fault->min || fault->value > fault->max)
            return true;
    }
    return false;
}

mtc_status mtci_strategy_take(const mtc_strategy *given, mtc_strategy *taken)
{
    mtci_strategy_field fault;
    *taken = (mtc_strategy)MTC_STRATEGY_INIT(0);
    if (!mtci_sized_copy(taken, sizeof *taken, given, MTCI_STRATEGY_SIZE_MIN) ||
        mtci_strategy_fault(taken, &fault))
        return MTC_E_INVALID;
    return MTC_OK;
}

mtci_life mtci_life_of(const mtc_strategy *strategy)
{
    mtci_life life = {strategy->ttl_ms, strategy->stale_ms, 0};
    if (strategy->jitter_percent == 0)
        return life;
    double most = (double)life.ttl_ms * strategy->jitter_percent / 100;
    life.ttl_ms -= (int64_t)(most * mtci_thread_share());
    if (life.ttl_ms < 1)
        life.ttl_ms = 1;
    return life;
}

bool mtci_life_is_due(const mtc_strategy *strategy, const mtc_facts *facts,
                      int64_t ttl_ms)
{
    if (facts->left_ms == MTC_NO_END)
        return false;
    double fresh_ms = (double)(facts->left_ms - facts->window_ms);
    if (facts->ttl_ms > 0)
        ttl_ms = facts->ttl_ms;
    if (fresh_ms * 100 <= (double)ttl_ms * strategy->refresh_percent)
        return true;
    /* age - load time * beta * ln(random) >= ttl, in what is left. */
    double ahead_ms =
        -log(1 - mtci_thread_share()) * strategy->refresh_beta * facts->load_ms;
    return fresh_ms <= ahead_ms;
}

/* The window, as far as the tier keeps one and lives so long. */
static int64_t cut_window(const mtci_lane *lane, int64_t ttl_ms,
                          int64_t window_ms)
{
    int64_t room_ms = lane->ops->life_ms_max - ttl_ms;
    if (!(lane->ops->abilities & MTC_TIER_KEEPS_FACTS) || room_ms < 0)
        return 0;
    return window_ms < room_ms ? window_ms : room_ms;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

mtc_facts mtci_life_facts_of(const mtci_lane *lane, mtci_life life,
                             int64_t ttl_ms)
{
    ttl_ms = least(ttl_ms, lane->ttl_ms_max);
    ttl_ms = least(ttl_ms, lane->ops->life_ms_max);
    int64_t window_ms = cut_window(lane, ttl_ms, life.window_ms);
    return (mtc_facts){.load_ms = life.load_ms,
                       .left_ms = ttl_ms + window_ms,
                       .ttl_ms = ttl_ms,
                       .window_ms = window_ms};
}

mtc_facts mtci_life_facts(const mtci_lane *lane, mtci_life life)
{
    return mtci_life_facts_of(lane, life, mtci_lane_life(lane, life.ttl_ms));
}

/* Of a copy that is fresh for fresh_ms: what makes it as old as the entry. */
static int64_t ttl_copied(const mtc_facts *facts, int64_t fresh_ms)
{
    if (facts->ttl_ms <= 0 || facts->left_ms == MTC_NO_END)
        return 0;
    int64_t age_ms = facts->ttl_ms + facts->window_ms - facts->left_ms;
    int64_t ttl_ms = fresh_ms + (age_ms > 0 ? age_ms : 0);
    return ttl_ms > 0 ? ttl_ms : 0;
}

mtc_facts mtci_life_copied(const mtci_lane *lane, const mtc_facts *facts)
{
    mtc_facts copy = *facts;
    int64_t fresh_ms = facts->left_ms;
    if (facts->left_ms != MTC_NO_END)
        fresh_ms -= facts->window_ms;
    fresh_ms = least(fresh_ms, lane->ttl_ms_max);
    fresh_ms = least(fresh_ms, lane->ops->life_ms_max);
    copy.window_ms = cut_window(lane, fresh_ms, facts->window_ms);
    copy.left_ms = fresh_ms + copy.window_ms;
    copy.ttl_ms = ttl_copied(facts, fresh_ms);
    return copy;
}
