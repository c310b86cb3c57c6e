-- Notes acknowledgements: everything up to a seq needs no push.
-- KEYS[1]   {w:NN}:wheel    ZSET, see arm.lua
-- KEYS[2]   {w:NN}:pending  HASH, see arm.lua
-- KEYS[3]   {w:NN}:idle     ZSET, see arm.lua
-- ARGV[1]   ms to remember the position of a pair that waits for nothing: a delivery may be noted after its acknowledgement
-- ARGV[2..] two each: slot/uid, seq
-- Reply     how many pairs have moved forward
-- Atomic over keys of one hash tag; positions never move back, a repeated call changes nothing.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local forget = string.format('%.0f', now + tonumber(ARGV[1]))
local moved = 0
for i = 2, #ARGV, 2 do
  local member, seq = ARGV[i], tonumber(ARGV[i + 1])
  local acked, first, rest = 0, 0, ''
  local value = redis.call('HGET', KEYS[2], member)
  if value then
    local a, f, r = string.match(value, '^(%d+);(%d+);(.*)$')
    acked, first, rest = tonumber(a), tonumber(f), r
  end
  if seq > acked then
    moved = moved + 1
    local score, parts = nil, {}
    for l, d in string.gmatch(rest, '(%d+)=(%d+)') do
      if tonumber(l) > seq then
        parts[#parts + 1] = l .. '=' .. d
        if not score or tonumber(d) < score then score = tonumber(d) end
      end
    end
    first = math.max(first, seq + 1)
    redis.call('HSET', KEYS[2], member, string.format('%.0f;%.0f;', seq, first) .. table.concat(parts, ','))
    if score then
      redis.call('ZADD', KEYS[1], string.format('%.0f', score), member)
    else
      if value then redis.call('ZREM', KEYS[1], member) end
      redis.call('ZADD', KEYS[3], forget, member)
    end
  end
end
return moved
