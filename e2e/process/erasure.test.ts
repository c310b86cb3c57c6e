// SPDX-License-Identifier: Apache-2.0
// A user is deleted while it is connected, and logic is killed in the middle of it.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DisconnectCode } from "#lib/codes.ts";
import { Groups } from "../../client/src/models/groups.ts";
import { Safety } from "../../client/src/models/index.ts";
import { freePort } from "../harness/ports.ts";
import { waitUntil } from "../harness/processes.ts";
import { callApi, createApiKey } from "./api-caller.ts";
import { login, targetOf, useFleet, waitMessages } from "./fleet-suite.ts";

const WAIT_MS = 90_000;
const MESSAGES = 300;

const port = await freePort();

describe("a deleted user", () => {
  const fleet = useFleet({ entries: 1, logics: 1, logicEnv: { IM_API_PORT: String(port) } });
  const target = () => targetOf(fleet(), "tls", 0);

  /** All pages of an export. */
  async function exported(key: string, path: string, field: string): Promise<Record<string, unknown>[]> {
    const all: Record<string, unknown>[] = [];
    for (let cursor = ""; ; ) {
      const { status, body } = await callApi(port, { method: "GET", path: `/v1/exports/${path}${cursor}`, key });
      assert.equal(status, 200, JSON.stringify(body));
      all.push(...(body[field] as Record<string, unknown>[]));
      if (body.nextCursor === undefined) return all;
      cursor = `?cursor=${String(body.nextCursor)}`;
    }
  }

  /** What it reported, its orders, how many devices it has. */
  async function ownWords(key: string): Promise<unknown[]> {
    const reports = await exported(key, "users/er-ann/reports", "reports");
    const orders = await exported(key, "users/er-ann/orders", "orders");
    const { body } = await callApi(port, { method: "GET", path: "/v1/exports/users/er-ann", key });
    const words = reports.map(({ text }) => text);
    return [words, orders.map(({ orderId, peerId }) => `${orderId} ${peerId}`), (body.devices as unknown[]).length];
  }

  it("is gone for everybody but for the places of its messages, though logic is killed meanwhile", async () => {
    const key = await createApiKey(fleet().postgresUrl, ["users:erase", "export:read", "orders:manage"]);
    const [ann, bob] = [await login(fleet(), "er-ann", target()), await login(fleet(), "er-bob", target())];
    const { conversationId: group } = await new Groups(ann.client).create({ name: "two", userIds: ["er-bob"] });
    let conversationId = "";
    for (let n = 0; n < MESSAGES; n += 50) {
      const sent = await Promise.all(
        Array.from({ length: 50 }, (_, at) => ann.client.send({ to: "er-bob", content: `secret ${n + at}` })),
      );
      conversationId = sent[0]?.conversationId ?? "";
    }
    await waitMessages(bob, MESSAGES + 1);
    await bob.client.send({ to: "er-ann", content: "mine" });
    await new Safety(ann.client).report({ reason: "fraud", userId: "er-bob", text: "he lied" });
    const order = { buyerId: "er-ann", sellerId: "er-bob", orderId: "o-1", open: true };
    assert.equal((await callApi(port, { method: "POST", path: "/v1/orders", key, body: order })).status, 204);

    const said = await exported(key, `conversations/${conversationId}`, "messages");
    assert.deepEqual(
      said.map(({ from, content }) => `${from} ${content}`).sort(),
      [...Array.from({ length: MESSAGES }, (_, n) => `er-ann secret ${n}`), "er-bob mine"].sort(),
    );
    const own = await exported(key, "users/er-ann/messages", "messages");
    assert.deepEqual([own.length, own.at(-1)?.content], [MESSAGES + 2, "mine"], "and the group");
    assert.deepEqual(await ownWords(key), [["he lied"], ["o-1 er-bob"], 1]);

    const asked = await callApi(port, { method: "POST", path: "/v1/users/er-ann/erase", key, body: {} });
    assert.deepEqual([asked.status, asked.body.state], [202, "erasing"]);
    await waitUntil("its session is closed", () => ann.client.state.kind === "closed", WAIT_MS);
    assert.ok(ann.client.state.kind === "closed" && ann.client.state.code === DisconnectCode.TOKEN_REVOKED);
    await assert.rejects(login(fleet(), "er-ann", target()));
    await fleet().logic(0).kill9();
    await fleet().logic(0).start();
    await fleet().logic(0).waitReady();

    const erasure = async () => (await callApi(port, { method: "GET", path: "/v1/users/er-ann/erasure", key })).body;
    await waitUntil("it is erased", async () => (await erasure()).state === "erased", WAIT_MS);
    assert.equal((await erasure()).erasedMessages, MESSAGES);
    assert.deepEqual(await ownWords(key), [[], [], 0]);
    assert.deepEqual(await exported(key, "users/er-ann/messages", "messages"), []);
    const rest = await exported(key, `conversations/${conversationId}`, "messages");
    assert.deepEqual(new Set(rest.map(({ content }) => content)), new Set(["", "mine"]));
    assert.equal(rest.length, MESSAGES + 1, "places stay");
    await waitUntil("bob hears that the group was left", () => bob.messages.length === MESSAGES + 3, WAIT_MS);
    const left = bob.messages.filter(({ conversationId: id }) => id === group).map(({ text }) => text);
    assert.deepEqual(
      left.map((text) => (JSON.parse(text) as { kind: string }).kind),
      ["created", "role", "left"],
    );

    // A new device of bob's reads what is left.
    const page = await bob.client.history(conversationId, { limit: 100 });
    const texts = page.messages.map(({ contentType, text }) => [contentType, text]);
    assert.equal(texts.length, 100);
    assert.deepEqual(texts.at(-1), ["text/plain", "mine"]);
    assert.ok(texts.slice(0, -1).every(([type, text]) => type === "im/recalled" && text === ""));
    assert.equal(page.messages.at(-1)?.convSeq, MESSAGES + 1);

    const back = await callApi(port, { method: "POST", path: "/v1/users/er-ann/readmit", key, body: {} });
    assert.deepEqual([back.status, back.body.state], [202, "returning"]);
    await waitUntil("it is back", async () => (await erasure()).state === "none", WAIT_MS);
    // Tokens are issued to the second: one of this second is older than the readmission.
    await waitUntil(
      "another person with the id may log in",
      () =>
        login(fleet(), "er-ann", target()).then(
          async ({ client, messages }) => {
            assert.deepEqual(messages, []);
            await client.close();
            return true;
          },
          () => false,
        ),
      WAIT_MS,
    );
    await bob.client.close();
  });
});
