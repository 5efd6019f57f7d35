/*
 * Writing a value that a get or a load found. Stateless.
 */
#include "value_output.h"

#include <string.h>
#include <unistd.h>

static void write_origin(json *json, mtc_cache *cache, const mtc_value *value)
{
    mtc_value_info info = MTC_VALUE_INFO_INIT;
    if (mtc_value_info_get(value, &info) != MTC_OK)
        return;
    if (info.tier < 0) {
        json_text(json, "from", "load");
    } else if (cache != NULL) {
        mtc_health health = session_health(cache);
        json_text(json, "from", health.tiers[info.tier].scheme);
    }
    if (info.age_ms >= 0)
        json_int(json, "age_ms", info.age_ms);
    if (info.left_ms != MTC_NO_END)
        json_int(json, "left_ms", info.left_ms);
}

static void write_json(mtc_cache *cache, mtc_slice key, mtc_status status,
                       const mtc_value *value)
{
    json json = session_json(status);
    json_bytes(&json, "key", key);
    if (status == MTC_OK) {
        write_origin(&json, cache, value);
        json_int(&json, "size", (int64_t)value->size);
        json_bytes(&json, "value", mtc_value_slice(value));
    }
    session_json_end(&json);
}

tool_exit value_output(const args *args, mtc_cache *cache, mtc_slice key,
                       mtc_status status, const mtc_value *value)
{
    tool_exit exit = status == MTC_OK ? TOOL_DONE
                     : status < 0     ? TOOL_FAILED
                                      : TOOL_MISS;
    if (args->json)
        write_json(cache, key, status, value);
    else if (status == MTC_OK && !output_bytes(mtc_value_slice(value)))
        return TOOL_FAILED;
    else if (status == MTC_OK && isatty(STDOUT_FILENO) == 1 &&
             !output_bytes(mtc_str("\n")))
        return TOOL_FAILED;
    return exit;
}
