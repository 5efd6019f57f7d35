/*
 * The contract of mtc/tier.h as one suite of tests for every tier.
 *
 * A test program describes its tier in a contract and runs the suite; each
 * test opens the tier anew, uses keys that no other test uses, and asks only
 * for what the tier says it can do. A trial is one tier under test; an ask is
 * one request with a count of its completions.
 */
#ifndef TESTS_SUPPORT_CONTRACT_H
#define TESTS_SUPPORT_CONTRACT_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>

#include "mtc/tier.h"

/* How one tier is put to the test. */
typedef struct contract {
    const char *name;
    /* Opens the tier; another call while one is open opens a second tier on
     * the same storage if the tier is SHARED. NULL: it failed. */
    mtc_tier *(*open)(void *ctx);
    void *ctx;
    /* Stores succeed and are forgotten. */
    bool keeps_nothing;
    /* Lives end by a clock of the tier's own: tests must wait. Else it knows
     * the time from its requests and its host, and tests step it. */
    bool is_real_time;
    /* A large value that it keeps, and one that is too large for it; 0: not
     * to be tried. */
    size_t value_size_kept;
    size_t value_size_refused;
} contract;

/* Runs the suite; returns the count of failures. */
int contract_run(const contract *contract);

typedef struct trial {
    const contract *contract;
    mtc_tier *tier;
    mtc_tier_host host;
    _Atomic int64_t now_ms; /* where the tier is not real time */
    unsigned number;        /* makes keys of this trial its own */
    char keys[32][64];      /* the last ones made by trial_key */
    unsigned key_count;
} trial;

typedef struct ask {
    mtc_request request; /* first: a request is cast to its ask */
    _Atomic uint32_t done_count;
} ask;

/* Opens the tier; NULL: it failed. For tests beside the suite, too. */
trial *trial_new(const contract *contract);
void trial_free(trial *trial);

int64_t trial_now_ms(trial *trial);

/* Steps the clock, or waits. */
void trial_pass(trial *trial, int64_t ms);

/* Whether the tier has all of these abilities; ends the test as skipped if it
 * has not, or keeps nothing. */
void trial_require(trial *trial, uint32_t abilities);

/* A key of this trial, good for the next 32 keys. */
mtc_slice trial_key(trial *trial, const char *name);

/* Opens one more tier on the same storage. */
mtc_tier *trial_open_second(trial *trial);
/* Closes the tier of the trial. */
void trial_close(trial *trial);

/* A request that leaves now: a life of a minute, five seconds to answer. */
void ask_init(ask *ask, trial *trial, mtc_slice key);
void ask_fini(ask *ask);

/* Submits asks of one verb in one call. */
void trial_submit(trial *trial, mtc_verb verb, ask *asks, size_t count);
/* Does I/O until each is complete, and checks that each was completed once. */
void trial_settle(trial *trial, ask *asks, size_t count);

/* One request from submission to completion. */
mtc_status trial_call(trial *trial, mtc_verb verb, ask *ask);
mtc_status trial_store(trial *trial, mtc_slice key, mtc_slice value);
mtc_status trial_store_for(trial *trial, mtc_slice key, mtc_slice value,
                           int64_t life_ms);
mtc_status trial_remove(trial *trial, mtc_slice key);
/* How a read ends, its value given back. */
mtc_status trial_look(trial *trial, mtc_slice key);

/* A read finds these bytes, or nothing where the tier keeps nothing. */
void trial_expect(trial *trial, mtc_slice key, mtc_slice value);
/* The same of an ask that is complete. */
void ask_expect(const trial *trial, const ask *ask, mtc_slice value);

/* The suites, one per file. */
extern const struct CMUnitTest contract_entry_tests[];
extern const size_t contract_entry_test_count;
extern const struct CMUnitTest contract_life_tests[];
extern const size_t contract_life_test_count;
extern const struct CMUnitTest contract_request_tests[];
extern const size_t contract_request_test_count;
extern const struct CMUnitTest contract_lease_tests[];
extern const size_t contract_lease_test_count;
extern const struct CMUnitTest contract_thread_tests[];
extern const size_t contract_thread_test_count;

#endif
