// SPDX-License-Identifier: Apache-2.0
// What an entry tells another logic when the one that knew it is gone.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { type Clock, systemClock } from "#lib/clock.ts";
import { Command } from "#proto/commands.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import { freePort } from "../e2e/harness/ports.ts";
import type { EntryDeps } from "./entry.ts";
import { connect, setUp, startEntry, startLogic } from "./testing/entry-suite.ts";
import { waitFor } from "./testing/wait.ts";

/** An entry with two logics, and which of them has the first client, logged in as alice. */
async function two(deps: EntryDeps = {}) {
  const logics = [await startLogic({ name: "first" }), await startLogic({ name: "second" })] as const;
  const entry = await startEntry([...logics], {}, deps);
  await waitFor("both attached", () => entry.status().uplinks === 2);
  const client = await connect(entry.plainPort);
  await client.login("alice");
  const [mine, other] = logics[0].ofKind(RecordKind.LOGIN).length === 1 ? logics : [logics[1], logics[0]];
  return { entry, client, mine, other };
}

describe("an entry whose logic is lost", () => {
  it("binds its sessions elsewhere at once, with the newest tag, though nobody says anything", async () => {
    const { client, mine, other, entry } = await two();
    const conn = mine.ofKind(RecordKind.LOGIN)[0]?.conn ?? 0;
    // The head shows at the client that the tag before it has come.
    mine.send(
      { kind: RecordKind.SESSION_TAG, conn, body: Buffer.from("renewed") },
      { kind: RecordKind.HEAD, conn, aux: 5 },
    );
    await client.wait(Command.PONG);
    const quiet = await connect(entry.plainPort);
    await quiet.login("bob");
    await mine.close();
    const bind = await waitFor("its bind", () => other.ofKind(RecordKind.BIND).find((one) => one.conn === conn));
    assert.equal(String(bind.body), "renewed");
  });

  it("says all its sessions again, so that those whose kick died with it are found; not after a LEAVING", async () => {
    const { mine, other, entry } = await two();
    const quiet = await connect(entry.plainPort);
    await quiet.login("bob");
    const conns = [...mine.ofKind(RecordKind.LOGIN), ...other.ofKind(RecordKind.LOGIN)].map(({ conn }) => conn);
    assert.equal(new Set(conns).size, 2);
    await mine.close();
    await waitFor("both sessions", () => new Set(other.ofKind(RecordKind.BIND).map(({ conn }) => conn)).size === 2);
  });

  it("only moves its own sessions when a logic has left in order", async () => {
    // One session is said again each second in any case; not here.
    const clock: Clock = {
      ...systemClock,
      after: (ms, fn) => (ms < 1000 ? systemClock.after(ms, fn) : () => undefined),
    };
    const { client, mine, other, entry } = await two({ clock });
    const quiet = await connect(entry.plainPort);
    await quiet.login("bob");
    const moved = mine.ofKind(RecordKind.LOGIN)[0]?.conn;
    mine.send({ kind: RecordKind.LEAVING }, { kind: RecordKind.HEAD, conn: moved ?? 0, aux: 5 });
    await client.wait(Command.PONG);
    await mine.close();
    await other.wait(RecordKind.BIND);
    // All would be said again within 200 ms.
    await new Promise((resolve) => setTimeout(resolve, 250));
    client.send(Command.SEND, 1);
    await client.wait(Command.SEND_ACK);
    assert.deepEqual(
      other.ofKind(RecordKind.BIND).map(({ conn }) => conn),
      [moved],
    );
  });

  it("binds them when one attaches again after all were lost", async () => {
    const { logic, entry } = await setUp({}, {}, await freePort());
    const { port } = logic;
    await logic.close();
    await waitFor("the loss", () => !entry.isReady);
    const back = await startLogic({}, port);
    assert.equal(String((await back.wait(RecordKind.BIND)).body), "tag of alice");
  });

  it("names the connections that closed, and those that closed during their login", async () => {
    const { entry, client, mine, other } = await two();
    mine.holdsLogins = true;
    other.holdsLogins = true;
    const waiting = [await connect(entry.plainPort), await connect(entry.plainPort)];
    for (const one of waiting) one.hello("late");
    await waitFor(
      "both logins",
      () => mine.ofKind(RecordKind.LOGIN).length + other.ofKind(RecordKind.LOGIN).length === 3,
    );
    const mineConns = mine.ofKind(RecordKind.LOGIN).map(({ conn }) => conn);
    for (const one of waiting) one.close();
    client.close();
    await mine.wait(RecordKind.CLOSED);
    await waitFor("all closed", () => entry.status().connections === 0);
    await mine.close();
    await other.wait(RecordKind.LOGIN_ABORTED, mineConns.length);
    assert.deepEqual(
      other.ofKind(RecordKind.LOGIN_ABORTED).map(({ conn }) => conn),
      mineConns,
    );
  });

  it("repeats a logout until it is confirmed", async () => {
    const { client, mine, other } = await two();
    client.send(Command.LOGOUT, 7);
    await client.waitClosed();
    const told = await Promise.race([mine.wait(RecordKind.LOGOUT), other.wait(RecordKind.LOGOUT)]);
    assert.equal(String(told.body), "tag of alice");
    const [first, second] = mine.ofKind(RecordKind.LOGOUT).length === 1 ? [mine, other] : [other, mine];
    await first.close();
    assert.equal(String((await second.wait(RecordKind.LOGOUT)).body), "tag of alice");
    second.send({ kind: RecordKind.LOGOUT_DONE, conn: told.conn });
  });
});
