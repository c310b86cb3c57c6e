// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { checkHistory } from "./check-history.ts";
import type { RouterEvent } from "./history.ts";

/** One call of a client of the register; it takes effect somewhere between its two ends. */
interface Call {
  action: "login" | "logout" | "purge" | "lookup" | "flush";
  conn: number;
  incarnation: string;
  startMs: number;
  effectMs: number;
  endMs: number;
  isLost: boolean;
  isDropped: boolean;
}

const call: fc.Arbitrary<Call> = fc
  .record({
    action: fc.constantFrom("login", "login", "logout", "purge", "lookup", "flush" as const),
    conn: fc.integer({ min: 1, max: 5 }),
    startMs: fc.nat(300),
    before: fc.nat(20),
    after: fc.nat(20),
    isLost: fc.boolean(),
    isDropped: fc.boolean(),
  })
  .map(({ action, conn, startMs, before, after, isLost, isDropped }) => ({
    action: action as Call["action"],
    conn,
    incarnation: `pod.${conn % 2}`,
    startMs,
    effectMs: startMs + before,
    endMs: startMs + before + after,
    isLost: isLost && isDropped,
    isDropped,
  }));

interface Held {
  session: string;
  incarnation: string;
  loginSeq: number;
}

/** The register after one call, and the call's result. */
function step(held: Held | undefined, { action, conn, incarnation }: Call): [Held | undefined, string] {
  const session = `${incarnation}/${conn}`;
  const isOwn = held?.session === session;
  switch (action) {
    case "flush":
      return [undefined, "done"];
    case "purge":
      return [held?.incarnation === incarnation ? undefined : held, "done"];
    case "lookup":
      return [held, held?.session ?? "none"];
    case "logout":
      return isOwn ? [undefined, "deleted"] : [held, "kept"];
    case "login":
      if (held && !isOwn && held.loginSeq >= conn) return [held, "stale"];
      return [{ session, incarnation, loginSeq: conn }, "ok"];
  }
}

/** Runs the calls against a true register, in the order of their effects. */
function run(calls: readonly Call[]): RouterEvent[] {
  const events: RouterEvent[] = [];
  let held: Held | undefined;
  const perform = (one: Call): string => {
    const [next, result] = step(held, one);
    held = next;
    return result;
  };
  const ordered = calls.map((one, at) => ({ one, at })).sort((a, b) => a.one.effectMs - b.one.effectMs || a.at - b.at);
  for (const { one, at } of ordered) {
    const isGlobal = one.action === "purge" || one.action === "flush";
    const key = isGlobal ? { uid: "", slot: "" } : { uid: "alice", slot: "mobile" };
    const { action, conn, incarnation } = one;
    const base = { ...key, op: "router" as const, seed: "s", process: "p", call: `c${at}`, action, conn, incarnation };
    events.push({ ...base, loginSeq: conn, kind: "invoke", atMs: one.startMs });
    if (one.isLost) continue;
    const result = perform(one);
    if (!one.isDropped) events.push({ ...base, loginSeq: conn, kind: "ok", atMs: one.endMs, result });
  }
  return events;
}

describe("router register", () => {
  it("accepts every history of a true register, whatever overlaps and whatever answer is lost", () => {
    fc.assert(
      fc.property(fc.array(call, { maxLength: 25 }), (calls) => {
        assert.deepEqual(checkHistory(run(calls), { devices: [] }).violations, []);
      }),
      { numRuns: 300 },
    );
  });

  it("refuses a lookup of a session that never logged in", () => {
    const { violations } = checkHistory(
      [
        ...run([{ ...fc.sample(call, 1)[0], action: "login", isLost: false, isDropped: false } as Call]),
        {
          ...{ op: "router", kind: "invoke", seed: "s", process: "p", atMs: 1000, call: "x", action: "lookup" },
          ...{ uid: "alice", slot: "mobile" },
        } as RouterEvent,
        {
          ...{ op: "router", kind: "ok", seed: "s", process: "p", atMs: 1001, call: "x", action: "lookup" },
          ...{ uid: "alice", slot: "mobile", result: "pod.9/9" },
        } as RouterEvent,
      ],
      { devices: [] },
    );
    assert.deepEqual(
      violations.map(({ check }) => check),
      ["C12"],
    );
  });
});
