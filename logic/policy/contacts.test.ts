// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CONTACT_KINDS, type ContactKind, contactIn } from "./contacts.ts";
import { LEAKS, LEAKS_ACROSS, ORDINARY_ACROSS } from "./leak-texts-kit.ts";
import { normalise } from "./normalise.ts";
import { ORDINARY_EN, ORDINARY_ZH } from "./ordinary-texts-kit.ts";
import { RecentTexts } from "./recent-texts.ts";

const inText = (text: string, kinds: readonly ContactKind[] = CONTACT_KINDS) => contactIn(normalise(text), kinds);

describe("contacts in texts", () => {
  it("holds nothing against ordinary texts", () => {
    const texts = [...ORDINARY_ZH, ...ORDINARY_EN];
    assert.ok(texts.length >= 250 && new Set(texts).size === texts.length, `${texts.length} texts`);
    const wronged = texts.filter((text) => inText(text) !== undefined);
    assert.deepEqual(wronged, []);
  });

  it("finds every way in which a contact is hidden", () => {
    const all = Object.values(LEAKS).flat();
    assert.ok(all.length >= 150 && new Set(all).size === all.length, `${all.length} texts`);
    const missed = all.filter((text) => inText(text) === undefined);
    assert.deepEqual(missed, []);
  });

  for (const kind of CONTACT_KINDS) {
    it(`tells ${kind} by itself`, () => {
      // A text may give two: a number beside the name of an app.
      const missed = LEAKS[kind].filter((text) => inText(text, [kind]) === undefined && inText(text) === undefined);
      assert.deepEqual(missed, []);
      const own = LEAKS[kind].filter((text) => inText(text, [kind]) === kind);
      assert.ok(own.length >= LEAKS[kind].length - 1, `${own.length} of ${LEAKS[kind].length}`);
    });
  }

  it("finds a contact with ordinary words around it", () => {
    for (const [kind, texts] of Object.entries(LEAKS))
      for (const text of texts.slice(0, 12)) {
        assert.ok(inText(`你好，还在的，${text}`), `${kind}: behind words: ${text}`);
        assert.ok(inText(`${text} ，谢谢老板`), `${kind}: before words: ${text}`);
      }
  });

  it("looks for what is wanted only", () => {
    assert.equal(inText("13912345678", ["wechat", "qq", "email", "handle", "invite"]), undefined);
    assert.equal(inText("lily@example.com", ["phone", "wechat"]), undefined);
  });
});

describe("contacts in several messages", () => {
  const window = { messages: 12, seconds: 600 };
  const across = (texts: readonly string[], paceMs = 1000): ContactKind | undefined => {
    const recent = new RecentTexts(window, 10);
    for (const [at, text] of texts.entries()) {
      const normal = normalise(text);
      const nowMs = at * paceMs;
      const found = inText(text) ?? recent.contactAcross("k", normal, { kinds: CONTACT_KINDS, window, nowMs });
      if (found) return found;
      recent.note("k", normal, nowMs);
    }
    return undefined;
  };

  it("puts the parts together", () => {
    for (const texts of LEAKS_ACROSS) assert.ok(across(texts), texts.join(" | "));
  });

  it("takes bargaining, sizes and small talk for what they are", () => {
    for (const texts of ORDINARY_ACROSS) assert.equal(across(texts), undefined, texts.join(" | "));
  });

  it("forgets what is older than the window, or further back", () => {
    assert.equal(across(["139", "1234", "5678"], 601_000), undefined);
    const chatter = Array.from({ length: 11 }, () => "好的呀");
    assert.equal(across(["139", "1234", ...chatter, "5678"]), undefined);
  });

  it("keeps the messages of so many senders only, the newest ones", () => {
    const recent = new RecentTexts(window, 4);
    for (const key of ["a", "x", "b", "c"]) recent.note(key, "139", 0);
    recent.note("d", "139", 0);
    assert.equal(recent.size, 3);
    const look = (key: string) => recent.contactAcross(key, "12345678", { kinds: ["phone"], window, nowMs: 1 });
    assert.deepEqual([look("a"), look("b"), look("c")], [undefined, "phone", "phone"]);
  });
});
