// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isInSegment, readSegment, type Segment, type SegmentRule } from "./segment.ts";

function segment(...rules: SegmentRule[]): Segment {
  const read = readSegment(rules);
  assert.ok(!("problem" in read), JSON.stringify(read));
  return read;
}

const PHONE = { platform: "ios", locale: "de-AT" };
const PAGE = { platform: "web", locale: "" };
const user = (registeredMs: number, ...devices: (typeof PHONE)[]) => ({ registeredMs, devices });

describe("a segment", () => {
  it("holds when each rule has a value that does", () => {
    const mobile = segment({ attribute: "platform", values: ["ios", "android"] });
    assert.ok(isInSegment(mobile, user(0, PAGE, PHONE)));
    assert.ok(!isInSegment(mobile, user(0, PAGE)));
    assert.ok(!isInSegment(mobile, user(0)));
    const both = segment({ attribute: "platform", values: ["web"] }, { attribute: "locale", values: ["de"] });
    assert.ok(isInSegment(both, user(0, PAGE, PHONE)));
    assert.ok(!isInSegment(both, user(0, PHONE)));
    assert.ok(isInSegment([], user(0)), "no rule: everybody");
  });

  it("takes the beginning of a locale, by its parts", () => {
    const of = (value: string) => segment({ attribute: "locale", values: [value] });
    for (const value of ["de", "DE", "de-at", "de-AT"]) assert.ok(isInSegment(of(value), user(0, PHONE)), value);
    for (const value of ["d", "de-A", "de-DE", "en"]) assert.ok(!isInSegment(of(value), user(0, PHONE)), value);
  });

  it("compares when a user first logged in", () => {
    const week = segment(
      { attribute: "registeredFrom", values: ["2026-11-01T00:00:00Z"] },
      { attribute: "registeredUntil", values: [String(Date.UTC(2026, 10, 8))] },
    );
    assert.ok(isInSegment(week, user(Date.UTC(2026, 10, 1))));
    assert.ok(!isInSegment(week, user(Date.UTC(2026, 10, 8))));
    assert.ok(!isInSegment(week, user(0)), "long ago");
  });

  it("is refused with the place of what is wrong", () => {
    const wrong = (...rules: SegmentRule[]) => readSegment(rules);
    const good = { attribute: "platform", values: ["web"] };
    assert.deepEqual(wrong(good, { attribute: "shoeSize", values: ["42"] }), { problem: "unknown-attribute", at: 1 });
    for (const [attribute, value] of [
      ["platform", "toaster"],
      ["locale", "d_e"],
      ["registeredFrom", "soon"],
    ] as const)
      assert.deepEqual(wrong({ attribute, values: [value] }), { problem: "bad-value", at: 0 });
    assert.deepEqual(wrong({ ...good, values: [] }), { problem: "bad-value", at: 0 });
  });
});
