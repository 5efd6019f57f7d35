/*
 * A scripted peer: a server on a loopback port that does what a test says,
 * byte by byte.
 *
 * The script is a function on a thread of the server; it accepts, expects,
 * sends, waits and closes. A step that fails because the test stops the server
 * answers false; one that fails because the client did something else is
 * noted, too, and fails the test in fake_server_stop.
 */
#ifndef TESTS_SUPPORT_FAKE_SERVER_H
#define TESTS_SUPPORT_FAKE_SERVER_H

#include <stdbool.h>
#include <stddef.h>

typedef struct fake_server fake_server;

typedef void (*fake_script)(fake_server *server, void *ctx);

/* NULL when it cannot listen. */
fake_server *fake_server_start(fake_script script, void *ctx);
int fake_server_port(const fake_server *server);

/* Waits for the script to end, or ends its waiting, and closes everything.
 * The text of the first deviation, to be compared with NULL; static. */
const char *fake_server_stop(fake_server *server);
/* Waits until the script has ended by itself. */
void fake_server_join(fake_server *server);

/* -- steps of a script ---------------------------------------------------- */

/* Waits for the next connection; closes the one before. */
bool fake_accept(fake_server *server);
/* What a master answers to ROLE. */
#define FAKE_MASTER "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"
/* Accepts, and answers what a client of ours says first. */
bool fake_greet(fake_server *server);
/* Takes one command and compares its arguments, joined by spaces. */
bool fake_expect(fake_server *server, const char *command);
/* Takes count commands, whatever they are. */
bool fake_take(fake_server *server, size_t count);
/* A command of any bytes: its arguments, one behind the other. */
#define FAKE_ARGUMENTS_MAX 32
typedef struct fake_command {
    size_t count;
    size_t sizes[FAKE_ARGUMENTS_MAX];
    char bytes[8192];
} fake_command;
/* Takes one command; one that does not fit is noted. */
bool fake_take_command(fake_server *server, fake_command *command);
bool fake_send(fake_server *server, const char *text);
bool fake_send_bytes(fake_server *server, const void *bytes, size_t size);
/* The same, byte by byte, each in a segment of its own. */
bool fake_send_split(fake_server *server, const char *text);
void fake_delay(int ms);
/* Closes with RST, or with FIN. */
void fake_reset(fake_server *server);
void fake_finish(fake_server *server);
/* Says nothing until the client closes or the test stops the server. */
void fake_silence(fake_server *server);

#endif
