/*
 * One connection to the file: its pragmas, its prepared statements, and how
 * their results are told apart.
 *
 * Results are SQLite's extended codes (SQLITE_OK, SQLITE_ROW, ...). A
 * connection belongs to one thread at a time.
 */
#ifndef MTCI_TIER_DISK_CONN_H
#define MTCI_TIER_DISK_CONN_H

#include <sqlite3.h>
#include <stdatomic.h>

#include "mtc/tier.h"
#include "tier/disk/place.h"
#include "tier/disk/vfs.h"

/* The log is copied into the file by tend beyond the first length, by
 * whoever commits beyond the second, both in pages. */
#define MTCI_DISK_LOG_PAGES     1000
#define MTCI_DISK_LOG_PAGES_MAX 16384

typedef enum mtci_disk_sql {
    MTCI_DISK_BEGIN_READ,
    MTCI_DISK_BEGIN_WRITE,
    MTCI_DISK_COMMIT,
    MTCI_DISK_ROLLBACK,
    MTCI_DISK_STATE,       /* -> seq, horizon, entries */
    MTCI_DISK_STATE_SET,   /* seq, horizon, entries */
    MTCI_DISK_FIND,        /* key -> version, frame */
    MTCI_DISK_PEEK,        /* key -> version, size of frame or NULL */
    MTCI_DISK_PUT,         /* version, key, purge_ms, frame */
    MTCI_DISK_BURY,        /* version: its row becomes a tombstone */
    MTCI_DISK_DUE,         /* now, limit -> version, size of frame or NULL */
    MTCI_DISK_OLDEST,      /* limit -> version, size of frame or NULL */
    MTCI_DISK_DROP,        /* version */
    MTCI_DISK_LEASE_FIND,  /* key -> ticket, end_ms */
    MTCI_DISK_LEASE_PUT,   /* key, ticket, end_ms */
    MTCI_DISK_LEASE_DROP,  /* key */
    MTCI_DISK_LEASES_DUE,  /* now -> the ticket of one that has run out */
    MTCI_DISK_LEASES_DROP, /* now, limit */
    MTCI_DISK_PAGES,       /* -> pages in the file */
    MTCI_DISK_FREE,        /* -> pages of those that are free */
    MTCI_DISK_SQL_COUNT
} mtci_disk_sql;

typedef struct mtci_disk_conn {
    sqlite3 *db;
    sqlite3_stmt *statements[MTCI_DISK_SQL_COUNT];
    mtci_disk_id id;
    struct mtci_disk_conn *next;
} mtci_disk_conn;

/* The row of the table state. */
typedef struct mtci_disk_state {
    int64_t seq;     /* newest version given out */
    int64_t horizon; /* rows up to this version may have been dropped */
    int64_t entries; /* live rows */
} mtci_disk_state;

/* What a look at a file found. */
typedef enum mtci_disk_verdict {
    MTCI_DISK_READY,
    MTCI_DISK_EMPTY,   /* no file, or one without tables */
    MTCI_DISK_FOREIGN, /* whole, but of another boot or time namespace */
    MTCI_DISK_DAMAGED
} mtci_disk_verdict;

/* How a file is opened. */
typedef struct mtci_disk_how {
    const char *vfs;
    int64_t pages_max;
    int64_t wait_ms;
} mtci_disk_how;

/* Opens the file as it is, with pragmas, without statements. The lock of the
 * place is held. SQLITE_OK or an error; *conn is NULL on an error. */
int mtci_disk_conn_open(const mtci_disk_place *place, const mtci_disk_how *how,
                        mtci_disk_conn **conn);

/* Makes the tables of an empty file; the first version is seq + 1. */
int mtci_disk_conn_create(mtci_disk_conn *conn, const char *clock, int64_t seq);

/* Prepares the statements and looks at what the file holds. SQLITE_OK:
 * verdict is filled. */
int mtci_disk_conn_examine(mtci_disk_conn *conn, const mtci_disk_place *place,
                           mtci_disk_verdict *verdict);

/* Keeps log_pages at the length of the log after each commit, and the log
 * within its bound. */
void mtci_disk_conn_watch(mtci_disk_conn *conn, _Atomic int64_t *log_pages);

void mtci_disk_conn_close(mtci_disk_conn *conn);

/* Waits for locks of others at most so long from now on. */
void mtci_disk_conn_wait(mtci_disk_conn *conn, int64_t wait_ms);

/* A statement without its earlier bindings. */
sqlite3_stmt *mtci_disk_conn_take(mtci_disk_conn *conn, mtci_disk_sql sql);
/* Steps a statement that gives no row and resets it. */
int mtci_disk_conn_run(mtci_disk_conn *conn, mtci_disk_sql sql);
/* Steps a statement that gives one number and resets it. */
int mtci_disk_conn_number(mtci_disk_conn *conn, mtci_disk_sql sql,
                          int64_t *number);
/* Binds bytes that stay in place until the statement is reset. */
void mtci_disk_bind(sqlite3_stmt *statement, int index, mtc_slice bytes);

int mtci_disk_conn_state(mtci_disk_conn *conn, mtci_disk_state *state);

/* Whether a result says that the file is damaged. */
bool mtci_disk_is_damage(int result);
/* The status for a result that is an error. */
mtc_status mtci_disk_status(int result);

#endif
