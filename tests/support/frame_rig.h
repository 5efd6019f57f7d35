/*
 * Frames that nobody wrote: damaged ones, under a checksum that is right.
 */
#ifndef TESTS_SUPPORT_FRAME_RIG_H
#define TESTS_SUPPORT_FRAME_RIG_H

#include "mtc/tier.h"

/* Puts the right checksum under whatever the frame now holds; at least 16
 * bytes. */
void frame_rig_mend(unsigned char *bytes, size_t size);

/* Bytes that compress well, and bytes that do not. */
void frame_rig_text(char *bytes, size_t size);
void frame_rig_noise(char *bytes, size_t size, uint64_t seed);

#endif
