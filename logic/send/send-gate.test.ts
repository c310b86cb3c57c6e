// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { unreadMetrics } from "../metrics.ts";
import type { AppendInput } from "../store/store.ts";
import { type BeforeSend, PASS, type Passage } from "./before-send.ts";
import { SendGate } from "./send-gate.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const passage = (verdict: Passage["verdict"], by: string = verdict): Passage => ({ ...PASS, verdict, by });

function messageOf(sender: string, text: string): AppendInput {
  return {
    ...{ sender, clientMessageId: text, payloadHash: new Uint8Array(32), conversationId: "c", peer: "bob" },
    ...{ messageId: text, contentType: "", content: Buffer.from(text), sentAtMs: 0 },
  };
}

function setUp(guards: readonly Partial<BeforeSend>[], maxWaiting?: number) {
  const clock = new FakeClock();
  const faults: string[] = [];
  const passed: string[] = [];
  const metrics = unreadMetrics();
  const gate = new SendGate({
    guards: guards.map((guard) => ({ name: "g", budgetMs: 50, late: PASS, judge: () => PASS, ...guard })),
    ...{ clock, metrics, onFault: (op) => void faults.push(op) },
    ...(maxWaiting === undefined ? {} : { maxWaiting }),
  });
  const enter = (text: string, sender = "alice"): boolean =>
    gate.enter(messageOf(sender, text), ({ verdict, by }) => void passed.push(`${text} ${verdict} ${by}`.trim()));
  return { gate, clock, faults, passed, enter };
}

describe("SendGate", () => {
  it("lets pass at once what nobody has to wait for, with the strongest verdict", () => {
    const { enter, passed, gate } = setUp([
      { judge: () => passage("flag", "one") },
      { judge: () => passage("shadow", "two") },
      { judge: () => passage("flag", "three") },
    ]);
    assert.ok(enter("a"));
    assert.deepEqual([passed, gate.isIdle], [["a shadow two"], true]);
    const nobody = setUp([]);
    nobody.enter("b");
    assert.deepEqual(nobody.passed, ["b allow"]);
  });

  it("asks nobody about what is refused already", () => {
    const asked: string[] = [];
    const { enter, passed } = setUp([
      { judge: () => passage("bounce") },
      {
        judge: () => {
          asked.push("second");
          return passage("block");
        },
      },
    ]);
    enter("a");
    assert.deepEqual([passed, asked], [["a bounce bounce"], []]);
  });

  it("keeps the messages of a sender in their order, and holds up nobody else", async () => {
    const answers = new Map<string, (passage: Passage) => void>();
    const { enter, passed, gate } = setUp([
      {
        judge: ({ messageId }) =>
          messageId.startsWith("slow") ? new Promise((resolve) => answers.set(messageId, resolve)) : PASS,
      },
    ]);
    for (const text of ["slow1", "fast1", "slow2", "fast2"]) enter(text);
    enter("other", "bob");
    assert.deepEqual(passed, ["other allow"]);
    answers.get("slow2")?.(passage("flag"));
    await turn();
    assert.deepEqual(passed, ["other allow"]);
    answers.get("slow1")?.(passage("block"));
    await turn();
    assert.deepEqual(passed.slice(1), ["slow1 block block", "fast1 allow", "slow2 flag flag", "fast2 allow"]);
    assert.ok(gate.isIdle);
  });

  it("waits no longer than a guard's budget, and then holds to what the guard says for that", async () => {
    const late = passage("block", "late");
    const { enter, passed, clock, gate } = setUp([{ judge: () => new Promise(() => undefined), budgetMs: 10, late }]);
    enter("a");
    clock.advance(9);
    await turn();
    assert.deepEqual([passed, gate.isIdle], [[], false]);
    clock.advance(1);
    await turn();
    assert.deepEqual([passed, gate.isIdle], [["a block late"], true]);
  });

  it("takes a guard that fails for one that is late, and says so", async () => {
    const { enter, passed, faults } = setUp([
      { judge: () => Promise.reject(new Error("away")), late: passage("flag", "away"), name: "hook" },
      { judge: () => Promise.resolve(passage("shadow")) },
    ]);
    enter("a");
    await turn();
    await turn();
    assert.deepEqual([passed, faults], [["a shadow shadow"], ["guard hook"]]);
  });

  it("refuses what it has no room for", () => {
    const { enter } = setUp([{ judge: () => new Promise(() => undefined) }], 2);
    assert.deepEqual([enter("a"), enter("b", "bob"), enter("c", "carol")], [true, true, false]);
  });
});
