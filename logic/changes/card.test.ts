// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ErrorCode } from "#lib/errors.ts";
import { type Card, cardProblem, MAX_CARD_BYTES, openCard, readCard, signCard } from "./card.ts";
import { type CardKey, parseCardKeys } from "./card-keys.ts";

const KEY: CardKey = { id: "k1", secret: randomBytes(32) };
const OTHER: CardKey = { id: "k2", secret: randomBytes(32) };
const CARD: Card = {
  ...{ type: "item", ref: "item-7", version: 3, snapshot: { title: "Bike 自行车", cents: 4200 } },
  actions: [{ id: "buy", label: "Buy" }],
};
const open = (text: string, keys: readonly CardKey[] = [KEY], wallMs = 0): Card | string =>
  openCard(Buffer.from(text), keys, wallMs);

describe("signed cards", () => {
  it("are what any JWT library makes: three parts, HS256 over the first two", () => {
    const [head = "", body = "", mac] = signCard(CARD, KEY).split(".");
    assert.deepEqual(JSON.parse(Buffer.from(head, "base64url").toString()), {
      alg: "HS256",
      typ: "im-card",
      kid: "k1",
    });
    assert.deepEqual(JSON.parse(Buffer.from(body, "base64url").toString()), CARD);
    assert.equal(mac, createHmac("sha256", KEY.secret).update(`${head}.${body}`).digest("base64url"));
    assert.deepEqual(open(signCard(CARD, KEY)), CARD);
    assert.deepEqual(readCard(Buffer.from(signCard(CARD, KEY))), CARD);
  });

  it("are taken by every key of the file, whichever signed, and by no other", () => {
    assert.deepEqual(open(signCard(CARD, OTHER), [KEY, OTHER]), CARD);
    assert.match(String(open(signCard(CARD, OTHER))), /not signed by this shop/);
    const impostor = { id: "k1", secret: OTHER.secret };
    assert.match(String(open(signCard(CARD, impostor))), /not signed by this shop/);
  });

  it("are refused with any byte changed, added or left out", () => {
    const text = signCard(CARD, KEY);
    for (let at = 0; at < text.length; at++) {
      const other = text[at] === "A" ? "B" : "A";
      const changed = `${text.slice(0, at)}${other}${text.slice(at + 1)}`;
      // The last character of a part may have bits that mean nothing.
      if (
        Buffer.from(changed.split(".")[2] ?? "", "base64url").equals(Buffer.from(text.split(".")[2] ?? "", "base64url"))
      )
        assert.ok(at === text.length - 1 || typeof open(changed) === "string", String(at));
      else assert.equal(typeof open(changed), "string", String(at));
      assert.equal(typeof open(text.slice(0, at)), "string");
    }
    for (const extra of [`${text}A`, `${text}.`, `.${text}`, `${text}\n`, ` ${text}`, `${text}.${text}`])
      assert.equal(typeof open(extra), "string", extra);
  });

  it("say one algorithm and one kind in the header, whatever was signed", () => {
    const forge = (header: object, secret = KEY.secret): string => {
      const signed = [header, CARD].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
      return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
    };
    assert.deepEqual(open(forge({ alg: "HS256", typ: "im-card", kid: "k1" })), CARD);
    for (const header of [
      { alg: "none", typ: "im-card", kid: "k1" },
      { alg: "HS512", typ: "im-card", kid: "k1" },
      { alg: "HS256", typ: "JWT", kid: "k1" },
      { alg: "HS256", typ: "im-card" },
      { alg: "HS256", typ: "im-card", kid: "" },
      { alg: "HS256", typ: "im-card", kid: ["k1"] },
    ])
      assert.equal(typeof open(forge(header)), "string", JSON.stringify(header));
    assert.equal(typeof open(forge({ alg: "HS256", typ: "im-card", kid: "" }, Buffer.alloc(32))), "string");
  });

  it("may end: nobody sends them after that", () => {
    const text = signCard(CARD, KEY, 1000);
    assert.deepEqual(open(text, [KEY], 999_999), CARD);
    assert.match(String(open(text, [KEY], 1_000_000)), /too old/);
  });

  it("have a form", () => {
    const bad: object[] = [
      ...[{ type: "video" }, { type: undefined }, { ref: "" }, { ref: "x".repeat(129) }, { ref: "a\0b" }, { ref: 7 }],
      ...[{ ref: "\ud83d" }, { version: 0 }, { version: 1.5 }, { version: "1" }, { version: Number.MAX_SAFE_INTEGER }],
      ...[{ snapshot: [] }, { snapshot: null }, { snapshot: "x" }, { actions: {} }, { actions: [{ id: "a" }] }],
      ...[{ actions: [{ id: "a b", label: "x" }] }, { actions: [{ id: "a", label: "" }] }],
      { actions: [{ id: "a", label: "x".repeat(65) }] },
      { actions: [CARD.actions[0], CARD.actions[0]] },
      { actions: Array.from({ length: 9 }, (_, at) => ({ id: `a${at}`, label: "x" })) },
    ];
    for (const fields of bad) {
      const card = { ...CARD, ...fields } as Card;
      assert.match(String(open(signCard(card, KEY))), /lacks type/, JSON.stringify(fields));
      assert.ok(cardProblem(card));
    }
    assert.equal(cardProblem(CARD), undefined);
    assert.match(String(open("x".repeat(MAX_CARD_BYTES + 1))), /at most/);
    const { actions: _, ...plain } = CARD;
    assert.deepEqual(open(signCard(plain as Card, KEY)), { ...CARD, actions: [] });
  });

  it("are told from any other bytes, without a fault", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        assert.equal(typeof openCard(bytes, [KEY], 0), "string");
        assert.equal(readCard(bytes), undefined);
      }),
    );
  });
});

describe("the file of card keys", () => {
  const line = (id: string, bytes = 32): string => `${id} ${randomBytes(bytes).toString("base64")}`;

  it("has a key a line, the newest first", () => {
    const keys = parseCardKeys(`${line("new")}\n\n  ${line("old", 64)}  \r\n`);
    assert.deepEqual(
      keys.map(({ id, secret }) => [id, secret.length]),
      [
        ["new", 32],
        ["old", 64],
      ],
    );
  });

  it("says what is wrong with it, and nothing that is secret", () => {
    const secret = randomBytes(31).toString("base64");
    for (const text of [
      "",
      "\n",
      `k1 ${secret}`,
      "k1",
      `${line("k1")} x`,
      `${line("k1")}\n${line("k1")}`,
      "k\u00e4 x",
      "k1 !!!",
    ])
      assert.throws(
        () => parseCardKeys(text),
        (error: Error & { code?: number }) =>
          error.code === ErrorCode.BAD_REQUEST &&
          /give one key a line/.test(error.message) &&
          !error.message.includes(secret),
        text,
      );
    const many = Array.from({ length: 17 }, (_, at) => line(`k${at}`)).join("\n");
    assert.throws(() => parseCardKeys(many), /over 16/);
  });
});
