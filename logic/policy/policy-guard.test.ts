// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { unreadMetrics } from "../metrics.ts";
import type { Passage } from "../send/before-send.ts";
import type { FactsAsk } from "../store/policy-store.ts";
import type { AppendInput } from "../store/store.ts";
import { type ConversationFacts, PolicyEngine } from "./engine.ts";
import { FACTS_BUDGET_MS, PolicyGuard } from "./policy-guard.ts";
import { readRules } from "./rules.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const bounce = { verdict: "bounce", explanation: "keep it here" };
const CONTACT = { id: "contact", kind: "contact", ...bounce, finds: ["phone", "wechat"] };
const STRANGER = { id: "stranger", kind: "stranger", ...bounce, maxUnanswered: 2 };
const NEW: ConversationFacts = { isAnswered: false, ownMessages: 0, hasOrder: false };

function setUp(rules: readonly object[]) {
  const clock = new FakeClock();
  const asked: FactsAsk[][] = [];
  const faults: string[] = [];
  const state = { facts: NEW, failure: undefined as Error | undefined, isStuck: false };
  const engine = new PolicyEngine(readRules(JSON.stringify({ version: 1, rules })));
  const guard = new PolicyGuard({
    engine: () => engine,
    store: {
      facts: async (asks) => {
        asked.push([...asks]);
        if (state.isStuck) await new Promise(() => undefined);
        if (state.failure) throw state.failure;
        return asks.map(() => state.facts);
      },
    },
    ...{ clock, defer: setImmediate, metrics: unreadMetrics(), onFault: (op) => void faults.push(op) },
  });
  const judge = (text: string, more: Partial<AppendInput> = {}): Passage | Promise<Passage> =>
    guard.judge({
      ...{ sender: "alice", clientMessageId: text, payloadHash: new Uint8Array(32), conversationId: "c", peer: "bob" },
      ...{ messageId: text, contentType: "", content: Buffer.from(text), sentAtMs: 0, ...more },
    });
  return { judge, clock, asked, faults, state };
}

const shown = async (passage: Passage | Promise<Passage>): Promise<string> => {
  const { verdict, by } = await passage;
  return by === "" ? verdict : `${verdict} by ${by}`;
};

describe("PolicyGuard", () => {
  it("judges by the text at once, with the words for the sender, and leaves other types alone", () => {
    const { judge, asked } = setUp([CONTACT]);
    assert.deepEqual(judge("加我微信 abc12345"), {
      ...{ verdict: "bounce", by: "contact", explanation: "keep it here", retryAfterMs: 0 },
    });
    assert.deepEqual(judge("在吗"), { verdict: "allow", by: "", explanation: "", retryAfterMs: 0 });
    const picture = judge("加我微信 abc12345", { contentType: "image/png" });
    assert.ok(!(picture instanceof Promise) && picture.verdict === "allow");
    assert.equal(asked.length, 0);
  });

  it("holds strangers to their number, also of messages that are not committed yet", async () => {
    const { judge, state } = setUp([STRANGER]);
    const first = [judge("one"), judge("two"), judge("three")];
    assert.deepEqual(await Promise.all(first.map(shown)), ["allow", "allow", "bounce by stranger"]);
    assert.equal(await shown(judge("four")), "bounce by stranger");
    state.facts = { isAnswered: true, ownMessages: 2, hasOrder: false };
    assert.equal(await shown(judge("five")), "allow");
  });

  it("asks for facts together, and not again of an answered conversation for a while", async () => {
    const { judge, asked, state, clock } = setUp([STRANGER]);
    state.facts = { isAnswered: true, ownMessages: 0, hasOrder: false };
    await Promise.all([judge("one"), judge("two", { conversationId: "d" })]);
    assert.deepEqual(asked, [
      [
        { userId: "alice", conversationId: "c" },
        { userId: "alice", conversationId: "d" },
      ],
    ]);
    assert.ok(!(judge("three") instanceof Promise));
    clock.advance(60_000);
    await judge("four");
    assert.equal(asked.length, 2);
  });

  it("relaxes rules for those who have an order", async () => {
    const { judge, state } = setUp([{ ...CONTACT, unlessOrder: true }]);
    state.facts = { ...NEW, hasOrder: true };
    assert.equal(await shown(judge("加我微信 abc12345")), "allow");
    state.facts = NEW;
    assert.equal(await shown(judge("加我微信 abc12345")), "bounce by contact");
  });

  it("fails open or closed, as each rule says, when facts are late or cannot be read", async () => {
    for (const [onFault, expected] of [
      ["open", "allow"],
      ["closed", "bounce by stranger"],
    ] as const) {
      const { judge, state, clock, faults } = setUp([{ ...STRANGER, onFault }]);
      state.failure = new Error("away");
      assert.equal(await shown(judge("one")), expected);
      assert.deepEqual(faults, ["policy facts"]);
      state.isStuck = true;
      const late = judge("two");
      await turn();
      clock.advance(FACTS_BUDGET_MS);
      assert.equal(await shown(late), expected);
    }
  });
});
