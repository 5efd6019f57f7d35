/*
 * A proxy between a client and a server on loopback. It counts what passes,
 * and on request holds replies back, cuts them or splits them.
 *
 * One connection at a time. One owner; a thread of its own. What a reply
 * brings was counted before the reply is passed on.
 */
#ifndef TESTS_SUPPORT_PROXY_H
#define TESTS_SUPPORT_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct test_proxy test_proxy;

/* Now and then what the server sent waits, and all behind it with it. */
typedef struct test_proxy_delays {
    uint64_t seed;
    uint32_t one_in; /* of the pieces that the server sends; 0: never */
    int ms_max;      /* 1 to this many milliseconds */
} test_proxy_delays;

/* NULL when it cannot listen. delays: NULL: none. */
test_proxy *test_proxy_start(int server_port, const test_proxy_delays *delays);
int test_proxy_port(const test_proxy *proxy);
void test_proxy_stop(test_proxy *proxy);

/* Closes both sides when this many bytes more have gone to the client; the
 * next connection is whole again. 0: not at all. */
void test_proxy_cut(test_proxy *proxy, size_t size);

/* Sends to the client at most this many bytes at a time. */
void test_proxy_split(test_proxy *proxy, size_t size);

/* The same with a new random size, up to max, for each; 0: no more. */
void test_proxy_split_at_random(test_proxy *proxy, uint32_t max);

/* At most this many bytes a millisecond to the client; 0: as many as come. */
void test_proxy_throttle(test_proxy *proxy, uint32_t bytes_per_ms);

/* A black hole: nothing passes either way, until it is let go. */
void test_proxy_hold(test_proxy *proxy, bool is_held);

/* Resets both sides when the server sends next; the next connection is whole
 * again. */
void test_proxy_reset(test_proxy *proxy);

/* Bytes that passed so far. */
size_t test_proxy_to_server(const test_proxy *proxy);
size_t test_proxy_to_client(const test_proxy *proxy);

/* How many pieces waited so far. */
uint64_t test_proxy_delayed(const test_proxy *proxy);

#endif
