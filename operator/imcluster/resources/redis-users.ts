// SPDX-License-Identifier: Apache-2.0
import { STORE_USER, type StoreRole } from "../names.ts";

/** What each user may do: word for word `logic/redis-users.acl`, which says the same for a Redis of somebody else. */
const RULES: Readonly<Record<StoreRole, readonly string[]>> = {
  logic: [
    "resetkeys ~r:{* ~lease:{* ~tomb:{* ~e:{* ~router:generation ~router:generation:{* ~{w:* ~presence:changes ~q:push:dead",
    "resetchannels -@all +ping +info +select +client|setname +cluster|slots +asking +wait +evalsha +script|load +time",
    "+exists +get +set +del +expire +pttl +hget +hgetall +hset +hdel +sadd +srem +scard +sscan +zadd +zrem +zcard +zrange",
    "+zrangebyscore +xadd +xdel +xlen +xrange +xrevrange",
  ],
  extlogic: [
    "resetkeys ~{w:*}:intents %R~{w:*}:trace:* ~q:push:dead resetchannels -@all +ping +info +select +client|setname",
    "+cluster|slots +asking +mget +xadd +xdel +xlen +xrange +xack +xautoclaim +xpending +xreadgroup +xgroup|create",
  ],
};

/** Variable of the server's container with the SHA-256 of the user's password. */
export function redisUserEnv(role: StoreRole): string {
  return `REDIS_${role.toUpperCase()}_PASSWORD_HASH`;
}

/** Arguments of redis-server that make the user when it starts. Kubernetes puts the variable's value in place of `$(...)`. */
export function redisUserArgs(role: StoreRole): string[] {
  const rules = RULES[role].join(" ").split(" ");
  return ["--user", STORE_USER[role], "on", `#$(${redisUserEnv(role)})`, ...rules];
}
