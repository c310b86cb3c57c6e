// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { Command, Flag } from "#proto/commands.ts";
import { type RecordInput, RecordKind } from "#proto/uplink/record.ts";
import { unreadMetrics } from "../metrics.ts";
import type { Route } from "../router/router.ts";
import { type EphemeralFrame, EphemeralFrames } from "./ephemeral.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const routeTo = (incarnation: string, conn: number): Route =>
  ({ incarnation, conn, slot: "mobile", loginSeq: 1 }) as Route;

function setUp() {
  const sent: (RecordInput & { to: string })[] = [];
  const lookups: string[][] = [];
  const faults: string[] = [];
  const state = { isAway: false };
  const routes = new Map<string, Route[]>([
    ["alice", [routeTo("a.1", 1), routeTo("b.1", 2)]],
    ["bob", [routeTo("b.1", 3)]],
    ["carol", [routeTo("gone.1", 4)]],
  ]);
  const frames = new EphemeralFrames({
    routes: {
      lookup: async (userIds) => {
        lookups.push([...userIds]);
        if (state.isAway) throw new ImError(ErrorCode.RETRYABLE, "the router is away");
        return new Map([...routes].filter(([userId]) => userIds.includes(userId)));
      },
    },
    entries: {
      find: (incarnation) =>
        incarnation === "gone.1"
          ? undefined
          : { incarnation, send: (record) => sent.push({ ...record, to: incarnation }) > 0 },
    },
    onRouterFault: (op) => void faults.push(op),
    defer: setImmediate,
    metrics: unreadMetrics(),
  });
  const send = (userIds: string[], more: Partial<EphemeralFrame> = {}): void =>
    frames.send({ userIds, cmd: Command.TYPING, body: Buffer.from("x"), ...more });
  const idle = async (): Promise<void> => {
    for (let at = 0; at < 100 && !frames.isIdle; at++) await turn();
    assert.ok(frames.isIdle);
  };
  return { send, idle, sent, lookups, faults, state };
}

describe("EphemeralFrames", () => {
  it("go to every session that the users have now, but for the one they come from", async () => {
    const { send, idle, sent, lookups } = setUp();
    send(["alice", "bob", "carol", "nobody"], { except: { incarnation: "a.1", conn: 1 } });
    await idle();
    assert.deepEqual(
      sent.map(({ to, conn }) => [to, conn]),
      [
        ["b.1", 2],
        ["b.1", 3],
      ],
    );
    const [{ kind, cmd, flags, rid } = assert.fail()] = sent;
    assert.deepEqual([kind, cmd, flags, rid ?? 0], [RecordKind.REPLY, Command.TYPING, Flag.NO_PERSIST, 0]);
    assert.equal(lookups.length, 1);
  });

  it("ask the router once for all of a tick, and keep their order", async () => {
    const { send, idle, sent, lookups } = setUp();
    for (const word of ["one", "two", "three"]) send(["bob", "alice"], { body: Buffer.from(word) });
    send([]);
    await idle();
    assert.deepEqual(lookups, [["bob", "alice"]]);
    const toBob = sent.filter(({ conn }) => conn === 3).map(({ body }) => String(body));
    assert.deepEqual(toBob, ["one", "two", "three"]);
  });

  it("are lost with the router, and with a full queue, and the next ones are not", async () => {
    const { send, idle, sent, faults, state } = setUp();
    state.isAway = true;
    send(["bob"]);
    await idle();
    assert.deepEqual([sent.length, faults], [0, ["lookup"]]);
    state.isAway = false;
    for (let at = 0; at < 6000; at++) send(["bob"]);
    await idle();
    assert.equal(sent.length, 5000);
    send(["bob"]);
    await idle();
    assert.equal(sent.length, 5001);
  });
});
