// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { OpenPart } from "../store/broadcast-store.ts";
import { earlierOfDay, isWithinCap, MAX_OF_DAY } from "./daily-cap.ts";

const HOUR_MS = 3_600_000;
const NOON_MS = Date.UTC(2026, 10, 27, 12);

function part(activationSeq: number, fields: Partial<OpenPart> = {}): OpenPart {
  return {
    ...{ activationSeq, broadcastId: `b-${activationSeq}`, part: 1, contentType: "text/plain", contentBytes: 1 },
    ...{ audience: "all", segment: "", notBeforeMs: NOON_MS, notAfterMs: NOON_MS + HOUR_MS, urgent: false },
    ...{ topic: "sale", maxPerDay: 2 },
    ...fields,
  };
}

describe("the bound of a topic in a day", () => {
  it("counts what came before, of the same topic and day", () => {
    const parts = [
      part(1),
      part(2, { topic: "news" }),
      part(3, { notBeforeMs: NOON_MS - 13 * HOUR_MS }),
      part(4, { notBeforeMs: NOON_MS - 12 * HOUR_MS }),
      part(5),
      part(6),
    ];
    const found = earlierOfDay(parts, part(5));
    assert.deepEqual(
      found.map(({ activationSeq }) => activationSeq),
      [1, 4],
    );
    const many = Array.from({ length: 2 * MAX_OF_DAY }, (_, at) => part(at + 1));
    assert.equal(earlierOfDay(many, part(500)).length, MAX_OF_DAY);
  });

  it("lets so many through to each user, and none without a bound", async () => {
    const everybody = async (): Promise<boolean> => true;
    assert.equal(await isWithinCap(part(3), [part(1)], everybody), true);
    assert.equal(await isWithinCap(part(3), [part(1), part(2)], everybody), false);
    assert.equal(await isWithinCap(part(3, { maxPerDay: 0 }), [part(1), part(2)], everybody), true);
    const notTheFirst = async ({ activationSeq }: OpenPart): Promise<boolean> => activationSeq > 1;
    assert.equal(await isWithinCap(part(3), [part(1), part(2)], notTheFirst), true);
  });

  it("does not count what was withheld itself", async () => {
    const once = [part(1), part(2, { maxPerDay: 1 }), part(3, { maxPerDay: 1 })];
    assert.equal(await isWithinCap(part(4), once, async () => true), true);
    assert.equal(await isWithinCap(part(5), [...once, part(4)], async () => true), false);
  });
});
