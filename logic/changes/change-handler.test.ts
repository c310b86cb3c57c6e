// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { Command, Flag } from "#proto/commands.ts";
import { Change, Changed, Edit, Recall } from "#proto/gen/messages.ts";
import type { RecordInput } from "#proto/uplink/record.ts";
import { PASS, type Passage } from "../send/before-send.ts";
import { RECALLED_VERSION } from "../store/changes.ts";
import type { AppendedMessage, AppendInput } from "../store/store.ts";
import { ChangeHandler, MAX_EDIT_BYTES } from "./change-handler.ts";
import { changeSession, changeSetUp, errorOf, NARROW, settle } from "./change-kit.ts";
import { DEFAULT_CHANGE_POLICY } from "./change-policy.ts";

function setUp(limits?: typeof NARROW, policy = DEFAULT_CHANGE_POLICY) {
  const base = changeSetUp(limits);
  const muted = new Set<string>();
  const mutedMs = (userId: string): number => (muted.has(userId) ? 1000 : 0);
  const verdict: { passage: Passage; judged: string[] } = { passage: PASS, judged: [] };
  const gate = {
    enter: ({ content }: AppendInput, pass: (passage: Passage) => void): boolean => {
      verdict.judged.push(Buffer.from(content).toString());
      pass(verdict.passage);
      return true;
    },
  };
  const handler = new ChangeHandler({ ...base.ports, policy, mutedMs, gate });
  const { session, sent } = changeSession("alice", base.store.epoch);
  const refOf = ({ conversationId, convSeq, messageId }: AppendedMessage) => ({ conversationId, convSeq, messageId });
  const ask = async (cmd: number, body: Uint8Array): Promise<RecordInput | undefined> => {
    sent.length = 0;
    handler.handle(session, { cmd, rid: 9, body });
    await settle();
    return sent[0];
  };
  const recall = (of: AppendedMessage, more: Partial<Recall> = {}) =>
    ask(Command.RECALL, Recall.encode({ ...refOf(of), clientMessageId: "r", ...more }));
  const edit = (of: AppendedMessage, more: Partial<Edit> = {}) =>
    ask(
      Command.EDIT,
      Edit.encode({ ...refOf(of), clientMessageId: "e", version: 1, content: Buffer.from("two"), ...more }),
    );
  return { ...base, muted, verdict, handler, session, sent, ask, recall, edit };
}

const changedOf = (record: RecordInput | undefined): Changed => {
  assert.equal(record?.flags, Flag.REPLY, JSON.stringify(errorOf(record)));
  return Changed.decode(record?.body ?? Buffer.alloc(0));
};

describe("RECALL and EDIT", () => {
  it("of one who may not write: what is said stays, or goes", async () => {
    const { send, edit, recall, muted } = setUp();
    const of = await send("alice", "bob");
    muted.add("alice");
    const refused = errorOf(await edit(of));
    assert.deepEqual([refused.code, refused.rule, refused.clientMessageId], [ErrorCode.BOUNCED, "muted", "e"]);
    assert.equal(changedOf(await recall(of)).eventSeq, 2);
  });

  it("of an edit that a rule refuses, or would hide: the message stays as it was", async () => {
    const { send, edit, recall, verdict, delivered } = setUp();
    const of = await send("alice", "bob");
    verdict.passage = { ...PASS, verdict: "bounce", by: "words", explanation: "no such words", retryAfterMs: 0 };
    const bounced = errorOf(await edit(of));
    assert.deepEqual([bounced.code, bounced.rule, bounced.clientMessageId], [ErrorCode.BOUNCED, "words", "e"]);
    for (const hidden of ["shadow", "block"] as const) {
      verdict.passage = { ...PASS, verdict: hidden, by: "words" };
      const refused = errorOf(await edit(of));
      assert.deepEqual([refused.code, refused.rule], [ErrorCode.PERMISSION_DENIED, ""], hidden);
    }
    assert.deepEqual([verdict.judged, delivered.length], [["two", "two", "two"], 0]);
    assert.equal(changedOf(await recall(of)).eventSeq, 2, "rules are not asked about a recall");
    assert.equal(verdict.judged.length, 3);
  });

  it("answer after the commit, and tell everybody, this connection too, without a push", async () => {
    const { send, edit, recall, delivered } = setUp();
    const of = await send("alice", "bob");
    const edited = await edit(of);
    assert.deepEqual([edited?.cmd, edited?.rid], [Command.EDIT, 9]);
    assert.deepEqual(
      { ...changedOf(edited), changedAtMs: 0 },
      {
        ...{ clientMessageId: "e", conversationId: of.conversationId, convSeq: 1, version: 2, code: 0 },
        ...{ eventSeq: 2, changedAtMs: 0, duplicate: false },
      },
    );
    const [outgoing] = delivered;
    assert.deepEqual([outgoing?.isSilent, outgoing?.origin], [true, { incarnation: "", conn: 0 }]);
    assert.deepEqual(new Set(outgoing?.recipients.map(({ userId }) => userId)), new Set(["alice", "bob"]));
    assert.equal(outgoing?.event.contentType, "im/change");
    const change = Change.decode(outgoing?.event.content ?? Buffer.alloc(0));
    assert.deepEqual(
      { ...change, content: Buffer.from(change.content).toString() },
      {
        ...{ convSeq: 1, messageId: of.messageId, version: 2, kind: 2, content: "two" },
      },
    );
    const recalled = changedOf(await recall(of));
    assert.deepEqual([recalled.version, recalled.eventSeq, recalled.duplicate], [RECALLED_VERSION, 3, false]);
    const last = Change.decode(delivered[1]?.event.content ?? Buffer.alloc(0));
    assert.deepEqual([last.kind, last.version, last.content.length], [1, RECALLED_VERSION, 0]);
  });

  it("in a large group are told to everybody who was in it, with one inbox seq", async () => {
    const { send, edit, delivered, store } = setUp();
    const of = await send("alice", "bob");
    const recipients = [{ userId: "alice", inboxSeq: 2 }];
    store.changes.change = async () => ({ kind: "changed", eventSeq: 2, recipients, largeVersion: 7 });
    assert.equal(changedOf(await edit(of)).eventSeq, 2);
    assert.deepEqual([delivered[0]?.recipients, delivered[0]?.largeVersion], [recipients, 7]);
  });

  it("give a resend the first answer and deliver nothing twice", async () => {
    const { send, edit, recall, delivered } = setUp();
    const of = await send("alice", "bob");
    const first = changedOf(await edit(of));
    assert.deepEqual(changedOf(await edit(of)), { ...first, duplicate: true });
    changedOf(await recall(of));
    const again = changedOf(await recall(of, { clientMessageId: "r2" }));
    assert.deepEqual([again.version, again.eventSeq, again.duplicate], [RECALLED_VERSION, 0, true]);
    assert.equal(delivered.length, 2);
  });

  it("tell who comes second the version that the message has", async () => {
    const { send, edit } = setUp();
    const of = await send("alice", "bob");
    await edit(of);
    const second = changedOf(await edit(of, { clientMessageId: "e2" }));
    assert.deepEqual([second.code, second.version, second.eventSeq], [ErrorCode.CONFLICT, 2, 0]);
    assert.equal(changedOf(await edit(of, { clientMessageId: "e3", version: 2 })).version, 3);
  });

  it("end with their windows", async () => {
    const { send, edit, recall, clock } = setUp();
    const of = await send("alice", "bob");
    clock.advance(DEFAULT_CHANGE_POLICY.recallWindowMs + 1);
    const late = errorOf(await recall(of));
    assert.deepEqual([late.code, late.clientMessageId], [ErrorCode.PERMISSION_DENIED, "r"]);
    assert.match(late.reason, /120 s/);
    changedOf(await edit(of));
    clock.advance(DEFAULT_CHANGE_POLICY.editWindowMs);
    assert.match(errorOf(await edit(of, { clientMessageId: "e2", version: 2 })).reason, /too late.*900 s/);
    const never = setUp(undefined, { recallWindowMs: 0, editWindowMs: 0 });
    const fresh = await never.send("alice", "bob");
    assert.equal(errorOf(await never.recall(fresh)).code, ErrorCode.PERMISSION_DENIED);
    assert.equal(errorOf(await never.edit(fresh)).code, ErrorCode.PERMISSION_DENIED);
  });

  it("have a stable code for everything that is refused, the same for unknown and forbidden conversations", async () => {
    const { send, edit, recall } = setUp();
    const of = await send("alice", "bob");
    const others = await send("bob", "alice");
    const foreign = await send("bob", "carol");
    const codes = async (given: AppendedMessage, more: object = {}): Promise<string[]> => {
      const answers = [errorOf(await recall(given, more)), errorOf(await edit(given, more))];
      return answers.map(({ code, reason }) => `${code} ${reason}`);
    };
    for (const answer of await codes(others)) assert.match(answer, /^4 only its sender/);
    const hidden = await codes(foreign);
    assert.deepEqual(await codes(of, { conversationId: "c_none" }), hidden);
    assert.match(hidden[0] ?? "", /^4 no such conversation/);
    for (const answer of await codes(of, { convSeq: 99 })) assert.match(answer, /^5 /);
    await recall(of, { clientMessageId: "x" });
    for (const answer of await codes(await send("alice", "bob"), { clientMessageId: "x" })) assert.match(answer, /^6 /);
  });

  it("refuse what is no request, before any work", async () => {
    const { send, ask, recall, edit, gate } = setUp();
    const of = await send("alice", "bob");
    assert.equal(errorOf(await ask(Command.RECALL, Buffer.from([255]))).code, ErrorCode.BAD_REQUEST);
    assert.equal(errorOf(await ask(Command.EDIT, Buffer.from([255]))).code, ErrorCode.BAD_REQUEST);
    const bad: Partial<Edit>[] = [
      ...[{ clientMessageId: "" }, { clientMessageId: "a\0b" }, { clientMessageId: "x".repeat(65) }],
      ...[{ conversationId: "" }, { conversationId: "x".repeat(65) }, { convSeq: 0 }, { convSeq: 2 ** 60 }],
      ...[{ messageId: "" }, { messageId: "no-uuid" }],
    ];
    for (const fields of bad) {
      assert.equal(errorOf(await recall(of, fields)).code, ErrorCode.BAD_REQUEST, JSON.stringify(fields));
      assert.equal(errorOf(await edit(of, fields)).code, ErrorCode.BAD_REQUEST, JSON.stringify(fields));
    }
    for (const fields of [{ version: 0 }, { version: RECALLED_VERSION }, { content: Buffer.alloc(0) }])
      assert.equal(errorOf(await edit(of, fields)).code, ErrorCode.BAD_REQUEST);
    assert.equal(errorOf(await edit(of, { content: Buffer.alloc(MAX_EDIT_BYTES + 1) })).code, ErrorCode.TOO_LARGE);
    changedOf(await edit(of, { content: Buffer.alloc(MAX_EDIT_BYTES, "x") }));
    assert.equal(gate.running, 0);
  });

  it("say RETRYABLE when nothing is known, and BUSY before any work", async () => {
    const { send, edit, recall, store, faults } = setUp(NARROW);
    const of = await send("alice", "bob");
    const change = store.changes.change.bind(store.changes);
    store.changes.change = () => Promise.reject(new ImError(ErrorCode.RETRYABLE, "lost"));
    const lost = errorOf(await edit(of));
    assert.deepEqual([lost.code, lost.retryable, lost.clientMessageId], [ErrorCode.RETRYABLE, true, "e"]);
    assert.match(faults.join(), /change: .*lost/);
    store.changes.change = () => Promise.reject(new TypeError("ours"));
    const ours = errorOf(await edit(of));
    assert.deepEqual([ours.code, ours.retryable], [ErrorCode.INTERNAL, false]);
    store.changes.change = () => new Promise(() => undefined);
    assert.equal(await edit(of), undefined);
    assert.equal(await edit(of), undefined);
    const busy = errorOf(await recall(of));
    assert.deepEqual([busy.code, busy.retryable, busy.retryAfterMs > 0], [ErrorCode.BUSY, true, true]);
    store.changes.change = change;
  });

  it("are bounded per session", async () => {
    const { send, edit, handler, session, sent, clock } = setUp();
    const of = await send("alice", "bob");
    for (let at = 0; at < 50; at++) await edit(of, { clientMessageId: `e${at}`, version: at + 1 });
    const limited = errorOf(await edit(of, { clientMessageId: "more", version: 51 }));
    assert.deepEqual([limited.code, limited.retryable], [ErrorCode.RATE_LIMITED, true]);
    clock.advance(limited.retryAfterMs);
    assert.equal(changedOf(await edit(of, { clientMessageId: "more", version: 51 })).version, 52);
    assert.ok(handler && session && sent);
  });

  it("give no position of another epoch to anybody", async () => {
    const { send, edit, epochs, store, delivered } = setUp();
    const of = await send("alice", "bob");
    await store.changeEpoch("e-2");
    // This process does not know yet.
    assert.equal(errorOf(await edit(of)).code, ErrorCode.RETRYABLE);
    assert.equal(epochs.doubts, 1);
    epochs.current = "e-2";
    assert.equal(errorOf(await edit(of)).code, ErrorCode.RETRYABLE, "the session is of the epoch before");
    assert.deepEqual([epochs.doubts, delivered.length], [2, 0]);
  });
});
