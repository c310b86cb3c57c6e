// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RedisServer } from "./server.ts";

function run(lua: string, keys: string[] = [], args: string[] = []): unknown {
  const server = new RedisServer(() => 1_700_000_000_123);
  const sha = server.execute(["SCRIPT", "LOAD", lua]);
  return server.execute(["EVALSHA", String(sha), String(keys.length), ...keys, ...args]);
}

describe("Lua of the Redis model", () => {
  for (const [lua, reply] of [
    ["return 1 + 2 * 3 - 4 / 2", 5],
    ["return 'a' .. 1 .. 'b'", "a1b"],
    ["return tostring(1700000000123 * 1)", "1700000000123"],
    ["local a, b = 1, 2; a, b = b, a; return {a, b}", [2, 1]],
    ["local t = {}; for i = 1, 3 do t[#t + 1] = i * 2 end; return t", [2, 4, 6]],
    ["local t = {}; for i = 3, 1, -1 do table.insert(t, i) end; return t", [3, 2, 1]],
    ["local s = 0; for _, v in ipairs({1, 2, 3}) do s = s + v end; return s", 6],
    ["local n = 0; while true do n = n + 1; if n >= 4 then break end end; return n", 4],
    ["local n = 0; repeat n = n + 1 until n == 3; return n", 3],
    ["local function f(x) return x + 1 end; return f(1)", 2],
    ["return string.match('ab;12;c', '^[^;]*;(%d+)')", "12"],
    ["return {string.match('k=v', '(%w+)=(%w+)')}", ["k", "v"]],
    ["local k, v = string.match('k=v', '(%w+)=(%w+)'); return v .. k", "vk"],
    ["return string.sub('hello', 2, 3)", "el"],
    ["return string.sub('hello', -3)", "llo"],
    ["return #'abc' + #{1, 2}", 5],
    ["return string.format('%.0f;%d;%s', 1700000000123, 7, 'x')", "1700000000123;7;x"],
    ["local s = ''; for l, d in string.gmatch('1=2,3=4', '(%d+)=(%d+)') do s = s .. l .. d end; return s", "1234"],
    ["return nil", null],
    ["return false", null],
    ["return true", 1],
    ["return 3.9", 3],
    ["return {1, nil, 3}", [1]],
    ["if nil or false then return 1 elseif not nil then return 2 else return 3 end", 2],
    ["return tonumber('x')", null],
    ["return tonumber('42') % 5", 2],
    ["return redis.call('TIME')", ["1700000000", "123000"]],
    ["redis.call('SET', 'k', 'v'); return redis.call('GET', 'k')", "v"],
    ["if not redis.call('GET', 'none') then return 'nothing' end", "nothing"],
    ["return redis.call('SET', 'k', 'v')", "OK"],
    ["redis.call('HSET', 'h', 'a', '1', 'b', '2'); return redis.call('HGETALL', 'h')", ["a", "1", "b", "2"]],
    ["return {KEYS[1], ARGV[1], #KEYS, #ARGV}", ["k", "a", 1, 2]],
    ["return unpack({'x'})", "x"],
    ["local function f() return 1, 2 end; local a, b = f(); return {a, b, f()}", [1, 2, 1, 2]],
    ["local function f() return 1, 2 end; return {f(), 3}", [1, 3]],
    [
      "local t = {1, 2, 3}; t[2] = nil; local n = 0; for _ in pairs(t) do n = n + 1 end; return {#t, n, t[3]}",
      [1, 2, 3],
    ],
    ["local t = {}; t[2] = 'b'; t[1] = 'a'; t.x = 'y'; return {#t, t[1], t[2], t.x}", [2, "a", "b", "y"]],
    ["local s = 0; for i = 10, 1, -3 do s = s + i end; return s", 22],
    ["local s = ''; for w in string.gmatch('ab,c', '%w+') do s = s .. '<' .. w .. '>' end; return s", "<ab><c>"],
    ["return math.floor(2.7) + math.max(1, 5)", 7],
  ] as const) {
    it(lua, () => {
      const result = run(lua, ["k"], ["a", "b"]);
      assert.deepEqual(result, reply);
    });
  }

  it("raises what a command refuses as the reply", () => {
    const reply = run("redis.call('SET', 'k', 'v'); return redis.call('HGET', 'k', 'f')");
    assert.ok(reply instanceof Error && reply.message.startsWith("WRONGTYPE"));
  });

  it("gives a script what a command refuses when it asks with pcall", () => {
    const reply = run("redis.call('SET', 'k', 'v'); return {redis.pcall('HGET', 'k', 'f'), 1}");
    assert.ok(Array.isArray(reply) && reply[0] instanceof Error && reply[1] === 1);
    assert.equal(run("return type(redis.pcall('HGET', 'k', 'f'))"), "boolean");
  });

  it("does not know a script before it was loaded, nor after a restart", () => {
    const server = new RedisServer(() => 0);
    const sha = String(server.execute(["SCRIPT", "LOAD", "return 1"]));
    assert.equal(server.execute(["EVALSHA", sha, "0"]), 1);
    server.restart();
    assert.match(String(server.execute(["EVALSHA", sha, "0"])), /NOSCRIPT/);
  });
});
