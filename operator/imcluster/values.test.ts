// SPDX-License-Identifier: Apache-2.0
// The small pure modules: units, hashes, comparison, backoff, conditions.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { mergeConditions } from "../api/conditions.ts";
import { CrashBackoff } from "./crash-backoff.ts";
import { canonicalJson, hashOf, isSameJson } from "./hash.ts";
import { observeEntry } from "./observed.ts";
import { isSubset } from "./subset.ts";
import { durationMs, quantity } from "./units.ts";

const NOW_MS = Date.parse("2026-11-24T10:00:00Z");

describe("durationMs", () => {
  it("reads what the CRD allows", () => {
    assert.deepEqual(["500ms", "20s", "1m30s", "1h", "0s"].map(durationMs), [500, 20_000, 90_000, 3_600_000, 0]);
  });
  it("refuses the rest", () => {
    for (const text of ["", "20", "s", "-1s", "1d", "1.5s"]) assert.throws(() => durationMs(text), text);
  });
});

describe("quantity", () => {
  it("reads Kubernetes quantities", () => {
    assert.deepEqual(
      ["500m", "0.5", "2", "1Ki", "128Mi", "1e3", "1k"].map(quantity),
      [0.5, 0.5, 2, 1024, 134_217_728, 1000, 1000],
    );
    for (const text of ["", "much", "1 Gi", "1X"]) assert.ok(Number.isNaN(quantity(text)), text);
  });
});

describe("isSubset", () => {
  const same: [unknown, unknown][] = [
    [{ a: 1 }, { a: 1, b: 2 }],
    [{ a: undefined }, {}],
    [{ a: [{ b: 1 }] }, { a: [{ b: 1, c: 2 }] }],
    [{ cpu: "0.5" }, { cpu: "500m" }],
    [{ cpu: 2 }, { cpu: "2" }],
    [{ a: false, b: "", c: 0, d: [], e: {} }, {}],
  ];
  const different: [unknown, unknown][] = [
    [{ a: 1 }, { a: 2 }],
    [{ a: 1 }, {}],
    [{ a: [1, 2] }, { a: [2, 1] }],
    [{ a: [1] }, { a: [1, 2] }],
    [{ a: false }, { a: true }],
    [{ a: "x" }, { a: "y" }],
    [{ a: { b: 1 } }, { a: null }],
    [{ a: [] }, { a: [1] }],
  ];
  it("sees through defaults, quantities and left out zeros", () => {
    for (const [wanted, actual] of same) assert.ok(isSubset(wanted, actual), JSON.stringify([wanted, actual]));
  });
  it("sees every other difference", () => {
    for (const [wanted, actual] of different) assert.ok(!isSubset(wanted, actual), JSON.stringify([wanted, actual]));
  });
});

describe("hashOf", () => {
  it("does not depend on the order of keys or on undefined", () => {
    assert.equal(hashOf({ a: 1, b: [2, { c: 3, d: undefined }] }), hashOf({ b: [2, { c: 3 }], a: 1 }));
    assert.notEqual(hashOf([1, 2]), hashOf([2, 1]));
    assert.equal(canonicalJson({ b: null, a: "x" }), '{"a":"x","b":null}');
  });
});

/** As hashes were made from the first version on: another text would roll every pod of every cluster. */
function firstCanonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => firstCanonicalJson(item ?? null)).join(",")}]`;
  if (value !== null && typeof value === "object") {
    const entries = Object.entries(value).filter(([, field]) => field !== undefined);
    return `{${entries
      .map(([key, field]) => `${JSON.stringify(key)}:${firstCanonicalJson(field)}`)
      .sort()
      .join(",")}}`;
  }
  return JSON.stringify(value) ?? "null";
}

describe("canonical JSON", () => {
  const key = fc.oneof(fc.constantFrom("a", "a-b", "a.b/c", "a b", "a!", 'a"', "a\\", "é", "\u0001", ""), fc.string());
  const { json } = fc.letrec<{ json: unknown }>((tie) => ({
    json: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      fc.constantFrom(undefined, null, true, false, "", "x", 0, 1, -1.5),
      fc.string(),
      fc.array(tie("json"), { maxLength: 4 }),
      fc.dictionary(key, tie("json"), { maxKeys: 5 }),
    ),
  }));

  it("is the text that it always was", () => {
    fc.assert(fc.property(json, (value) => assert.equal(canonicalJson(value), firstCanonicalJson(value))));
  });

  it("is compared without being made", () => {
    const changed = fc.tuple(json, json, fc.boolean());
    fc.assert(
      fc.property(changed, ([a, b, isCopy]) => {
        const other = isCopy ? structuredClone(a) : b;
        assert.equal(isSameJson(a, other), canonicalJson(a) === canonicalJson(other));
      }),
    );
    for (const [a, b, isSame] of [
      [{ a: 1, b: undefined }, { a: 1 }, true],
      [{ a: 1 }, { a: 1, b: 2 }, false],
      [{ a: undefined, b: 1 }, { c: undefined, b: 1 }, true],
      [{ a: 1, b: undefined }, { b: 1 }, false],
      [[undefined], [null], true],
      [[], {}, false],
      [{ a: {} }, { a: [] }, false],
      [undefined, null, true],
    ] as const) {
      assert.equal(isSameJson(a, b), isSame, JSON.stringify([a, b]));
      assert.equal(canonicalJson(a) === canonicalJson(b), isSame);
    }
  });
});

describe("CrashBackoff", () => {
  const failed = (uid: string, atMs: number) =>
    observeEntry(
      {
        metadata: { name: uid, uid, creationTimestamp: new Date(atMs - 1_000).toISOString() },
        spec: { containers: [] },
        status: { phase: "Failed" },
      },
      { ownerUid: "o", probe: undefined, isPurged: false, nowMs: atMs },
    );

  it("lets the first failure pass and then doubles up to 5 minutes", () => {
    const backoff = new CrashBackoff();
    const delays: number[] = [];
    for (let count = 1; count <= 12; count++) {
      backoff.observe([failed(`p${count}`, NOW_MS)], NOW_MS);
      delays.push(Math.max(0, backoff.notBeforeMs - NOW_MS));
    }
    assert.deepEqual(delays.slice(0, 5), [0, 1_000, 2_000, 4_000, 8_000]);
    assert.equal(delays.at(-1), 300_000);
  });

  it("counts a pod once, and forgets after ten quiet minutes", () => {
    const backoff = new CrashBackoff();
    const pod = failed("p", NOW_MS);
    backoff.observe([pod], NOW_MS);
    backoff.observe([pod], NOW_MS + 1_000);
    assert.equal(backoff.failures, 1);
    backoff.observe([failed("q", NOW_MS + 700_000)], NOW_MS + 700_000);
    assert.equal(backoff.failures, 1);
  });
});

describe("mergeConditions", () => {
  it("moves the time only when the status changes", () => {
    const facts = (status: "True" | "False", message: string) => [
      { type: "Ready" as const, status, reason: "R", message },
    ];
    const first = mergeConditions(undefined, facts("False", "a"), 1, NOW_MS);
    const second = mergeConditions(first, facts("False", "b"), 2, NOW_MS + 5_000);
    const third = mergeConditions(second, facts("True", "c"), 3, NOW_MS + 9_000);
    assert.deepEqual(
      [first, second, third].map(([condition]) => condition?.lastTransitionTime),
      ["2026-11-24T10:00:00Z", "2026-11-24T10:00:00Z", "2026-11-24T10:00:09Z"],
    );
    assert.equal(second[0]?.observedGeneration, 2);
  });
});
