// SPDX-License-Identifier: Apache-2.0
// Messages of the API that say what they are about, where each item has a conversation of its own.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { TestApi } from "./api-kit.ts";

const item = (id: string) => ({ subject: { type: "item", id } });
const CARD = { type: "item", ref: "i-1", version: 1, snapshot: { title: "Lamp" } };

describe("messages by the server API about items", () => {
  let api: TestApi;
  let key: string;
  before(async () => {
    api = await new TestApi().start();
    api.policy = "per_item";
    key = await api.key();
  });
  after(() => api.close());

  const post = (path: string, body: object) =>
    api.call({ method: "POST", path, key, body: { from: "svc:shop", to: "ann", ...body } });
  const message = (about: object) => post("/v1/messages", { contentType: "text/plain", content: "hi", ...about });
  const card = (about: object) => post("/v1/cards", { card: CARD, ...about });

  it("are refused where they would begin one conversation too many, and go on in those that are there", async () => {
    const begun = [await message(item("lamp")), await card(item("bike"))];
    assert.deepEqual(
      begun.map(({ status }) => status),
      [201, 201],
    );
    for (const { status, body } of [await message(item("boat")), await card(item("boat"))]) {
      assert.deepEqual([status, body.code], [409, "too_many_conversations"]);
      assert.match(String(body.detail), /have 2 conversations about single things.*write in one of them, or without/);
    }
    const [lamp, bike] = begun;
    const later = [
      await card(item("lamp")),
      await message({ to: undefined, conversationId: bike?.body.conversationId }),
    ];
    assert.deepEqual(
      later.map(({ body }) => [body.conversationId, body.conversationSeq]),
      [
        [lamp?.body.conversationId, 2],
        [bike?.body.conversationId, 2],
      ],
    );
    assert.equal((await message({})).status, 201);
  });
});
