// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { notInTree, notPassed, readCoverage } from "./coverage.ts";
import { readTree } from "./coverage-tree.ts";

/** A name that code makes. */
const MADE = `\${what}: is refused`;

const DOCUMENT = `# Coverage

Words about it.

## Messages

### A message is stored once
- \`a/send.test.ts\`: stores it once
- \`a/send.test.ts\`: ${MADE}

## Pushes

### A push is made
- \`b/push.test.ts\`: makes it
`;

describe("docs/coverage.md", () => {
  it("names capabilities and tests that exist in this tree", () => {
    const { entries, problems } = readTree();
    assert.deepEqual(problems, []);
    assert.ok(new Set(entries.map(({ capability }) => capability)).size >= 45, "a part of it is gone");
  });

  it("is read by its headings", () => {
    const { entries, problems } = readCoverage(DOCUMENT);
    assert.deepEqual(problems, []);
    assert.deepEqual(
      entries.map(({ area, file, test }) => [area, file, test]),
      [
        ["Messages", "a/send.test.ts", "stores it once"],
        ["Messages", "a/send.test.ts", MADE],
        ["Pushes", "b/push.test.ts", "makes it"],
      ],
    );
  });

  it("says which capability names no test, is there twice, and which line is none", () => {
    const { problems } = readCoverage("## A\n- `x.test.ts`: of nothing\n### B\n### B\n### C\n- nonsense\n");
    assert.equal(problems.length, 5);
    assert.match(
      problems.join("\n"),
      /line 2.*of nothing[\s\S]*line 4: B: is there twice[\s\S]*line 6[\s\S]*B: names no test[\s\S]*C: names no test/,
    );
  });

  it("says which test is in no file", () => {
    const { entries } = readCoverage(DOCUMENT);
    const texts = new Map([["a/send.test.ts", `it("stores it once", f); it("${MADE}", f)`]]);
    const read = (file: string): string | undefined => texts.get(file);
    assert.deepEqual(notInTree(entries, read), ["b/push.test.ts: no such file"]);
    texts.set("b/push.test.ts", 'it("makes it twice", f)');
    assert.deepEqual(notInTree(entries, read), ['b/push.test.ts: no test "makes it"']);
  });

  it("says which test did not pass, those with made names by their pattern", () => {
    const { entries } = readCoverage(DOCUMENT);
    const passed = new Set(["a/send.test.ts: stores it once", "a/send.test.ts: too long: is refused"]);
    assert.deepEqual(notPassed(entries, passed), ["b/push.test.ts: did not run, or did not pass: makes it"]);
    passed.delete("a/send.test.ts: too long: is refused");
    passed.add("a/other.test.ts: too long: is refused").add("b/push.test.ts: makes it");
    assert.deepEqual(notPassed(entries, passed), [`a/send.test.ts: did not run, or did not pass: ${MADE}`]);
  });
});
