// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Command } from "#proto/commands.ts";
import { Block, ContactsPage, Presence, Send } from "#proto/gen/messages.ts";
import { type RecordInput, RecordKind } from "#proto/uplink/record.ts";
import type { EntryPort } from "../session/session.ts";
import { isUserId } from "../token/verify.ts";
import { isInternalId, isPeerId, prefixChars } from "./peer-id.ts";
import { internalId, TENANT } from "./tenant-ids.ts";
import { portOf, saidBy, shownTo } from "./tenant-port.ts";

const letters = (chars: string, most: number) =>
  fc.string({ unit: fc.constantFrom(...chars), minLength: 1, maxLength: most });
const tenant = fc.constantFrom("acme", "a", "acme-2", "shop", "0");
const anyTenant = fc.oneof(fc.constant(""), tenant);
const userId = letters("ab1_.:@-", 64);
/** What somebody may write who tries: ids, prefixes of all kinds, any text. */
const written = fc.oneof(
  userId,
  fc.tuple(anyTenant, userId).map(([of, id]) => internalId(of, id)),
  fc.string({ unit: fc.constantFrom(..."acme/ab0-\0 "), maxLength: 20 }),
  fc.string({ unit: "binary", maxLength: 20 }).map((text) => text.toWellFormed()),
);

const tenantOfId = (id: string): string => (id.includes("/") ? id.slice(0, id.indexOf("/")) : "");

describe("ids between clients and handlers", () => {
  it("come back as they went, in every tenant", () => {
    fc.assert(
      fc.property(anyTenant, fc.array(userId, { maxLength: 5 }), (of, ids) => {
        const inside = Block.decode(saidBy(of, Command.BLOCK, Block.encode({ block: ids, unblock: ids, version: 3 })));
        assert.deepEqual(
          inside.block,
          ids.map((id) => internalId(of, id)),
        );
        for (const id of inside.block) assert.ok(isPeerId(internalId(of, "me"), id));
        const peers = inside.unblock.map((id) => ({ userId: id, online: true, platforms: ["web"], lastSeenMs: 1 }));
        const outside = Presence.decode(shownTo(of, Command.PRESENCE, Presence.encode({ peers })));
        assert.deepEqual(
          outside.peers.map(({ userId: id }) => id),
          ids,
        );
      }),
    );
  });

  it("are of the asker's own tenant when a handler takes them, whatever a client wrote", () => {
    fc.assert(
      fc.property(anyTenant, userId, written, (of, me, text) => {
        const self = internalId(of, me);
        const { to } = Send.decode(saidBy(of, Command.SEND, Send.encode({ to: text })));
        if (isPeerId(self, to)) {
          assert.equal(tenantOfId(to), of);
          assert.equal(to, internalId(of, text));
          assert.ok(isUserId(text));
        } else assert.ok(!isUserId(text));
      }),
      { numRuns: 2000 },
    );
  });

  it("are refused by the handler when somebody forgot to translate them", () => {
    fc.assert(
      fc.property(tenant, userId, userId, (of, me, other) => {
        assert.ok(!isPeerId(internalId(of, me), other));
        assert.ok(!isPeerId(me, internalId(of, other)));
        assert.equal(internalId(of, me).length - me.length, prefixChars(internalId(of, me)));
      }),
    );
  });

  it("of any tenant are internal ones to an administrator, and nothing else is", () => {
    fc.assert(
      fc.property(anyTenant, userId, written, (of, id, text) => {
        assert.ok(isInternalId(internalId(of, id)));
        const at = text.indexOf("/");
        const isWell =
          at < 0 ? isUserId(text) : at > 0 && isUserId(text.slice(at + 1)) && TENANT.test(text.slice(0, at));
        assert.equal(isInternalId(text), isWell);
      }),
    );
    for (const wrong of ["/bob", "acme/", "acme//bob", "acme/shop/bob", "Acme/bob", "-a/bob"])
      assert.ok(!isInternalId(wrong));
  });

  it("of another tenant are shown to nobody", () => {
    fc.assert(
      fc.property(anyTenant, fc.array(fc.tuple(anyTenant, userId), { maxLength: 5 }), (of, ids) => {
        const contacts = ids.map(([other, id]) => ({ peerId: internalId(other, id) }));
        const body = ContactsPage.encode({ contacts: contacts as ContactsPage["contacts"] });
        const shown = ContactsPage.decode(shownTo(of, Command.CONTACTS, body)).contacts.map(({ peerId }) => peerId);
        if (of !== "")
          assert.deepEqual(
            shown,
            ids.map(([other, id]) => (other === of || other === "" ? id : "")),
          );
      }),
    );
  });

  it("stay as they are in what is no message: its handler refuses it", () => {
    const bytes = Buffer.from([0x12, 9, 1]);
    assert.equal(saidBy("acme", Command.SEND, bytes), bytes);
  });
});

describe("the port of a tenant's session", () => {
  const sent: RecordInput[] = [];
  const entry: EntryPort = {
    incarnation: "i-1",
    send: (record) => sent.push(record) > 0,
    roundTripMs: (conn) => conn * 2,
  };

  it("is the stream itself in the default tenant, and one for all sessions of another", () => {
    assert.equal(portOf(entry, "alice"), entry);
    assert.equal(portOf(entry, "acme/alice"), portOf(entry, "acme/bob"));
    assert.notEqual(portOf(entry, "acme/alice"), portOf(entry, "shop/alice"));
    const port = portOf(entry, "acme/alice");
    assert.deepEqual([port.incarnation, port.roundTripMs?.(3)], ["i-1", 6]);
  });

  it("translates replies, and nothing that the entry reads", () => {
    const port = portOf(entry, "acme/alice");
    const peers = [{ userId: "acme/bob", online: true, platforms: [], lastSeenMs: 0 }];
    const body = Presence.encode({ peers });
    assert.ok(port.send({ kind: RecordKind.REPLY, cmd: Command.PRESENCE, conn: 4, rid: 5, body }));
    const reply = sent.pop();
    assert.equal(Presence.decode(reply?.body ?? new Uint8Array()).peers[0]?.userId, "bob");
    assert.deepEqual([reply?.conn, reply?.rid], [4, 5]);
    for (const record of [
      { kind: RecordKind.SESSION_TAG, conn: 4, body },
      { kind: RecordKind.REPLY, cmd: Command.PRESENCE, conn: 4 },
      { kind: RecordKind.REPLY, cmd: Command.SEND_ACK, conn: 4, body },
    ] as const) {
      port.send(record);
      assert.deepEqual(sent.pop(), record);
    }
    const block = port.read?.(Command.BLOCK, Block.encode({ block: ["bob"] })) ?? new Uint8Array();
    assert.deepEqual(Block.decode(block).block, ["acme/bob"]);
  });
});
