// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parseRedisUrl } from "./redis-url.ts";

const PLAIN = {
  isTls: false,
  username: undefined,
  password: undefined,
  database: 0,
  group: "",
  sentinelUsername: undefined,
  sentinelPassword: undefined,
};

describe("parseRedisUrl", () => {
  it("reads one server", () => {
    const nodes = [{ host: "redis", port: 6379 }];
    assert.deepEqual(parseRedisUrl("redis://redis"), { ...PLAIN, mode: "standalone", nodes });
    assert.deepEqual(parseRedisUrl("rediss://app:p%40ss@redis.shop.svc:6380/3"), {
      ...PLAIN,
      mode: "standalone",
      nodes: [{ host: "redis.shop.svc", port: 6380 }],
      isTls: true,
      username: "app",
      password: "p@ss",
      database: 3,
    });
    assert.equal(parseRedisUrl("redis://:secret@h/").password, "secret");
    assert.deepEqual(parseRedisUrl("redis://[::1]:7000").nodes, [{ host: "::1", port: 7000 }]);
  });

  it("reads sentinels and their group", () => {
    assert.deepEqual(parseRedisUrl("redis+sentinel://app:pw@s1,s2:26380/im/2?sentinelPassword=other"), {
      ...PLAIN,
      mode: "sentinel",
      nodes: [
        { host: "s1", port: 26_379 },
        { host: "s2", port: 26_380 },
      ],
      username: "app",
      password: "pw",
      group: "im",
      database: 2,
      sentinelPassword: "other",
    });
  });

  it("reads nodes of a Cluster", () => {
    const target = parseRedisUrl("rediss+cluster://a:1,b:2");
    assert.deepEqual([target.mode, target.isTls, target.nodes.map(({ port }) => port)], ["cluster", true, [1, 2]]);
  });

  it("reads a password from a file", () => {
    const dir = mkdtempSync(join(tmpdir(), "im-redis-url-"));
    try {
      writeFileSync(join(dir, "pw"), "from file\n");
      assert.equal(parseRedisUrl(`redis://app@h?passwordFile=${join(dir, "pw")}`).password, "from file");
      assert.throws(() => parseRedisUrl(`redis://app:pw@h?passwordFile=${join(dir, "pw")}`), /remove one/);
      assert.throws(() => parseRedisUrl(`redis://app@h?passwordFile=${join(dir, "none")}`), /cannot be read.*ENOENT/);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  for (const [url, problem] of [
    ["http://h", /is not redis:\/\//],
    ["redis://", /is not redis:\/\//],
    ["redis://a,b", /several hosts/],
    ["redis+sentinel://a", /master group/],
    ["redis+cluster://a/1", /only 0/],
    ["redis://h:0", /bad port/],
    ["redis://h:65536", /bad port/],
    ["redis://h h", /bad host/],
    ["redis://h/zero", /bad database/],
    ["redis://h/0/1", /bad database/],
    ["redis://u:%zz@h", /percent/],
    ["redis://h?tls=1", /unknown parameter tls/],
    ["redis+cluster://a,,b", /bad host/],
  ] as const)
    it(`refuses ${url}`, () => {
      assert.throws(() => parseRedisUrl(url), problem);
    });

  it("does not repeat the password in a complaint", () => {
    assert.throws(
      () => parseRedisUrl("redis://app:topsecret@h:99999"),
      (error) => error instanceof Error && !error.message.includes("topsecret"),
    );
  });
});
