/*
 * Turns and loader threads; see loads.h.
 */
#include "core/loads.h"

#include <stdlib.h>

#include "base/spawn.h"

/* -- turns ---------------------------------------------------------------- */

mtc_status mtci_loads_take(mtci_loads *loads, mtci_turn *turn, int64_t now_ms)
{
    mtc_status status = MTC_PENDING;
    pthread_mutex_lock(&loads->mutex);
    if (loads->is_closed) {
        status = MTC_E_CLOSED;
    } else if (loads->running < loads->turns_max) {
        loads->running++;
        status = MTC_OK;
    } else if (loads->waiting >= MTCI_LOADS_QUEUE_MAX) {
        status = MTC_E_BUSY;
    } else {
        turn->next = NULL;
        turn->due_ms = now_ms + MTCI_LOADS_WAIT_MS;
        *loads->last_turn = turn;
        loads->last_turn = &turn->next;
        loads->waiting++;
    }
    pthread_mutex_unlock(&loads->mutex);
    return status;
}

static void take_out_locked(mtci_loads *loads, mtci_turn **at)
{
    mtci_turn *turn = *at;
    *at = turn->next;
    if (loads->last_turn == &turn->next)
        loads->last_turn = at;
    loads->waiting--;
}

bool mtci_loads_withdraw(mtci_loads *loads, mtci_turn *turn)
{
    pthread_mutex_lock(&loads->mutex);
    mtci_turn **at = &loads->first_turn;
    while (*at && *at != turn)
        at = &(*at)->next;
    bool is_waiting = *at != NULL;
    if (is_waiting)
        take_out_locked(loads, at);
    pthread_mutex_unlock(&loads->mutex);
    return is_waiting;
}

void mtci_loads_give(mtci_loads *loads)
{
    pthread_mutex_lock(&loads->mutex);
    mtci_turn *heir = loads->first_turn;
    if (heir)
        take_out_locked(loads, &loads->first_turn);
    else
        loads->running--;
    pthread_mutex_unlock(&loads->mutex);
    if (heir)
        heir->granted(heir, MTC_OK);
}

static void refuse_all(mtci_turn *turn, mtc_status status)
{
    while (turn) {
        mtci_turn *next = turn->next;
        turn->granted(turn, status);
        turn = next;
    }
}

void mtci_loads_tend(mtci_loads *loads, int64_t now_ms)
{
    mtci_turn *late = NULL;
    mtci_turn **end = &late;
    pthread_mutex_lock(&loads->mutex);
    mtci_turn **at = &loads->first_turn;
    while (*at) {
        mtci_turn *turn = *at;
        if (turn->due_ms > now_ms) {
            at = &turn->next;
            continue;
        }
        take_out_locked(loads, at);
        *end = turn;
        end = &turn->next;
    }
    *end = NULL;
    pthread_mutex_unlock(&loads->mutex);
    refuse_all(late, MTC_E_BUSY);
}

void mtci_loads_close(mtci_loads *loads)
{
    pthread_mutex_lock(&loads->mutex);
    loads->is_closed = true;
    mtci_turn *all = loads->first_turn;
    loads->first_turn = NULL;
    loads->last_turn = &loads->first_turn;
    loads->waiting = 0;
    pthread_mutex_unlock(&loads->mutex);
    refuse_all(all, MTC_E_CLOSED);
}

void mtci_loads_count(mtci_loads *loads, uint64_t *running, uint64_t *waiting)
{
    pthread_mutex_lock(&loads->mutex);
    *running = loads->running;
    *waiting = loads->waiting;
    pthread_mutex_unlock(&loads->mutex);
}

/* -- threads -------------------------------------------------------------- */

static void loads_release(mtci_loads *loads)
{
    if (atomic_fetch_sub_explicit(&loads->refs, 1, memory_order_acq_rel) > 1)
        return;
    pthread_mutex_destroy(&loads->mutex);
    pthread_cond_destroy(&loads->work);
    pthread_cond_destroy(&loads->ended);
    free(loads);
}

/* The next errand; NULL: the end. */
static mtci_errand *next_errand(mtci_loads *loads)
{
    pthread_mutex_lock(&loads->mutex);
    loads->idle_count++;
    while (!loads->first_errand && !loads->is_stopping)
        pthread_cond_wait(&loads->work, &loads->mutex);
    loads->idle_count--;
    mtci_errand *errand = loads->first_errand;
    if (errand) {
        loads->first_errand = errand->next;
        loads->errand_count--;
    }
    if (!loads->first_errand)
        loads->last_errand = &loads->first_errand;
    pthread_mutex_unlock(&loads->mutex);
    return errand;
}

/* Also when a loader ends its thread. */
static void thread_over(mtci_loader_thread **variable)
{
    mtci_loader_thread *thread = *variable;
    mtci_loads *loads = thread->loads;
    pthread_mutex_lock(&loads->mutex);
    thread->is_over = true;
    bool is_alone = thread->is_alone;
    pthread_cond_signal(&loads->ended);
    pthread_mutex_unlock(&loads->mutex);
    if (is_alone)
        free(thread);
    loads_release(loads);
}

static void *loader_main(void *arg)
{
    __attribute__((cleanup(thread_over))) mtci_loader_thread *thread = arg;
    mtci_loads *loads = thread->loads;
    mtci_errand *errand;
    while ((errand = next_errand(loads)) != NULL)
        errand->run(errand);
    return NULL;
}

static void join(mtci_loader_thread *thread)
{
    pthread_join(thread->id, NULL);
    free(thread);
}

/* Joins threads that loaders have ended. Whether some are left. */
static bool reap_locked(mtci_loads *loads)
{
    mtci_loader_thread **at = &loads->threads;
    while (*at) {
        mtci_loader_thread *thread = *at;
        if (!thread->is_over) {
            at = &thread->next;
            continue;
        }
        *at = thread->next;
        join(thread);
    }
    return loads->threads != NULL;
}

static bool start_thread_locked(mtci_loads *loads)
{
    mtci_loader_thread *thread = calloc(1, sizeof *thread);
    if (!thread)
        return false;
    thread->loads = loads;
    atomic_fetch_add_explicit(&loads->refs, 1, memory_order_relaxed);
    if (!mtci_spawn(&thread->id, loader_main, thread)) {
        atomic_fetch_sub_explicit(&loads->refs, 1, memory_order_relaxed);
        free(thread);
        return false;
    }
    thread->next = loads->threads;
    loads->threads = thread;
    return true;
}

bool mtci_loads_run(mtci_loads *loads, mtci_errand *errand)
{
    pthread_mutex_lock(&loads->mutex);
    bool has_thread = loads->errand_count < loads->idle_count;
    if (!has_thread) {
        has_thread = reap_locked(loads);
        has_thread |= start_thread_locked(loads);
    }
    if (has_thread) {
        errand->next = NULL;
        *loads->last_errand = errand;
        loads->last_errand = &errand->next;
        loads->errand_count++;
        pthread_cond_signal(&loads->work);
    }
    pthread_mutex_unlock(&loads->mutex);
    return has_thread;
}

/* -- beginning and end ---------------------------------------------------- */

mtci_loads *mtci_loads_new(unsigned turns_max)
{
    mtci_loads *loads = calloc(1, sizeof *loads);
    if (!loads)
        return NULL;
    atomic_init(&loads->refs, 1);
    loads->turns_max = turns_max;
    loads->last_turn = &loads->first_turn;
    loads->last_errand = &loads->first_errand;
    pthread_mutex_init(&loads->mutex, NULL);
    pthread_cond_init(&loads->work, NULL);
    pthread_cond_init(&loads->ended, NULL);
    return loads;
}

/* The calling thread, if it is one of them, leaves alone: nobody joins it. */
static void let_self_go_locked(mtci_loads *loads)
{
    mtci_loader_thread **at = &loads->threads;
    while (*at && !pthread_equal((*at)->id, pthread_self()))
        at = &(*at)->next;
    mtci_loader_thread *self = *at;
    if (!self)
        return;
    *at = self->next;
    self->is_alone = true;
    pthread_detach(self->id);
}

void mtci_loads_stop(mtci_loads *loads)
{
    if (!loads)
        return;
    pthread_mutex_lock(&loads->mutex);
    loads->is_stopping = true;
    pthread_cond_broadcast(&loads->work);
    let_self_go_locked(loads);
    while (reap_locked(loads))
        pthread_cond_wait(&loads->ended, &loads->mutex);
    pthread_mutex_unlock(&loads->mutex);
    loads_release(loads);
}
