/*
 * Callbacks and loops for completion queues; see queue_rig.h.
 */
#include "support/queue_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/cache.h"
#include "support/callers.h"

#define WAIT_MS_MAX 10000

void mtct_hear(void *ctx, mtc_status status, mtc_value *value)
{
    mtct_heard *heard = ctx;
    size_t size = value->size < sizeof(heard->text) - 1
                      ? value->size
                      : sizeof(heard->text) - 1;
    heard->count++;
    heard->status = status;
    if (size > 0)
        memcpy(heard->text, value->data, size);
    heard->text[size] = '\0';
}

void mtct_hear_many(void *ctx, mtc_status status, mtc_item *items, size_t count)
{
    mtct_heard *heard = ctx;
    (void)items;
    (void)count;
    heard->count++;
    heard->status = status;
}

void mtct_drain_until(mtc_queue *queue, const mtct_heard *heard)
{
    int64_t until_ms = mtci_boot_ms() + WAIT_MS_MAX;
    while (heard->count == 0 && mtci_boot_ms() < until_ms) {
        mtc_queue_drain(queue);
        if (heard->count == 0)
            mtc_queue_wait(queue, 50);
    }
    assert_int_equal(heard->count, 1);
}

void mtct_drain_all(mtc_queue *queue)
{
    do
        mtc_queue_drain(queue);
    while (mtc_queue_wait_ms(queue) == 0);
}

void *mtct_drain_to_the_end(void *queue)
{
    pthread_cleanup_push(mtct_frames_forget, NULL);
    mtct_drain_all(queue);
    pthread_cleanup_pop(0);
    return queue;
}

void mtct_check_heard(const mtct_heard *heard, mtc_status status,
                      const char *text, const char *file, int line)
{
    if (heard->count != 1 || heard->status != status)
        print_error("%s:%d: called %u times, %s\n", file, line, heard->count,
                    mtc_status_name(heard->status));
    _assert_int_equal(heard->count, 1, file, line);
    _assert_int_equal((uint64_t)heard->status, (uint64_t)status, file, line);
    if (text)
        _assert_string_equal(heard->text, text, file, line);
}

void mtct_queue_rig_init(mtct_queue_rig *rig)
{
    mtc_tier_config tiers[2] = {MTC_TIER_CONFIG_INIT, MTC_TIER_CONFIG_INIT};
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    assert_int_equal(mtc_tier_open("memory?size=4MiB", NULL, &tiers[0]),
                     MTC_OK);
    rig->mute = mtct_mute_new(MTCT_MUTE(MTC_VERB_READ));
    tiers[1].tier = &rig->mute->tier;
    options.tier_configs = tiers;
    options.tier_count = 2;
    options.log_level = 5;
    atomic_store(&rig->now.now_ms, 1000000);
    assert_int_equal(mtci_cache_open_at(&options, mtct_clock_of(&rig->now),
                                        NULL, &rig->cache),
                     MTC_OK);
    assert_int_equal(mtc_queue_open(rig->cache, &rig->queue), MTC_OK);
}

void mtct_queue_rig_fini(mtct_queue_rig *rig)
{
    if (rig->cache)
        mtct_mute_release(rig->mute, MTC_MISS);
    if (rig->queue)
        assert_int_equal(mtc_queue_close(&rig->queue), MTC_OK);
    if (rig->cache)
        assert_int_equal(mtc_cache_close(&rig->cache), MTC_OK);
}

void mtct_queue_rig_answer(mtct_queue_rig *rig, mtc_status status)
{
    mtct_drain_all(rig->queue);
    mtct_mute_answer(rig->mute, status);
    mtct_drain_all(rig->queue);
}
