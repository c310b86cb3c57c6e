// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import fc from "fast-check";
import { MAX_ID_CHARS } from "#proto/commands.ts";
import { SendAck } from "#proto/gen/messages.ts";
import type { Subject } from "../store/store.ts";
import { sendAckBytes } from "./ack-bytes.ts";
import { directConversationId, pairIdOf, payloadHash, subjectConversationId } from "./conversation.ts";
import { createMessageIds } from "./message-id.ts";

const bytesOf = (text: string): Uint8Array => Buffer.from(text);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

describe("conversation ids", () => {
  it("are the same from both sides and differ between pairs", () => {
    assert.equal(directConversationId("alice", "bob"), "c_7c48a70d29577933c3980494f9bd0753");
    assert.equal(directConversationId("bob", "alice"), "c_7c48a70d29577933c3980494f9bd0753");
    assert.notEqual(directConversationId("a", "bc"), directConversationId("ab", "c"));
  });

  it("are right whatever was asked before: more pairs than are remembered, and again", () => {
    const users = Array.from({ length: 300 }, (_, at) => `user${at}`);
    for (let round = 0; round < 2; round++) {
      for (const [at, a] of users.entries()) {
        for (const b of users.slice(at + 1, at + 80)) {
          const [smaller, greater] = [a, b].sort();
          const digest = createHash("sha256").update(`p2p\0${smaller}\0${greater}`).digest("hex");
          assert.equal(directConversationId(b, a), `c_${digest.slice(0, 32)}`);
          assert.equal(directConversationId(a, b), `c_${digest.slice(0, 32)}`);
        }
      }
    }
  });
});

describe("conversation ids of a subject", () => {
  const id = fc.stringMatching(/^[A-Za-z0-9_.:@-]{1,64}$/);
  const subject = fc.record({ type: fc.stringMatching(/^[a-z0-9_.-]{1,32}$/), id });
  const key = fc.record({ users: fc.uniqueArray(id, { minLength: 2, maxLength: 2 }), subject });
  const idOf = ({ users: [a = "", b = ""], subject: about }: { users: string[]; subject: Subject }): string =>
    subjectConversationId(directConversationId(a, b), about);

  it("are these, and stay these: what is stored stands under them", () => {
    const pair = directConversationId("alice", "bob");
    assert.equal(
      idOf({ users: ["bob", "alice"], subject: { type: "item", id: "42" } }),
      `${pair}_zOSxh0H5kTR2Dkkj1dYevu`,
    );
  });

  it("are the same from both sides, short enough to be sent, and lead back to the pair", () => {
    fc.assert(
      fc.property(key, ({ users, subject: about }) => {
        const own = idOf({ users, subject: about });
        assert.equal(own, idOf({ users: users.toReversed(), subject: about }));
        assert.ok(own.length <= MAX_ID_CHARS);
        assert.equal(pairIdOf(own), directConversationId(users[0] ?? "", users[1] ?? ""));
      }),
    );
  });

  it("differ when pair, type or id differ, wherever the border is", () => {
    const keyOf = ({ users, subject: { type, id: name } }: { users: string[]; subject: Subject }): string =>
      JSON.stringify([[...users].sort(), type, name]);
    fc.assert(
      fc.property(fc.uniqueArray(key, { selector: keyOf, maxLength: 20 }), (keys) => {
        assert.equal(new Set(keys.map(idOf)).size, keys.length);
      }),
    );
    const [users, other] = [
      ["a", "b"],
      ["a", "c"],
    ];
    const near = [
      { users, subject: { type: "item", id: "42" } },
      { users, subject: { type: "item4", id: "2" } },
      { users, subject: { type: "ite", id: "m42" } },
      { users: other, subject: { type: "item", id: "42" } },
    ];
    assert.equal(new Set(near.map(idOf)).size, near.length);
  });

  it("of other conversations are their own pairs", () => {
    const pair = directConversationId("alice", "bob");
    for (const own of [
      pair,
      `${pair}_`,
      `${pair}_short`,
      `g_${"0".repeat(55)}`,
      `g${pair.slice(1)}_${"x".repeat(22)}`,
      "",
    ])
      assert.equal(pairIdOf(own), own);
  });
});

describe("payload hash", () => {
  it("differs when conversation, type or content differ, wherever the border is", () => {
    const bytes = bytesOf;
    const hashes = [
      payloadHash("c", "t", bytes("x")),
      payloadHash("d", "t", bytes("x")),
      payloadHash("c", "u", bytes("x")),
      payloadHash("c", "t", bytes("y")),
      payloadHash("c", "", bytes("t\0x")),
      payloadHash("c", "t", bytes("")),
      payloadHash("c", "tx", bytes("")),
    ].map(hex);
    assert.equal(new Set(hashes).size, hashes.length);
    assert.equal(hashes[0]?.length, 64);
    assert.equal(hex(payloadHash("c", "t", bytes("x"))), hashes[0]);
  });

  it("is SHA-256, whatever the sizes: it is compared with what is stored", () => {
    const text = fc.string({ unit: "binary", maxLength: 64 });
    const sizes = fc.constantFrom(0, 1, 200, 7679, 7680, 7681, 65_536);
    fc.assert(
      fc.property(text, text, sizes, (conversationId, contentType, size) => {
        const content = Buffer.alloc(size, "content");
        const head = `${conversationId}\0${contentType.length}\0${contentType}\0`;
        const expected = createHash("sha256").update(head, "utf8").update(content).digest("hex");
        assert.equal(hex(payloadHash(conversationId, contentType, content)), expected);
      }),
    );
    const long = "x".repeat(1000);
    assert.equal(hex(payloadHash(long, "", bytesOf("y"))).length, 64);
  });
});

describe("message ids", () => {
  it("are UUIDv7 of the given time, all different", () => {
    const next = createMessageIds(() => 1_700_000_000_000);
    const ids = Array.from({ length: 2000 }, next);
    assert.equal(new Set(ids).size, 2000);
    for (const id of ids) assert.match(id, /^018bcfe5-6800-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });
});

describe("SendAck bytes", () => {
  it("are what the codec reads", () => {
    const text = fc.string({ unit: "binary", maxLength: 80 }).map((value) => value.toWellFormed());
    const seq = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
    const ack = fc.record(
      {
        clientMessageId: text,
        messageId: text,
        conversationId: text,
        convSeq: seq,
        inboxSeq: seq,
        sentAtMs: seq,
        duplicate: fc.boolean(),
      },
      { noNullPrototype: true },
    );
    fc.assert(fc.property(ack, (value) => assert.deepEqual({ ...SendAck.decode(sendAckBytes(value)) }, value)));
  });
});
