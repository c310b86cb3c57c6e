// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { aboutOf, aboutText, subjectOf } from "./about.ts";
import type { LineBody } from "./lines.ts";

const card = (ref: string, priceCents: number, type = "item"): LineBody => ({
  kind: "card",
  card: { type, ref, version: 1, snapshot: { title: `A ${ref}`, priceCents, currency: "CNY" }, actions: [] },
});
const text: LineBody = { kind: "text", text: "hi", isEdited: false };
const lamp = { subjectType: "item", subjectId: "lamp" };

describe("what a conversation is about", () => {
  it("is nothing, or what the list names, with what the newest card of it says", () => {
    assert.equal(aboutOf({ subjectType: "", subjectId: "" }, [card("lamp", 100)]), undefined);
    const bare = { type: "item", id: "lamp", title: "lamp", price: "" };
    for (const bodies of [[], [text], [card("bike", 100)], [card("lamp", 100, "order")]])
      assert.deepEqual(aboutOf(lamp, bodies), bare);
    const bodies = [card("lamp", 12_000), card("lamp", 9_950), card("bike", 1), text];
    assert.deepEqual(aboutOf(lamp, bodies), { ...bare, title: "A lamp", price: "99.50 CNY" });
  });

  it("is one line, and what a card asks about", () => {
    assert.equal(aboutText({ type: "item", id: "l", title: "Lamp", price: "9.00" }), 'item "Lamp", 9.00');
    assert.equal(aboutText({ type: "item", id: "l", title: "l", price: "" }), 'item "l"');
    assert.deepEqual(subjectOf(card("lamp", 1)), lamp);
    assert.equal(subjectOf(text), undefined);
  });
});
