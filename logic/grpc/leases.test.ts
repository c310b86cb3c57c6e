// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { createLogger } from "#lib/logger.ts";
import { type RecordInput, RecordKind } from "#proto/uplink/record.ts";
import { unreadMetrics } from "../metrics.ts";
import type { Renewal } from "../router/router.ts";
import { EntryStream } from "./entry-stream.ts";
import { EntryLeases } from "./leases.ts";

type SqlState = "live" | "dead" | "unknown";

function setUp(inSql: SqlState | Error, inRouter: (isWanted: () => boolean) => Promise<Renewal>) {
  const uplink = { peer: "test", write: () => true, onDrain: () => {}, onBatch: () => {}, onClose: () => {} };
  const metrics = unreadMetrics();
  const stream = new EntryStream({ uplink: { ...uplink, close: () => {} }, defer: setImmediate, metrics });
  stream.incarnation = "pod.1";
  const sent: RecordInput[] = [];
  const send = stream.send.bind(stream);
  stream.send = (record) => {
    sent.push(record);
    return send(record);
  };
  const fenced: string[] = [];
  const faults: string[] = [];
  const clock = new FakeClock(1000);
  const ages: number[] = [];
  const leases = new EntryLeases({
    store: {
      registerEntry: () => Promise.reject(new Error("not asked")),
      entryState: () => (inSql instanceof Error ? Promise.reject(inSql) : Promise.resolve(inSql)),
    },
    router: {
      renewLease: (_incarnation, { ageMs = 0, isWanted = () => true } = {}) => {
        ages.push(ageMs);
        return inRouter(isWanted);
      },
    },
    clock,
    logicName: "logic-0",
    leaseTtlMs: 13_000,
    onFenced: (incarnation) => void fenced.push(incarnation),
    onFault: (op) => void faults.push(op),
    log: createLogger("test", "silent"),
    metrics,
  });
  return { clock, ages, stream, sent, fenced, faults, leases, kinds: () => sent.map(({ kind }) => kind) };
}

describe("leases of entries", () => {
  it("are prolonged for an entry that both databases know", async () => {
    const { leases, stream, kinds } = setUp("live", async () => "ok");
    await leases.renew(stream, 7, 0);
    assert.deepEqual(kinds(), [RecordKind.LEASED]);
  });

  it("are not asked for any more once the stream is closed: the entry may be dead", async () => {
    let answer = (): void => undefined;
    const asked: boolean[] = [];
    const { leases, stream } = setUp("live", async (isWanted) => {
      await new Promise<void>((resolve) => {
        answer = resolve;
      });
      asked.push(isWanted());
      return isWanted() ? "ok" : "late";
    });
    const renewed = leases.renew(stream, 7, 0);
    stream.markClosed("test");
    answer();
    await renewed;
    assert.deepEqual(asked, [false]);
  });

  it("count from when the entry asked: what a record takes longer than the fastest, it was held up", async () => {
    const { leases, stream, clock, ages } = setUp("live", async () => "ok");
    const entryStartMs = 77_000;
    const renew = async (sentAfterMs: number, tookMs: number): Promise<void> => {
      clock.advance(1000 + sentAfterMs + tookMs - clock.nowMs());
      await leases.renew(stream, 1, entryStartMs + sentAfterMs);
    };
    await renew(0, 5);
    await renew(5000, 2);
    await renew(10_000, 2502);
    await leases.renew(stream, 1, 0);
    assert.deepEqual(
      ages.map((ms) => Math.round(ms / 100) * 100),
      [0, 0, 2500, 0],
      "no time told: an entry of an older version",
    );
  });

  it("end for good with evidence from either database", async () => {
    for (const [sql, router] of [
      ["dead", "ok"],
      ["live", "fenced"],
    ] as const) {
      const { leases, stream, kinds, fenced } = setUp(sql, async () => router);
      await leases.renew(stream, 7, 0);
      assert.deepEqual(kinds(), [RecordKind.FENCED], `${sql}, ${router}`);
      assert.deepEqual(fenced, ["pod.1"]);
      assert.ok(stream.isClosed);
    }
  });

  it("fence nobody for want of an answer, and tell the entry nothing when neither knows", async () => {
    const lost = async (): Promise<Renewal> => Promise.reject(new Error("away"));
    const oneKnows = setUp("live", lost);
    await oneKnows.leases.renew(oneKnows.stream, 7, 0);
    assert.deepEqual(oneKnows.kinds(), [RecordKind.LEASED]);
    assert.deepEqual(oneKnows.faults, ["lease"]);
    for (const inRouter of [lost, async (): Promise<Renewal> => "late"]) {
      const noneKnows = setUp(new Error("away"), inRouter);
      await noneKnows.leases.renew(noneKnows.stream, 7, 0);
      assert.deepEqual(noneKnows.kinds(), []);
      assert.deepEqual(noneKnows.fenced, []);
      assert.ok(!noneKnows.stream.isClosed);
    }
  });
});
