// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Infer, object } from "./schema.ts";
import { faultsOf, fits } from "./validate.ts";

const ITEM = object(
  { name: { type: "string", minLength: 1, maxLength: 3 }, count: { type: "integer", minimum: 1, maximum: 9 } },
  ["count"],
);
const ORDER = object(
  {
    kind: { type: "string", enum: ["buy", "sell"] },
    items: { type: "array", items: ITEM, minItems: 1, maxItems: 3 },
    urgent: { type: "boolean" },
    facts: {
      type: "object",
      propertyNames: { type: "string", pattern: "^[a-z]+$" },
      additionalProperties: { type: "string", maxLength: 5 },
      maxProperties: 2,
    },
  },
  ["urgent", "facts"],
);

const good: Infer<typeof ORDER> = { kind: "buy", items: [{ name: "pen" }, { name: "cup", count: 2 }], urgent: true };

const pathsOf = (value: unknown): string[] => faultsOf(ORDER, value).map(({ path }) => path);

describe("a schema", () => {
  it("lets pass what fits", () => {
    assert.deepEqual(faultsOf(ORDER, good), []);
    assert.deepEqual(faultsOf(ORDER, { kind: "sell", items: [{ name: "x" }], facts: { a: "1", b: "22222" } }), []);
    assert.ok(fits(ORDER, good));
  });

  it("names the place of each fault, and what to do", () => {
    const cases: [unknown, string, RegExp][] = [
      [null, "", /must be an object/],
      [[], "", /must be an object/],
      ["text", "", /must be an object/],
      [{ ...good, kind: "give" }, "/kind", /must be one of buy, sell/],
      [{ ...good, kind: 1 }, "/kind", /must be a string/],
      [{ kind: "buy" }, "/items", /is required/],
      [{ ...good, items: {} }, "/items", /must be an array/],
      [{ ...good, items: [] }, "/items", /1 to 3 items/],
      [{ ...good, items: [{ name: "a" }, { name: "" }] }, "/items/1/name", /1 to 3 characters/],
      [{ ...good, items: [{ name: "a", count: 1.5 }] }, "/items/0/count", /an integer from 1 to 9/],
      [{ ...good, items: [{ name: "a", count: 10 }] }, "/items/0/count", /an integer from 1 to 9/],
      [{ ...good, items: [{ name: "a", count: "1" }] }, "/items/0/count", /an integer/],
      [{ ...good, urgent: "yes" }, "/urgent", /true or false/],
      [{ ...good, other: 1 }, "/other", /is not known here/],
      [{ ...good, "a/b~c": 1 }, "/a~1b~0c", /is not known here/],
      [{ ...good, facts: { A: "1" } }, "/facts/A", /has a name that must match/],
      [{ ...good, facts: { a: "666666" } }, "/facts/a", /0 to 5 characters/],
      [{ ...good, facts: { a: "1", b: "2", c: "3" } }, "/facts", /at most 2 fields/],
    ];
    for (const [value, path, message] of cases) {
      const [fault] = faultsOf(ORDER, value);
      assert.equal(fault?.path, path, JSON.stringify(value));
      assert.match(fault?.message ?? "", message);
      assert.equal(fits(ORDER, value), false);
    }
  });

  it("tells no names of Object's prototype from unknown ones, and takes none for given", () => {
    assert.deepEqual(pathsOf(JSON.parse('{"kind":"buy","items":[{"name":"a"}],"__proto__":{}}')), ["/__proto__"]);
    assert.deepEqual(pathsOf({ ...good, constructor: 1, toString: 1 }), ["/constructor", "/toString"]);
    const inherited: unknown = Object.create(good);
    assert.deepEqual(pathsOf(inherited), ["/kind", "/items"]);
  });

  it("counts characters as code points", () => {
    const schema = { type: "string", minLength: 1, maxLength: 2 } as const;
    assert.deepEqual(faultsOf(schema, "😀😀"), []);
    assert.equal(faultsOf(schema, "😀😀😀").length, 1);
  });

  it("stops at 20 faults, and shows no more of a name than a person needs", () => {
    const many = Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`field${at}`, at]));
    assert.equal(faultsOf(ORDER, many).length, 20);
    const [fault] = faultsOf(ORDER, { ...good, ["x".repeat(10_000)]: 1 });
    assert.equal(fault?.path.length, 65);
  });
});
