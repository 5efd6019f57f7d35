/*
 * Fuzz target: URLs of tiers and their options.
 *
 * Any text is parsed or refused with a message; options of the Redis tier are
 * set or refused. No tier is opened.
 */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz/target.h"
#include "tier/open.h"

#define TEXT_SIZE_MAX 4096u

static void set_options(const mtci_url *url)
{
    mtc_error error;
    bool is_known;
    void *options = calloc(1, mtci_redis_kind.options_size);
    if (!options)
        abort();
    mtci_options_default(mtci_redis_kind.options, options);
    for (size_t i = 0; i < url->param_count; i++) {
        mtc_status status =
            mtci_options_set(mtci_redis_kind.options, &url->params[i], &error,
                             options, &is_known);
        if (status != MTC_OK && error.text[0] == '\0')
            abort();
    }
    free(options);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[TEXT_SIZE_MAX + 1];
    mtc_error error = {0};
    mtci_url url;
    if (size > TEXT_SIZE_MAX)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    mtc_status status = mtci_url_parse(text, &error, &url);
    if (status != MTC_OK && error.text[0] == '\0')
        abort();
    if (status != MTC_OK)
        return 0;
    set_options(&url);
    mtci_url_fini(&url);
    return 0;
}
