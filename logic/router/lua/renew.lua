-- Renews the lease of an entry incarnation, unless it is fenced.
-- KEYS[1]   tomb:{inc}
-- KEYS[2]   lease:{inc}
-- KEYS[3..] e:{inc}:NN   the shards of its reverse index, kept alive for as long as it is
-- ARGV[1]   lease in ms
-- ARGV[2]   time to live of the index in seconds
-- Reply     1 renewed, 0 fenced (the lease is gone)
-- Atomic over keys of one hash tag; idempotent.
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('DEL', KEYS[2])
  return 0
end
redis.call('SET', KEYS[2], '1', 'PX', ARGV[1])
for i = 3, #KEYS do
  redis.call('EXPIRE', KEYS[i], ARGV[2])
end
return 1
