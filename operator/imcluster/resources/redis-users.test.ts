// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { it } from "node:test";
import { STORE_ROLES } from "../names.ts";
import { redisUserArgs, redisUserEnv } from "./redis-users.ts";

const FILE = readFileSync(new URL("../../../logic/redis-users.acl", import.meta.url), "utf8");

it("users of the embedded Redis may do what those of logic/redis-users.acl may, which are tested", () => {
  const lines = STORE_ROLES.map((role) => {
    const [option, ...words] = redisUserArgs(role);
    assert.equal(option, "--user");
    return `user ${words.join(" ")}\n`.replace(`#$(${redisUserEnv(role)})`, ">CHANGE-ME");
  });
  assert.equal(lines.join(""), FILE);
});

it("no word looks like another option of redis-server, or like a variable", () => {
  for (const role of STORE_ROLES) {
    const [, , , hash, ...rules] = redisUserArgs(role);
    assert.match(hash ?? "", /^#\$\(REDIS_[A-Z]+_PASSWORD_HASH\)$/);
    for (const rule of rules) assert.doesNotMatch(rule, /^--|\$\(|\s|^$/);
  }
});
