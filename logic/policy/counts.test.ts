// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { BoundedMap } from "./bounded-map.ts";
import { Copies, copyKey } from "./copies.ts";
import { domainsIn, isBelow } from "./links.ts";
import { normalise } from "./normalise.ts";
import { Pace } from "./pace.ts";

describe("BoundedMap", () => {
  it("keeps what was used last, and no more than it may", () => {
    const map = new BoundedMap<number>(4);
    for (const [at, key] of ["a", "b", "c", "a", "d"].entries()) {
      if (map.get(key) === undefined) map.set(key, at);
      assert.ok(map.size <= 4);
    }
    assert.deepEqual(
      ["b", "a", "d"].map((key) => map.get(key)),
      [undefined, 0, 4],
    );
    map.set("a", 9);
    assert.equal(map.get("a"), 9);
    map.delete("a");
    assert.equal(map.get("a"), undefined);
  });

  it("never holds more, and never loses what was just set", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 9 }), fc.array(fc.nat(12), { maxLength: 60 }), (max, keys) => {
        const map = new BoundedMap<number>(max);
        for (const key of keys) {
          map.set(String(key), key);
          assert.equal(map.get(String(key)), key);
          assert.ok(map.size <= max);
        }
      }),
    );
  });
});

describe("Pace", () => {
  it("lets so many through at once, then one whenever its share of the time has passed", () => {
    const pace = new Pace(3, 60, 10);
    for (let count = 0; count < 3; count++) {
      assert.equal(pace.waitMs("a", 0), 0);
      pace.note("a", 0);
    }
    assert.equal(pace.waitMs("a", 0), 20_000);
    assert.equal(pace.waitMs("b", 0), 0);
    assert.equal(pace.waitMs("a", 19_999), 1);
    assert.equal(pace.waitMs("a", 20_000), 0);
    pace.note("a", 20_000);
    assert.equal(pace.waitMs("a", 20_000), 20_000);
    assert.equal(pace.waitMs("a", 500_000), 0);
  });

  it("lets exactly `max` through at once, whatever max and seconds are", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 500 }),
        fc.integer({ min: 1, max: 86_400 }),
        fc.nat(10_000_000),
        (max, seconds, nowMs) => {
          const pace = new Pace(max, seconds, 10);
          for (let count = 0; count < max; count++) {
            assert.equal(pace.waitMs("a", nowMs), 0, `${count} of ${max}`);
            pace.note("a", nowMs);
          }
          assert.ok(pace.waitMs("a", nowMs) > 0);
        },
      ),
    );
  });

  it("counts so many keys only", () => {
    const pace = new Pace(1, 60, 4);
    for (const key of ["a", "b", "c", "d", "e"]) pace.note(key, 0);
    assert.deepEqual([pace.waitMs("a", 0) > 0, pace.waitMs("e", 0) > 0, pace.size], [false, true, 3]);
  });
});

describe("Copies", () => {
  it("counts conversations, not messages, in a window that begins with the first", () => {
    const copies = new Copies(2, 60, 10);
    for (const conversation of ["x", "x", "y"]) {
      assert.equal(copies.isTooMany("k", conversation, 0), false);
      copies.note("k", conversation, 0);
    }
    assert.equal(copies.isTooMany("k", "z", 59_999), true);
    assert.equal(copies.isTooMany("k", "x", 59_999), false, "where it was written before");
    assert.equal(copies.isTooMany("k", "z", 60_000), false);
    copies.note("k", "z", 60_000);
    assert.equal(copies.isTooMany("k", "w", 60_000), false, "a new window");
    assert.equal(copies.size, 1);
  });

  it("knows a text again whose case, spaces and numbering differ", () => {
    const key = (text: string) => copyKey("alice", normalise(text));
    assert.equal(key("Buy it here NOW 1"), key("buy it, here now! 27"));
    assert.equal(key("便宜出，加好友领券 001"), key("便宜出 加好友领券 002"));
    assert.notEqual(key("buy it here now"), key("buy it there now"));
    assert.notEqual(copyKey("alice", "buy it here now"), copyKey("bob", "buy it here now"));
  });
});

describe("links", () => {
  const inText = (text: string) => domainsIn(normalise(text));

  it("finds domains however their dots are written", () => {
    for (const text of [
      "http://www.Bad-Shop.com/x?y=1",
      "WWW.bad-shop.COM",
      "ｗｗｗ．ｂａｄ－ｓｈｏｐ．ｃｏｍ",
      "www点bad-shop点com",
      "www。bad-shop。com",
      "www dot bad-shop dot com",
      "www . bad-shop . com",
    ])
      assert.deepEqual(inText(`看 ${text} 吧`), ["www.bad-shop.com"], text);
    assert.deepEqual(inText("t.me/abc or wa.me"), ["t.me", "wa.me"]);
  });

  it("finds none in versions, files, prices, ends of sentences and addresses of e-mail", () => {
    for (const text of [
      "v1.2.3",
      "photo.png",
      "3.50",
      "Ok. Me too.",
      "i am in. to be sure",
      "lily@example.com",
      "1.成色 2.价格",
    ])
      assert.deepEqual(inText(text), [], text);
  });

  it("finds twenty at most", () => {
    assert.equal(inText(Array.from({ length: 30 }, (_, at) => `a${at}.com`).join(" , ")).length, 20);
  });

  it("counts what is below a domain, not what only ends like it", () => {
    const bad = new Set(["shop.com"]);
    assert.deepEqual(
      ["shop.com", "www.shop.com", "badshop.com", "shop.com.cn"].map((one) => isBelow(one, bad)),
      [true, true, false, false],
    );
  });
});
