/*
 * Looking up addresses. A lookup is counted: one for the asker, one for the
 * thread. See lookup.h.
 */
#include "redis/lookup.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct mtci_lookup {
    _Atomic int refs;
    _Atomic bool is_done;
    int fd;
    int failure; /* of getaddrinfo */
    struct addrinfo *addresses;
    mtci_address address;
};

static void release(mtci_lookup *lookup)
{
    if (atomic_fetch_sub_explicit(&lookup->refs, 1, memory_order_acq_rel) > 1)
        return;
    if (lookup->addresses)
        freeaddrinfo(lookup->addresses);
    if (lookup->fd >= 0)
        close(lookup->fd);
    free(lookup);
}

static void ask(mtci_lookup *lookup, int flags)
{
    struct addrinfo hints = {
        .ai_flags = flags | AI_NUMERICSERV,
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
    };
    char port[12];
    snprintf(port, sizeof port, "%d", lookup->address.port);
    lookup->failure =
        getaddrinfo(lookup->address.host, port, &hints, &lookup->addresses);
    if (lookup->failure != 0)
        lookup->addresses = NULL;
}

static void finish(mtci_lookup *lookup)
{
    atomic_store_explicit(&lookup->is_done, true, memory_order_release);
    uint64_t one = 1;
    ssize_t written = write(lookup->fd, &one, sizeof one);
    (void)written; /* a fresh counter always has room */
}

static void *run(void *ctx)
{
    mtci_lookup *lookup = ctx;
    ask(lookup, AI_ADDRCONFIG);
    finish(lookup);
    release(lookup);
    return NULL;
}

/* Starts the thread with every signal blocked. */
static bool spawn(mtci_lookup *lookup)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    if (pthread_attr_init(&attributes) != 0)
        return false;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    atomic_store_explicit(&lookup->refs, 2, memory_order_relaxed);
    bool is_started = pthread_create(&thread, &attributes, run, lookup) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (!is_started)
        atomic_store_explicit(&lookup->refs, 1, memory_order_relaxed);
    return is_started;
}

mtc_status mtci_lookup_start(const mtci_address *address, mtci_lookup **out)
{
    *out = NULL;
    mtci_lookup *lookup = calloc(1, sizeof *lookup);
    if (!lookup)
        return MTC_E_NO_MEMORY;
    atomic_init(&lookup->refs, 1);
    lookup->address = *address;
    lookup->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (lookup->fd < 0)
        goto failed;
    ask(lookup, AI_NUMERICHOST);
    if (lookup->failure == 0)
        finish(lookup);
    else if (!spawn(lookup))
        goto failed;
    *out = lookup;
    return MTC_OK;
failed:
    release(lookup);
    return MTC_E_UNAVAILABLE;
}

int mtci_lookup_fd(const mtci_lookup *lookup)
{
    return lookup->fd;
}

bool mtci_lookup_is_done(const mtci_lookup *lookup)
{
    return atomic_load_explicit(&lookup->is_done, memory_order_acquire);
}

const struct addrinfo *mtci_lookup_result(const mtci_lookup *lookup,
                                          const char **failure)
{
    *failure = lookup->failure ? gai_strerror(lookup->failure) : NULL;
    return lookup->addresses;
}

void mtci_lookup_stop(mtci_lookup *lookup)
{
    if (lookup)
        release(lookup);
}
