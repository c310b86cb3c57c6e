-- Moves what was not acknowledged in time from the wheel to the stream of push intents, in one step.
-- KEYS[1] {w:NN}:wheel    ZSET, see arm.lua
-- KEYS[2] {w:NN}:pending  HASH, see arm.lua
-- KEYS[3] {w:NN}:idle     ZSET, see arm.lua
-- KEYS[4] {w:NN}:intents  STREAM of push intents: u user, s last seq, c cause, f first seq, l slot
-- ARGV[1] most pairs in this call
-- ARGV[2] most entries of the stream: when it is full the wheel waits
-- Reply   {pairs that wait, ms by which the latest was late, ms until the next deadline or -1, slot/uid, first, last, ...}
-- Atomic over keys of one hash tag: an item is either on the wheel or in the stream, and each deadline fires once.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local late = 0
local fired = {}
if redis.call('XLEN', KEYS[4]) < tonumber(ARGV[2]) then
  local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'WITHSCORES', 'LIMIT', 0, ARGV[1])
  for i = 1, #due, 2 do
    local member = due[i]
    late = math.max(late, now - tonumber(due[i + 1]))
    local acked, first, rest = string.match(redis.call('HGET', KEYS[2], member) or '', '^(%d+);(%d+);(.*)$')
    local last, left = nil, {}
    for l, d in string.gmatch(rest or '', '(%d+)=(%d+)') do
      if tonumber(d) <= now then
        -- Groups before a due one are covered by it.
        last, left = l, {}
      else
        left[#left + 1] = {l, d}
      end
    end
    if last then
      local slot, user = string.match(member, '^([^/]*)/(.*)$')
      redis.call('XADD', KEYS[4], '*', 'u', user, 's', last, 'c', 'timeout', 'f', first, 'l', slot)
      fired[#fired + 1] = member
      fired[#fired + 1] = first
      fired[#fired + 1] = last
    end
    if #left == 0 then
      redis.call('ZREM', KEYS[1], member)
      redis.call('HDEL', KEYS[2], member)
    else
      local score, parts = tonumber(left[1][2]), {}
      for p = 1, #left do
        score = math.min(score, tonumber(left[p][2]))
        parts[p] = left[p][1] .. '=' .. left[p][2]
      end
      local from = string.format('%.0f', tonumber(last or first) + (last and 1 or 0))
      redis.call('HSET', KEYS[2], member, acked .. ';' .. from .. ';' .. table.concat(parts, ','))
      redis.call('ZADD', KEYS[1], string.format('%.0f', score), member)
    end
  end
end
local idle = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, ARGV[1])
for i = 1, #idle do
  redis.call('ZREM', KEYS[3], idle[i])
  redis.call('HDEL', KEYS[2], idle[i])
end
local wait = -1
local soonest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if soonest[2] then
  wait = math.max(0, tonumber(soonest[2]) - now)
  late = math.max(late, now - tonumber(soonest[2]))
end
local reply = {redis.call('ZCARD', KEYS[1]), late, wait}
for i = 1, #fired do reply[#reply + 1] = fired[i] end
return reply
