/*
 * What holds after each test, whatever it was about: there are as many
 * descriptors and threads as before it. A test that breaks this fails.
 *
 * The build puts the check between a test program and cmocka (standing.c):
 * nothing is to be called for it. What is here says where it does not fit.
 */
#ifndef MTCT_STANDING_H
#define MTCT_STANDING_H

/* For a group's set-up: its tests share what connects when it is used, so that
 * descriptors are compared after the last of them alone. */
void mtct_standing_shares_connections(void);

#endif
