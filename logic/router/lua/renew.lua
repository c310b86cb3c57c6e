-- Renews the lease of an entry incarnation, unless it is fenced. The lease counts from the moment it was asked for,
-- not from when this runs: a renewal that waited in a frozen Redis keeps no dead entry online.
-- KEYS[1]   tomb:{inc}
-- KEYS[2]   lease:{inc}
-- KEYS[3..] e:{inc}:NN   the shards of its reverse index, kept alive for as long as it is
-- ARGV[1]   when the lease ends, in ms of this Redis's time (time.lua)
-- ARGV[2]   length of a lease in ms: no more, whatever became of the time in a failover
-- ARGV[3]   time to live of the index in seconds
-- Reply     ms that are left of this lease, 0 when it came too late; -1 fenced (the lease is gone)
-- Atomic over keys of one hash tag; idempotent.
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('DEL', KEYS[2])
  return -1
end
local time = redis.call('TIME')
local left = tonumber(ARGV[1]) - (time[1] * 1000 + math.floor(time[2] / 1000))
left = math.max(0, math.min(left, tonumber(ARGV[2])))
if left > 0 and left > redis.call('PTTL', KEYS[2]) then
  redis.call('SET', KEYS[2], '1', 'PX', string.format('%.0f', left))
end
for i = 3, #KEYS do
  redis.call('EXPIRE', KEYS[i], ARGV[3])
end
return left
