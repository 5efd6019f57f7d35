/*
 * C++ exceptions: a loader throws, the caller catches, and those who waited
 * are served by one heir.
 * labels: quick unit
 */
#include <atomic>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "mtc/cache.h"
#include "mtc/stats.h"

namespace
{

constexpr int follower_count = 12;

mtc_cache *cache;
std::atomic<int> loads;
std::atomic<bool> may_throw;
int failures;

void check(bool holds, const char *what)
{
    if (!holds) {
        std::fprintf(stderr, "not so: %s\n", what);
        failures++;
    }
}

mtc_stats stats()
{
    mtc_stats all{};
    all.struct_size = sizeof(all);
    check(mtc_cache_stats(cache, &all) == MTC_OK, "statistics are told");
    return all;
}

void await(bool (*is_so)())
{
    for (int i = 0; i < 10000 && !is_so(); i++)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

mtc_status load_and_throw(mtc_load *load, void *)
{
    mtc_load_set_value(load, mtc_str("never seen"));
    while (!may_throw.load())
        std::this_thread::yield();
    throw std::runtime_error("thrown in a loader");
}

mtc_status load_value(mtc_load *load, void *)
{
    loads++;
    return mtc_load_set_value(load, mtc_str("value"));
}

/* A load inside a load: the exception passes through both. */
mtc_status load_through_another(mtc_load *, void *)
{
    mtc_value value;
    return mtc_cache_get_or_load(cache, mtc_str("inner"), nullptr,
                                 load_and_throw, nullptr, &value);
}

std::string ask(const char *key, mtc_loader loader)
{
    mtc_value value;
    try {
        mtc_status status = mtc_cache_get_or_load(cache, mtc_str(key), nullptr,
                                                  loader, nullptr, &value);
        if (status != MTC_OK)
            return mtc_status_name(status);
    } catch (const std::runtime_error &error) {
        return error.what();
    }
    std::string text(static_cast<const char *>(value.data), value.size);
    mtc_value_free(&value);
    return text;
}

void one_follower_takes_over_from_a_leader_that_throws()
{
    std::string thrown;
    std::vector<std::string> got(follower_count);
    std::vector<std::thread> threads;
    std::thread leader([&] { thrown = ask("k", load_and_throw); });
    await([] { return stats().loads == 1; });
    for (auto &text : got)
        threads.emplace_back([&text] { text = ask("k", load_value); });
    await([] { return stats().followers == follower_count; });
    may_throw = true;
    leader.join();
    for (auto &thread : threads)
        thread.join();
    check(thrown == "thrown in a loader", "the caller catches what was thrown");
    for (const auto &text : got)
        check(text == "value", "each follower is served");
    check(loads == 1, "one heir loads");
    check(stats().in_flight == 0, "no flight is left");
    check(stats().requests == follower_count + 1, "each request is counted");
    check(stats().errors == 1, "the thrown one is an error");
}

void an_exception_passes_through_two_loads()
{
    check(ask("outer", load_through_another) == "thrown in a loader",
          "the outer caller catches");
    check(stats().in_flight == 0, "neither flight is left");
    check(ask("outer", load_value) == "value", "the outer key can be loaded");
    check(ask("inner", load_value) == "value", "the inner key can be loaded");
}

} // namespace

int main()
{
    mtc_cache_options options = MTC_CACHE_OPTIONS_INIT;
    options.tiers = "memory";
    if (mtc_cache_open(&options, nullptr, &cache) != MTC_OK)
        return EXIT_FAILURE;
    one_follower_takes_over_from_a_leader_that_throws();
    an_exception_passes_through_two_loads();
    check(mtc_cache_close(&cache) == MTC_OK, "the cache closes");
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
