/*
 * Real servers for tests: redis-server and memcached on a free loopback port,
 * each in a fresh temporary folder.
 *
 * A server dies with the test program (parent death signal) and is stopped by
 * its pid. One owner; one thread, which must live as long as the server.
 */
#ifndef TESTS_SUPPORT_SERVER_H
#define TESTS_SUPPORT_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

typedef enum test_server_kind {
    TEST_REDIS,
    TEST_MEMCACHED,
    TEST_SENTINEL,  /* a redis-server that watches others */
    TEST_REDIS_TLS, /* TLS alone; args name its certificates */
    TEST_SENTINEL_TLS
} test_server_kind;

/* The most extra arguments. */
#define TEST_SERVER_ARGS_MAX 32

typedef struct test_server {
    test_server_kind kind;
    pid_t pid; /* 0: not running */
    int port;
    char dir[64];
    char socket_path[96]; /* redis: its Unix socket */
    char url[64];         /* "redis://127.0.0.1:PORT" */
    const char *args[TEST_SERVER_ARGS_MAX + 1];
} test_server;

bool test_server_installed(test_server_kind kind);

/* Ends the test as skipped, with a line, unless the server is installed. */
void test_server_require(test_server_kind kind);

/* A loopback port that nobody listens on now; 0: none found. */
int test_server_free_port(void);

/* Starts a server and waits until it accepts connections. args: extra
 * arguments, NULL-terminated, or NULL; the strings are borrowed until stop; for
 * a sentinel, the lines of its configuration.
 * False when it does not come up; its log is then on standard error. */
bool test_server_start(test_server *server, test_server_kind kind,
                       const char *const *args);

/* Kills it and removes its folder. A zeroed or stopped one is fine. */
void test_server_stop(test_server *server);

/* kill -9; port and folder stay for test_server_restart. */
void test_server_kill(test_server *server);
bool test_server_restart(test_server *server);

/* SIGSTOP and SIGCONT; pause returns when every thread has stopped. */
void test_server_pause(test_server *server);
void test_server_resume(test_server *server);

#endif
