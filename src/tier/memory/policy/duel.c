/*
 * The default policy: decides online which setup suits the requests.
 *
 * Four shadows see a sample of the keys, each with a setup of its own; the
 * setup with the most hits lately rules the cache. The rule changes at once,
 * the size of the window slowly, so that a short mistake costs little. When
 * the cache has far fewer hits than the shadow of its setup foretold, main is
 * full of what an earlier setup left there, and is drained once.
 *
 * Shadows and counts are guarded by the shared mutex, the innermost of all.
 * Sampled hits come through small buffers without a lock and may be lost;
 * sampled misses never are.
 *
 * Sources: queues.h and shadow.h; set duelling: Qureshi et al., ISCA 2007.
 */
#include <stdlib.h>

#include "base/pin.h"
#include "tier/memory/policy/queued.h"
#include "tier/memory/policy/shadow.h"

#define SETUPS 4u

static const mtci_setup setups[SETUPS] = {
    {MTCI_RULE_TINYLFU, 41},  /* 1 % */
    {MTCI_RULE_S3FIFO, 410},  /* 10 % */
    {MTCI_RULE_S3FIFO, 1638}, /* 40 % */
    {MTCI_RULE_S3FIFO, 3277}, /* 80 % */
};

/* Bits of the hash that choose the sample: neither those of the bucket nor
 * those of the shard. */
#define SAMPLE_SHIFT    32u
#define SAMPLE_BITS_MAX 22u

/* How much the window moves in one interval, and what is left of the counts
 * after it. */
#define SLEW  (MTCI_WHOLE / 16)
#define DECAY 0.9

/* A setup that was worse than foretold is trusted less, and slowly more
 * again. */
#define RECOVERY        0.05
#define FORESIGHT       0.8
#define INTERVALS_KNOWN 3u

#define STRIPES      8u
#define STRIPE_SLOTS 128u

/* Sampled hits of a few threads. */
typedef struct stripe {
    _Alignas(64) _Atomic uint32_t count;
    _Atomic uint64_t hashes[STRIPE_SLOTS];
} stripe;

typedef struct duel {
    mtci_queued queued;
    size_t capacity; /* that the sample was chosen for; 0: none yet */
    unsigned sample_bits;
    size_t interval;      /* sampled requests */
    size_t requests;      /* since the last decision */
    unsigned current;     /* setup */
    double hits[SETUPS];  /* of the shadows, lately */
    double trust[SETUPS]; /* at most 1 */
    double actual;        /* hits of the cache in the sample */
    double foretold;      /* hits of the shadow of its setup meanwhile */
    unsigned intervals;   /* since both began */
    bool has_drained;
    _Atomic bool is_waiting; /* some stripe is half full */
    mtci_shadow shadows[SETUPS];
    stripe stripes[STRIPES];
} duel;

/* -- deciding ----------------------------------------------------------- */

static void start_over(duel *duel)
{
    duel->actual = 0;
    duel->foretold = 0;
    duel->intervals = 0;
}

static double root(double x)
{
    double guess = x > 1 ? x : 1;
    for (unsigned i = 0; i < 24; i++)
        guess = (guess + x / guess) / 2;
    return guess;
}

/* The cache is below its own forecast. */
static void doubt(duel *duel)
{
    unsigned current = duel->current;
    double least = FORESIGHT * duel->foretold - 2 * root(duel->foretold + 1);
    if (duel->intervals < INTERVALS_KNOWN || duel->actual >= least)
        return;
    if (setups[current].rule == MTCI_RULE_S3FIFO && !duel->has_drained) {
        duel->has_drained = true;
        atomic_fetch_add_explicit(&duel->queued.drains, 1,
                                  memory_order_relaxed);
        start_over(duel);
    } else {
        duel->trust[current] = duel->actual / duel->foretold;
    }
}

static void choose(duel *duel)
{
    unsigned best = duel->current;
    for (unsigned i = 0; i < SETUPS; i++) {
        if (duel->hits[i] * duel->trust[i] >
            duel->hits[best] * duel->trust[best])
            best = i;
    }
    if (best == duel->current)
        return;
    duel->current = best;
    duel->has_drained = false;
    start_over(duel);
    atomic_store_explicit(&duel->queued.rule, (uint32_t)setups[best].rule,
                          memory_order_relaxed);
}

static void move_window(duel *duel)
{
    uint32_t target = setups[duel->current].window;
    uint32_t window =
        atomic_load_explicit(&duel->queued.window, memory_order_relaxed);
    if (window + SLEW < target)
        window += SLEW;
    else if (window > target + SLEW)
        window -= SLEW;
    else
        window = target;
    atomic_store_explicit(&duel->queued.window, window, memory_order_relaxed);
}

static void decide(duel *duel)
{
    duel->requests = 0;
    duel->intervals++;
    for (unsigned i = 0; i < SETUPS; i++)
        duel->trust[i] += (1 - duel->trust[i]) * RECOVERY;
    doubt(duel);
    choose(duel);
    move_window(duel);
    for (unsigned i = 0; i < SETUPS; i++)
        duel->hits[i] *= DECAY;
    duel->actual *= DECAY;
    duel->foretold *= DECAY;
}

/* -- watching ----------------------------------------------------------- */

static void watch_locked(duel *duel, uint64_t hash, bool is_hit)
{
    unsigned shift = duel->queued.env.shard_shift;
    uint16_t shard = (uint16_t)(hash >> shift >> 1);
    for (unsigned i = 0; i < SETUPS; i++) {
        bool is_shadow_hit = mtci_shadow_ask(&duel->shadows[i], (uint32_t)hash,
                                             shard, setups[i]);
        duel->hits[i] += is_shadow_hit;
        if (i == duel->current)
            duel->foretold += is_shadow_hit;
    }
    duel->actual += is_hit;
    if (++duel->requests >= duel->interval)
        decide(duel);
}

static void empty_stripes_locked(duel *duel)
{
    atomic_store_explicit(&duel->is_waiting, false, memory_order_relaxed);
    for (unsigned i = 0; i < STRIPES; i++) {
        stripe *stripe = &duel->stripes[i];
        if (atomic_load_explicit(&stripe->count, memory_order_relaxed) == 0)
            continue;
        uint32_t count =
            atomic_exchange_explicit(&stripe->count, 0, memory_order_relaxed);
        for (uint32_t at = 0; at < count && at < STRIPE_SLOTS; at++)
            watch_locked(duel,
                         atomic_load_explicit(&stripe->hashes[at],
                                              memory_order_relaxed),
                         true);
    }
}

/* Chooses how many keys are sampled, and begins with empty shadows. */
static void fit_locked(duel *duel, size_t capacity)
{
    unsigned bits = 0;
    while (capacity >> bits > MTCI_SHADOW_ENTRIES && bits < SAMPLE_BITS_MAX)
        bits++;
    size_t entries = capacity >> bits;
    if (entries > MTCI_SHADOW_ENTRIES)
        entries = MTCI_SHADOW_ENTRIES;
    duel->capacity = capacity;
    duel->interval = entries;
    for (unsigned i = 0; i < SETUPS; i++)
        mtci_shadow_init(&duel->shadows[i], entries, mtci_queued_estimate,
                         &duel->queued);
    uint64_t mask = ((UINT64_C(1) << bits) - 1) << SAMPLE_SHIFT;
    atomic_store_explicit(&duel->queued.base.sample_mask, mask,
                          memory_order_relaxed);
}

/* Whether the sample still suits a cache of that many entries. */
static bool fits(const duel *duel, size_t capacity)
{
    return duel->capacity > 0 && capacity <= duel->capacity * 2 &&
           capacity >= duel->capacity / 2;
}

static void watch_miss(duel *duel, uint64_t hash, size_t capacity)
{
    uint64_t mask = atomic_load_explicit(&duel->queued.base.sample_mask,
                                         memory_order_relaxed);
    bool is_sampled = mask != UINT64_MAX && (hash & mask) == 0;
    bool is_waiting =
        atomic_load_explicit(&duel->is_waiting, memory_order_relaxed);
    if (mask != UINT64_MAX && !is_sampled && !is_waiting)
        return;
    pthread_mutex_lock(&duel->queued.mutex);
    if (!fits(duel, capacity))
        fit_locked(duel, capacity);
    empty_stripes_locked(duel);
    mask = atomic_load_explicit(&duel->queued.base.sample_mask,
                                memory_order_relaxed);
    if ((hash & mask) == 0)
        watch_locked(duel, hash, false);
    pthread_mutex_unlock(&duel->queued.mutex);
}

/* -- the contract ------------------------------------------------------- */

static mtci_policy_shared *duel_open(const mtci_policy_env *env)
{
    duel *duel = aligned_alloc(64, (sizeof(*duel) + 63) / 64 * 64);
    if (!duel)
        return NULL;
    *duel = (struct duel){.current = 0};
    for (unsigned i = 0; i < SETUPS; i++)
        duel->trust[i] = 1;
    if (mtci_queued_init(&duel->queued, env, setups[0]))
        return &duel->queued.base;
    mtci_queued_fini(&duel->queued);
    free(duel);
    return NULL;
}

static void duel_close(mtci_policy_shared *shared)
{
    mtci_queued_fini((mtci_queued *)shared);
    free(shared);
}

static void duel_add(mtci_policy *policy, uint32_t ref, uint64_t hash,
                     uint64_t capacity)
{
    mtci_queued_add(policy, ref, hash, capacity);
    if (policy->sketch.words)
        watch_miss((duel *)policy->shared, hash,
                   (size_t)capacity * policy->shared->env.shard_count);
}

static void duel_sample(mtci_policy_shared *shared, uint64_t hash)
{
    duel *duel = (struct duel *)shared;
    const mtci_pins *pins = mtci_self.pins;
    stripe *stripe = &duel->stripes[pins ? pins->index % STRIPES : 0];
    uint32_t count = atomic_load_explicit(&stripe->count, memory_order_relaxed);
    if (count >= STRIPE_SLOTS)
        return;
    atomic_store_explicit(&stripe->hashes[count], hash, memory_order_relaxed);
    atomic_store_explicit(&stripe->count, count + 1, memory_order_relaxed);
    if (count == STRIPE_SLOTS / 2)
        atomic_store_explicit(&duel->is_waiting, true, memory_order_relaxed);
}

const mtci_policy_ops mtci_policy_duel = {
    .name = "duel",
    .open = duel_open,
    .close = duel_close,
    .shard_open = mtci_queued_shard_open,
    .shard_close = mtci_queued_shard_close,
    .add = duel_add,
    .expect = mtci_queued_expect,
    .drop = mtci_queued_drop,
    .swap = mtci_queued_swap,
    .evict = mtci_queued_evict,
    .sample = duel_sample,
};
