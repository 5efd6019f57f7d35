/*
 * The cache's own thread; see keeper.h.
 */
#include "core/keeper.h"

#include "base/spawn.h"
#include "core/cache.h"
#include "core/chain.h"
#include "core/lease.h"

#define PROBE_KEY "mtc:probe"

/* -- waking ------------------------------------------------------------- */

void mtci_keeper_wake(mtci_keeper *keeper)
{
    pthread_mutex_lock(&keeper->mutex);
    keeper->is_woken = true;
    pthread_cond_signal(&keeper->cond);
    pthread_mutex_unlock(&keeper->mutex);
}

void mtci_keeper_watch(mtci_keeper *keeper)
{
    if (atomic_load_explicit(&keeper->is_watching, memory_order_relaxed))
        return;
    if (!atomic_exchange_explicit(&keeper->is_watching, true,
                                  memory_order_acq_rel))
        mtci_keeper_wake(keeper);
}

void mtci_keeper_take_refused(mtci_keeper *keeper, mtci_op *op)
{
    pthread_mutex_lock(&keeper->mutex);
    op->next = keeper->refused;
    keeper->refused = op;
    keeper->is_woken = true;
    pthread_cond_signal(&keeper->cond);
    pthread_mutex_unlock(&keeper->mutex);
}

/* -- debts -------------------------------------------------------------- */

/* Queues the removal of an owed key, in order with the key's writes. */
static mtci_op *pay_one(mtc_cache *cache, mtci_lane *lane)
{
    size_t size;
    uint64_t hash;
    char *room = cache->keeper.key;
    if (!mtci_debts_pick(&lane->debts, room, &size, &hash))
        return NULL;
    mtc_slice key = mtc_bytes(room, size);
    mtci_op *op = mtci_op_new(lane, MTC_VERB_REMOVE, key, hash);
    if (!op)
        return NULL;
    op->is_probe = true;
    mtci_slot *slot = mtci_slot_of(&cache->slots, hash);
    pthread_mutex_lock(&slot->mutex);
    mtci_lane_submit(lane, &op, 1);
    pthread_mutex_unlock(&slot->mutex);
    return op;
}

/* Pays a batch; false when the tier did not take it. */
static bool pay_batch(mtc_cache *cache, mtci_lane *lane)
{
    mtci_op *ops[MTCI_KEEPER_PAY_BATCH];
    size_t count = 0;
    size_t owed = mtci_debts_count(&lane->debts);
    while (count < owed && count < MTCI_KEEPER_PAY_BATCH) {
        ops[count] = pay_one(cache, lane);
        if (!ops[count])
            break;
        count++;
    }
    bool all = count > 0;
    for (size_t i = 0; i < count; i++) {
        if (mtci_lane_wait(lane, ops[i], MTC_NO_END) != MTC_OK)
            all = false;
        mtci_op_release(ops[i]);
    }
    return all;
}

static bool pay_debts(mtc_cache *cache, mtci_lane *lane)
{
    while (mtci_debts_count(&lane->debts) > 0) {
        if (mtci_cache_gate(cache) != MTC_OK || !pay_batch(cache, lane))
            return false;
    }
    return true;
}

/* -- a tier that fell --------------------------------------------------- */

/* Whether the tier itself has spoken. Something odd under the probe's key is
 * no reason to stay away from all others. */
static bool is_answer(mtc_status status)
{
    return status == MTC_OK || status == MTC_MISS || status == MTC_E_INVALID ||
           status == MTC_E_TOO_LARGE;
}

static bool probe(mtci_lane *lane)
{
    mtci_op *op = mtci_op_new(lane, MTC_VERB_READ, mtc_str(PROBE_KEY), 0);
    if (!op)
        return false;
    op->is_probe = true;
    mtci_lane_submit(lane, &op, 1);
    mtc_status status = mtci_lane_wait(lane, op, MTC_NO_END);
    mtci_op_release(op);
    return is_answer(status);
}

static void schedule_probe(mtci_keeper *keeper, int i, int64_t now_ms)
{
    int64_t gap = keeper->probe_gap_ms[i];
    gap = gap == 0 ? MTCI_KEEPER_PROBE_MS_MIN : gap * 2;
    if (gap > MTCI_KEEPER_PROBE_MS_MAX)
        gap = MTCI_KEEPER_PROBE_MS_MAX;
    keeper->probe_gap_ms[i] = gap;
    keeper->probe_at_ms[i] = now_ms + gap;
}

/* A tier that comes and goes says so once a minute for each reason. */
static bool is_news(mtci_told_fall *told, mtc_status reason, int64_t now_ms)
{
    int64_t *due_ms = &told->due_ms[-reason % MTCI_KEEPER_REASONS];
    if (now_ms < *due_ms) {
        told->untold++;
        return false;
    }
    *due_ms = now_ms + MTCI_KEEPER_TELL_MS;
    return true;
}

static void note_fall(mtci_keeper *keeper, mtci_lane *lane, int64_t now_ms)
{
    char text[sizeof(lane->last_error_text)];
    pthread_mutex_lock(&lane->mutex);
    memcpy(text, lane->last_error_text, sizeof(text));
    mtc_status reason = lane->last_error;
    pthread_mutex_unlock(&lane->mutex);
    mtci_told_fall *told = &keeper->told[lane->index];
    keeper->fell_ms[lane->index] = now_ms;
    keeper->probe_gap_ms[lane->index] = 0;
    schedule_probe(keeper, lane->index, now_ms);
    told->is_told = is_news(told, reason, now_ms);
    if (!told->is_told)
        return;
    if (told->untold > 0)
        mtci_log_line(&keeper->cache->log, MTC_LOG_WARNING, lane->ops->scheme,
                      "tier %d is down: %s (and was %llu times more since this "
                      "was said last)",
                      lane->index, text, (unsigned long long)told->untold);
    else
        mtci_log_line(&keeper->cache->log, MTC_LOG_WARNING, lane->ops->scheme,
                      "tier %d is down: %s", lane->index, text);
    told->untold = 0;
}

static void note_return(mtci_keeper *keeper, const mtci_lane *lane)
{
    int64_t *fell_ms = &keeper->fell_ms[lane->index];
    if (keeper->told[lane->index].is_told)
        mtci_log_line(&keeper->cache->log, MTC_LOG_WARNING, lane->ops->scheme,
                      "tier %d is back after %lld ms", lane->index,
                      (long long)(mtci_boot_ms() - *fell_ms));
    *fell_ms = 0;
}

/* The part that has the probe's key may be the last to come back. */
static bool answers(mtci_lane *lane)
{
    return probe(lane) || mtci_lane_has_part_up(lane);
}

/* Debts are paid before anybody reads the tier again. What it refuses to
 * remove does not keep it closed, as long as it answers: such keys are not
 * read there anyway. */
static bool is_back(mtc_cache *cache, mtci_lane *lane)
{
    return answers(lane) && (pay_debts(cache, lane) || answers(lane));
}

static void keep_down(mtci_keeper *keeper, mtci_lane *lane)
{
    int64_t now_ms = mtci_boot_ms();
    if (keeper->fell_ms[lane->index] == 0)
        note_fall(keeper, lane, now_ms);
    if (now_ms < keeper->probe_at_ms[lane->index])
        return;
    if (!is_back(keeper->cache, lane)) {
        schedule_probe(keeper, lane->index, mtci_boot_ms());
        return;
    }
    atomic_store_explicit(&lane->is_down, false, memory_order_release);
    note_return(keeper, lane);
}

/* -- the round ---------------------------------------------------------- */

/* What a lower tier refused as outdated is outdated in memory as well. False:
 * out of memory, to be done again. */
static bool drop_refused(mtc_cache *cache, const mtci_op *op)
{
    bool all = true;
    mtci_slot *slot = mtci_slot_of(&cache->slots, op->request.hash);
    pthread_mutex_lock(&slot->mutex);
    for (size_t i = 0; i < cache->front_count; i++) {
        mtci_lane *lane = &cache->lanes[i];
        mtci_op *removal = mtci_op_new(lane, MTC_VERB_REMOVE, mtci_op_key(op),
                                       op->request.hash);
        all &= removal != NULL;
        if (!removal)
            continue;
        mtci_lane_submit(lane, &removal, 1);
        mtci_lane_leave(lane, removal);
    }
    pthread_mutex_unlock(&slot->mutex);
    return all;
}

/* For the next round. */
static void put_back(mtci_keeper *keeper, mtci_op *op)
{
    pthread_mutex_lock(&keeper->mutex);
    op->next = keeper->refused;
    keeper->refused = op;
    pthread_mutex_unlock(&keeper->mutex);
}

static void drop_all_refused(mtc_cache *cache, mtci_op *op)
{
    while (op) {
        mtci_op *next = op->next;
        if (drop_refused(cache, op))
            mtci_op_release(op);
        else
            put_back(&cache->keeper, op);
        op = next;
    }
}

/* Whether a queue has just driven the tiers, and will again. */
static bool is_driven(mtc_cache *cache)
{
    int64_t driven_ms =
        atomic_load_explicit(&cache->driven_ms, memory_order_relaxed);
    return mtci_boot_ms() - driven_ms < MTCI_KEEPER_DRIVE_MS;
}

static int64_t keep_lane(mtci_keeper *keeper, mtci_lane *lane)
{
    if (mtci_lane_is_down(lane))
        keep_down(keeper, lane);
    else if (mtci_debts_count(&lane->debts) > 0)
        pay_debts(keeper->cache, lane);
    if (atomic_load_explicit(&lane->open, memory_order_acquire) > 0 &&
        lane->ops->drive) {
        if (!is_driven(keeper->cache))
            mtci_lane_kick(lane);
        return MTCI_KEEPER_DRIVE_MS;
    }
    if (mtci_lane_is_down(lane) || mtci_debts_count(&lane->debts) > 0)
        return MTCI_KEEPER_BUSY_MS;
    return MTCI_KEEPER_IDLE_MS;
}

/* Housekeeping of tiers without workers, while the cache is used. */
static int64_t tend(mtci_keeper *keeper)
{
    mtc_cache *cache = keeper->cache;
    int64_t now_ms = mtci_boot_ms();
    uint64_t requests = mtci_counted_requests(&cache->counters) +
                        mtci_counted(&cache->counters, MTCI_COUNT_SETS);
    bool is_used = requests != keeper->seen_requests;
    if (now_ms - keeper->tended_ms >= MTCI_KEEPER_TICK_MS) {
        keeper->tended_ms = now_ms;
        keeper->seen_requests = requests;
        for (size_t i = 0; i < cache->lane_count; i++) {
            const mtci_lane *lane = &cache->lanes[i];
            if (!lane->workers && lane->ops->tend)
                lane->ops->tend(lane->tier, mtci_cache_now_ms(cache));
        }
        mtci_loads_tend(cache->loads, mtci_cache_now_ms(cache));
        mtci_cache_report(cache);
    }
    return is_used ? MTCI_KEEPER_TICK_MS : MTCI_KEEPER_IDLE_MS;
}

/* One look at everything; tells when to look again, in milliseconds. */
static int64_t keep_round(mtci_keeper *keeper)
{
    mtc_cache *cache = keeper->cache;
    int64_t wait_ms = tend(keeper);
    bool is_outstanding = false;
    /* Cleared before looking: who leaves something meanwhile wakes us. */
    atomic_store_explicit(&keeper->is_watching, false, memory_order_seq_cst);
    for (size_t i = 0; i < cache->lane_count; i++) {
        int64_t lane_ms = keep_lane(keeper, &cache->lanes[i]);
        is_outstanding |= lane_ms == MTCI_KEEPER_DRIVE_MS;
        if (lane_ms < wait_ms)
            wait_ms = lane_ms;
    }
    int64_t lease_ms = mtci_lease_renew(cache);
    if (lease_ms < wait_ms)
        wait_ms = lease_ms;
    if (is_outstanding)
        atomic_store_explicit(&keeper->is_watching, true, memory_order_release);
    return wait_ms;
}

/* Sleeps; returns false when the keeper is to stop. */
static bool rest(mtci_keeper *keeper, int64_t wait_ms, mtci_op **refused)
{
    struct timespec until = mtci_after_ms(wait_ms);
    pthread_mutex_lock(&keeper->mutex);
    int late = 0;
    while (!keeper->is_woken && !keeper->is_stopping && !late)
        late = pthread_cond_timedwait(&keeper->cond, &keeper->mutex, &until);
    keeper->is_woken = false;
    *refused = keeper->refused;
    keeper->refused = NULL;
    bool goes_on = !keeper->is_stopping;
    pthread_mutex_unlock(&keeper->mutex);
    return goes_on;
}

static void *keeper_main(void *arg)
{
    mtci_keeper *keeper = arg;
    mtci_op *refused = NULL;
    int64_t wait_ms = MTCI_KEEPER_IDLE_MS;
    while (rest(keeper, wait_ms, &refused)) {
        drop_all_refused(keeper->cache, refused);
        wait_ms = keep_round(keeper);
    }
    drop_all_refused(keeper->cache, refused);
    return NULL;
}

/* -- beginning and end -------------------------------------------------- */

void mtci_keeper_init(mtci_keeper *keeper, mtc_cache *cache)
{
    keeper->cache = cache;
    pthread_mutex_init(&keeper->mutex, NULL);
    mtci_cond_init(&keeper->cond);
}

/* Nobody will take back what was refused after the end: memory goes too. */
void mtci_keeper_fini(mtci_keeper *keeper)
{
    while (keeper->refused) {
        mtci_op *op = keeper->refused;
        keeper->refused = op->next;
        mtci_op_release(op);
    }
    pthread_mutex_destroy(&keeper->mutex);
    pthread_cond_destroy(&keeper->cond);
}

mtc_status mtci_keeper_start(mtci_keeper *keeper)
{
    keeper->is_started = mtci_spawn(&keeper->thread, keeper_main, keeper);
    return keeper->is_started ? MTC_OK : MTC_E_NO_MEMORY;
}

bool mtci_keeper_is_here(const mtci_keeper *keeper)
{
    return keeper->is_started && pthread_equal(keeper->thread, pthread_self());
}

void mtci_keeper_stop(mtci_keeper *keeper)
{
    if (!keeper->is_started)
        return;
    pthread_mutex_lock(&keeper->mutex);
    keeper->is_stopping = true;
    pthread_cond_signal(&keeper->cond);
    pthread_mutex_unlock(&keeper->mutex);
    pthread_join(keeper->thread, NULL);
    keeper->is_started = false;
}
