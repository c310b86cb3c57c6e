-- Compare-and-delete of one session, whatever slot it is in.
-- KEYS[1]  r:{uid}   HASH slot -> inc;conn;login_seq;ver;device_id
-- ARGV[1]  inc;conn;   prefix that names the session
-- Reply    number of routes deleted: 0 when the slot is free or belongs to another session
-- Atomic over one key; a repeated call deletes nothing.
local routes = redis.call('HGETALL', KEYS[1])
local deleted = 0
for i = 1, #routes, 2 do
  if string.sub(routes[i + 1], 1, #ARGV[1]) == ARGV[1] then
    deleted = deleted + redis.call('HDEL', KEYS[1], routes[i])
  end
end
return deleted
