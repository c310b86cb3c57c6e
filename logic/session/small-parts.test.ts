// SPDX-License-Identifier: Apache-2.0
// Kicks that wait, logouts, activity, the shield against flapping.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { type RecordInput, RecordKind } from "#proto/uplink/record.ts";
import type { DeviceActivity, DeviceLogout } from "../store/identity.ts";
import { ActivityBuffer } from "./activity.ts";
import { FlapShield } from "./flap-shield.ts";
import { KickDesk } from "./kick.ts";
import { LogoutQueue } from "./logouts.ts";
import type { EntryPort, Session } from "./session.ts";

function testEntry(incarnation: string): EntryPort & { sent: RecordInput[] } {
  const sent: RecordInput[] = [];
  return { incarnation, sent, send: (record) => sent.push(record) > 0 };
}

const session = (entry: EntryPort, conn: number): Session => ({
  ...{ entry, conn, userId: `u${conn}`, slot: "web", deviceId: "d", deviceName: "d", loginSeq: conn, epochMark: 1 },
  notedAckSeq: 0,
  token: { tokenId: "", issuedAtMs: 0, expiresAtMs: 0 },
});

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const BODY = new Uint8Array(1);

describe("kick desk", () => {
  const connsOf = ({ sent }: { sent: RecordInput[] }): unknown[] => {
    assert.ok(sent.every(({ kind }) => kind === RecordKind.KICK));
    return sent.map(({ conn }) => conn);
  };

  it("keeps a kick for an entry that is away, for thirty seconds, and drops those of a dead one", () => {
    const clock = new FakeClock();
    const desk = new KickDesk({ find: () => undefined }, clock);
    desk.kick({ incarnation: "pod.1", conn: 1 }, BODY);
    clock.advance(15_000);
    desk.kick({ incarnation: "pod.1", conn: 2 }, BODY);
    desk.kick({ incarnation: "pod.2", conn: 3 }, BODY);
    clock.advance(15_000);
    const entry = testEntry("pod.1");
    desk.attached(entry);
    assert.deepEqual(connsOf(entry), [2]);
    assert.equal(desk.kept, 2);
    desk.gone("pod.2");
    assert.equal(desk.kept, 1);
    desk.gone("pod.1");
    desk.attached(entry);
    assert.deepEqual([connsOf(entry), desk.kept], [[2], 0]);
  });

  it("tells every later stream of the entry again: the one that took the kick may have been dead", () => {
    const clock = new FakeClock();
    const [dead, alsoDead, living] = [testEntry("pod.1"), testEntry("pod.1"), testEntry("pod.1")];
    const desk = new KickDesk({ find: () => dead }, clock);
    desk.kick({ incarnation: "pod.1", conn: 1 }, BODY);
    desk.kick({ incarnation: "pod.1", conn: 2 }, BODY);
    desk.attached(alsoDead);
    desk.attached(living);
    assert.deepEqual([dead, alsoDead, living].map(connsOf), [
      [1, 2],
      [1, 2],
      [1, 2],
    ]);
    clock.advance(30_000);
    const late = testEntry("pod.1");
    desk.attached(late);
    assert.deepEqual([connsOf(late), desk.kept], [[], 0]);
  });

  it("keeps ten thousand at most: the oldest goes, and those that are too old", () => {
    const clock = new FakeClock();
    const desk = new KickDesk({ find: () => undefined }, clock);
    for (let conn = 0; conn < 10_007; conn++) {
      if (conn === 7) clock.advance(1);
      desk.kick({ incarnation: `pod.${conn % 7}`, conn }, BODY);
    }
    assert.equal(desk.kept, 10_000);
    const entry = testEntry("pod.3");
    desk.attached(entry);
    assert.equal(connsOf(entry)[0], 10);
    clock.advance(30_000);
    desk.kick({ incarnation: "pod.9", conn: 1 }, BODY);
    assert.equal(desk.kept, 1);
  });
});

describe("logout queue", () => {
  it("answers when it is stored, and tries again while the store is away", async () => {
    const clock = new FakeClock();
    const stored: DeviceLogout[] = [];
    let isDown = true;
    const queue = new LogoutQueue({
      store: {
        logoutDevices: async (logouts) => {
          if (isDown) throw new Error("away");
          stored.push(...logouts);
        },
      },
      clock,
      defer: setImmediate,
      onFault: () => undefined,
    });
    const entry = testEntry("pod.1");
    queue.add(session(entry, 1));
    queue.add(session(entry, 2));
    await turn();
    await turn();
    assert.deepEqual([stored.length, entry.sent.length], [0, 0]);
    isDown = false;
    clock.advance(1000);
    await turn();
    await turn();
    assert.deepEqual(
      stored.map(({ userId, loginSeq }) => [userId, loginSeq]),
      [
        ["u1", 1],
        ["u2", 2],
      ],
    );
    assert.deepEqual(
      entry.sent.map(({ kind, conn }) => [kind, conn]),
      [
        [RecordKind.LOGOUT_DONE, 1],
        [RecordKind.LOGOUT_DONE, 2],
      ],
    );
    queue.close();
    assert.equal(clock.pending, 0);
  });
});

describe("activity buffer", () => {
  function setUp() {
    const clock = new FakeClock();
    const written: DeviceActivity[][] = [];
    const world = { isDown: false };
    const buffer = new ActivityBuffer({
      store: {
        noteActivity: async (notes) => {
          if (world.isDown) throw new Error("away");
          written.push([...notes]);
        },
      },
      clock,
      onFault: () => undefined,
    });
    return { clock, written, world, buffer };
  }
  const someone = (n: number) => ({ userId: `u${n}`, deviceId: "d" });

  it("writes one row per device, with its last state, 200 ms later", async () => {
    const { clock, written, buffer } = setUp();
    buffer.note(someone(1), "background");
    buffer.note(someone(2));
    buffer.note(someone(1), "foreground");
    buffer.note(someone(1));
    clock.advance(199);
    assert.equal(written.length, 0);
    clock.advance(1);
    await turn();
    const [rows = []] = written;
    assert.deepEqual(
      rows.map(({ userId, appState }) => [userId, appState]),
      [
        ["u1", "foreground"],
        ["u2", undefined],
      ],
    );
    assert.equal(clock.pending, 0);
  });

  it("keeps what could not be written, and lets what came meanwhile win", async () => {
    const { clock, written, world, buffer } = setUp();
    world.isDown = true;
    buffer.note(someone(1), "background");
    clock.advance(200);
    buffer.note(someone(1), "foreground");
    buffer.note(someone(2));
    await turn();
    clock.advance(200);
    await turn();
    world.isDown = false;
    clock.advance(200);
    await turn();
    assert.deepEqual(
      written.flat().map(({ userId, appState, agoMs }) => [userId, appState, agoMs]),
      [
        ["u1", "foreground", 400],
        ["u2", undefined, 400],
      ],
    );
    assert.ok(buffer.isIdle);
  });

  it("writes portions of a thousand, and everything at a flush", async () => {
    const { clock, written, buffer } = setUp();
    for (let n = 0; n < 2500; n++) buffer.note(someone(n));
    await buffer.flush();
    assert.deepEqual(
      written.map((rows) => rows.length),
      [1000, 1000, 500],
    );
    buffer.note(someone(1));
    buffer.close();
    assert.equal(clock.pending, 0);
    await buffer.flush();
    assert.equal(written.length, 3);
  });
});

describe("flap shield", () => {
  it("answers for the store until its time is over, for ten thousand at most", () => {
    const clock = new FakeClock();
    const shield = new FlapShield(clock);
    shield.refused("alice", "web", 10_000);
    assert.equal(shield.retryAfterMs("alice", "mobile"), 0);
    clock.advance(4000);
    assert.equal(shield.retryAfterMs("alice", "web"), 6000);
    clock.advance(6000);
    assert.equal(shield.retryAfterMs("alice", "web"), 0);
    for (let n = 0; n <= 10_000; n++) shield.refused(`u${n}`, "web", 10_000);
    assert.deepEqual([shield.retryAfterMs("u0", "web"), shield.retryAfterMs("u1", "web")], [0, 10_000]);
  });
});
