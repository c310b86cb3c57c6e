// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { StatusReply } from "#proto/gen/messages.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import { wireEntry } from "../entry-kit.ts";
import { TestApi } from "./api-kit.ts";
import { FleetDesk } from "./fleet-desk.ts";

type Status = Partial<StatusReply>;

const statusOf = (status: Status): StatusReply => StatusReply.decode(StatusReply.encode(status));

function entry(number: number, status?: Status, atMs = 0) {
  const report = status && { status: statusOf(status), atMs, wallMs: 1_000_000 + atMs };
  return { name: `e${number}`, incarnation: `uid-${number}.${number}`, version: "1.2", isClosed: false, report };
}

const desk = (entries: ReturnType<typeof entry>[], clock = new FakeClock()): FleetDesk =>
  new FleetDesk({ name: "logic-1", entries, clock });

describe("FleetDesk", () => {
  it("shows how each entry said that it is, in the order of their starts", () => {
    const { entries, logic, total } = desk([
      entry(10, { connections: 5, sessions: 4, uplinks: 2, logins: 9, answerP99Ms: 12 }),
      entry(2, { connections: 1, sessions: 1, cordoned: true }),
    ]).list(0, 100);
    assert.equal(logic, "logic-1");
    assert.deepEqual(
      entries.map(({ name, state }) => [name, state]),
      [
        ["e2", "cordoned"],
        ["e10", "serving"],
      ],
    );
    assert.deepEqual(entries[1], {
      ...{ name: "e10", incarnation: "uid-10.10", version: "1.2", state: "serving", connections: 5, sessions: 4 },
      ...{ logics: 2, logins: 9, answerP99Ms: 12, reportedAtMs: 1_000_000 },
    });
    assert.deepEqual(total, { entries: 2, connections: 6, sessions: 5 });
  });

  it("shows how far a drain is, and no drain of one that stays", () => {
    const drain = { drainInitial: 100, drainAsked: 70, drainWaiting: 30, drainForced: 1 };
    const { entries } = desk([entry(1, { draining: true, cordoned: true, ...drain }), entry(2, drain)]).list(0, 100);
    assert.equal(entries[0]?.state, "draining");
    assert.deepEqual(entries[0]?.drain, { initial: 100, asked: 70, waiting: 30, forced: 1 });
    assert.equal(entries[1]?.drain, undefined);
  });

  it("tells silent entries and those of an older version apart", () => {
    const clock = new FakeClock(20_000);
    const { entries } = desk([entry(1, { connections: 7 }, 9999), entry(2, {}, 10_001), entry(3)], clock).list(0, 100);
    assert.deepEqual(
      entries.map(({ state, reportedAtMs }) => [state, reportedAtMs]),
      [
        ["silent", 1_009_999],
        ["serving", 1_010_001],
        ["unknown", 0],
      ],
    );
  });

  it("shows one stream for each start, the newest, and none that is closed or not attached", () => {
    const old = entry(1, { sessions: 1 });
    const gone = { ...entry(3, { sessions: 9 }), isClosed: true };
    const { entries } = desk([old, entry(1, { sessions: 2 }), gone, { ...entry(4), incarnation: "" }]).list(0, 100);
    assert.deepEqual(
      entries.map(({ incarnation, sessions }) => [incarnation, sessions]),
      [["uid-1.1", 2]],
    );
  });

  it("gives pages that lack nobody and have nobody twice; the sums are of all", () => {
    const all = Array.from({ length: 7 }, (_, at) => entry(at + 1, { connections: 1 }));
    const names: string[] = [];
    let after: number | undefined = 0;
    for (let pages = 0; after !== undefined && pages < 10; pages++) {
      const page = desk(all).list(after, 3);
      assert.equal(page.total.connections, 7);
      names.push(...page.entries.map(({ name }) => name));
      after = page.next;
    }
    assert.deepEqual(names, ["e1", "e2", "e3", "e4", "e5", "e6", "e7"]);
    assert.equal(after, undefined);
  });
});

describe("GET /v1/fleet", () => {
  it("shows what entries reported on their streams, and survives a report that is none", async () => {
    const api = await new TestApi().start();
    const second = wireEntry("other", (uplink) => api.core.server.accept(uplink));
    assert.ok(await second.attach());
    const key = await api.key({ scopes: ["fleet:read"] });
    const read = async (path = "/v1/fleet") => (await api.call({ method: "GET", path, key })).body;
    const shown = async (): Promise<unknown> => {
      const { entries } = (await read()) as { entries: { name: string; state: string; sessions: number }[] };
      return entries.map(({ name, state, sessions }) => [name, state, sessions]);
    };
    const silent = [
      ["pod", "unknown", 0],
      ["other", "unknown", 0],
    ];
    assert.deepEqual(await shown(), silent);
    api.entry.send({ kind: RecordKind.REPORT, body: StatusReply.encode({ sessions: 3, connections: 4 }) });
    second.send({ kind: RecordKind.REPORT, body: Uint8Array.of(0xff, 0xff, 0xff) });
    second.send({ kind: RecordKind.REPORT, body: new Uint8Array(4096) });
    const told = [
      ["pod", "serving", 3],
      ["other", "unknown", 0],
    ];
    for (let turn = 0; turn < 100 && JSON.stringify(await shown()) !== JSON.stringify(told); turn++)
      await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(await shown(), told);
    assert.deepEqual((await read()).total, { entries: 2, connections: 4, sessions: 3 });
    const first = await read("/v1/fleet?limit=1");
    const next = await read(`/v1/fleet?limit=1&cursor=${String(first.nextCursor)}`);
    const names = [first, next].map(({ entries }) => (entries as { name: string }[])[0]?.name);
    assert.deepEqual([names, next.nextCursor], [["pod", "other"], undefined]);
    assert.equal((await read("/v1/fleet?cursor=eA")).code, "invalid");
    assert.ok((await second.login(1, "alice")).kind === "ok", "its stream is open yet");
    api.close();
  });
});
