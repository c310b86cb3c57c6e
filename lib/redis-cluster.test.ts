// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { ErrorCode, ImError } from "./errors.ts";
import type { RedisCommand } from "./redis.ts";
import { ClusterClient, type NodeConnection } from "./redis-cluster.ts";
import { SLOTS, slotOf } from "./redis-slots.ts";

type Reply = (words: readonly (string | number)[]) => unknown;

/** A Cluster in memory: half of the slots each on a:1 and b:1. */
class FakeCluster {
  readonly sent: string[] = [];
  owners: [first: number, last: number, host: string][] = [
    [0, SLOTS / 2 - 1, "a"],
    [SLOTS / 2, SLOTS - 1, "b"],
  ];
  readonly down = new Set<string>();
  reply: Record<string, Reply> = {};
  readonly client: ClusterClient;

  constructor(seeds = ["a:1"], timeoutMs = 20_000) {
    this.client = new ClusterClient({ seeds, timeoutMs, open: (address) => this.#open(address) });
  }

  #open(address: string): NodeConnection {
    const isUp = (): boolean => !this.down.has(address);
    return {
      get status() {
        return isUp() ? "ready" : "reconnecting";
      },
      run: async (commands) => commands.map((command) => this.#answer(address, command)),
      onReady: (listener) => setImmediate(listener),
      close: () => undefined,
    };
  }

  #answer(address: string, command: RedisCommand): unknown {
    const words = "script" in command ? [command.script.name, ...command.args] : command;
    if (words[0] === "CLUSTER") return this.owners.map(([first, last, host]) => [first, last, [host, 1]]);
    this.sent.push(`${address} ${words.join(" ")}`);
    return this.reply[address]?.(words) ?? `${address}/${words[1] ?? words[0]}`;
  }
}

/** One of slot 12,182 (b), one of slot 5,061 (a). */
const [ON_B, ON_A] = ["foo", "bar"];

async function ready(fake: FakeCluster): Promise<ClusterClient> {
  if (fake.client.status !== "ready") await once(fake.client, "ready");
  return fake.client;
}

describe("ClusterClient", () => {
  it("sends each command to the owner of its slot and keeps the order of the replies", async (t) => {
    const fake = new FakeCluster();
    t.after(() => fake.client.disconnect());
    const client = await ready(fake);
    assert.equal(slotOf(ON_A) < SLOTS / 2 && slotOf(ON_B) >= SLOTS / 2, true);
    const replies = await client.run([
      ["GET", ON_B],
      ["GET", ON_A],
      ["WAIT", 1, 100],
      ["GET", ON_B],
    ]);
    assert.deepEqual(replies, ["b:1/foo", "a:1/bar", "a:1/1", "b:1/foo"]);
    assert.deepEqual(client.masters.map(({ address }) => address).sort(), ["a:1", "b:1"]);
  });

  it("fails at once before it knows the Cluster, and after it was closed", async () => {
    const fake = new FakeCluster();
    await assert.rejects(fake.client.run([["GET", "k"]]), { code: ErrorCode.RETRYABLE });
    await ready(fake);
    fake.client.disconnect();
    assert.equal(fake.client.status, "end");
    await assert.rejects(fake.client.run([["GET", "k"]]), { code: ErrorCode.RETRYABLE });
  });

  it("follows MOVED, and knows the new owner afterwards", async (t) => {
    const fake = new FakeCluster();
    t.after(() => fake.client.disconnect());
    const client = await ready(fake);
    fake.owners = [[0, SLOTS - 1, "b"]];
    fake.reply["a:1"] = ([, key]) => new Error(`MOVED ${slotOf(String(key))} b:1`);
    assert.deepEqual(
      await client.run([
        ["GET", ON_A],
        ["GET", ON_B],
      ]),
      ["b:1/bar", "b:1/foo"],
    );
    fake.sent.length = 0;
    assert.deepEqual(await client.run([["GET", ON_A]]), ["b:1/bar"]);
    assert.deepEqual(fake.sent, ["b:1 GET bar"]);
  });

  it("asks once where ASK says, introduced by ASKING", async (t) => {
    const fake = new FakeCluster();
    t.after(() => fake.client.disconnect());
    const client = await ready(fake);
    fake.reply["a:1"] = ([name, key]) => (key === ON_A ? new Error(`ASK ${slotOf(ON_A)} b:1`) : `a:1/${name}`);
    assert.deepEqual(await client.run([["GET", ON_A]]), ["b:1/bar"]);
    assert.deepEqual(fake.sent, ["a:1 GET bar", "b:1 ASKING", "b:1 GET bar"]);
    await client.run([["GET", ON_A]]);
    assert.equal(fake.sent.filter((line) => line === "a:1 GET bar").length, 2, "the owner is the same");
  });

  it("repeats what was refused, and nothing else", async (t) => {
    const fake = new FakeCluster();
    t.after(() => fake.client.disconnect());
    const client = await ready(fake);
    let refusals = 3;
    fake.reply["b:1"] = ([, key]) =>
      refusals-- > 0
        ? new Error(refusals % 2 === 0 ? "TRYAGAIN Multiple keys" : "CLUSTERDOWN Hash slot")
        : `b:1/${key}`;
    assert.deepEqual(
      await client.run([
        ["GET", ON_A],
        ["GET", ON_B],
      ]),
      ["a:1/bar", "b:1/foo"],
    );
    assert.equal(fake.sent.filter((line) => line === "a:1 GET bar").length, 1);
    fake.reply["b:1"] = () => new Error("WRONGTYPE no");
    const [, wrong] = await client.run([
      ["GET", ON_A],
      ["GET", ON_B],
    ]);
    assert.match(String(wrong), /WRONGTYPE/);
  });

  it("gives up at its deadline with RETRYABLE, for the part that got no answer", async (t) => {
    const fake = new FakeCluster(["a:1"], 150);
    t.after(() => fake.client.disconnect());
    const client = await ready(fake);
    fake.down.add("b:1");
    const startedMs = performance.now();
    const [good, bad] = await client.run([
      ["GET", ON_A],
      ["GET", ON_B],
    ]);
    assert.ok(performance.now() - startedMs < 10_000, "not that of others");
    assert.equal(good, "a:1/bar");
    assert.ok(bad instanceof ImError && bad.retryable);
    await assert.rejects(client.run([["GET", ON_B]]), { code: ErrorCode.RETRYABLE });
  });

  it("does not repeat a command whose answer was lost", async (t) => {
    const fake = new FakeCluster();
    t.after(() => fake.client.disconnect());
    const client = await ready(fake);
    fake.reply["b:1"] = () => {
      throw new ImError(ErrorCode.RETRYABLE, "connection lost");
    };
    const [, lost] = await client.run([
      ["GET", ON_A],
      ["INCR", ON_B],
    ]);
    assert.match(String(lost), /connection lost/);
    assert.equal(fake.sent.filter((line) => line.includes("INCR")).length, 1);
  });

  it("finds a promoted replica while its master is gone", async (t) => {
    const fake = new FakeCluster();
    t.after(() => fake.client.disconnect());
    const client = await ready(fake);
    fake.down.add("b:1");
    setTimeout(() => {
      fake.owners = [
        [0, SLOTS / 2 - 1, "a"],
        [SLOTS / 2, SLOTS - 1, "c"],
      ];
    }, 50);
    assert.deepEqual(await client.run([["GET", ON_B]]), ["c:1/foo"]);
  });

  it("starts when a seed is gone, and when one master is", async (t) => {
    const fake = new FakeCluster(["x:1", "a:1"]);
    fake.down.add("x:1");
    fake.down.add("b:1");
    t.after(() => fake.client.disconnect());
    const client = await ready(fake);
    assert.deepEqual(await client.run([["GET", ON_A]]), ["a:1/bar"]);
  });

  it("takes an incomplete Cluster for none", async (t) => {
    const fake = new FakeCluster();
    fake.owners = [[0, 100, "a"]];
    t.after(() => fake.client.disconnect());
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(fake.client.status, "connecting");
    fake.owners = [[0, SLOTS - 1, ""]];
    await ready(fake);
    assert.deepEqual(
      fake.client.masters.map(({ address }) => address),
      ["a:1"],
      "a node without an address is the one that was asked",
    );
  });
});
