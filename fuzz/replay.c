/*
 * Runs a fuzz target over every file of the folders given: a corpus as an
 * ordinary test, with any compiler. What the target finds wrong aborts.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz/target.h"

#define FILE_SIZE_MAX ((size_t)1 << 20)

static int replay_file(const char *folder, const char *name)
{
    char path[4096];
    uint8_t *bytes = malloc(FILE_SIZE_MAX);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = bytes ? fopen(path, "rb") : NULL;
    if (!file) {
        fprintf(stderr, "cannot read %s\n", path);
        free(bytes);
        return 1;
    }
    size_t size = fread(bytes, 1, FILE_SIZE_MAX, file);
    fclose(file);
    /* In a block of its own size, so that reading past it is seen. */
    uint8_t *exact = malloc(size > 0 ? size : 1);
    for (size_t i = 0; exact && i < size; i++)
        exact[i] = bytes[i];
    free(bytes);
    if (!exact)
        return 1;
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return 0;
}

/* The count of files, or -1. */
static int replay_folder(const char *folder)
{
    int count = 0;
    DIR *open = opendir(folder);
    struct dirent *entry;
    if (!open)
        return -1;
    while (count >= 0 && (entry = readdir(open)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        count = replay_file(folder, entry->d_name) == 0 ? count + 1 : -1;
    }
    closedir(open);
    return count;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int count = replay_folder(argv[i]);
        if (count <= 0) {
            fprintf(stderr, "nothing to replay in %s\n", argv[i]);
            return 1;
        }
        printf("%s: %d files\n", argv[i], count);
    }
    return argc > 1 ? 0 : 1;
}
