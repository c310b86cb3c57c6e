// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { directConversationId } from "../send/conversation.ts";
import { message } from "../store/contract/fixture.ts";
import { TestApi } from "./api-kit.ts";

const CONVERSATION_ID = directConversationId("alice", "bob");

describe("calls that hand out", () => {
  let api: TestApi;
  beforeEach(async () => {
    api = new TestApi();
    await api.start();
  });
  afterEach(() => api.close());

  const say = (sender: string, peer: string, text: string, hidden = false) =>
    api.store.append([
      message({ sender, peer, conversationId: CONVERSATION_ID, content: Buffer.from(text), hidden, sentAtMs: 5 }),
    ]);
  const get = async (path: string) => {
    const answer = await api.call({ method: "GET", path, key: await api.key({ scopes: ["export:read"] }) });
    return { status: answer.status, body: answer.body as Record<string, unknown> };
  };
  const textsOf = (body: Record<string, unknown>): string[] =>
    (body.messages as { from: string; content: string; onlyFor: string }[]).map(
      ({ from, content, onlyFor }) => `${from}: ${content}${onlyFor && ` (${onlyFor})`}`,
    );

  it("hand out a conversation page by page, with what only its sender sees, and can be repeated", async () => {
    await say("alice", "bob", "one");
    await say("bob", "alice", "two", true);
    await say("bob", "alice", "three");
    const path = `/v1/exports/conversations/${CONVERSATION_ID}`;
    const first = await get(`${path}?limit=2`);
    assert.deepEqual([first.status, first.body.userIds, first.body.held], [200, ["alice", "bob"], false]);
    assert.deepEqual(textsOf(first.body), ["alice: one", "bob: two (bob)"]);
    assert.deepEqual(await get(`${path}?limit=2`), first);
    const second = await get(`${path}?cursor=${String(first.body.nextCursor)}`);
    assert.deepEqual([textsOf(second.body), second.body.nextCursor], [["bob: three"], undefined]);
    assert.equal((await get(`${path}?cursor=abc`)).status, 400);
    assert.equal((await get("/v1/exports/conversations/nowhere")).status, 404);
  });

  it("hand out a user's messages as it sees them, and what else is known of it", async () => {
    await say("alice", "bob", "one");
    await say("bob", "alice", "hidden", true);
    await say("bob", "alice", "two");
    await api.store.pushStore.saveContacts([{ userId: "alice", phone: "123", wechat: "", timeZone: "" }]);
    await api.store.mutes.set("alice", 60_000, "spam");
    const block = [{ peerId: "bob", conversationId: CONVERSATION_ID }];
    await api.store.blocks.change({ userId: "alice", block, unblock: [], atMs: 1 });
    const first = await get("/v1/exports/users/alice/messages?limit=1");
    assert.deepEqual(textsOf(first.body), ["alice: one"]);
    const rest = await get(`/v1/exports/users/alice/messages?cursor=${String(first.body.nextCursor)}`);
    assert.deepEqual([textsOf(rest.body), rest.body.nextCursor], [["bob: two"], undefined]);
    const { body } = await get("/v1/exports/users/alice");
    assert.deepEqual([body.userId, body.phone, body.blockedUserIds, body.erasure], ["alice", "123", ["bob"], "none"]);
    assert.ok(Number(body.mutedUntilMs) > 0);
    assert.deepEqual(textsOf((await get("/v1/exports/users/nobody/messages")).body), []);
  });

  it("hand out what a user has reported, and its orders, page by page, and those of nobody else", async () => {
    const ordered = async (peerId: string, orderRef: string, atMs: number) => {
      const [users, conversationId] = [["alice", peerId] as const, directConversationId("alice", peerId)];
      await api.store.policy.setOrder({ conversationId, users, orderRef, isOpen: true, atMs });
    };
    await ordered("bob", "o-1", 5);
    await ordered("carol", "o-2", 6);
    for (const reportId of ["r-1", "r-2"])
      await api.store.policy.report({
        ...{ tenant: "", reporter: "alice", reportId, kind: "user", reported: "bob", conversationId: CONVERSATION_ID },
        ...{ convSeq: 0, messageId: "", reason: "spam", text: reportId, rule: "", atMs: 5 },
        context: JSON.stringify([{ sender: "bob", content: "buy" }]),
      });
    const pages = async (what: "orders" | "reports", userId: string): Promise<Record<string, unknown>[]> => {
      const all: Record<string, unknown>[] = [];
      for (let more = ""; ; ) {
        const { body } = await get(`/v1/exports/users/${userId}/${what}?limit=1${more}`);
        all.push(...(body[what] as Record<string, unknown>[]));
        if (body.nextCursor === undefined) return all;
        more = `&cursor=${String(body.nextCursor)}`;
      }
    };
    assert.deepEqual(await pages("orders", "alice"), [
      { orderId: "o-1", peerId: "bob", createdMs: 5 },
      { orderId: "o-2", peerId: "carol", createdMs: 6 },
    ]);
    assert.deepEqual(await pages("orders", "bob"), [{ orderId: "o-1", peerId: "alice", createdMs: 5 }]);
    const reports = await pages("reports", "alice");
    assert.deepEqual(
      reports.map(({ text, reported, context }) => [text, reported, context]),
      ["r-1", "r-2"].map((text) => [text, "bob", JSON.stringify([{ sender: "bob", content: "buy" }])]),
    );
    assert.deepEqual([await pages("reports", "bob"), await pages("orders", "nobody")], [[], []]);
    for (const what of ["reports", "orders"])
      assert.equal((await get(`/v1/exports/users/alice/${what}?cursor=abc`)).status, 400);
  });

  it("are refused without their scope, and are in the audit log when they are answered", async () => {
    await say("alice", "bob", "one");
    const path = `/v1/exports/conversations/${CONVERSATION_ID}`;
    const other = await api.call({ method: "GET", path, key: await api.key({ scopes: ["messages:read"] }) });
    assert.equal(other.status, 403);
    await get(path);
    const [row] = await api.store.serverApi.readAudit("", { before: 0, limit: 1 });
    assert.deepEqual([row?.operation, row?.target, row?.status], ["exportConversation", CONVERSATION_ID, 200]);
  });
});
