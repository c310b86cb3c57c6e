// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { Command } from "#proto/commands.ts";
import { changeSession, errorOf, settle } from "../changes/change-kit.ts";
import { Gate } from "../gate.ts";
import type { Refusal } from "../session/session.ts";
import { PacedCommand } from "./paced-command.ts";

const DONE = Buffer.from("done");
const REFUSAL: Refusal = { code: ErrorCode.NOT_FOUND, reason: "nothing is there" };

function setUp(pace = { perSecond: 1, burst: 10 }, limits = { maxRunning: 10, maxWaiting: 10, maxWaitMs: 1000 }) {
  const clock = new FakeClock();
  const counted: string[] = [];
  const faults: string[] = [];
  const inc = ({ command, result }: Record<string, string>): void => void counted.push(`${command} ${result}`);
  const command = new PacedCommand(
    {
      ...{ clock, random: () => 0.5, gate: new Gate({ clock, ...limits }) },
      onFault: (op) => void faults.push(op),
      metrics: { chatCommands: { inc } as never },
    },
    { name: "block", title: "Block", pace },
  );
  const { session, sent } = changeSession("alice", "");
  const ask = async (run: () => Promise<Uint8Array | Refusal>, request: object = {}): Promise<void> => {
    command.handle({ session, rid: 7, cmd: Command.BLOCK }, request, run);
    await settle();
  };
  return { clock, counted, faults, sent, ask };
}

describe("a command with a pace", () => {
  it("is answered once, by bytes or by a refusal, and counted", async () => {
    const { ask, sent, counted } = setUp();
    await ask(async () => DONE);
    await ask(async () => REFUSAL);
    assert.deepEqual([sent[0]?.cmd, sent[0]?.rid, Buffer.from(sent[0]?.body ?? [])], [Command.BLOCK, 7, DONE]);
    assert.deepEqual([sent.length, errorOf(sent[1]).code, errorOf(sent[1]).reason], [2, REFUSAL.code, REFUSAL.reason]);
    assert.deepEqual(counted, ["block ok", "block refused"]);
  });

  it("that is no request costs nothing: no run, and nothing of the pace", async () => {
    const { ask, sent, counted } = setUp({ perSecond: 1, burst: 1 });
    for (let times = 0; times < 3; times++) await ask(() => assert.fail("it ran"), REFUSAL);
    await ask(async () => DONE);
    assert.deepEqual(
      sent.map((record) => errorOf(record).code),
      [REFUSAL.code, REFUSAL.code, REFUSAL.code, 0],
    );
    assert.equal(counted.at(-1), "block ok");
  });

  it("that fails may be asked again, and the fault is told", async () => {
    const { ask, sent, counted, faults } = setUp();
    await ask(() => Promise.reject(new ImError(ErrorCode.RETRYABLE, "away")));
    const { code, retryable, retryAfterMs } = errorOf(sent[0]);
    assert.deepEqual([code, retryable, retryAfterMs > 0], [ErrorCode.RETRYABLE, true, true]);
    assert.deepEqual([counted, faults], [["block failed"], ["block"]]);
  });

  it("waits when its session asks too often, or too much is asked at once", async () => {
    const often = setUp({ perSecond: 1, burst: 2 });
    for (let times = 0; times < 3; times++) await often.ask(async () => DONE);
    assert.deepEqual([errorOf(often.sent[2]).code, often.sent.length], [ErrorCode.RATE_LIMITED, 3]);
    often.clock.advance(1000);
    await often.ask(async () => DONE);
    assert.equal(errorOf(often.sent[3]).code, 0);

    const narrow = setUp({ perSecond: 1, burst: 10 }, { maxRunning: 1, maxWaiting: 1, maxWaitMs: 1000 });
    const { promise, resolve } = Promise.withResolvers<Uint8Array>();
    for (let times = 0; times < 3; times++) await narrow.ask(() => promise);
    assert.deepEqual(
      narrow.sent.map((record) => errorOf(record).code),
      [ErrorCode.BUSY],
    );
    resolve(DONE);
    await settle();
    assert.deepEqual(narrow.counted, ["block refused", "block ok", "block ok"]);
  });
});
