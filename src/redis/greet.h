/*
 * The greeting: what a new connection says before any command, and whether
 * the answers let it go on.
 *
 * HELLO 3 logs in and changes to RESP3; a server that does not know it is
 * greeted once more on the same connection, with AUTH, in RESP2, and next time
 * so from the start. All is sent in one write: one round trip. The login and
 * SELECT must succeed; ROLE must say master where a sentinel named the server.
 * CLIENT KILL ends the connection before this one, so
 * that a command still in its socket cannot take effect after newer ones;
 * CLIENT ID tells what to kill next time. Works on the connection's own state;
 * one thread at a time.
 */
#ifndef MTCI_REDIS_GREET_H
#define MTCI_REDIS_GREET_H

#include "redis/conn.h"

/* Fills the greeting. MTC_OK or MTC_E_NO_MEMORY. */
mtc_status mtci_greet_begin(mtci_redis_conn *conn);

/* Judges the next answer; after the last one the connection is ready. MTC_OK
 * (go on), MTC_E_CORRUPT, or the refusal, with the connection's failure. */
mtc_status mtci_greet_answered(mtci_redis_conn *conn, const mtci_reply *reply);

#endif
