/*
 * Which process has files open through SQLite.
 *
 * SQLite keeps the locks of a process on its files in memory, and guards that
 * with locks of threads. A forked child inherits both: it would believe to have
 * locks that are its parent's, or wait for threads that it does not have. So
 * in a child nothing is opened as long as its parent had something open when
 * it forked. Any thread.
 */
#ifndef MTCI_TIER_DISK_PROCESS_H
#define MTCI_TIER_DISK_PROCESS_H

#include <stdbool.h>

/* Before anything of SQLite's is called; false: it was the parent that did. */
bool mtci_disk_process_enter(void);

/* After the last call, in the process that entered. */
void mtci_disk_process_leave(void);

#endif
