-- Declares an entry incarnation dead: it can neither renew its lease nor log anyone in.
-- KEYS[1]  tomb:{inc}
-- KEYS[2]  lease:{inc}
-- ARGV[1]  time to live of the tombstone in seconds
-- Reply    1
-- Atomic over keys of one hash tag; idempotent, a repetition only prolongs the tombstone.
redis.call('SET', KEYS[1], '1', 'EX', ARGV[1])
redis.call('DEL', KEYS[2])
return 1
