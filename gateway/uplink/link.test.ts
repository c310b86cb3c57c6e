// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { RecordKind, readRecords } from "#proto/uplink/record.ts";
import { EntryStats } from "../session/stats.ts";
import { LogicLink } from "./link.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** An attached link; `batches` are the kinds of records in each write. */
async function setUp() {
  const clock = new FakeClock();
  const batches: number[][] = [];
  let onConnected = (): void => undefined;
  const link = new LogicLink({
    address: "logic:1",
    open: (_address, callbacks) => {
      onConnected = callbacks.onConnected;
      return {
        write: (batch) => {
          const kinds: number[] = [];
          readRecords(batch, ({ kind }) => void kinds.push(kind));
          return batches.push(kinds) > 0;
        },
        onDrain: () => undefined,
        close: () => undefined,
      };
    },
    owner: { onConnected: () => undefined, onRecord: () => undefined, onClosed: () => undefined },
    clock,
    stats: new EntryStats(),
  });
  onConnected();
  link.attach({ podUid: "p", podName: "p", version: "1", incarnation: "" } as Parameters<LogicLink["attach"]>[0]);
  link.attached("logic");
  await turn();
  batches.length = 0;
  const login = (bytes = 300): boolean =>
    link.send({ kind: RecordKind.LOGIN, conn: 1, rid: 1, body: new Uint8Array(bytes) });
  return { clock, link, batches, login };
}

describe("a link to a logic", () => {
  it("sends a login that comes alone at once, and those that follow together", async () => {
    const { clock, batches, login } = await setUp();
    login();
    await turn();
    assert.deepEqual(batches, [[RecordKind.LOGIN]]);
    for (let n = 0; n < 3; n++) {
      login();
      clock.advance(1);
      await turn();
    }
    assert.equal(batches.length, 1);
    clock.advance(1);
    assert.deepEqual(batches.slice(1), [[RecordKind.LOGIN, RecordKind.LOGIN, RecordKind.LOGIN]]);
    clock.advance(10);
    login();
    await turn();
    assert.equal(batches.length, 3, "alone again");
    assert.equal(clock.pending, 0);
  });

  it("takes logins that wait along with anything else, in the order they came", async () => {
    const { clock, link, batches, login } = await setUp();
    login();
    await turn();
    login();
    link.send({ kind: RecordKind.COMMAND, cmd: 1, conn: 2, rid: 1, body: new Uint8Array(1) });
    await turn();
    assert.deepEqual(batches.slice(1), [[RecordKind.LOGIN, RecordKind.COMMAND]]);
    assert.equal(clock.pending, 0, "nothing waits any more");
  });

  it("does not let more than 64 KiB of them wait", async () => {
    const { batches, login } = await setUp();
    login();
    await turn();
    login(40_000);
    await turn();
    assert.equal(batches.length, 1);
    login(40_000);
    await turn();
    assert.deepEqual(batches.slice(1), [[RecordKind.LOGIN, RecordKind.LOGIN]]);
  });

  it("sends those that wait before it ends, and leaves no timer", async () => {
    const { clock, link, batches, login } = await setUp();
    login();
    await turn();
    login();
    assert.equal(clock.pending, 1);
    link.close();
    assert.deepEqual(batches.slice(1), [[RecordKind.LOGIN]]);
    assert.equal(clock.pending, 0);
  });
});
