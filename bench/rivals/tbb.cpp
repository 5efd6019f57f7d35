/*
 * TBB's concurrent_hash_map of strings, which evicts nothing.
 *
 * Any thread calls in; a reader holds the entry's lock while it reads.
 */
#include <new>
#include <string>
#include <string_view>

#include <tbb/concurrent_hash_map.h>

#include "rival.h"

namespace
{

/* Keys are looked up without a copy of theirs. */
struct by_bytes {
    using is_transparent = void;

    static size_t hash(std::string_view key)
    {
        return rival_hash(mtc_bytes(key.data(), key.size()));
    }

    static bool equal(std::string_view one, std::string_view other)
    {
        return one == other;
    }
};

using map = tbb::concurrent_hash_map<std::string, std::string, by_bytes>;

std::string_view view(mtc_slice slice)
{
    return {static_cast<const char *>(slice.data), slice.size};
}

void *open_map(size_t entries_max)
{
    return new (std::nothrow) map(entries_max);
}

void close_map(void *table)
{
    delete static_cast<map *>(table);
}

bool get(void *table, mtc_slice key, uint64_t *sum)
{
    map::const_accessor entry;
    if (!static_cast<map *>(table)->find(entry, view(key)))
        return false;
    *sum += static_cast<unsigned char>(entry->second[0]);
    return true;
}

bool set(void *table, mtc_slice key, mtc_slice value)
{
    map::accessor entry;
    static_cast<map *>(table)->insert(entry, std::string(view(key)));
    entry->second.assign(view(value));
    return true;
}

} // namespace

extern "C" const rival RIVAL_TBB = {
    "tbb", false, open_map, close_map, get, set, nullptr, nullptr,
};
