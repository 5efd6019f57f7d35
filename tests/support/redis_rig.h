/*
 * Redis tiers, clients and settings for tests.
 */
#ifndef TESTS_SUPPORT_REDIS_RIG_H
#define TESTS_SUPPORT_REDIS_RIG_H

#include "redis/client.h"
#include "support/server.h"

/* Opens a Redis tier by its URL; NULL: the reason is in error (optional). */
mtc_tier *redis_rig_tier(const char *url, mtc_error *error);

/* A client for a server on a loopback port. */
mtci_redis_client *redis_rig_client(int port);

/* A client for a server of any kind; it believes any certificate. */
mtci_redis_client *redis_rig_client_to(const test_server *server);

/* A command of the words of a text, separated by single spaces. */
mtci_redis_command *redis_rig_command(uint32_t expects, const char *words);

/* Sends such a command and waits up to two seconds; the reply as text: "nil",
 * ":1", "+OK", "value", or "STATUS_NAME failure". */
const char *redis_rig_ask(mtci_redis_client *client, uint32_t expects,
                          const char *words, char *text, size_t size);

/* Settings for a server on a loopback port, with short deadlines. */
mtci_redis_settings redis_rig_settings(int port);

/* The same for a client that asks sentinels on loopback ports for the master
 * called "mymaster"; the ports end with 0. Fills and borrows *sentinels. */
mtci_redis_settings redis_rig_sentinels(const int *ports,
                                        mtci_sentinel_settings *sentinels);

#endif
