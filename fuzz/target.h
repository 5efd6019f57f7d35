/*
 * What every fuzz target defines: one function, called by libFuzzer or, with
 * the files of a corpus, by replay.c.
 */
#ifndef FUZZ_TARGET_H
#define FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
