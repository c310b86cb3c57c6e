// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type ConversationFacts, type Judgement, PolicyEngine } from "./engine.ts";
import { readRules } from "./rules.ts";

const NEW: ConversationFacts = { isAnswered: false, ownMessages: 0, hasOrder: false };
const ANSWERED: ConversationFacts = { isAnswered: true, ownMessages: 9, hasOrder: false };
const ORDERED: ConversationFacts = { ...ANSWERED, hasOrder: true };

const bounce = { verdict: "bounce", explanation: "keep it here" };
const contact = { id: "contact", kind: "contact", ...bounce, finds: ["phone", "wechat"] };
const words = { id: "words", kind: "words", verdict: "flag", words: ["枪支", "fake id"] };
const pace = { id: "pace", kind: "rate", ...bounce, per: "sender", max: 2, seconds: 60 };
const stranger = { id: "stranger", kind: "stranger", ...bounce, maxUnanswered: 3 };
const copies = { id: "copies", kind: "copies", verdict: "shadow", maxPeers: 2, seconds: 600 };

function engineOf(rules: readonly object[], before?: PolicyEngine): PolicyEngine {
  return new PolicyEngine(readRules(JSON.stringify({ version: 1, rules })), before);
}

const say = (text: string, more: { sender?: string; conversationId?: string; nowMs?: number } = {}) => ({
  ...{ sender: "alice", conversationId: "c1", text, nowMs: 0, ...more },
});

/** What becomes of a message, which then counts unless it was refused. */
function send(
  engine: PolicyEngine,
  text: string,
  more: Parameters<typeof say>[1] = {},
  facts: ConversationFacts = NEW,
): string {
  const message = engine.read(say(text, more));
  const { verdict, rule } = engine.judge(message, facts) as Judgement;
  if (verdict !== "bounce" && verdict !== "block") engine.note(message);
  return rule ? `${verdict} by ${rule.id}` : verdict;
}

describe("PolicyEngine", () => {
  it("allows what meets no rule, and wants no other types", () => {
    const engine = engineOf([contact, words]);
    assert.equal(send(engine, "在的，可以拍"), "allow");
    assert.deepEqual([engine.wants("text/plain"), engine.wants("image/png"), engine.needsFacts], [true, false, false]);
    const empty = engineOf([]);
    assert.equal(empty.wants("text/plain"), false);
  });

  it("says which rule was met; the strongest verdict holds", () => {
    const engine = engineOf([words, contact, { ...words, id: "worse", verdict: "block", words: ["炸药"] }]);
    assert.equal(send(engine, "有枪支吗"), "flag by words");
    assert.equal(send(engine, "枪支 加我微信"), "bounce by contact");
    assert.equal(send(engine, "枪支 炸药 加我微信"), "block by worse");
  });

  it("finds contacts across messages that were let through, of one sender in one conversation", () => {
    const engine = engineOf([{ ...contact, window: { messages: 5, seconds: 120 } }]);
    assert.equal(send(engine, "139"), "allow");
    assert.equal(send(engine, "1234", { nowMs: 1000 }), "allow");
    for (const more of [{ sender: "bob" }, { conversationId: "c2" }, { nowMs: 122_000 }])
      assert.equal(engine.judge(engine.read(say("5678", { nowMs: 2000, ...more })), NEW)?.verdict, "allow");
    assert.equal(send(engine, "5678", { nowMs: 2000 }), "bounce by contact");
    assert.equal(
      send(engine, "5678", { nowMs: 3000 }),
      "bounce by contact",
      "what was refused is not forgotten either",
    );
  });

  it("goes by the pace per sender, and per pair", () => {
    const engine = engineOf([
      { ...pace, max: 3 },
      { ...pace, id: "pair", per: "pair", max: 2 },
    ]);
    const to = (conversationId: string, nowMs = 0) => send(engine, "hi", { conversationId, nowMs });
    assert.deepEqual(
      [to("c1"), to("c1"), to("c1"), to("c2"), to("c3")],
      ["allow", "allow", "bounce by pair", "allow", "bounce by pace"],
    );
    const refused = engine.judge(engine.read(say("hi", { conversationId: "c4" })), NEW);
    assert.equal(refused?.retryAfterMs, 20_000);
    assert.equal(to("c4", 20_000), "allow");
  });

  it("lets strangers write so much until they are answered", () => {
    const engine = engineOf([stranger]);
    assert.equal(engine.needsFacts, true);
    const message = engine.read(say("hello?"));
    assert.equal(engine.judge(message, undefined), undefined, "it depends");
    const verdicts = [2, 3].map((ownMessages) => engine.judge(message, { ...NEW, ownMessages })?.verdict);
    assert.deepEqual(verdicts, ["allow", "bounce"]);
    assert.equal(engine.judge(message, ANSWERED)?.verdict, "allow");
  });

  it("notices the same text to many who never answered", () => {
    const engine = engineOf([copies]);
    const text = "便宜出全新手机，来我店里看看";
    const to = (conversationId: string, facts = NEW) => send(engine, text, { conversationId }, facts);
    assert.deepEqual([to("c1"), to("c2"), to("c2"), to("c3")], ["allow", "allow", "allow", "shadow by copies"]);
    assert.equal(to("c4", ANSWERED), "allow", "an answer to a question is not spam");
    assert.equal(send(engine, "在的", { conversationId: "c5" }), "allow");
    const third = engine.read(say(text, { conversationId: "c6" }));
    assert.equal(engine.judge(third, undefined), undefined, "it depends");
  });

  it("is laxer where there is an order, for rules that say so", () => {
    const engine = engineOf([
      { ...contact, unlessOrder: true },
      { ...words, unlessOrder: false },
    ]);
    const text = "收件人电话 13912345678 枪支";
    assert.equal(engine.judge(engine.read(say(text)), undefined), undefined);
    assert.equal(send(engine, text, {}, ANSWERED), "bounce by contact");
    assert.equal(send(engine, text, {}, ORDERED), "flag by words");
    const harmless = engine.read(say("在的"));
    assert.equal(engine.judge(harmless, undefined)?.verdict, "allow", "no fact is needed for that");
  });

  it("needs no fact that would not change the verdict", () => {
    const engine = engineOf([{ ...words, verdict: "block" }, stranger]);
    assert.equal(engine.judge(engine.read(say("枪支")), undefined)?.verdict, "block");
  });

  it("fails open or closed, as each rule says, when facts cannot be read", () => {
    for (const [onFault, expected] of [
      ["open", "allow"],
      ["closed", "bounce"],
    ] as const) {
      const engine = engineOf([{ ...contact, unlessOrder: true, onFault }]);
      assert.equal(engine.judge(engine.read(say("加我微信")), "unreadable")?.verdict, expected);
      assert.equal(engine.judge(engine.read(say("在的")), "unreadable")?.verdict, "allow");
      const strangers = engineOf([{ ...stranger, onFault }]);
      assert.equal(strangers.judge(strangers.read(say("在的")), "unreadable")?.verdict, expected);
    }
  });

  it("knows links by their reputation", () => {
    const listed = { id: "bad", kind: "links", verdict: "block", match: "listed", domains: ["bad.com", "worse.top"] };
    const unlisted = { id: "other", kind: "links", ...bounce, match: "unlisted", domains: ["ourshop.com"] };
    const engine = engineOf([listed, unlisted]);
    assert.equal(send(engine, "https://m.bad.com/x"), "block by bad");
    assert.equal(send(engine, "worse点top"), "block by bad");
    assert.equal(send(engine, "看 item.ourshop.com/1"), "allow");
    assert.equal(send(engine, "看 notbad.com"), "bounce by other");
  });

  it("goes on counting under a new document that leaves the rule as it was", () => {
    const before = engineOf([pace, copies]);
    send(before, "hi");
    send(before, "hi");
    const after = engineOf([words, pace], before);
    assert.equal(send(after, "hi"), "bounce by pace");
    assert.equal(send(engineOf([{ ...pace, max: 3 }], after), "hi"), "allow", "another rule");
  });

  it("looks at all of a long text, and takes no time that grows with its square", () => {
    const engine = engineOf([contact, words]);
    const filler = "在的，可以的，1280元包邮。";
    const long = filler.repeat(1500);
    assert.equal(send(engine, `${long}加我微信${long}`), "bounce by contact");
    for (const text of [
      "1".repeat(65_536),
      "1 ".repeat(32_768),
      "加".repeat(21_000),
      "v ".repeat(30_000),
      "微.".repeat(20_000),
      "2024-11-26 ".repeat(5900),
      "a-".repeat(30_000),
      "qq ".repeat(20_000),
    ]) {
      const startedMs = process.cpuUsage().user / 1000;
      engine.read(say(text));
      const usedMs = process.cpuUsage().user / 1000 - startedMs;
      assert.ok(usedMs < 1500, `${text.slice(0, 8)}: ${usedMs} ms`);
    }
  });

  it("keeps no more than it may", () => {
    const rules = [pace, copies, { ...contact, window: { messages: 3, seconds: 60 } }];
    const document = readRules(JSON.stringify({ version: 1, rules }));
    const engine = new PolicyEngine(document, undefined, { maxKeys: 50, maxWindows: 20 });
    for (let at = 0; at < 500; at++) engine.note(engine.read(say("is it still available?", { sender: `u${at}` })));
    assert.ok(engine.size > 60 && engine.size <= 50 + 50 + 20, `${engine.size} keys`);
  });
});
