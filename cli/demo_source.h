/*
 * The source of the demo: a shop's products in a SQLite database.
 */
#ifndef MTC_CLI_DEMO_SOURCE_H
#define MTC_CLI_DEMO_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for the page of any product. */
#define SOURCE_PAGE_SIZE 2048

/* One connection to the database; belongs to one thread. */
typedef struct source_reader source_reader;

/* Creates the database with that many products. Complains and returns false
 * when that fails. */
bool source_create(const char *path, uint64_t products);

/* Complains and returns NULL when the database does not open. */
source_reader *source_open(const char *path);
void source_close(source_reader *reader);

/* Writes what a shop shows on the page of a product as JSON: the product, its
 * rank in its category by sales, the four nearest to it in price. Returns the
 * size, or 0 on an error, which it complains of. */
size_t source_read(source_reader *reader, uint64_t id, char *page);

#endif
