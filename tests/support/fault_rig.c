/*
 * Sweeps over calls in which something fails; see fault_rig.h.
 */
#include "support/fault_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>

#include "support/callers.h"
#include "support/inventory.h"

#define WAIT_MS_MAX 30000

/* From here on they are SQLite's, many and alike: one in STEP fails. The thread
 * sanitizer takes its time. */
#ifdef __SANITIZE_THREAD__
#define FAILURES_MANY 15
#define STEP          41
#else
#define FAILURES_MANY 60
#define STEP          11
#endif

static void nap(void)
{
    struct timespec ms = {0, 1000000};
    nanosleep(&ms, NULL);
}

/* -- what is there ------------------------------------------------------ */

typedef struct holding {
    mtct_inventory system;
    long live;
} holding;

static long live_of(const fault_sweep *sweep)
{
    return sweep->live ? sweep->live() : 0;
}

static void assert_nothing_left(const fault_sweep *sweep, const holding *before)
{
    mtct_inventory now;
    bool is_same = mtct_inventory_await(&before->system, &now);
    for (int ms = 0; ms < WAIT_MS_MAX && live_of(sweep) != before->live; ms++)
        nap();
    if (!is_same || live_of(sweep) != before->live)
        fail_msg("left behind: %d descriptors, %d threads, %ld allocations",
                 now.descriptors - before->system.descriptors,
                 now.threads - before->system.threads,
                 live_of(sweep) - before->live);
}

/* -- for the calls ------------------------------------------------------ */

mtc_status fault_take(fault_rig *rig, mtc_status status, mtc_value *value)
{
    size_t size =
        value->size < sizeof(rig->text) ? value->size : sizeof(rig->text) - 1;
    if (size > 0)
        memcpy(rig->text, value->data, size);
    rig->text[size] = '\0';
    mtc_value_free(value);
    return status;
}

static bool is_item_right(const mtc_item *item, const char *one,
                          const char *other)
{
    if (item->status != MTC_OK && item->status != MTC_STALE)
        return item->value.size == 0;
    const mtc_value *value = &item->value;
    return (value->size == strlen(one) &&
            memcmp(value->data, one, value->size) == 0) ||
           (value->size == strlen(other) &&
            memcmp(value->data, other, value->size) == 0);
}

mtc_status fault_items_take(fault_rig *rig, mtc_status status)
{
    bool is_right = is_item_right(&rig->items[0], "old", "old") &&
                    is_item_right(&rig->items[1], "stale", "fresh") &&
                    is_item_right(&rig->items[2], "loaded", "loaded");
    for (int i = 0; i < FAULT_ITEMS; i++)
        mtc_value_free(&rig->items[i].value);
    if (!is_right && status >= 0)
        return MTC_E_CORRUPT;
    return status == MTC_PARTIAL ? rig->items[2].status : status;
}

void fault_loads_await(fault_rig *rig)
{
    mtc_stats stats = {.struct_size = sizeof(stats)};
    for (int ms = 0; ms < WAIT_MS_MAX; ms++) {
        assert_int_equal(mtc_cache_stats(rig->cache, &stats), MTC_OK);
        if (stats.in_flight == 0 && stats.loads_running == 0)
            return;
        nap();
    }
    fail_msg("a load does not end");
}

/* -- the cache ---------------------------------------------------------- */

static const mtc_strategy keeping = {
    .struct_size = sizeof(mtc_strategy),
    .ttl_ms = 600000,
    .stale_ms = 600000,
    .soft_ms = -1,
};

static mtc_status load_stale(mtc_load *load, void *ctx)
{
    (void)ctx;
    assert_int_equal(mtc_load_set_etag(load, mtc_str("e1")), MTC_OK);
    return mtc_load_set_value(load, mtc_str("stale"));
}

/* A tier of an earlier round may still be on its way back. */
static void until_done(fault_rig *rig, const char *key, const char *value)
{
    mtc_status status = MTC_OK;
    for (int ms = 0; ms < WAIT_MS_MAX; ms++) {
        status =
            mtc_cache_set(rig->cache, mtc_str(key), mtc_str(value), &keeping);
        if (status == MTC_OK)
            return;
        nap();
    }
    fail_msg("after %s: setting %s ends as %s",
             rig->call ? rig->call : "opening", key, mtc_status_name(status));
}

static void prime(fault_rig *rig)
{
    const char *const keys[FAULT_ITEMS] = {"k", "s", "n"};
    mtc_value value;
    until_done(rig, "k", "old");
    assert_int_equal(mtc_cache_remove(rig->cache, mtc_str("n")), MTC_OK);
    assert_int_equal(mtc_cache_remove(rig->cache, mtc_str("s")), MTC_OK);
    mtc_status status =
        mtc_cache_get_or_load(rig->cache, mtc_str("s"), &keeping, load_stale,
                              rig, &value);
    assert_int_equal(fault_take(rig, status, &value), MTC_OK);
    mtct_quiet_await(rig->cache);
    assert_int_equal(mtc_cache_expire(rig->cache, mtc_str("s")), MTC_OK);
    for (int i = 0; i < FAULT_ITEMS; i++)
        rig->items[i] =
            (mtc_item){.key = mtc_str(keys[i]), .bytes = mtc_str("new")};
    rig->text[0] = '\0';
}

static void open_rig(fault_rig *rig, const char *tiers)
{
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    mtc_error error;
    *rig = (fault_rig){.tiers = tiers};
    options.tiers = tiers;
    options.log_level = 5;
    if (mtc_cache_open(&options, &error, &rig->cache) != MTC_OK)
        fail_msg("cannot open: %s", error.text);
    assert_int_equal(mtc_queue_open(rig->cache, &rig->queue), MTC_OK);
    prime(rig);
}

static void close_rig(fault_rig *rig)
{
    for (int i = 0; i < FAULT_ITEMS; i++)
        mtc_value_free(&rig->items[i].value);
    assert_int_equal(mtc_queue_close(&rig->queue), MTC_OK);
    assert_int_equal(mtc_cache_close(&rig->cache), MTC_OK);
}

/* -- what a call did ---------------------------------------------------- */

static bool is_text(const fault_rig *rig, const char *text)
{
    return strcmp(rig->text, text) == 0;
}

/* What failed is the call's, or a tier's. */
static bool is_failure(mtc_status status)
{
    return status == MTC_E_NO_MEMORY || status == MTC_E_UNAVAILABLE ||
           status == MTC_E_TIMEOUT || status == MTC_E_BUSY;
}

static mtc_status look(fault_rig *rig, const char *key)
{
    mtc_value value;
    mtc_call call = MTC_CALL_INIT;
    call.flags = MTC_CALL_ACCEPT_STALE;
    mtc_status status =
        mtc_cache_get_with(rig->cache, mtc_str(key), &call, &value);
    return fault_take(rig, status, &value);
}

static bool holds(fault_rig *rig, const char *key, const char *text)
{
    return look(rig, key) == MTC_OK && is_text(rig, text);
}

/* The text is that of the call until the first look. */
static bool is_handed_out_right(const fault_rig *rig, const fault_call *call,
                                mtc_status status)
{
    if (status != MTC_OK && status != MTC_STALE)
        return rig->text[0] == '\0';
    switch (call->effect) {
    case FAULT_READS_OLD:
        return is_text(rig, "old");
    case FAULT_READS_STALE:
        return is_text(rig, "stale");
    case FAULT_LOADS:
        return is_text(rig, "loaded");
    case FAULT_FRESHENS:
        return is_text(rig, "stale") || (!status && is_text(rig, "fresh"));
    default:
        return rig->text[0] == '\0';
    }
}

static bool is_write(const fault_call *call)
{
    return call->effect == FAULT_WRITES || call->effect == FAULT_EXPIRES;
}

static bool is_status_right(const fault_call *call, mtc_status status)
{
    if (status == call->status || is_failure(status))
        return true;
    if (is_write(call))
        return status == MTC_PARTIAL || status == MTC_PENDING;
    return call->effect == FAULT_FRESHENS && status == MTC_STALE;
}

/* What no tier may be without a good reason: another value. */
static bool is_left_right(fault_rig *rig, const fault_call *call,
                          mtc_status status)
{
    if (is_write(call)) {
        bool is_old = holds(rig, "k", "old");
        return status == MTC_E_NO_MEMORY ? is_old
                                         : status == MTC_E_BUSY || !is_old;
    }
    mtc_status found = look(rig, "k");
    if (found == MTC_MISS || (found == MTC_OK && !is_text(rig, "old")))
        return false;
    found = look(rig, "n");
    if (found == MTC_OK && !is_text(rig, "loaded"))
        return false;
    found = look(rig, "s");
    return found < 0 || found == MTC_MISS || is_text(rig, "stale") ||
           is_text(rig, "fresh");
}

/* -- afterwards --------------------------------------------------------- */

static mtc_status load_after(mtc_load *load, void *ctx)
{
    fault_rig *rig = ctx;
    atomic_fetch_add(&rig->loads, 1);
    return mtc_load_set_value(load, mtc_str("v"));
}

static void assert_usable(fault_rig *rig)
{
    mtc_value value;
    mtct_quiet_await(rig->cache);
    until_done(rig, "after", "v");
    assert_true(holds(rig, "after", "v"));
    assert_int_equal(mtc_cache_remove(rig->cache, mtc_str("load")), MTC_OK);
    atomic_store(&rig->loads, 0);
    for (int i = 0; i < 2; i++) {
        mtc_status status =
            mtc_cache_get_or_load(rig->cache, mtc_str("load"), NULL, load_after,
                                  rig, &value);
        assert_int_equal(fault_take(rig, status, &value), MTC_OK);
        assert_true(is_text(rig, "v"));
    }
    assert_int_equal(atomic_load(&rig->loads), 1);
}

/* -- the sweep ---------------------------------------------------------- */

/* Runs a call in which the n-th fails; false when it had fewer. */
static bool sweep_once(const fault_sweep *sweep, const fault_call *call, long n,
                       bool goes_on)
{
    fault_rig rig;
    holding before = {mtct_inventory_take(), live_of(sweep)};
    open_rig(&rig, sweep->tiers);
    sweep->arm(n, goes_on);
    rig.call = call->name;
    mtc_status status = call->run(&rig);
    bool has_failed = sweep->disarm();
    char handed_out[sizeof(rig.text)];
    memcpy(handed_out, rig.text, sizeof(handed_out));
    bool is_right =
        has_failed ? is_status_right(call, status) : status == call->status;
    is_right = is_right && is_handed_out_right(&rig, call, status);
    if (!is_right || !is_left_right(&rig, call, status))
        fail_msg("%s, failure %ld%s: %s and \"%s\", then \"%s\"", call->name, n,
                 goes_on ? " and all that follow" : "", mtc_status_name(status),
                 handed_out, is_right ? rig.text : handed_out);
    assert_usable(&rig);
    close_rig(&rig);
    assert_nothing_left(sweep, &before);
    return has_failed;
}

void fault_sweep_calls(const fault_sweep *sweep, const fault_call *calls)
{
    long failures = 0;
    fault_rig first; /* what a program keeps for good is made now */
    open_rig(&first, sweep->tiers);
    close_rig(&first);
    for (const fault_call *call = calls; call->name; call++) {
        for (int mode = 0; mode < 2 - call->waits; mode++) {
            for (long n = 1; sweep_once(sweep, call, n, mode == 1);
                 n += n < FAILURES_MANY ? 1 : STEP)
                failures++;
        }
    }
    print_message("%ld failures over \"%s\"\n", failures, sweep->tiers);
}

void fault_sweep_cache(const fault_sweep *sweep)
{
    fault_sweep_calls(sweep, fault_cache_calls);
    fault_sweep_calls(sweep, fault_load_calls);
    fault_sweep_calls(sweep, fault_queue_calls);
    fault_sweep_calls(sweep, fault_lease_calls);
}
