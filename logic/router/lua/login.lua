-- Puts a session into its slot if its login is newer than the stored one.
-- KEYS[1]  r:{uid}   HASH slot -> inc;conn;login_seq;ver;device_id
-- ARGV[1]  slot
-- ARGV[2]  inc;conn;     prefix of the new value
-- ARGV[3]  login_seq     integer below 2^53
-- ARGV[4]  rest          ver;device_id
-- Reply    {1}       stored, the slot was free or already held by this very session
--          {1, old}  stored, `old` is the value it replaced
--          {0, old}  refused: `old` is of a newer login
-- Atomic over one key; a repeated call changes nothing and answers {1}. The first four fields of a value keep
-- their place in every version of the format.
local old = redis.call('HGET', KEYS[1], ARGV[1])
local value = ARGV[2] .. ARGV[3] .. ';' .. ARGV[4]
if not old then
  redis.call('HSET', KEYS[1], ARGV[1], value)
  return {1}
end
if string.sub(old, 1, #ARGV[2]) == ARGV[2] then
  redis.call('HSET', KEYS[1], ARGV[1], value)
  return {1}
end
local seq = tonumber(string.match(old, '^[^;]*;[^;]*;(%d+)'))
if seq and seq >= tonumber(ARGV[3]) then
  return {0, old}
end
redis.call('HSET', KEYS[1], ARGV[1], value)
return {1, old}
