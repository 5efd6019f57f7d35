/*
 * A page of many rows, of which some are cached: one query for the rest.
 */
#include <mtc.h>
#include <stdio.h>
#include <stdlib.h>

#define ROWS 20

/* Stands for a database, which is asked for many rows at a time. */
typedef struct source {
    int queries, rows;
} source;

static void expect(bool fact, const char *what)
{
    if (fact)
        return;
    fprintf(stderr, "bulk_loading: it does not hold that %s\n", what);
    exit(1);
}

/* SELECT ... WHERE id IN (...): row 13 does not exist. */
static mtc_status load_rows(mtc_bulk *bulk, void *ctx)
{
    source *source = ctx;
    source->queries++;
    for (size_t i = 0; i < mtc_bulk_count(bulk); i++) {
        mtc_load *load = mtc_bulk_load(bulk, i);
        mtc_slice key = mtc_load_key(load);
        source->rows++;
        if (key.size == 6 && memcmp(key.data, "row:13", 6) == 0)
            continue;
        mtc_status status = mtc_load_set_value(load, key);
        if (status != MTC_OK)
            return status;
    }
    return MTC_OK;
}

/* Asks for the rows from first on. */
static void show_page(mtc_cache *cache, int first, source *source)
{
    mtc_item items[ROWS];
    char keys[ROWS][16];
    int found = 0, rows = source->rows, queries = source->queries;
    for (int i = 0; i < ROWS; i++) {
        snprintf(keys[i], sizeof keys[i], "row:%d", first + i);
        items[i] = (mtc_item){.key = mtc_str(keys[i])};
    }
    mtc_cache_get_or_load_many(cache, items, ROWS, &MTC_SHORT_TERM, load_rows,
                               source);
    for (int i = 0; i < ROWS; i++) {
        found += items[i].status == MTC_OK;
        expect(items[i].status == MTC_OK || first + i == 13, "it is there");
        mtc_value_free(&items[i].value);
    }
    printf("rows %d to %d: %d found, %d queries for %d rows\n", first,
           first + ROWS - 1, found, source->queries - queries,
           source->rows - rows);
}

int main(void)
{
    mtc_cache *cache;
    mtc_error error;
    source source = {0, 0};
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    options.tiers = "memory";
    if (mtc_cache_open(&options, &error, &cache) != MTC_OK) {
        fprintf(stderr, "%s: %s\n", error.part, error.text);
        return 1;
    }
    show_page(cache, 0, &source);
    show_page(cache, 15, &source); /* five of these are there */
    expect(source.queries == 2, "a page is one query");
    expect(source.rows == 35, "what is there is not asked for again");
    return mtc_cache_close(&cache) != MTC_OK;
}
