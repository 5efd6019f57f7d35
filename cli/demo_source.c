/*
 * The source of the demo: a shop's products in a SQLite database.
 *
 * One connection per thread; after source_create nobody writes.
 */
#include "demo_source.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "output.h"

#define CATEGORIES 250

struct source_reader {
    sqlite3 *db;
    sqlite3_stmt *product;
    sqlite3_stmt *rank;
    sqlite3_stmt *nearest;
};

static const char SCHEMA[] =
    "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
    "CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT NOT NULL,"
    " category INTEGER NOT NULL, price INTEGER NOT NULL,"
    " sold INTEGER NOT NULL, description TEXT NOT NULL);"
    "BEGIN";

static const char SCHEMA_END[] =
    "CREATE INDEX by_sales ON products (category, sold);"
    "CREATE INDEX by_price ON products (category, price);"
    "COMMIT";

static const char PRODUCT[] = "SELECT name, category, price, sold, description"
                              " FROM products WHERE id = ?1";
static const char RANK[] = "SELECT count(*) + 1 FROM products"
                           " WHERE category = ?1 AND sold > ?2";
static const char NEAREST[] = "SELECT id, price FROM products"
                              " WHERE category = ?1 AND id <> ?3"
                              " ORDER BY abs(price - ?2), id LIMIT 4";

static bool complain_of(sqlite3 *db, const char *what)
{
    complain("demo: %s: %s", what, sqlite3_errmsg(db));
    return false;
}

static void describe(uint64_t id, char *name, char *description, size_t size)
{
    static const char *const KINDS[] = {"lamp",  "kettle", "chair", "jacket",
                                        "radio", "teapot", "clock", "basket"};
    static const char *const LOOKS[] = {"oak",  "copper", "linen", "walnut",
                                        "wool", "glass",  "brass", "cork"};
    const char *kind = KINDS[id % 8];
    const char *look = LOOKS[id / 8 % 8];
    snprintf(name, size, "%s %s no. %" PRIu64, look, kind, id);
    snprintf(description, size,
             "A %s of %s, made by hand in a workshop that has made nothing "
             "else since %" PRIu64 ". It comes with a letter of the maker, "
             "wants little care, and is mended free of charge for %" PRIu64
             " years. Delivered within %" PRIu64 " days.",
             kind, look, 1850 + id % 150, 2 + id % 9, 1 + id % 7);
}

static bool insert(sqlite3 *db, sqlite3_stmt *statement, uint64_t id)
{
    char name[400];
    char description[400];
    describe(id, name, description, sizeof name);
    int64_t mixed = (int64_t)((id * UINT64_C(2862933555777941757)) >> 33);
    sqlite3_bind_int64(statement, 1, (int64_t)id);
    sqlite3_bind_text(statement, 2, name, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int64(statement, 3, (int64_t)(id % CATEGORIES));
    sqlite3_bind_int64(statement, 4, 199 + mixed % 50000);
    sqlite3_bind_int64(statement, 5, mixed % 9973);
    sqlite3_bind_text(statement, 6, description, -1, SQLITE_TRANSIENT);
    if (sqlite3_step(statement) != SQLITE_DONE)
        return complain_of(db, "writing the products");
    sqlite3_reset(statement);
    return true;
}

static bool fill(sqlite3 *db, uint64_t products)
{
    sqlite3_stmt *statement = NULL;
    bool is_good = true;
    if (sqlite3_exec(db, SCHEMA, NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(db, "INSERT INTO products VALUES (?, ?, ?, ?, ?, ?)",
                           -1, &statement, NULL) != SQLITE_OK)
        return complain_of(db, "creating the source");
    for (uint64_t id = 0; id < products && is_good; id++)
        is_good = insert(db, statement, id);
    sqlite3_finalize(statement);
    if (is_good && sqlite3_exec(db, SCHEMA_END, NULL, NULL, NULL) != SQLITE_OK)
        return complain_of(db, "creating the source");
    return is_good;
}

bool source_create(const char *path, uint64_t products)
{
    sqlite3 *db = NULL;
    bool is_good = sqlite3_open(path, &db) == SQLITE_OK ? fill(db, products)
                                                        : complain_of(db, path);
    if (sqlite3_close(db) != SQLITE_OK && is_good)
        return complain_of(db, "closing the source");
    return is_good;
}

static bool prepare(source_reader *reader)
{
    sqlite3 *db = reader->db;
    return sqlite3_prepare_v2(db, PRODUCT, -1, &reader->product, NULL) ==
               SQLITE_OK &&
           sqlite3_prepare_v2(db, RANK, -1, &reader->rank, NULL) == SQLITE_OK &&
           sqlite3_prepare_v2(db, NEAREST, -1, &reader->nearest, NULL) ==
               SQLITE_OK;
}

source_reader *source_open(const char *path)
{
    source_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) {
        complain("demo: out of memory");
        return NULL;
    }
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path, &reader->db, flags, NULL) == SQLITE_OK &&
        prepare(reader))
        return reader;
    complain_of(reader->db, path);
    source_close(reader);
    return NULL;
}

void source_close(source_reader *reader)
{
    if (reader == NULL)
        return;
    sqlite3_finalize(reader->product);
    sqlite3_finalize(reader->rank);
    sqlite3_finalize(reader->nearest);
    sqlite3_close(reader->db);
    free(reader);
}

static void bind(sqlite3_stmt *statement, int64_t first, int64_t second)
{
    sqlite3_bind_int64(statement, 1, first);
    sqlite3_bind_int64(statement, 2, second);
}

static size_t add_nearest(sqlite3_stmt *nearest, char *page, size_t size)
{
    const char *comma = "";
    while (sqlite3_step(nearest) == SQLITE_ROW) {
        size += (size_t)snprintf(page + size, SOURCE_PAGE_SIZE - size,
                                 "%s{\"id\":%lld,\"price\":%lld}", comma,
                                 sqlite3_column_int64(nearest, 0),
                                 sqlite3_column_int64(nearest, 1));
        comma = ",";
    }
    size += (size_t)snprintf(page + size, SOURCE_PAGE_SIZE - size, "]}");
    return size;
}

static size_t write_page(source_reader *reader, uint64_t id, char *page)
{
    sqlite3_stmt *product = reader->product;
    int64_t category = sqlite3_column_int64(product, 1);
    int64_t price = sqlite3_column_int64(product, 2);
    int64_t sold = sqlite3_column_int64(product, 3);
    bind(reader->rank, category, sold);
    bind(reader->nearest, category, price);
    sqlite3_bind_int64(reader->nearest, 3, (int64_t)id);
    if (sqlite3_step(reader->rank) != SQLITE_ROW)
        return 0;
    int size =
        snprintf(page, SOURCE_PAGE_SIZE,
                 "{\"id\":%" PRIu64 ",\"name\":\"%s\",\"category\":%" PRId64
                 ",\"price\":%" PRId64 ",\"rank\":%lld,\"description\":\"%s\","
                 "\"nearest\":[",
                 id, (const char *)sqlite3_column_text(product, 0), category,
                 price, sqlite3_column_int64(reader->rank, 0),
                 (const char *)sqlite3_column_text(product, 4));
    return add_nearest(reader->nearest, page, (size_t)size);
}

size_t source_read(source_reader *reader, uint64_t id, char *page)
{
    size_t size = 0;
    sqlite3_bind_int64(reader->product, 1, (int64_t)id);
    if (sqlite3_step(reader->product) == SQLITE_ROW)
        size = write_page(reader, id, page);
    if (size == 0)
        complain_of(reader->db, "reading the source");
    sqlite3_reset(reader->product);
    sqlite3_reset(reader->rank);
    sqlite3_reset(reader->nearest);
    return size;
}
