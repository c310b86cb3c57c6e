// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { MemoryRouter } from "../router/memory.ts";
import type { Route } from "../router/router.ts";
import { ChangeNotes } from "./change-notes.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function setUp() {
  const clock = new FakeClock();
  const appended: string[][] = [];
  const faults: string[] = [];
  let failures = 0;
  const notes = new ChangeNotes({
    log: {
      append: async (userIds) => {
        if (failures-- > 0) throw new Error("away");
        appended.push([...userIds]);
      },
    },
    clock,
    onFault: (op) => void faults.push(op),
  });
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await turn();
  };
  const fail = (times: number): void => {
    failures = times;
  };
  return { clock, notes, appended, faults, pass, fail };
}

const route = (userId: string, over: Partial<Route> = {}): Route => ({
  ...{ userId, slot: "mobile", incarnation: "pod-a.1", conn: 1, loginSeq: 1, deviceId: "d" },
  ...over,
});

describe("notes of changes", () => {
  it("gathers for 100 ms, names each user once, and has no timer without need", async () => {
    const { clock, notes, appended, pass } = setUp();
    for (const user of ["alice", "bob", "alice"]) notes.note(user);
    await pass(99);
    assert.deepEqual(appended, []);
    await pass(1);
    assert.deepEqual(appended, [["alice", "bob"]]);
    assert.equal(clock.pending, 0);
  });

  it("tries again after a second what could not be written, with what came meanwhile", async () => {
    const { notes, appended, faults, pass, fail } = setUp();
    fail(1);
    notes.note("alice");
    await pass(100);
    assert.deepEqual([appended, faults], [[], ["presence notes"]]);
    notes.note("bob");
    await pass(999);
    assert.deepEqual(appended, []);
    await pass(1);
    assert.deepEqual(appended.flat().sort(), ["alice", "bob"]);
  });

  it("keeps 50,000 users and writes 10,000 at a time", async () => {
    const { notes, appended, pass } = setUp();
    for (let at = 0; at < 50_001; at++) notes.note(`user-${at}`);
    for (let writes = 0; writes < 6; writes++) await pass(100);
    assert.deepEqual(
      appended.map(({ length }) => length),
      [10_000, 10_000, 10_000, 10_000, 10_000],
    );
    assert.ok(!appended.flat().includes("user-50000"));
  });

  it("notes logins that took place and logouts that deleted a route, and no others", async () => {
    const { clock, notes, appended, pass } = setUp();
    const router = new MemoryRouter(clock);
    const { login, logout } = notes.noting(router);
    await login([route("alice", { loginSeq: 5 }), route("bob")]);
    await pass(100);
    await login([route("alice", { conn: 2, loginSeq: 4 })]);
    await logout([route("bob", { conn: 9 }), route("alice")]);
    await pass(100);
    assert.deepEqual(appended, [["alice", "bob"], ["alice"]]);
    router.isDown = true;
    await assert.rejects(login([route("carol")]), { retryable: true });
    await assert.rejects(logout([route("carol")]), { retryable: true });
    await pass(100);
    assert.deepEqual(appended.slice(2), [["carol"]], "it may have been done");
  });

  it("is still after its end", async () => {
    const { clock, notes, appended, pass } = setUp();
    notes.note("alice");
    notes.close();
    notes.note("bob");
    await pass(1000);
    assert.deepEqual([appended, clock.pending], [[], 0]);
  });
});
