/*
 * The cache that a command works on, and telling how a call on it ended.
 *
 * One cache per command, one thread.
 */
#include "session.h"

#include <string.h>

/* The cache of the tool, unless --name says otherwise. */
#define NAME_DEFAULT "mtc"

tool_exit session_open_for(const args *args, uint32_t loads_max,
                           mtc_cache **cache)
{
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    mtc_error error = {0};
    options.name = args->name != NULL ? args->name : NAME_DEFAULT;
    options.tiers = args->tiers;
    options.loads_max = loads_max;
    mtc_status status = mtc_cache_open(&options, &error, cache);
    if (status == MTC_OK)
        return TOOL_DONE;
    complain("%s: %s", error.part, error.text);
    bool is_wrong = status == MTC_E_INVALID || status == MTC_E_UNSUPPORTED;
    return is_wrong ? TOOL_USAGE : TOOL_FAILED;
}

tool_exit session_open(const args *args, mtc_cache **cache)
{
    return session_open_for(args, 0, cache);
}

mtc_health session_health(mtc_cache *cache)
{
    mtc_health health;
    memset(&health, 0, sizeof health);
    health.struct_size = (uint32_t)sizeof health;
    if (mtc_cache_health(cache, &health) != MTC_OK)
        memset(&health, 0, sizeof health);
    return health;
}

void session_complain(mtc_cache *cache, const char *what, const char *text)
{
    mtc_health health = session_health(cache);
    for (uint32_t i = 0; i < health.tier_count; i++) {
        const mtc_tier_health *tier = &health.tiers[i];
        if (tier->last_error == MTC_OK || tier->last_error_text[0] == '\0')
            continue;
        complain("%s: %s (%s: %s)", what, text, tier->scheme,
                 tier->last_error_text);
        return;
    }
    complain("%s: %s", what, text);
}

void session_warn_if_forgetful(mtc_cache *cache)
{
    mtc_health health = session_health(cache);
    for (uint32_t i = 0; i < health.tier_count; i++) {
        if (strcmp(health.tiers[i].scheme, "memory") != 0)
            return;
    }
    const char *why = health.note[0] != '\0' ? health.note : "no other tier";
    complain("warning: memory alone, which ends with this command (%s)", why);
}

json session_json(mtc_status status)
{
    json json = {stdout, false};
    json_open(&json, NULL, '{');
    json_text(&json, "status", mtc_status_name(status));
    return json;
}

void session_json_end(json *json)
{
    json_close(json, '}');
    fputc('\n', json->out);
}
