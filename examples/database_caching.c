/*
 * A cache in front of a database: rows as structs, read through the cache and
 * removed from it when they change.
 */
#include <mtc.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct user {
    char name[32];
} user;

typedef struct lookup {
    sqlite3 *database;
    int id, queries;
} lookup;

static void expect(bool fact, const char *what)
{
    if (fact)
        return;
    fprintf(stderr, "database_caching: it does not hold that %s\n", what);
    exit(1);
}

/* How a user becomes bytes, and comes back from what may be anything. */
static mtc_status encode_user(const void *object, void *ctx, mtc_writer *writer)
{
    (void)ctx;
    return mtc_writer_add(writer, mtc_str(((const user *)object)->name));
}

static mtc_status decode_user(mtc_slice bytes, void *ctx, void *object)
{
    (void)ctx;
    if (bytes.size >= sizeof(user))
        return MTC_E_CORRUPT;
    memset(object, 0, sizeof(user));
    memcpy(object, bytes.data, bytes.size);
    return MTC_OK;
}

static const mtc_codec USER = MTC_CODEC_INIT(encode_user, decode_user, 0, 0);

/* A row that is not there is a miss, not an error. */
static mtc_status load_user(mtc_load *load, void *ctx, void *object)
{
    lookup *lookup = ctx;
    sqlite3_stmt *query;
    sqlite3_prepare_v2(lookup->database, "SELECT name FROM users WHERE id = ?",
                       -1, &query, NULL);
    sqlite3_bind_int(query, 1, lookup->id);
    int step = sqlite3_step(query);
    (void)load;
    lookup->queries++;
    if (step == SQLITE_ROW)
        snprintf(object, sizeof(user), "%s", sqlite3_column_text(query, 0));
    sqlite3_finalize(query);
    return step == SQLITE_ROW    ? MTC_OK
           : step == SQLITE_DONE ? MTC_MISS
                                 : MTC_E_LOAD_FAILED;
}

static mtc_status get(mtc_cache *cache, lookup *lookup, int id, user *user)
{
    mtc_object_loader loader = MTC_OBJECT_LOADER_INIT(&USER, load_user, lookup);
    char key[32];
    lookup->id = id;
    snprintf(key, sizeof key, "user:%d", id);
    return mtc_cache_get_or_load_object(cache, mtc_str(key), NULL, &loader,
                                        user);
}

int main(void)
{
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    mtc_cache *cache;
    lookup lookup = {0};
    user user = {""};
    options.tiers = "memory";
    expect(mtc_cache_open(&options, NULL, &cache) == 0, "the cache opens");
    expect(sqlite3_open(":memory:", &lookup.database) == 0, "SQLite opens");
    sqlite3_exec(lookup.database,
                 "CREATE TABLE users AS SELECT 1 id, 'alice' name", 0, 0, 0);
    for (int i = 0; i < 3; i++)
        expect(get(cache, &lookup, 1, &user) == MTC_OK, "alice is found");
    expect(lookup.queries == 1, "three reads make one query");
    expect(get(cache, &lookup, 2, &user) == MTC_MISS, "nobody else is");

    /* First the database, then the cache: the next read sees the new row. */
    sqlite3_exec(lookup.database, "UPDATE users SET name = 'bob'", 0, 0, 0);
    expect(mtc_cache_remove(cache, mtc_str("user:1")) == 0, "a key goes");
    expect(get(cache, &lookup, 1, &user) == MTC_OK, "bob is found");
    printf("%s, after %d queries\n", user.name, lookup.queries);
    sqlite3_close(lookup.database);
    mtc_cache_close(&cache);
    return strcmp(user.name, "bob") != 0;
}
