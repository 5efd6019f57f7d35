/*
 * The log and its rate limit, under a clock that stands still.
 * labels: quick unit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "base/log.h"

typedef struct seen {
    int count;
    mtc_log_level level;
    char part[32];
    char text[MTCI_LOG_TEXT_SIZE];
    int64_t now_ms;
    mtci_log log;
} seen;

static void line_note(void *ctx, mtc_log_level level, const char *part,
                      const char *text)
{
    seen *seen = ctx;

    /* no lock is held: the log may be used from here */
    assert_int_equal(pthread_mutex_trylock(&seen->log.mutex), 0);
    pthread_mutex_unlock(&seen->log.mutex);
    seen->count++;
    seen->level = level;
    snprintf(seen->part, sizeof(seen->part), "%s", part);
    snprintf(seen->text, sizeof(seen->text), "%s", text);
}

static int64_t now_ms_of(void *ctx)
{
    return ((seen *)ctx)->now_ms;
}

static int log_open(void **state)
{
    static seen seen;

    memset(&seen, 0, sizeof(seen));
    mtci_log_init(&seen.log, "app", (mtci_clock){now_ms_of, &seen, false});
    seen.log.write = line_note;
    seen.log.ctx = &seen;
    *state = &seen;
    return 0;
}

static int log_close(void **state)
{
    mtci_log_fini(&((seen *)*state)->log);
    return 0;
}

static void a_line_carries_level_part_and_text(void **state)
{
    seen *seen = *state;

    mtci_log_line(&seen->log, MTC_LOG_ERROR, "disk", "lost %d", 7);
    assert_int_equal(seen->count, 1);
    assert_int_equal(seen->level, MTC_LOG_ERROR);
    assert_string_equal(seen->part, "disk");
    assert_string_equal(seen->text, "lost 7");
}

static void levels_below_the_least_are_left_out(void **state)
{
    seen *seen = *state;

    mtci_log_line(&seen->log, MTC_LOG_INFO, "disk", "x");
    assert_int_equal(seen->count, 0);
    seen->log.level_min = MTC_LOG_DEBUG;
    mtci_log_line(&seen->log, MTC_LOG_DEBUG, "disk", "x");
    assert_int_equal(seen->count, 1);
    seen->log.level_min = MTC_LOG_ERROR + 1;
    mtci_log_line(&seen->log, MTC_LOG_ERROR, "disk", "x");
    assert_int_equal(seen->count, 1);
}

static void a_burst_is_cut_and_the_next_line_says_so(void **state)
{
    seen *seen = *state;

    for (int i = 0; i < MTCI_LOG_BURST + 5; i++) {
        mtci_log_line(&seen->log, MTC_LOG_WARNING, "redis", "away");
    }
    assert_int_equal(seen->count, MTCI_LOG_BURST);
    seen->now_ms += MTCI_LOG_REFILL_MS - 1;
    mtci_log_line(&seen->log, MTC_LOG_WARNING, "redis", "away");
    assert_int_equal(seen->count, MTCI_LOG_BURST);
    seen->now_ms += 1;
    mtci_log_line(&seen->log, MTC_LOG_WARNING, "redis", "away");
    assert_int_equal(seen->count, MTCI_LOG_BURST + 1);
    assert_string_equal(seen->text, "away (6 more left out before)");
    mtci_log_line(&seen->log, MTC_LOG_WARNING, "redis", "away");
    assert_int_equal(seen->count, MTCI_LOG_BURST + 1);
    seen->now_ms += MTCI_LOG_REFILL_MS;
    mtci_log_line(&seen->log, MTC_LOG_WARNING, "redis", "away");
    assert_string_equal(seen->text, "away (1 more left out before)");
}

static void the_burst_comes_back_but_never_grows(void **state)
{
    seen *seen = *state;

    for (int round = 0; round < 2; round++) {
        seen->count = 0;
        for (int i = 0; i < MTCI_LOG_BURST * 3; i++) {
            mtci_log_line(&seen->log, MTC_LOG_WARNING, "redis", "away");
        }
        assert_int_equal(seen->count, MTCI_LOG_BURST);
        seen->now_ms += INT64_C(1000) * MTCI_LOG_REFILL_MS;
    }
}

static void parts_do_not_silence_each_other(void **state)
{
    seen *seen = *state;
    char part[16];

    for (int i = 0; i < MTCI_LOG_BURST * 2; i++) {
        mtci_log_line(&seen->log, MTC_LOG_WARNING, "noisy", "x");
    }
    seen->count = 0;
    mtci_log_line(&seen->log, MTC_LOG_WARNING, "quiet", "x");
    assert_int_equal(seen->count, 1);
    /* more parts than the table has: they share its last row */
    for (int i = 0; i < 1000; i++) {
        snprintf(part, sizeof(part), "part%d", i);
        mtci_log_line(&seen->log, MTC_LOG_WARNING, part, "x");
    }
    assert_int_equal(seen->count, 1 + (MTCI_LOG_PARTS - 3) + MTCI_LOG_BURST);
}

static void a_line_stays_one_line_and_within_its_size(void **state)
{
    seen *seen = *state;
    char text[2 * MTCI_LOG_TEXT_SIZE];

    mtci_log_line(&seen->log, MTC_LOG_WARNING, "x", "%s", "a\nb\r\tc\x1b[0m");
    assert_string_equal(seen->text, "a b  c [0m");
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (int i = 0; i < MTCI_LOG_BURST + 1; i++) {
        mtci_log_line(&seen->log, MTC_LOG_WARNING, "x", "%s", text);
    }
    assert_int_equal(strlen(seen->text), MTCI_LOG_TEXT_SIZE - 1);
    seen->now_ms += MTCI_LOG_REFILL_MS;
    mtci_log_line(&seen->log, MTC_LOG_WARNING, "x", "%s", text);
    assert_non_null(strstr(seen->text, "more left out before)"));
}

static void without_a_callback_it_goes_to_standard_error(void **state)
{
    seen *seen = *state;
    int pipe_ends[2], kept = dup(STDERR_FILENO);
    char text[64] = "";

    assert_int_equal(pipe(pipe_ends), 0);
    assert_true(dup2(pipe_ends[1], STDERR_FILENO) >= 0);
    seen->log.write = NULL;
    mtci_log_line(&seen->log, MTC_LOG_WARNING, "disk", "full");
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(pipe_ends[1]);
    assert_true(read(pipe_ends[0], text, sizeof(text) - 1) > 0);
    close(pipe_ends[0]);
    assert_string_equal(text, "app: warning disk: full\n");
}

#define log_test(name)                                                         \
    cmocka_unit_test_setup_teardown(name, log_open, log_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        log_test(a_line_carries_level_part_and_text),
        log_test(levels_below_the_least_are_left_out),
        log_test(a_burst_is_cut_and_the_next_line_says_so),
        log_test(the_burst_comes_back_but_never_grows),
        log_test(parts_do_not_silence_each_other),
        log_test(a_line_stays_one_line_and_within_its_size),
        log_test(without_a_callback_it_goes_to_standard_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
