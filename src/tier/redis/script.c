/*
 * The scripts. See script.h.
 *
 * A lease is a frame, two numbers of 8 bytes, and the stale entry that the
 * key had, if any. The numbers are what is left of the key's life when the
 * lease ends, and when the entry does: so nobody needs a clock but PTTL.
 */
#include "tier/redis/script.h"

/* number: little-endian. window: of an entry, 0 if it has none. lease_at:
 * where the numbers of a lease begin; nil: it is none. */
#define READ_FRAMES                                                            \
    "local key = KEYS[1]\n"                                                    \
    "local function number(bytes, from, size)\n"                               \
    "  local sum = 0\n"                                                        \
    "  for i = from + size - 1, from, -1 do\n"                                 \
    "    sum = sum * 256 + (string.byte(bytes, i) or 0)\n"                     \
    "  end\n"                                                                  \
    "  return sum\n"                                                           \
    "end\n"                                                                    \
    "local function is_frame(bytes)\n"                                         \
    "  return string.sub(bytes, 1, 5) == '\\247MT\\0\\1'\n"                    \
    "end\n"                                                                    \
    "local function window(bytes)\n"                                           \
    "  if not is_frame(bytes) then return 0 end\n"                             \
    "  local at, stop = 17, 16 + number(bytes, 6, 3)\n"                        \
    "  while at < stop and (string.byte(bytes, at) or 0) > 0 do\n"             \
    "    local size = number(bytes, at + 1, 3)\n"                              \
    "    if string.byte(bytes, at) == 131 and size == 8 then\n"                \
    "      return number(bytes, at + 4, 8)\n"                                  \
    "    end\n"                                                                \
    "    at = at + 4 + size\n"                                                 \
    "  end\n"                                                                  \
    "  return 0\n"                                                             \
    "end\n"                                                                    \
    "local function lease_at(bytes)\n"                                         \
    "  if is_frame(bytes) and\n"                                               \
    "      string.sub(bytes, 17, 21) == '\\129\\1\\0\\0\\2' then\n"            \
    "    return 17 + number(bytes, 6, 3)\n"                                    \
    "  end\n"                                                                  \
    "end\n"

/* unwrap: what is left of a lease, the entry (false: none) and what is left
 * of that. wrap: a lease around an entry. put_back: the entry alone. held: as
 * unwrap, if the lease of this frame is held. tell: whoever waits. */
#define KEEP_LEASES                                                            \
    "local function unwrap(bytes, life)\n"                                     \
    "  local at = lease_at(bytes)\n"                                           \
    "  if not at then return 0, bytes, life end\n"                             \
    "  local left = life - number(bytes, at + 8, 8)\n"                         \
    "  local entry = left > 0 and #bytes >= at + 16 and\n"                     \
    "      string.sub(bytes, at + 16)\n"                                       \
    "  return life - number(bytes, at, 8), entry, left\n"                      \
    "end\n"                                                                    \
    "local function set(bytes, life)\n"                                        \
    "  redis.call('SET', key, bytes, 'PX', string.format('%.0f', life))\n"     \
    "end\n"                                                                    \
    "local function wrap(frame, ms, entry, left)\n"                            \
    "  if not entry or left <= 0 then entry, left = '', 0 end\n"               \
    "  local life = math.max(ms, left)\n"                                      \
    "  set(frame .. struct.pack('<I8I8', life - ms, life - left) .. entry,\n"  \
    "      life)\n"                                                            \
    "end\n"                                                                    \
    "local function put_back(entry, left)\n"                                   \
    "  if entry then set(entry, left) else redis.call('UNLINK', key) end\n"    \
    "end\n"                                                                    \
    "local function held(frame)\n"                                             \
    "  local bytes = redis.pcall('GET', key)\n"                                \
    "  if type(bytes) ~= 'string' or\n"                                        \
    "      string.sub(bytes, 1, #frame) ~= frame then\n"                       \
    "    return false\n"                                                       \
    "  end\n"                                                                  \
    "  local ends, entry, left = unwrap(bytes, redis.call('PTTL', key))\n"     \
    "  return ends > 0, entry, left\n"                                         \
    "end\n"                                                                    \
    "local function tell(message)\n"                                           \
    "  redis.pcall('PUBLISH', '" MTCI_REDIS_LEASE_CHANNEL "', message)\n"      \
    "end\n"

const char mtci_redis_expire_script[] = READ_FRAMES KEEP_LEASES
    "local bytes = redis.call('GETRANGE', key, 0, 15)\n"
    "if is_frame(bytes) then\n"
    "  bytes = redis.call('GETRANGE', key, 0, 15 + number(bytes, 6, 3))\n"
    "end\n"
    "local left = redis.call('PTTL', key)\n"
    "if lease_at(bytes) then\n"
    "  local _, entry, rest = unwrap(redis.call('GET', key), left)\n"
    "  put_back(entry, rest)\n"
    "  tell(ARGV[1])\n"
    "  return 1\n"
    "end\n"
    "local window = window(bytes)\n"
    "if window == 0 then return redis.call('UNLINK', key) end\n"
    "if left >= 0 and left <= window then return 0 end\n"
    "return redis.call('PEXPIRE', key, string.format('%.0f', window))\n";

const char mtci_redis_take_script[] = READ_FRAMES KEEP_LEASES
    "local frame, ms = ARGV[1], tonumber(ARGV[2])\n"
    "local bytes = redis.pcall('GET', key)\n"
    "if type(bytes) == 'table' then return bytes end\n"
    "local life = redis.call('PTTL', key)\n"
    "if bytes and string.sub(bytes, 1, #frame) == frame then\n"
    "  return {life, bytes, 1}\n"
    "end\n"
    "local ends, entry, left = 0, false, -2\n"
    "if bytes then ends, entry, left = unwrap(bytes, life) end\n"
    "if ms == 0 or ends > 0 then return {life, bytes, 0} end\n"
    "if entry and (left < 0 or left > window(entry)) then\n"
    "  return {left, entry, 0}\n"
    "end\n"
    "wrap(frame, ms, entry, left)\n"
    "return {left, entry, 1}\n";

const char mtci_redis_fill_script[] =
    READ_FRAMES KEEP_LEASES "local is_held = held(ARGV[1])\n"
                            "if is_held and ARGV[4] == '0' then\n"
                            "  redis.call('SET', key, ARGV[3])\n"
                            "elseif is_held then\n"
                            "  redis.call('SET', key, ARGV[3], 'PX', ARGV[4])\n"
                            "end\n"
                            "tell(ARGV[2])\n"
                            "return is_held and 1 or 0\n";

const char mtci_redis_renew_script[] =
    READ_FRAMES KEEP_LEASES "local is_held, entry, left = held(ARGV[1])\n"
                            "if is_held then\n"
                            "  wrap(ARGV[1], tonumber(ARGV[3]), entry, left)\n"
                            "else\n"
                            "  tell(ARGV[2])\n"
                            "end\n"
                            "return is_held and 1 or 0\n";

const char mtci_redis_give_back_script[] =
    READ_FRAMES KEEP_LEASES "local is_held, entry, left = held(ARGV[1])\n"
                            "if is_held then put_back(entry, left) end\n"
                            "tell(ARGV[2])\n"
                            "return is_held and 1 or 0\n";
