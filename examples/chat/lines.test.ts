// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { signCard } from "../../logic/changes/card.ts";
import { bodyOf, cardFacts, cardTitle, previewOf } from "./lines.ts";

const body = (contentType: string, text: string, version = 1, isRecalled = false) =>
  bodyOf({ contentType, content: new TextEncoder().encode(text), version, isRecalled });

describe("what is shown of a message", () => {
  it("is its text, and that it was edited or recalled", () => {
    assert.deepEqual(body("text/plain", "你好 👋🏽"), { kind: "text", text: "你好 👋🏽", isEdited: false });
    assert.deepEqual(body("text/plain;im-version=2", "hi", 2), { kind: "text", text: "hi", isEdited: true });
    assert.deepEqual(body("text/plain", "", 2, true), { kind: "recalled" });
  });

  it("is a card with its facts, the price in the currency's unit", () => {
    const snapshot = { title: "自行车 🚲", priceCents: 120_050, currency: "CNY", state: "paid", at: { city: "北京" } };
    const card = { type: "item", ref: "i-1", version: 3, snapshot, actions: [{ id: "buy", label: "Buy" }] } as const;
    const shown = body("im/card", signCard(card, { id: "k", secret: Buffer.alloc(32) }));
    assert.ok(shown.kind === "card");
    assert.deepEqual(shown.card, card);
    assert.equal(cardTitle(shown.card), "自行车 🚲");
    assert.deepEqual(cardFacts(shown.card), [
      ["price", "1200.50 CNY"],
      ["state", "paid"],
      ["at", '{"city":"北京"}'],
    ]);
    assert.equal(cardTitle({ ...card, snapshot: {} }), "i-1");
  });

  it("is a system message with its facts, or what became of a group", () => {
    const paid = { kind: "order.paid", title: "Your order is paid", facts: { orderId: "4711" } };
    assert.deepEqual(body("im/notification", JSON.stringify(paid)), {
      kind: "notification",
      notification: { kind: "order.paid", title: paid.title, text: "", facts: [["orderId", "4711"]] },
    });
    const event = { kind: "left", actor: "bob", users: ["bob"], version: 3, members: 2 };
    assert.deepEqual(body("im/group", JSON.stringify(event)), { kind: "group", event });
  });

  it("is its type where the content cannot be read", () => {
    for (const [type, text] of [
      ["image/png", "..."],
      ["im/card", "no card"],
      ["im/notification", "{"],
      ["im/notification", '{"title":1}'],
      ["im/group", "{"],
    ] as const)
      assert.deepEqual(body(type, text), { kind: "other", contentType: type });
  });

  it("has a preview where no word of a language is needed", () => {
    assert.equal(previewOf(body("text/plain", "hi")), "hi");
    assert.equal(previewOf(body("im/notification", '{"kind":"k","title":"Paid"}')), "Paid");
    assert.equal(previewOf({ kind: "recalled" }), undefined);
  });
});
