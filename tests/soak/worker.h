/*
 * A worker: one process with one cache under load.
 */
#ifndef SOAK_WORKER_H
#define SOAK_WORKER_H

/* In the worker's own process: runs until the board says that it is over,
 * looks whether everything came to rest, and returns its exit status. life:
 * counts from 0, for a worker that is killed and started again. */
int soak_worker_run(int board_fd, unsigned worker, unsigned life);

#endif
