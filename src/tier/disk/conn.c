/*
 * One connection to the file; see conn.h.
 */
#include "tier/disk/conn.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* Columns of the state row. */
enum { STATE_SEQ, STATE_HORIZON, STATE_ENTRIES };

#define SCHEMA_STATE                                                           \
    "CREATE TABLE state(format INTEGER PRIMARY KEY,clock TEXT,seq INTEGER,"    \
    "horizon INTEGER,entries INTEGER)"
#define SCHEMA_ENTRIES                                                         \
    "CREATE TABLE entries(version INTEGER PRIMARY KEY,key BLOB NOT NULL,"      \
    "purge_ms INTEGER NOT NULL,frame BLOB)"
#define SCHEMA_BY_KEY   "CREATE UNIQUE INDEX by_key ON entries(key)"
#define SCHEMA_BY_PURGE "CREATE INDEX by_purge ON entries(purge_ms)"
#define SCHEMA_LEASES                                                          \
    "CREATE TABLE leases(key BLOB PRIMARY KEY,ticket INTEGER NOT NULL,"        \
    "end_ms INTEGER NOT NULL)WITHOUT ROWID"
#define SCHEMA_BY_END "CREATE INDEX by_end ON leases(end_ms)"

static const char schema[] =
    SCHEMA_STATE ";" SCHEMA_ENTRIES ";" SCHEMA_BY_KEY ";" SCHEMA_BY_PURGE
                 ";" SCHEMA_LEASES ";" SCHEMA_BY_END;

/* Deleted rows are overwritten: the library may have been built to do more,
 * and slower. */
static const char pragmas[] =
    "PRAGMA cell_size_check=ON;PRAGMA secure_delete=FAST;"
    "PRAGMA mmap_size=0;PRAGMA temp_store=MEMORY;PRAGMA trusted_schema=OFF;"
    "PRAGMA synchronous=NORMAL;PRAGMA journal_size_limit=67108864";

static const char *const texts[MTCI_DISK_SQL_COUNT] = {
    [MTCI_DISK_BEGIN_READ] = "BEGIN",
    [MTCI_DISK_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [MTCI_DISK_COMMIT] = "COMMIT",
    [MTCI_DISK_ROLLBACK] = "ROLLBACK",
    [MTCI_DISK_STATE] = "SELECT seq,horizon,entries FROM state WHERE format=1",
    [MTCI_DISK_STATE_SET] =
        "UPDATE state SET seq=?1,horizon=?2,entries=?3 WHERE format=1",
    [MTCI_DISK_FIND] = "SELECT version,frame FROM entries WHERE key=?1",
    [MTCI_DISK_PEEK] = "SELECT version,length(frame) FROM entries WHERE key=?1",
    [MTCI_DISK_PUT] = "INSERT OR REPLACE INTO entries(version,key,purge_ms,"
                      "frame)VALUES(?1,?2,?3,?4)",
    [MTCI_DISK_BURY] = "UPDATE entries SET frame=NULL WHERE version=?1",
    [MTCI_DISK_DUE] = "SELECT version,length(frame) FROM entries WHERE "
                      "purge_ms<=?1 ORDER BY purge_ms LIMIT ?2",
    [MTCI_DISK_OLDEST] =
        "SELECT version,length(frame) FROM entries ORDER BY version LIMIT ?1",
    [MTCI_DISK_DROP] = "DELETE FROM entries WHERE version=?1",
    [MTCI_DISK_LEASE_FIND] = "SELECT ticket,end_ms FROM leases WHERE key=?1",
    [MTCI_DISK_LEASE_PUT] =
        "INSERT OR REPLACE INTO leases(key,ticket,end_ms)VALUES(?1,?2,?3)",
    [MTCI_DISK_LEASE_DROP] = "DELETE FROM leases WHERE key=?1",
    [MTCI_DISK_LEASES_DUE] =
        "SELECT ticket FROM leases WHERE end_ms<=?1 LIMIT 1",
    [MTCI_DISK_LEASES_DROP] = "DELETE FROM leases WHERE key IN (SELECT key "
                              "FROM leases WHERE end_ms<=?1 LIMIT ?2)",
    [MTCI_DISK_PAGES] = "PRAGMA page_count",
    [MTCI_DISK_FREE] = "PRAGMA freelist_count",
};

bool mtci_disk_is_damage(int result)
{
    switch (result & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
        return true;
    default:
        return result == SQLITE_IOERR_SHORT_READ || result == SQLITE_IOERR_DATA;
    }
}

mtc_status mtci_disk_status(int result)
{
    switch (result & 0xff) {
    case SQLITE_NOMEM:
        return MTC_E_NO_MEMORY;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return MTC_E_TIMEOUT;
    default:
        return MTC_E_UNAVAILABLE;
    }
}

void mtci_disk_conn_wait(mtci_disk_conn *conn, int64_t wait_ms)
{
    if (wait_ms < 0)
        wait_ms = 0;
    sqlite3_busy_timeout(conn->db, wait_ms > INT_MAX ? INT_MAX : (int)wait_ms);
}

sqlite3_stmt *mtci_disk_conn_take(mtci_disk_conn *conn, mtci_disk_sql sql)
{
    return conn->statements[sql];
}

int mtci_disk_conn_run(mtci_disk_conn *conn, mtci_disk_sql sql)
{
    sqlite3_stmt *statement = conn->statements[sql];
    int result = sqlite3_step(statement);
    sqlite3_reset(statement);
    return result == SQLITE_DONE ? SQLITE_OK : result;
}

int mtci_disk_conn_number(mtci_disk_conn *conn, mtci_disk_sql sql,
                          int64_t *number)
{
    sqlite3_stmt *statement = conn->statements[sql];
    int result = sqlite3_step(statement);
    if (result == SQLITE_ROW) {
        *number = sqlite3_column_int64(statement, 0);
        result = SQLITE_OK;
    } else if (result == SQLITE_DONE) {
        result = SQLITE_CORRUPT;
    }
    sqlite3_reset(statement);
    return result;
}

void mtci_disk_bind(sqlite3_stmt *statement, int index, mtc_slice bytes)
{
    /* NULL would be bound as SQL's NULL, which equals nothing. */
    const void *data = bytes.size > 0 ? bytes.data : "";
    sqlite3_bind_blob64(statement, index, data, bytes.size, SQLITE_STATIC);
}

static int state_row(sqlite3_stmt *statement, mtci_disk_state *state)
{
    state->seq = sqlite3_column_int64(statement, STATE_SEQ);
    state->horizon = sqlite3_column_int64(statement, STATE_HORIZON);
    state->entries = sqlite3_column_int64(statement, STATE_ENTRIES);
    bool is_sound = state->horizon > 0 && state->seq >= state->horizon &&
                    state->seq < INT64_MAX / 2 && state->entries >= 0;
    return is_sound ? SQLITE_OK : SQLITE_CORRUPT;
}

int mtci_disk_conn_state(mtci_disk_conn *conn, mtci_disk_state *state)
{
    sqlite3_stmt *statement = conn->statements[MTCI_DISK_STATE];
    int result = sqlite3_step(statement);
    if (result == SQLITE_ROW)
        result = state_row(statement, state);
    else if (result == SQLITE_DONE)
        result = SQLITE_CORRUPT;
    sqlite3_reset(statement);
    return result;
}

/* Called after each commit with the length of the log. Copying it back is
 * tend's work; a tier that is not tended does it here. */
static int on_commit(void *ctx, sqlite3 *db, const char *name, int pages)
{
    _Atomic int64_t *log_pages = ctx;
    atomic_store_explicit(log_pages, pages, memory_order_relaxed);
    if (pages >= MTCI_DISK_LOG_PAGES_MAX)
        sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_PASSIVE, NULL,
                                  NULL);
    return SQLITE_OK;
}

void mtci_disk_conn_watch(mtci_disk_conn *conn, _Atomic int64_t *log_pages)
{
    sqlite3_wal_hook(conn->db, on_commit, log_pages);
}

/* One row of one text column, compared. */
static int text_is(sqlite3 *db, const char *sql, const char *wanted, bool *is)
{
    sqlite3_stmt *statement;
    int result = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (result != SQLITE_OK)
        return result;
    result = sqlite3_step(statement);
    const unsigned char *text = NULL;
    if (result == SQLITE_ROW)
        text = sqlite3_column_text(statement, 0);
    *is = text && strcmp((const char *)text, wanted) == 0;
    sqlite3_finalize(statement);
    return result == SQLITE_ROW || result == SQLITE_DONE ? SQLITE_OK : result;
}

/* A log of SQLite's kind, and a size that this process keeps to. */
static int set_up(mtci_disk_conn *conn, int64_t pages_max)
{
    char text[96];
    int reserved = MTCI_DISK_PAGE_RESERVED;
    bool is_wal = false;
    /* The library's close must not delete a log by name: the name may stand
     * for another file's log by then. */
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_extended_result_codes(conn->db, 1);
    sqlite3_file_control(conn->db, "main", SQLITE_FCNTL_RESERVE_BYTES,
                         &reserved);
    snprintf(text, sizeof(text),
             "PRAGMA page_size=%d;PRAGMA max_page_count=%lld",
             MTCI_DISK_PAGE_SIZE, (long long)pages_max);
    int result = sqlite3_exec(conn->db, text, NULL, NULL, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_exec(conn->db, pragmas, NULL, NULL, NULL);
    if (result == SQLITE_OK)
        result = text_is(conn->db, "PRAGMA journal_mode=WAL", "wal", &is_wal);
    if (result == SQLITE_OK && !is_wal)
        result = SQLITE_CORRUPT;
    /* These statements are right, so it is the file that is wrong. */
    return result == SQLITE_ERROR ? SQLITE_CORRUPT : result;
}

int mtci_disk_conn_open(const mtci_disk_place *place, const mtci_disk_how *how,
                        mtci_disk_conn **out)
{
    const int flags =
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    *out = NULL;
    mtci_disk_conn *conn = calloc(1, sizeof(*conn));
    if (!conn)
        return SQLITE_NOMEM;
    int result = SQLITE_CANTOPEN;
    if (mtci_disk_place_id(place, &conn->id))
        result = sqlite3_open_v2(place->file, &conn->db, flags, how->vfs);
    if (result == SQLITE_OK) {
        mtci_disk_conn_wait(conn, how->wait_ms);
        result = set_up(conn, how->pages_max);
    }
    if (result != SQLITE_OK) {
        mtci_disk_conn_close(conn);
        return result;
    }
    *out = conn;
    return SQLITE_OK;
}

void mtci_disk_conn_close(mtci_disk_conn *conn)
{
    if (!conn)
        return;
    for (int i = 0; i < MTCI_DISK_SQL_COUNT; i++)
        sqlite3_finalize(conn->statements[i]);
    sqlite3_close(conn->db);
    free(conn);
}

int mtci_disk_conn_create(mtci_disk_conn *conn, const char *clock, int64_t seq)
{
    char *text = sqlite3_mprintf("BEGIN IMMEDIATE;%s;INSERT INTO state VALUES"
                                 "(1,%Q,%lld,%lld,0);COMMIT",
                                 schema, clock, (long long)seq, (long long)seq);
    if (!text)
        return SQLITE_NOMEM;
    int result = sqlite3_exec(conn->db, text, NULL, NULL, NULL);
    sqlite3_free(text);
    return result;
}

static int prepare(mtci_disk_conn *conn)
{
    for (int i = 0; i < MTCI_DISK_SQL_COUNT; i++) {
        int result = sqlite3_prepare_v3(conn->db, texts[i], -1,
                                        SQLITE_PREPARE_PERSISTENT,
                                        &conn->statements[i], NULL);
        if (result != SQLITE_OK)
            return result;
    }
    return SQLITE_OK;
}

/* Whether lives in the file count on our clock. */
static int judge_clock(mtci_disk_conn *conn, const char *clock,
                       mtci_disk_verdict *verdict)
{
    bool is_ours = false;
    int result = text_is(conn->db, "SELECT clock FROM state WHERE format=1",
                         clock, &is_ours);
    *verdict = is_ours ? MTCI_DISK_READY : MTCI_DISK_FOREIGN;
    return result;
}

/* Whether the file has kept all that was committed. newest was read before
 * the state, which may have gone on since. */
static int judge_age(mtci_disk_conn *conn, int64_t newest,
                     mtci_disk_verdict *verdict)
{
    mtci_disk_state state = {0};
    int result = mtci_disk_conn_state(conn, &state);
    if (result == SQLITE_OK && state.seq < newest)
        *verdict = MTCI_DISK_DAMAGED;
    return result;
}

/* Whether the tables are ours and can be written. */
static int judge_schema(mtci_disk_conn *conn, const mtci_disk_place *place,
                        mtci_disk_verdict *verdict)
{
    const char *sql = "SELECT coalesce(group_concat(sql,';'),'') FROM "
                      "(SELECT sql FROM sqlite_schema ORDER BY rowid)";
    bool is_whole = false;
    bool is_empty = false;
    int result = text_is(conn->db, sql, schema, &is_whole);
    *verdict = is_whole ? MTCI_DISK_READY : MTCI_DISK_DAMAGED;
    if (result == SQLITE_OK && !is_whole)
        result = text_is(conn->db, "PRAGMA page_count", "1", &is_empty);
    if (result == SQLITE_OK && is_empty)
        result = text_is(conn->db, sql, "", &is_empty);
    if (is_empty)
        *verdict = MTCI_DISK_EMPTY;
    if (result != SQLITE_OK || !is_whole ||
        sqlite3_db_readonly(conn->db, "main") == 0)
        return result;
    /* Read-only by its header, not by the rights on it. */
    *verdict = MTCI_DISK_DAMAGED;
    return mtci_disk_place_is_writable(place) ? SQLITE_OK : SQLITE_READONLY;
}

static int examine(mtci_disk_conn *conn, const mtci_disk_place *place,
                   mtci_disk_verdict *verdict)
{
    int64_t newest = mtci_disk_place_newest(place);
    int result = judge_schema(conn, place, verdict);
    if (result == SQLITE_OK && *verdict == MTCI_DISK_READY)
        result = judge_clock(conn, place->clock, verdict);
    if (result != SQLITE_OK || *verdict != MTCI_DISK_READY)
        return result;
    result = prepare(conn);
    if (result == SQLITE_OK)
        result = judge_age(conn, newest, verdict);
    return result;
}

int mtci_disk_conn_examine(mtci_disk_conn *conn, const mtci_disk_place *place,
                           mtci_disk_verdict *verdict)
{
    int result = examine(conn, place, verdict);
    /* What cannot even be parsed is not a file of ours any more. */
    if (mtci_disk_is_damage(result) || result == SQLITE_ERROR) {
        *verdict = MTCI_DISK_DAMAGED;
        return SQLITE_OK;
    }
    return result;
}
