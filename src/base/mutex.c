/*
 * Mutexes for short holds; see mutex.h. Glibc's adaptive kind; where there is
 * no memory for its attribute (glibc needs none), the default kind.
 */
#include "base/mutex.h"

void mtci_mutex_init(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t kind;
    if (pthread_mutexattr_init(&kind) != 0) {
        pthread_mutex_init(mutex, NULL);
        return;
    }
    pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(mutex, &kind);
    pthread_mutexattr_destroy(&kind);
}
