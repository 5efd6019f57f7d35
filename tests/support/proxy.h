/*
 * A proxy between a client and a server on loopback that holds replies back.
 *
 * One connection at a time. Now and then what the server sent waits some
 * milliseconds, and all behind it with it. One owner; a thread of its own.
 */
#ifndef TESTS_SUPPORT_PROXY_H
#define TESTS_SUPPORT_PROXY_H

#include <stdint.h>

typedef struct test_proxy test_proxy;

typedef struct test_proxy_delays {
    uint64_t seed;
    uint32_t one_in; /* of the pieces that the server sends */
    int ms_max;      /* 1 to this many milliseconds */
} test_proxy_delays;

/* NULL when it cannot listen. */
test_proxy *test_proxy_start(int server_port, test_proxy_delays delays);
int test_proxy_port(const test_proxy *proxy);

/* How many pieces waited so far. */
uint64_t test_proxy_delayed(const test_proxy *proxy);
void test_proxy_stop(test_proxy *proxy);

#endif
