// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { parse } from "yaml";
import { toYaml } from "./yaml-text.ts";

const TRICKY = [
  "",
  " ",
  "yes",
  "No",
  "null",
  "~",
  "1",
  "0x1f",
  "1e3",
  "E0",
  "e-5",
  ".5",
  "2026-01-01",
  "a: b",
  "a #b",
  "- x",
  "#",
  "&a",
  "*a",
  "!x",
];
const LINES = [
  "two\nlines",
  "ends\n",
  "two\n\nparagraphs\n",
  "\nbegins",
  "  indented\nx",
  "tab\tx\ny",
  "x\r\ny",
  "聊天\n第二行",
];

describe("toYaml", () => {
  it("gives back any value of JSON, for readers of YAML 1.1 and 1.2", () => {
    const text = fc.oneof(fc.string(), fc.string({ unit: "binary" }), fc.constantFrom(...TRICKY, ...LINES));
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        text,
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie("tree"), { maxLength: 4 }),
        fc.dictionary(fc.oneof(fc.string(), fc.constantFrom(...TRICKY)), tie("tree"), {
          maxKeys: 4,
          noNullPrototype: true,
        }),
      ),
    }));
    fc.assert(
      fc.property(tree, (value) => {
        // JSON.stringify replaces half of a surrogate pair by its escape, which no reader turns back.
        fc.pre(JSON.stringify(value).isWellFormed() && !/\\ud[89a-f]/i.test(JSON.stringify(value)));
        const yaml = toYaml(value);
        for (const version of ["1.1", "1.2"] as const) assert.deepEqual(parse(yaml, { version }), value, yaml);
      }),
      { numRuns: 500 },
    );
  });

  it("reads as people write it", () => {
    const value = {
      name: "demo",
      phase: "Ready",
      reason: "all 3 entries and 2 logic pods are ready",
      entry: { replicas: 3, summary: "3/3", selector: "a=b,c=d" },
      pods: [{ name: "a", sessions: 1 }, { name: "b" }],
      none: [],
      empty: {},
      gone: undefined,
      text: "first\nsecond",
      on: true,
    };
    assert.equal(
      toYaml(value),
      `name: demo
phase: Ready
reason: all 3 entries and 2 logic pods are ready
entry:
  replicas: 3
  summary: "3/3"
  selector: "a=b,c=d"
pods:
  - name: a
    sessions: 1
  - name: b
none: []
empty: {}
text: |-
  first
  second
"on": true
`,
    );
    assert.deepEqual([toYaml(undefined), toYaml("x"), toYaml([])], ["null\n", "x\n", "[]\n"]);
  });
});
