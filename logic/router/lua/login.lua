-- Puts sessions into their slots, each if its login is newer than the stored one.
-- KEYS[i]          r:{uid}   HASH slot -> inc;conn;login_seq;ver;device_id; one per session
-- ARGV[4 i - 3]    slot
-- ARGV[4 i - 2]    inc;conn;     prefix of the new value
-- ARGV[4 i - 1]    login_seq     integer below 2^53
-- ARGV[4 i]        rest          ver;device_id
-- Reply per session {1}       stored, the slot was free or already held by this very session
--                   {1, old}  stored, `old` is the value it replaced
--                   {0, old}  refused: `old` is of a newer login
--                   an error  the key is no hash: the others do not suffer for it
-- Each key on its own, so a Cluster is asked with one. A repeated call changes nothing and answers {1}. The first four
-- fields of a value keep their place in every version of the format.
local replies = {}
for i = 1, #KEYS do
  local key, slot, prefix, seq = KEYS[i], ARGV[4 * i - 3], ARGV[4 * i - 2], ARGV[4 * i - 1]
  local old = redis.pcall('HGET', key, slot)
  local reply = {1}
  if type(old) == 'table' then
    reply = old
  elseif old and string.sub(old, 1, #prefix) ~= prefix then
    local held = tonumber(string.match(old, '^[^;]*;[^;]*;(%d+)'))
    reply = {held and held >= tonumber(seq) and 0 or 1, old}
  end
  if reply[1] == 1 then
    -- Refused at the first write or never (read-only, full): then the whole script is, and nothing was stored.
    redis.call('HSET', key, slot, prefix .. seq .. ';' .. ARGV[4 * i])
  end
  replies[i] = reply
end
return replies
