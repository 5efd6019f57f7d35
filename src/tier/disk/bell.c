/*
 * Telling other processes that leases have ended; see bell.h.
 */
#include "tier/disk/bell.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "base/hash.h"
#include "base/sync.h"

/* The same in every process. */
#define KEY_SEED UINT64_C(0x6d74632d62656c6c)

/* cache.lock from its first byte. */
typedef struct mtci_disk_bell_page {
    unsigned char version[64]; /* the place's */
    _Atomic uint32_t word;
    uint32_t unused[15];
    _Atomic uint32_t counts[MTCI_DISK_BELL_COUNTS];
} bell_page;

bool mtci_disk_bell_open(mtci_disk_bell *bell, int fd)
{
    int failure;
    bell->page = NULL;
    /* Blocks of its own: a full disk would end who writes to the map. */
    do {
        failure = posix_fallocate(fd, 0, sizeof(bell_page));
    } while (failure == EINTR);
    if (failure != 0)
        return false;
    void *page = mmap(NULL, sizeof(bell_page), PROT_READ | PROT_WRITE,
                      MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        return false;
    bell->page = page;
    return true;
}

void mtci_disk_bell_close(mtci_disk_bell *bell)
{
    if (bell->page)
        munmap(bell->page, sizeof(bell_page));
    bell->page = NULL;
}

unsigned mtci_disk_bell_of(mtc_slice key)
{
    return (unsigned)(mtci_hash(key, KEY_SEED) % MTCI_DISK_BELL_COUNTS);
}

uint32_t mtci_disk_bell_count(const mtci_disk_bell *bell, unsigned index)
{
    return atomic_load_explicit(&bell->page->counts[index],
                                memory_order_acquire);
}

void mtci_disk_bell_add(mtci_disk_bell_set *set, unsigned index)
{
    set->bits[index / 64] |= UINT64_C(1) << index % 64;
}

void mtci_disk_bell_ring(mtci_disk_bell *bell, const mtci_disk_bell_set *set)
{
    bool is_any = false;
    for (unsigned i = 0; bell->page && i < MTCI_DISK_BELL_COUNTS; i++) {
        if (!(set->bits[i / 64] >> i % 64 & 1))
            continue;
        atomic_fetch_add(&bell->page->counts[i], 1);
        is_any = true;
    }
    if (is_any)
        mtci_disk_bell_nudge(bell);
}

void mtci_disk_bell_ring_all(mtci_disk_bell *bell)
{
    mtci_disk_bell_set all;
    for (unsigned i = 0; i < MTCI_DISK_BELL_COUNTS / 64; i++)
        all.bits[i] = UINT64_MAX;
    mtci_disk_bell_ring(bell, &all);
}

void mtci_disk_bell_nudge(mtci_disk_bell *bell)
{
    atomic_fetch_add(&bell->page->word, 1);
    mtci_word_wake_shared(&bell->page->word);
}

uint32_t mtci_disk_bell_word(const mtci_disk_bell *bell)
{
    return atomic_load(&bell->page->word);
}

void mtci_disk_bell_sleep(mtci_disk_bell *bell, uint32_t word, int64_t wait_ms)
{
    mtci_word_wait_shared(&bell->page->word, word, wait_ms);
}
