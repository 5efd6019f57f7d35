/*
 * Running the command of mtc load and taking in what it prints.
 */
#ifndef MTC_CLI_LOAD_RUN_H
#define MTC_CLI_LOAD_RUN_H

#include "input.h"
#include "load_lock.h"

/* Runs the command to its end. Complains and returns false unless it exits
 * with 0 and what it printed is no more than a value may be. printed is to be
 * given back either way. */
bool load_run(char **command, const load_lock *lock, input_bytes *printed);

#endif
