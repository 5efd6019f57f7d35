/*
 * The soak: real servers under one fault after the other, two processes that
 * call their caches meanwhile, and a judge of all that they read.
 *
 *     soak [--seconds N] [--seed N] [--late MS] [--worst MS] [FAULT...]
 *
 * This process conducts: for each fault it starts servers and two workers
 * (worker.h), which share a board (board.h) with it, injects the fault again
 * and again, and sums up. Its main thread does all; proxies have theirs.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "soak/fault.h"
#include "soak/worker.h"
#include "soak/world.h"
#include "support/tier_call.h"

#define READY_MS   20000
#define END_MS     90000
#define FIRST_MS   20000
#define CALM_MS    300 /* before each fault, at most */
#define FAULTS_MAX 32

typedef struct settings {
    uint64_t seed;
    double seconds;       /* for each fault */
    int64_t late_ms_max;  /* of 999 calls in a thousand */
    int64_t worst_ms_max; /* of all calls */
    const char *names[FAULTS_MAX];
    size_t name_count;
} settings;

/* One fault while it runs. */
typedef struct run {
    soak_rig rig; /* first: faults have a pointer to it */
    int board_fd;
    pid_t pids[SOAK_WORKERS];
    unsigned lives[SOAK_WORKERS];
    unsigned injected;
    bool is_broken; /* a worker ended otherwise than it should */
} run;

/* -- workers -------------------------------------------------------------- */

/* The child: only calls that are safe between fork and exec. */
static void become_worker(int board_fd, char *const *argv)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    fcntl(board_fd, F_SETFD, 0);
    execv("/proc/self/exe", argv);
    _exit(127);
}

static void start_worker(run *run, unsigned worker)
{
    char fd[16], number[16], life[16];
    snprintf(fd, sizeof fd, "%d", run->board_fd);
    snprintf(number, sizeof number, "%u", worker);
    snprintf(life, sizeof life, "%u", run->lives[worker]++);
    char *argv[] = {"soak", "--worker", fd, number, life, NULL};
    atomic_store(&run->rig.board->tallies[worker].is_ready, 0);
    run->pids[worker] = fork();
    if (run->pids[worker] == 0)
        become_worker(run->board_fd, argv);
}

static void complain_of_end(run *run, unsigned worker, int status)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    run->is_broken = true;
    if (WIFSIGNALED(status))
        fprintf(stderr, "worker %u was ended by signal %d\n", worker,
                WTERMSIG(status));
    else
        fprintf(stderr, "worker %u ended with %d\n", worker,
                WEXITSTATUS(status));
}

/* Whether it has ended; its pid is 0 then. */
static bool has_ended(run *run, unsigned worker)
{
    int status;
    if (run->pids[worker] == 0)
        return true;
    if (waitpid(run->pids[worker], &status, WNOHANG) != run->pids[worker])
        return false;
    run->pids[worker] = 0;
    complain_of_end(run, worker, status);
    return true;
}

/* False: it has ended, or takes too long. */
static bool await_ready(run *run, unsigned worker)
{
    int64_t until_ms = mtci_boot_ms() + READY_MS;
    while (!atomic_load(&run->rig.board->tallies[worker].is_ready)) {
        if (has_ended(run, worker) || mtci_boot_ms() > until_ms) {
            run->is_broken = true;
            return false;
        }
        soak_nap_us(2000);
    }
    return true;
}

static void restart_worker(soak_rig *rig)
{
    run *all = (run *)rig;
    unsigned worker = SOAK_WORKERS - 1;
    if (has_ended(all, worker))
        return;
    kill(all->pids[worker], SIGKILL);
    waitpid(all->pids[worker], NULL, 0);
    soak_rig_nap(rig, 0, 200);
    start_worker(all, worker);
    if (await_ready(all, worker))
        soak_rig_nap(rig, 1, 400);
}

/* A worker that hangs is ended with a core, if those are wanted. */
static void end_workers(run *run)
{
    int64_t until_ms = mtci_boot_ms() + END_MS;
    atomic_store(&run->rig.board->is_over, 1);
    for (unsigned i = 0; i < SOAK_WORKERS; i++) {
        while (!has_ended(run, i) && mtci_boot_ms() < until_ms)
            soak_nap_us(5000);
        if (run->pids[i] == 0)
            continue;
        fprintf(stderr, "worker %u hangs\n", i);
        run->is_broken = true;
        kill(run->pids[i], SIGABRT);
        waitpid(run->pids[i], NULL, 0);
        run->pids[i] = 0;
    }
}

/* -- one fault ------------------------------------------------------------ */

static void inject_for(run *run, double seconds)
{
    soak_rig *rig = &run->rig;
    int64_t until_ms = mtci_boot_ms() + (int64_t)(seconds * 1000);
    int64_t late_ms = until_ms + FIRST_MS; /* there must be one */
    while (mtci_boot_ms() < (run->injected > 0 ? until_ms : late_ms) &&
           !run->is_broken) {
        soak_rig_nap(rig, 1, CALM_MS);
        run->injected += rig->fault->inject(rig);
        for (unsigned i = 0; i < SOAK_WORKERS; i++)
            if (has_ended(run, i))
                run->is_broken = true;
    }
}

static bool is_good(const run *run, const settings *settings)
{
    bool is_good = !run->is_broken && run->injected > 0;
    for (unsigned i = 0; i < SOAK_WORKERS; i++) {
        const soak_tally *tally = &run->rig.board->tallies[i];
        if (atomic_load(&tally->faults) > 0 || atomic_load(&tally->calls) == 0)
            is_good = false;
    }
    return is_good &&
           soak_late_ms(run->rig.board, false) <= settings->late_ms_max &&
           soak_late_ms(run->rig.board, true) <= settings->worst_ms_max;
}

static bool report(const run *run, const settings *settings, int64_t took_ms)
{
    uint64_t calls = 0, loads = 0, slowest_us = 0, stall_us = 0;
    for (unsigned i = 0; i < SOAK_WORKERS; i++) {
        soak_tally *tally = &run->rig.board->tallies[i];
        uint64_t slowest = atomic_load(&tally->slowest_us);
        uint64_t stall = atomic_load(&tally->stall_us);
        stall_us = stall > stall_us ? stall : stall_us;
        calls += atomic_load(&tally->calls);
        loads += atomic_load(&tally->loads);
        slowest_us = slowest > slowest_us ? slowest : slowest_us;
    }
    bool is_well = is_good(run, settings);
    printf("%-9s %7.1f %10llu %7u %8llu %8.1f %6lld %7lld %7llu  %s\n",
           run->rig.fault->name, (double)took_ms / 1000,
           (unsigned long long)calls, run->injected, (unsigned long long)loads,
           (double)slowest_us / 1000,
           (long long)soak_late_ms(run->rig.board, false),
           (long long)soak_late_ms(run->rig.board, true),
           (unsigned long long)stall_us / 1000, is_well ? "good" : "WRONG");
    if (!is_well)
        printf("  tiers: %s\n", run->rig.board->tiers[0]);
    fflush(stdout);
    return is_well;
}

/* A line in the report; whether all was well. */
static bool run_fault(const soak_fault *fault, const settings *settings)
{
    static run all;
    memset(&all, 0, sizeof all);
    all.rig.fault = fault;
    all.rig.seed = settings->seed ^ (uint64_t)(uint8_t)fault->name[0] << 32;
    all.rig.restart_worker = restart_worker;
    all.rig.board = soak_board_new(&all.board_fd);
    if (!all.rig.board)
        return false;
    all.rig.board->seed = settings->seed;
    all.rig.board->bounds = fault->bounds;
    all.is_broken = !fault->start(&all.rig);
    int64_t from_ms = mtci_boot_ms();
    for (unsigned i = 0; i < SOAK_WORKERS && !all.is_broken; i++)
        start_worker(&all, i);
    for (unsigned i = 0; i < SOAK_WORKERS && !all.is_broken; i++)
        await_ready(&all, i);
    inject_for(&all, settings->seconds);
    end_workers(&all);
    bool is_well = report(&all, settings, mtci_boot_ms() - from_ms);
    fault->stop(&all.rig);
    soak_board_free(all.rig.board, all.board_fd);
    return is_well;
}

/* -- all of them ---------------------------------------------------------- */

static bool is_wanted(const settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->name_count; i++)
        if (strcmp(settings->names[i], name) == 0)
            return true;
    return settings->name_count == 0;
}

static bool is_known(const char *name)
{
    const soak_fault *fault;
    for (unsigned i = 0; (fault = soak_fault_get(i)) != NULL; i++)
        if (strcmp(fault->name, name) == 0)
            return true;
    fprintf(stderr, "no such fault: %s; there are", name);
    for (unsigned i = 0; (fault = soak_fault_get(i)) != NULL; i++)
        fprintf(stderr, " %s", fault->name);
    fprintf(stderr, "\n");
    return false;
}

/* False: not understood. */
static bool read_settings(int argc, char **argv, settings *settings)
{
    for (int i = 1; i < argc; i++) {
        bool has_next = i + 1 < argc;
        if (has_next && strcmp(argv[i], "--seconds") == 0)
            settings->seconds = atof(argv[++i]);
        else if (has_next && strcmp(argv[i], "--seed") == 0)
            settings->seed = strtoull(argv[++i], NULL, 10);
        else if (has_next && strcmp(argv[i], "--late") == 0)
            settings->late_ms_max = atoll(argv[++i]);
        else if (has_next && strcmp(argv[i], "--worst") == 0)
            settings->worst_ms_max = atoll(argv[++i]);
        else if (is_known(argv[i]) && settings->name_count < FAULTS_MAX)
            settings->names[settings->name_count++] = argv[i];
        else
            return false;
    }
    return true;
}

static void tell_how_to_repeat(const char *program, const settings *settings,
                               const char *name)
{
    printf("  again: %s --seed %llu --seconds %g --late %lld --worst %lld "
           "%s\n",
           program, (unsigned long long)settings->seed, settings->seconds,
           (long long)settings->late_ms_max, (long long)settings->worst_ms_max,
           name);
}

static int run_all(const char *program, const settings *settings)
{
    unsigned ran = 0, wrong = 0;
    const soak_fault *fault;
    printf("seed %llu, %g s for each fault\n",
           (unsigned long long)settings->seed, settings->seconds);
    printf("%-9s %7s %10s %7s %8s %8s %6s %7s %7s\n", "fault", "seconds",
           "calls", "faults", "loads", "slowest", "p99.9", "latest", "stall");
    for (unsigned i = 0; (fault = soak_fault_get(i)) != NULL; i++) {
        if (!is_wanted(settings, fault->name))
            continue;
        ran++;
        if (run_fault(fault, settings))
            continue;
        wrong++;
        tell_how_to_repeat(program, settings, fault->name);
    }
    printf(
        "%u faults, %u wrong; slowest: ms from call to return; p99.9, "
        "latest: ms beyond the deadline; stall: ms in which a process was not "
        "run; seed %llu\n",
        ran, wrong, (unsigned long long)settings->seed);
    return wrong > 0;
}

int main(int argc, char **argv)
{
    settings settings = {.seconds = 2,
                         .late_ms_max = SOAK_LATE_MS_MAX,
                         .worst_ms_max = 1000};
    if (argc == 5 && strcmp(argv[1], "--worker") == 0)
        return soak_worker_run(atoi(argv[2]), (unsigned)atoi(argv[3]),
                               (unsigned)atoi(argv[4]));
    settings.seed = (uint64_t)mtci_boot_us() % 1000000007;
    if (!read_settings(argc, argv, &settings))
        return 2;
    if (!test_server_installed(TEST_REDIS) ||
        !test_server_installed(TEST_MEMCACHED)) {
        printf("redis-server or memcached is not installed (make test installs "
               "them)\n");
        return 77;
    }
    return run_all(argv[0], &settings);
}
