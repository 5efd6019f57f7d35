/*
 * The board of a soak; see board.h.
 */
#include "soak/board.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* Of one worker; more of the same tells nothing new. */
#define COMPLAINTS_MAX 10

soak_board *soak_board_open(int fd)
{
    soak_board *board =
        mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return board == MAP_FAILED ? NULL : board;
}

soak_board *soak_board_new(int *fd)
{
    *fd = memfd_create("soak", MFD_CLOEXEC);
    if (*fd < 0)
        return NULL;
    soak_board *board = NULL;
    if (ftruncate(*fd, sizeof *board) == 0)
        board = soak_board_open(*fd);
    if (!board)
        close(*fd);
    return board;
}

void soak_board_free(soak_board *board, int fd)
{
    munmap(board, sizeof *board);
    close(fd);
}

void soak_note_call(soak_tally *tally, int64_t took_us, int64_t late_ms)
{
    if (late_ms < 0)
        late_ms = 0;
    if (late_ms > SOAK_LATE_MS_MAX)
        late_ms = SOAK_LATE_MS_MAX;
    atomic_fetch_add(&tally->late[late_ms], 1);
    atomic_fetch_add(&tally->calls, 1);
    uint64_t slowest = atomic_load(&tally->slowest_us);
    while (slowest < (uint64_t)took_us &&
           !atomic_compare_exchange_weak(&tally->slowest_us, &slowest,
                                         (uint64_t)took_us)) {
    }
}

void soak_complain(soak_board *board, unsigned worker, const char *format, ...)
{
    if (atomic_fetch_add(&board->tallies[worker].faults, 1) >= COMPLAINTS_MAX)
        return;
    char text[640];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "worker %u: %s\n", worker, text);
}

int64_t soak_late_ms(const soak_board *board, bool is_latest)
{
    uint64_t calls = 0, beyond = 0;
    for (unsigned i = 0; i < SOAK_WORKERS; i++)
        calls += atomic_load(&board->tallies[i].calls);
    uint64_t left_out = is_latest ? 0 : calls / 1000;
    for (int64_t ms = SOAK_LATE_MS_MAX; ms > 0; ms--) {
        for (unsigned i = 0; i < SOAK_WORKERS; i++)
            beyond += atomic_load(&board->tallies[i].late[ms]);
        if (beyond > left_out)
            return ms;
    }
    return 0;
}
