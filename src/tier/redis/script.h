/*
 * What the server does in one step for a tier: scripts in its Lua, which see
 * frames by their bytes (docs/frame.md). KEYS[1] is the key. Constant.
 */
#ifndef MTCI_TIER_REDIS_SCRIPT_H
#define MTCI_TIER_REDIS_SCRIPT_H

/* Where the end of a lease is told: the message is the hash of the key. */
#define MTCI_REDIS_LEASE_CHANNEL "mtc:leases"

/* EXPIRE: message. Cuts what is left to the window; a lease goes, and the
 * entry inside stays. */
extern const char mtci_redis_expire_script[];

/* READ: frame of a lease, lease_ms (0: take none). Answers PTTL, GET, and 1
 * if the lease is taken. Sent twice, it is taken once. */
extern const char mtci_redis_take_script[];

/* STORE: frame of the lease, message, what to keep, life in ms or 0. Answers 1
 * if the lease was held and the entry is stored. */
extern const char mtci_redis_fill_script[];

/* Frame of the lease, message, lease_ms: the lease lives on. */
extern const char mtci_redis_renew_script[];

/* Frame of the lease, message: the entry inside is put back. */
extern const char mtci_redis_give_back_script[];

#endif
