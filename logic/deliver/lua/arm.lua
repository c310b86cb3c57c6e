-- Notes deliveries that wait for an acknowledgement.
-- KEYS[1]   {w:NN}:wheel    ZSET slot/uid -> its earliest deadline, ms of this server's clock
-- KEYS[2]   {w:NN}:pending  HASH slot/uid -> acked;from;last=deadline,last=deadline,...
--           acked = highest acknowledged seq; from = first seq waited for; then groups of deliveries, by their last seq
-- KEYS[3]   {w:NN}:idle     ZSET slot/uid -> when a pair that waits for nothing is forgotten
-- ARGV[1]   grain in ms: deliveries this close share the deadline of the first
-- ARGV[2..] four each: slot/uid, first seq, last seq, ms until the deadline
-- Reply     how many were not acknowledged already
-- Atomic over keys of one hash tag; a repeated call moves no deadline.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local grain = tonumber(ARGV[1])
local armed = 0
for i = 2, #ARGV, 4 do
  local member = ARGV[i]
  local from, last = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local deadline = now + tonumber(ARGV[i + 3])
  local acked, first, points = 0, nil, {}
  local value = redis.call('HGET', KEYS[2], member)
  if value then
    local a, f, rest = string.match(value, '^(%d+);(%d+);(.*)$')
    acked, first = tonumber(a), tonumber(f)
    for l, d in string.gmatch(rest, '(%d+)=(%d+)') do
      points[#points + 1] = {tonumber(l), tonumber(d)}
    end
  end
  if last > acked then
    armed = armed + 1
    if value and #points == 0 then redis.call('ZREM', KEYS[3], member) end
    from = math.max(from, acked + 1)
    if #points == 0 or from < first then first = from end
    local at = 1
    while at <= #points and points[at][1] < last do at = at + 1 end
    if at <= #points then
      -- Came out of order: what is older than a noted group is due no later than it was sent.
      if points[at][2] > deadline then points[at][2] = deadline end
    elseif at > 1 and deadline - points[at - 1][2] <= grain then
      points[at - 1][1] = last
      if points[at - 1][2] > deadline then points[at - 1][2] = deadline end
    else
      points[at] = {last, deadline}
    end
    local score, parts = points[1][2], {}
    for p = 1, #points do
      if points[p][2] < score then score = points[p][2] end
      parts[p] = string.format('%.0f=%.0f', points[p][1], points[p][2])
    end
    redis.call('HSET', KEYS[2], member, string.format('%.0f;%.0f;', acked, first) .. table.concat(parts, ','))
    redis.call('ZADD', KEYS[1], string.format('%.0f', score), member)
  end
end
return armed
