// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { it } from "node:test";
import type { HookEvent, HookStoredMessage } from "../store/hooks.ts";
import { callOf, MAX_BODY_BYTES } from "./hook-body.ts";
import { eventsOf, hookOf } from "./hook-kit.ts";

const STORED: HookStoredMessage = {
  sender: "alice",
  clientMessageId: "m-1",
  contentType: "text/plain",
  content: Buffer.from("hello"),
  users: ["alice", "bob"],
  subject: undefined,
};

function messageEvent(position: number, stored: Partial<HookStoredMessage> | undefined, more: Partial<HookEvent> = {}) {
  return {
    ...{
      position,
      id: `id-${position}`,
      kind: "message.after",
      key: "c-1",
      storedMs: 7,
      onlyHook: undefined,
      body: "",
    },
    message: {
      ...{ conversationId: "c-1", convSeq: 10 + position, sentAtMs: 5 },
      stored: stored && { ...STORED, ...stored },
    },
    ...more,
  } satisfies HookEvent;
}

const factEvent = (position: number, key: string): HookEvent => ({
  ...{ position, id: `id-${position}`, kind: "presence", key, storedMs: 7, onlyHook: undefined, message: undefined },
  body: '{"online":true}',
});

const shop = hookOf({ name: "shop" });

it("tells of messages and facts", () => {
  const call = callOf(shop, [messageEvent(1, {}), factEvent(2, "bob")], 10);
  assert.deepEqual(JSON.parse(call?.body ?? ""), {
    hook: "shop",
    tenant: "",
    events: [
      {
        ...{ id: "id-1", type: "message.after", position: 1, atMs: 7 },
        data: {
          ...{ messageId: "id-1", conversationId: "c-1", conversationSeq: 11, sentAtMs: 5, sender: "alice", to: "bob" },
          ...{ clientMessageId: "m-1", contentType: "text/plain", content: "hello", encoding: "utf8" },
        },
      },
      { id: "id-2", type: "presence", position: 2, atMs: 7, data: { userId: "bob", online: true } },
    ],
  });
  assert.equal(call?.position, 2);
  const [group] = eventsOf(callOf(shop, [messageEvent(1, { users: [], contentType: "" })], 10)?.body ?? "");
  assert.deepEqual([group?.data.to, group?.data.contentType], [undefined, "text/plain"]);
});

it("says what a conversation is about, with and without contents", () => {
  const event = messageEvent(1, { subject: { type: "item", id: "lamp" } });
  for (const content of [true, false]) {
    const [told] = eventsOf(callOf({ ...shop, content }, [event], 10)?.body ?? "");
    assert.deepEqual([told?.data.subjectType, told?.data.subjectId], ["item", "lamp"]);
  }
});

it("sends references without contents where that is configured, and says that a message is gone", () => {
  const references = { ...shop, content: false };
  const [told] = eventsOf(callOf(references, [messageEvent(1, {})], 10)?.body ?? "");
  assert.deepEqual([told?.data.content, told?.data.sender], [undefined, "alice"]);
  const [gone] = eventsOf(callOf(shop, [messageEvent(1, undefined)], 10)?.body ?? "");
  assert.deepEqual(gone?.data, {
    messageId: "id-1",
    conversationId: "c-1",
    conversationSeq: 11,
    sentAtMs: 5,
    gone: true,
  });
});

it("passes over what is another tenant's, of another kind or type, or another hook's", () => {
  const none = (hook: Partial<typeof shop>, event: HookEvent): void => {
    const call = callOf({ ...shop, ...hook }, [event], 10);
    assert.deepEqual([call?.events.length, call?.position], [0, event.position]);
  };
  none({}, messageEvent(3, { sender: "acme/alice" }));
  none({ tenant: "acme" }, messageEvent(3, {}));
  none({ tenant: "acme" }, messageEvent(3, undefined));
  none({ tenant: "acme" }, factEvent(3, "bob"));
  none({ events: new Set(["presence"]) }, messageEvent(3, {}));
  none({ contentTypes: new Set(["image/png"]) }, messageEvent(3, {}));
  none({}, messageEvent(3, {}, { onlyHook: "other" }));
  assert.equal(callOf(shop, [messageEvent(3, {}, { onlyHook: "shop" })], 10)?.events.length, 1);
  const acme = { ...shop, tenant: "acme" };
  const [told] = eventsOf(
    callOf(acme, [messageEvent(1, { sender: "acme/alice", users: ["acme/alice", "acme/bob"] })], 10)?.body ?? "",
  );
  assert.deepEqual([told?.data.sender, told?.data.to], ["alice", "bob"], "without the tenant's prefix");
});

it("takes so many events and bytes as go into one call, and passes over the rest of none", () => {
  const mixed = [
    factEvent(1, "acme/x"),
    factEvent(2, "a"),
    factEvent(3, "acme/x"),
    factEvent(4, "b"),
    factEvent(5, "c"),
  ];
  const call = callOf(shop, mixed, 2);
  assert.deepEqual([call?.events.map(({ position }) => position), call?.position], [[2, 4], 4]);
  assert.equal(callOf(shop, mixed.slice(0, 3), 2)?.position, 3);
  assert.equal(callOf(shop, [], 2), undefined);

  const big = Buffer.alloc(65_536, "x");
  const many = Array.from({ length: 20 }, (_, at) => messageEvent(at + 1, { content: big }));
  const cut = callOf(shop, many, 50);
  assert.ok(cut && cut.events.length === 7 && cut.position === 7 && cut.body.length <= MAX_BODY_BYTES + 100);
});
