/*
 * The inside of a connection, shared by conn.c, which takes it from state to
 * state, and conn_io.c, which sends and receives. The driver's.
 */
#ifndef MTCI_REDIS_CONN_STATE_H
#define MTCI_REDIS_CONN_STATE_H

#include "redis/conn.h"

/* -- conn.c --------------------------------------------------------------- */

/* The transport has ended, or the server broke the protocol. */
void mtci_conn_close_lost(mtci_redis_conn *conn, mtci_command_queue *finished);
void mtci_conn_close_corrupt(mtci_redis_conn *conn, const char *violation,
                             mtci_command_queue *finished);

/* -- conn_io.c ------------------------------------------------------------ */

/* Takes in what has come, up to MTCI_CONN_RECEIVE_MAX; past the handshake. */
void mtci_conn_receive(mtci_redis_conn *conn, int64_t now_ms,
                       mtci_command_queue *finished);

/* Sends what is left of the greeting. */
void mtci_conn_send_greeting(mtci_redis_conn *conn, int64_t now_ms,
                             mtci_command_queue *finished);

#endif
