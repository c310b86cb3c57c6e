-- Compare-and-delete of one session, whatever slot it is in.
-- KEYS[1]  r:{uid}   HASH slot -> inc;conn;login_seq;ver;device_id
-- ARGV[1]  inc;conn;   prefix that names the session
-- ARGV[2]  ver          version of the values that are ours
-- Reply    number of routes deleted: 0 when the slot is free, another session's or of another version
-- Atomic over one key; a repeated call deletes nothing.
local routes = redis.call('HGETALL', KEYS[1])
local deleted = 0
for i = 1, #routes, 2 do
  local ver = string.match(routes[i + 1], '^[^;]*;[^;]*;[^;]*;(%d+)')
  if ver == ARGV[2] and string.sub(routes[i + 1], 1, #ARGV[1]) == ARGV[1] then
    deleted = deleted + redis.call('HDEL', KEYS[1], routes[i])
  end
end
return deleted
