/*
 * Connections and the turn to write; see pool.h.
 */
#include "tier/disk/pool.h"

#include "base/sync.h"
#include "tier/disk/file.h"

enum { TURN_FREE, TURN_TAKEN, TURN_WAITED_FOR };

static mtci_disk_conn *pop(mtci_disk *disk)
{
    pthread_mutex_lock(&disk->mutex);
    mtci_disk_conn *conn = disk->idle;
    if (conn)
        disk->idle = conn->next;
    pthread_mutex_unlock(&disk->mutex);
    return conn;
}

int mtci_disk_pool_take(mtci_disk *disk, int64_t deadline_ms,
                        mtci_disk_conn **conn)
{
    while ((*conn = pop(disk)) != NULL) {
        if (mtci_disk_place_is(&disk->place, &(*conn)->id))
            return SQLITE_OK;
        mtci_disk_conn_close(*conn);
    }
    int64_t wait_ms = deadline_ms - mtci_disk_now_ms(disk);
    return mtci_disk_file_open(disk, false, wait_ms, conn);
}

void mtci_disk_pool_give(mtci_disk *disk, mtci_disk_conn *conn, int result)
{
    if (result != SQLITE_OK && (result & 0xff) != SQLITE_BUSY) {
        mtci_disk_conn_close(conn);
        return;
    }
    pthread_mutex_lock(&disk->mutex);
    conn->next = disk->idle;
    disk->idle = conn;
    pthread_mutex_unlock(&disk->mutex);
}

void mtci_disk_pool_drain(mtci_disk *disk)
{
    mtci_disk_conn *conn;
    while ((conn = pop(disk)) != NULL)
        mtci_disk_conn_close(conn);
}

bool mtci_disk_turn_take(mtci_disk *disk, int64_t deadline_ms)
{
    uint32_t seen = TURN_FREE;
    if (atomic_compare_exchange_strong(&disk->turn, &seen, TURN_TAKEN))
        return true;
    while (atomic_exchange(&disk->turn, TURN_WAITED_FOR) != TURN_FREE) {
        int64_t wait_ms = deadline_ms - mtci_disk_now_ms(disk);
        if (wait_ms <= 0 ||
            !mtci_word_wait(&disk->turn, TURN_WAITED_FOR, wait_ms))
            return false;
    }
    return true;
}

void mtci_disk_turn_give(mtci_disk *disk)
{
    if (atomic_exchange(&disk->turn, TURN_FREE) == TURN_WAITED_FOR)
        mtci_word_wake(&disk->turn);
}
