-- Tells the time of the Redis that holds a key.
-- KEYS[1]   any key
-- Reply     ms since the epoch
local time = redis.call('TIME')
return time[1] * 1000 + math.floor(time[2] / 1000)
