"""The Lua that runs inside Redis, so that looking at a lease and changing it is one step.

A lease is a key with the holder's mark and the claim's number, ``worker:token:17``, and always with a time to live;
what has none, or is of another type, or would live for minutes, is no lease and may be overwritten. Every script that
sets or renews a lease also renews the replica's own key, so that no lease outlives it: who sees that key gone may claim
the replica's rooms.
"""

_HEAD = """
local function lease(key)
  local value = redis.pcall('GET', key)
  if type(value) ~= 'string' then return nil end
  local left = redis.call('PTTL', key)
  if left < 0 or left > 60000 then return nil end
  return value
end
local function ours(value, mark)
  return string.sub(value, 1, #mark) == mark and string.find(string.sub(value, #mark + 1), '^%d+$') ~= nil
end
local function number(value, mark) return tonumber(string.sub(value, #mark + 1)) end
"""

_LIVING = """
local function living(set, prefix)
  local out = {}
  local ids = redis.pcall('SMEMBERS', set)
  if ids.err then return out end
  for _, id in ipairs(ids) do
    local load = redis.pcall('GET', prefix .. id)
    if type(load) == 'string' then
      table.insert(out, id)
      table.insert(out, load)
    else
      redis.call('SREM', set, id)
    end
  end
  return out
end
"""

CLAIM = (
    _HEAD
    + """
-- KEYS: lease, our replica key. ARGV: mark, number, ms of a lease, least ms that our replica key must still live
if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[4]) then return 'away' end
local value = lease(KEYS[1])
if value and not ours(value, ARGV[1]) then return 'lost' end
if value and number(value, ARGV[1]) > tonumber(ARGV[2]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
else
  redis.call('SET', KEYS[1], ARGV[1] .. ARGV[2], 'PX', ARGV[3])
end
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 'won'
"""
)
"""Claim one room. ``away``: we have not renewed for too long to know what is free, see `leases.GAP_S`."""

BEAT = (
    _HEAD
    + _LIVING
    + """
-- KEYS: our replica key, set of replicas, leases. ARGV: id, load, mark, ms of a lease, prefix of replica keys, numbers
local done = {}
local known = redis.call('EXISTS', KEYS[1])
for i = 3, #KEYS do
  local value = lease(KEYS[i])
  if not value then
    redis.call('SET', KEYS[i], ARGV[3] .. ARGV[i + 3], 'PX', ARGV[4])
    done[i - 2] = 2
  elseif ours(value, ARGV[3]) then
    redis.call('PEXPIRE', KEYS[i], ARGV[4])
    done[i - 2] = 1
  else
    done[i - 2] = 0
  end
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[4])
local added = redis.pcall('SADD', KEYS[2], ARGV[1])
if type(added) == 'table' then
  redis.call('DEL', KEYS[2])
  redis.call('SADD', KEYS[2], ARGV[1])
end
return {redis.call('TIME'), known, done, living(KEYS[2], ARGV[5])}
"""
)
"""Renew all leases of ours and say that we live. Answers with the time, whether we were known before, what became of
each lease (`leases.Renewal`), and who lives."""

LOOK = (
    _LIVING
    + """
-- KEYS: set of replicas. ARGV: prefix of replica keys
return living(KEYS[1], ARGV[1])
"""
)
"""Who lives: worker id, load, worker id, load, …"""

RELEASE = (
    _HEAD
    + """
-- KEYS: leases. ARGV: mark, the highest number to delete for each lease
for i, key in ipairs(KEYS) do
  local value = lease(key)
  if value and ours(value, ARGV[1]) and number(value, ARGV[1]) <= tonumber(ARGV[i + 1]) then
    redis.call('DEL', key)
  end
end
return #KEYS
"""
)
"""Give leases of ours back."""

ASK = """
-- KEYS: hash of requests. ARGV: room, request, most requests, s to live
local count = redis.pcall('HLEN', KEYS[1])
if type(count) == 'table' then
  redis.call('DEL', KEYS[1])
  count = 0
end
if count >= tonumber(ARGV[3]) and redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 1
"""
"""Share a request, unless there are too many."""
