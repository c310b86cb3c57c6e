// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { Command, Flag } from "#proto/commands.ts";
import { ErrorInfo, Send, SendAck } from "#proto/gen/messages.ts";
import { epochMark } from "#proto/uplink/epoch-mark.ts";
import type { RecordInput } from "#proto/uplink/record.ts";
import type { Card } from "../changes/card.ts";
import type { Outgoing } from "../deliver/deliver.ts";
import { TestEpochs } from "../inbox/epoch-kit.ts";
import { unreadMetrics } from "../metrics.ts";
import type { Session } from "../session/session.ts";
import type { AppendInput, AppendResult } from "../store/store.ts";
import type { BeforeSend, Passage } from "./before-send.ts";
import { directConversationId, subjectConversationId } from "./conversation.ts";
import { SendHandler } from "./send.ts";
import { SendGate } from "./send-gate.ts";
import { CONVERSATION_POLICIES, type ConversationPolicy } from "./subject.ts";

type Done = (result: AppendResult | ImError, epoch: string) => void;

const CARD: Card = { type: "item", ref: "i-1", version: 4, snapshot: {}, actions: [] };

function setUp(
  accepts = true,
  sessionEpoch = "e1",
  contentType = "",
  guards: readonly BeforeSend[] = [],
  policy: ConversationPolicy = "per_peer",
) {
  const epochs = new TestEpochs();
  const sent: RecordInput[] = [];
  const submitted: { input: AppendInput; done: Done }[] = [];
  const delivered: Outgoing[] = [];
  const metrics = unreadMetrics();
  const handler = new SendHandler({
    clock: new FakeClock(),
    random: () => 0.5,
    epochs,
    messageId: () => "018bcfe5-6800-7000-8000-000000000001",
    submit: (input, done) => {
      if (accepts) submitted.push({ input, done });
      return accepts;
    },
    checkCard: (content) => (content[0] === 1 ? CARD : "the card is not signed"),
    deliver: (outgoing) => delivered.push(outgoing),
    metrics,
    gate: new SendGate({ guards, clock: new FakeClock(), onFault: () => undefined, metrics }),
    after: [],
    policyOf: (userId) => (userId === "alice" ? policy : "per_peer"),
  });
  const session: Session = {
    entry: { incarnation: "pod.1", send: (record) => sent.push(record) > 0 },
    conn: 7,
    userId: "alice",
    slot: "mobile",
    deviceId: "d",
    deviceName: "d",
    loginSeq: 1,
    epochMark: epochMark(sessionEpoch),
    notedAckSeq: 0,
    token: { tokenId: "", issuedAtMs: 0, expiresAtMs: 0 },
  };
  const send = (type: string, content = Uint8Array.of(1)): void =>
    handler.handle(session, 3, Send.encode({ to: "bob", clientMessageId: "m", contentType: type, content }));
  send(contentType);
  const [pending] = submitted;
  const finish = (result: AppendResult | ImError, epoch = "e1"): void => pending?.done(result, epoch);
  const about = (fields: Partial<Send>): void =>
    handler.handle(session, 4, Send.encode({ to: "bob", clientMessageId: "s", ...fields }));
  return { sent, delivered, pending, epochs, finish, send, about, submitted, metrics };
}

const stored: AppendResult = {
  kind: "stored",
  messageId: "m1",
  conversationId: "c1",
  convSeq: 4,
  sentAtMs: 5,
  recipients: [
    { userId: "alice", inboxSeq: 8 },
    { userId: "bob", inboxSeq: 9 },
  ],
};

const errorOf = (record: RecordInput | undefined): ErrorInfo => ErrorInfo.decode(record?.body ?? new Uint8Array(0));

describe("content types of the server", () => {
  it("are refused, in any writing, and others are not", () => {
    for (const type of ["im/change", "im/recalled", "im/group", "IM/Card", " im/x", "im/", "text/plain;im-version=9"]) {
      const { sent, submitted } = setUp(true, "e1", type);
      assert.deepEqual([errorOf(sent[0]).code, submitted.length], [ErrorCode.BAD_REQUEST, 0], type);
      assert.equal(errorOf(sent[0]).clientMessageId, "m");
    }
    for (const type of ["", "text/plain", "image/png", "imx/y", "text/im/", "x-im/y"])
      assert.equal(setUp(true, "e1", type).submitted.length, 1, type);
  });

  it("but for cards that the shop signed", () => {
    const { sent, submitted, send } = setUp(true, "e1", "im/card");
    assert.deepEqual(submitted[0]?.input.card, { ref: "i-1", version: 4 });
    send("im/card", Uint8Array.of(2));
    const { code, reason } = errorOf(sent[0]);
    assert.deepEqual([code, reason, submitted.length], [ErrorCode.PERMISSION_DENIED, "the card is not signed", 1]);
  });
});

describe("a subject", () => {
  const item = { subjectType: "item", subjectId: "lamp:1" };
  const subject = { type: "item", id: "lamp:1" };

  it("has a conversation of its own, or is what the pair's one says, as the sender's policy wants", () => {
    const pair = directConversationId("alice", "bob");
    for (const policy of CONVERSATION_POLICIES) {
      const { about, submitted } = setUp(true, "e1", "", [], policy);
      about(item);
      const [bare, input] = submitted.map((one) => one.input);
      assert.deepEqual([bare?.conversationId, bare?.subject, bare?.pairId], [pair, undefined, undefined]);
      const own = subjectConversationId(pair, subject);
      assert.deepEqual(
        [input?.conversationId, input?.pairId, input?.subject],
        policy === "per_item" ? [own, pair, subject] : [pair, undefined, subject],
      );
      assert.equal(input?.maxOfPair, policy === "per_item" ? 1000 : undefined);
    }
  });

  it("is part of what a resend has to repeat, and where the policy puts it is not", () => {
    const hashes = CONVERSATION_POLICIES.map((policy) => {
      const { about, submitted } = setUp(true, "e1", "", [], policy);
      about(item);
      about({ ...item, subjectId: "bike" });
      about({});
      return submitted.slice(1).map(({ input }) => Buffer.from(input.payloadHash).toString("hex"));
    });
    assert.deepEqual(hashes[0], hashes[1]);
    assert.equal(new Set(hashes[0]).size, 3);
  });

  it("is refused with what is wrong", () => {
    const cases: [Partial<Send>, RegExp][] = [
      [{ subjectType: "item" }, /half a subject/],
      [{ subjectId: "lamp" }, /half a subject/],
      [{ subjectType: "Item", subjectId: "lamp" }, /subject_type is none: 1-32 of a-z/],
      [{ subjectType: "i".repeat(33), subjectId: "lamp" }, /subject_type/],
      [{ subjectType: "item", subjectId: "a lamp" }, /subject_id is none: 1-64 of letters/],
      [{ subjectType: "item", subjectId: "l\0" }, /subject_id/],
      [{ subjectType: "item", subjectId: "l".repeat(65) }, /subject_id/],
      [{ ...item, to: "", conversationId: "c_1" }, /a subject goes with to/],
    ];
    const { about, sent, submitted } = setUp();
    for (const [fields, reason] of cases) {
      about(fields);
      const error = errorOf(sent.at(-1));
      assert.deepEqual([error.code, error.clientMessageId], [ErrorCode.BAD_REQUEST, "s"], JSON.stringify(fields));
      assert.match(error.reason, reason);
    }
    assert.equal(submitted.length, 1);
  });
});

describe("send", () => {
  it("says and delivers nothing before the commit", () => {
    const { sent, delivered, pending } = setUp();
    assert.deepEqual([sent.length, delivered.length], [0, 0]);
    assert.equal(pending?.input.peer, "bob");
    assert.equal(pending?.input.payloadHash.length, 32);
  });

  it("acknowledges with the sender's own position, then delivers", () => {
    const { sent, delivered, finish } = setUp();
    finish(stored);
    const [ack] = sent;
    assert.equal(ack?.cmd, Command.SEND_ACK);
    assert.deepEqual([ack?.conn, ack?.rid, ack?.aux, ack?.flags], [7, 3, 8, Flag.REPLY]);
    assert.equal(SendAck.decode(ack?.body ?? new Uint8Array(0)).inboxSeq, 8);
    assert.deepEqual(delivered[0]?.recipients, stored.kind === "stored" ? stored.recipients : []);
    assert.deepEqual(delivered[0]?.origin, { incarnation: "pod.1", conn: 7 });
    assert.equal(delivered[0]?.epochMark, epochMark("e1"));
  });

  it("marks a duplicate and delivers it to nobody again", () => {
    const { sent, delivered, finish } = setUp();
    finish({ ...stored, kind: "duplicate", recipients: [{ userId: "alice", inboxSeq: 8 }] });
    assert.equal(sent[0]?.flags, Flag.REPLY | Flag.DUPLICATE);
    assert.equal(delivered.length, 0);
  });

  it("sheds as BUSY with a delay", () => {
    const { sent } = setUp(false);
    const error = errorOf(sent[0]);
    assert.deepEqual([error.code, error.retryable, error.retryAfterMs], [ErrorCode.BUSY, true, 300]);
    assert.equal(error.clientMessageId, "m");
  });

  it("passes BUSY of the queue on with its delay", () => {
    const { sent, finish } = setUp();
    finish(new ImError(ErrorCode.BUSY, "late", { retryAfterMs: 70 }));
    assert.deepEqual([errorOf(sent[0]).code, errorOf(sent[0]).retryAfterMs], [ErrorCode.BUSY, 70]);
  });

  for (const code of [ErrorCode.RETRYABLE, ErrorCode.INTERNAL]) {
    it(`never calls an unknown outcome a failure (${code})`, () => {
      const { sent, delivered, finish } = setUp();
      finish(new ImError(code, "the connection broke at COMMIT"));
      const error = errorOf(sent[0]);
      assert.deepEqual([error.code, error.retryable, error.clientMessageId], [ErrorCode.RETRYABLE, true, "m"]);
      assert.ok(!error.reason.includes("COMMIT"), "internals stay inside");
      assert.equal(delivered.length, 0);
    });
  }

  it("takes nothing from a session of another epoch, and has the epoch looked up", () => {
    const { sent, pending, epochs } = setUp(true, "e0");
    assert.deepEqual([pending, epochs.doubts], [undefined, 1]);
    const error = errorOf(sent[0]);
    assert.deepEqual([error.code, error.retryable, error.clientMessageId], [ErrorCode.RETRYABLE, true, "m"]);
    assert.equal(error.retryAfterMs, 300);
  });

  it("names no position of another epoch to the sender, and delivers to those who are of it", () => {
    const { sent, delivered, finish } = setUp();
    finish(stored, "e2");
    const error = errorOf(sent[0]);
    assert.deepEqual([sent.length, error.code, error.clientMessageId], [1, ErrorCode.RETRYABLE, "m"]);
    assert.deepEqual([delivered.length, delivered[0]?.epochMark], [1, epochMark("e2")]);
  });

  it("names no position of another epoch for a repetition either", () => {
    const { sent, delivered, finish } = setUp();
    finish({ ...stored, kind: "duplicate", recipients: [{ userId: "alice", inboxSeq: 8 }] }, "e2");
    assert.deepEqual([errorOf(sent[0]).code, delivered.length], [ErrorCode.RETRYABLE, 0]);
  });
});

describe("messages that a guard has something to say about", () => {
  const guarded = (verdict: Passage["verdict"]) => {
    const passage: Passage = { verdict, by: "phones", explanation: "keep it here", retryAfterMs: 70 };
    return setUp(true, "e1", "", [{ name: "rules", budgetMs: 1, late: passage, judge: () => passage }]);
  };

  it("bounces with the rule and its explanation, once nothing is found stored", () => {
    const { sent, delivered, pending, finish } = guarded("bounce");
    assert.deepEqual([pending?.input.lookUpOnly, sent.length], [true, 0]);
    finish({ kind: "refused" });
    const { code, reason, rule, retryable, retryAfterMs, clientMessageId } = errorOf(sent[0]);
    assert.deepEqual(
      { code, reason, rule, retryable, retryAfterMs, clientMessageId },
      { ...{ code: ErrorCode.BOUNCED, reason: "keep it here", rule: "phones" }, ...AFTER },
    );
    assert.equal(delivered.length, 0);
  });

  const AFTER = { retryable: false, retryAfterMs: 70, clientMessageId: "m" };

  it("acknowledges a resend of what was stored before the rule", () => {
    const { sent, delivered, finish } = guarded("block");
    finish({ ...stored, kind: "duplicate", recipients: [{ userId: "alice", inboxSeq: 8 }] });
    assert.deepEqual([sent[0]?.cmd, sent[0]?.flags, delivered.length], [Command.SEND_ACK, DUPLICATE_REPLY, 0]);
  });

  const DUPLICATE_REPLY = Flag.REPLY | Flag.DUPLICATE;

  it("blocks without a word about the rule", () => {
    const { sent, finish } = guarded("block");
    finish({ kind: "refused" });
    const { code, reason, rule } = errorOf(sent[0]);
    assert.deepEqual([code, reason, rule], [ErrorCode.PERMISSION_DENIED, "this message cannot be sent", ""]);
  });

  it("has what is to be shadowed stored for its sender alone, and answers as ever", () => {
    const { sent, delivered, pending, finish } = guarded("shadow");
    assert.deepEqual([pending?.input.hidden, pending?.input.lookUpOnly], [true, undefined]);
    finish({ ...stored, recipients: [{ userId: "alice", inboxSeq: 8 }] });
    assert.equal(sent[0]?.cmd, Command.SEND_ACK);
    assert.deepEqual(delivered[0]?.recipients, [{ userId: "alice", inboxSeq: 8 }]);
  });

  it("stores what is flagged like any other", () => {
    const { pending } = guarded("flag");
    assert.deepEqual([pending?.input.hidden, pending?.input.lookUpOnly], [undefined, undefined]);
  });

  it("tells who would begin one conversation too many where to write", () => {
    const { sent, finish, about, submitted, metrics } = setUp(true, "e1", "", [], "per_item");
    finish({ kind: "pair-full" });
    about({ subjectType: "item", subjectId: "lamp" });
    submitted[1]?.done({ kind: "pair-full" }, "e1");
    const { code, reason, clientMessageId, retryable } = errorOf(sent[1]);
    assert.deepEqual([code, clientMessageId, retryable], [ErrorCode.BAD_REQUEST, "s", false]);
    assert.match(reason, /have 1000 conversations about single things, the most .*: write in one of them, or without/);
    assert.deepEqual([metrics.sends.full, metrics.sends.denied], [2, 0]);
  });

  it("tells who has blocked the other to unblock first", () => {
    const { sent, finish } = setUp();
    finish({ kind: "blocks-peer" });
    assert.deepEqual(
      [errorOf(sent[0]).code, errorOf(sent[0]).reason],
      [ErrorCode.PERMISSION_DENIED, "you have blocked this user: unblock it first"],
    );
  });
});
