-- Compare-and-delete of sessions, whatever slots they are in.
-- KEYS[i]      r:{uid}   HASH slot -> inc;conn;login_seq;ver;device_id; one per session
-- ARGV[1]      ver          version of the values that are ours
-- ARGV[i + 1]  inc;conn;   prefix that names the session
-- Reply        per session the number of routes deleted: 0 when the slot is free, another session's or of another version;
--              or an error: the key is no hash, and the others do not suffer for it
-- Each key on its own, so a Cluster is asked with one. A repeated call deletes nothing.
local replies = {}
for i = 1, #KEYS do
  local routes = redis.pcall('HGETALL', KEYS[i])
  local deleted = routes.err and routes or 0
  for at = 1, #routes, 2 do
    local prefix = ARGV[i + 1]
    local ver = string.match(routes[at + 1], '^[^;]*;[^;]*;[^;]*;(%d+)')
    if ver == ARGV[1] and string.sub(routes[at + 1], 1, #prefix) == prefix then
      deleted = deleted + redis.call('HDEL', KEYS[i], routes[at])
    end
  end
  replies[i] = deleted
end
return replies
