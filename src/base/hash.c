/*
 * Seeds from the kernel; see hash.h. Stateless; any thread.
 */
#include "base/hash.h"

#include <sys/random.h>

#include "base/clock.h"

uint64_t mtci_seed(void)
{
    uint64_t seed;

    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) == sizeof(seed)) {
        return seed;
    }
    /* Early in the boot, or barred by a filter: still differs by process. */
    seed = (uint64_t)mtci_boot_us() ^ (uint64_t)(uintptr_t)&seed;
    return XXH3_64bits_withSeed(&seed, sizeof(seed), seed);
}
