/*
 * What other parts of the library may know of a Redis tier: its client.
 */
#ifndef MTCI_TIER_REDIS_REDIS_H
#define MTCI_TIER_REDIS_REDIS_H

#include "redis/cluster.h"

/* The client of a tier that was opened by the URL of one server; NULL for any
 * other tier. Borrowed as long as the tier lives. */
mtci_redis_client *mtci_redis_tier_client(mtc_tier *tier);

/* The cluster of a tier that was opened by the URL of one, likewise. */
mtci_redis_cluster *mtci_redis_tier_cluster(mtc_tier *tier);

#endif
