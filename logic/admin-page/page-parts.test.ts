// SPDX-License-Identifier: Apache-2.0
// What of the page needs no browser.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import fc from "fast-check";
import { movedOf } from "./drains-view.js";
import { versionsOf } from "./fleet-view.js";
import { ALL_TEXTS, preferredLanguage, textOf } from "./language.js";
import { hashOf, placeOf, VIEWS } from "./place.js";

describe("texts of the page", () => {
  it("are there in both languages, with the same names to fill in", () => {
    const names = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name).sort();
    assert.deepEqual(Object.keys(ALL_TEXTS.zh), Object.keys(ALL_TEXTS.en));
    for (const [key, text] of Object.entries(ALL_TEXTS.en)) {
      const other = ALL_TEXTS.zh[key as keyof typeof ALL_TEXTS.zh];
      assert.notEqual(other.trim(), "", key);
      assert.deepEqual(names(other), names(text), key);
    }
  });

  it("are Chinese where they are to be", () => {
    const others = Object.entries(ALL_TEXTS.zh).filter(([, text]) => !/\p{Script=Han}/u.test(text));
    const plain = ["language", "none", "movedOf", "inboxAt"];
    assert.deepEqual(
      others.map(([key]) => key).filter((key) => !plain.includes(key)),
      [],
    );
  });

  it("are all used, and none is used that is not there", () => {
    const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith(".js") && name !== "language.js");
    const source = files.map((name) => readFileSync(join(import.meta.dirname, name), "utf8")).join("\n");
    const unused = Object.keys(ALL_TEXTS.en).filter((key) => !new RegExp(`"${key}"`).test(source));
    // Named by states of the API.
    assert.deepEqual(unused, ["serving", "draining", "silent", "unknown", "ended", "retracted"]);
  });

  it("are filled in once: what a user wrote fills in nothing", () => {
    assert.equal(textOf("en", "devicesOf", { user: "{user} {n} $& $1" }), "Devices of {user} {n} $& $1");
    assert.equal(textOf("zh", "kicked", { n: 3 }), "已通知退出的会话：3");
    assert.equal(textOf("en", "kicked"), "Sessions told to leave: ");
  });

  it("come in the first language that the browser wants and the page has", () => {
    assert.equal(preferredLanguage(["", "fr", "zh-TW", "en"]), "zh");
    assert.equal(preferredLanguage(["en-GB", "zh"]), "en");
    assert.equal(preferredLanguage(["zhuang", "de"]), "en");
    assert.equal(preferredLanguage([]), "en");
  });
});

describe("places of the page", () => {
  it("are found again, whatever the words are", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...VIEWS),
        fc.array(fc.string({ unit: "grapheme" }), { maxLength: 2 }),
        (view, words) => {
          const hash = hashOf(view, ...words);
          assert.deepEqual(placeOf(hash), { view, words });
          assert.equal(new URL(hash, "http://im/admin/").hash, hash, "browsers leave it as it is");
        },
      ),
    );
  });

  it("are the fleet when nobody can read the address", () => {
    for (const hash of ["", "#", "#/", "#/nowhere/x", "#fleet", "#/constructor"])
      assert.deepEqual(placeOf(hash), { view: "fleet", words: [] }, hash);
    assert.deepEqual(placeOf("#/user/%E0%A4%A"), { view: "user", words: [] });
    assert.deepEqual(placeOf("#/message/a/b/c/d").words, ["a", "b"]);
  });
});

describe("figures of the page", () => {
  const entry = {
    name: "e",
    incarnation: "u.1",
    version: "1.0",
    state: "draining",
    connections: 9,
    sessions: 30,
  } as const;
  const rest = { logics: 1, logins: 100, answerP99Ms: 0, reportedAtMs: 0 };
  const drain = { initial: 100, asked: 80, waiting: 20, forced: 0 };

  it("say how many have moved: of those who were there, and never less than none", () => {
    assert.equal(movedOf({ ...entry, ...rest, drain }), 70);
    assert.equal(movedOf({ ...entry, ...rest, sessions: 130, drain }), 0);
    assert.equal(movedOf({ ...entry, ...rest }), 0);
  });

  it("count the versions that run", () => {
    const of = (version: string) => ({ ...entry, ...rest, version });
    assert.equal(versionsOf([of("1.0"), of("1.1"), of("1.0")]), "1.0 × 2, 1.1 × 1");
    assert.equal(versionsOf([]), "");
  });
});
