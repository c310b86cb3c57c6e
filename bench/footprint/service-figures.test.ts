// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { idleFiguresFrom, median, startFigures } from "./service-figures.ts";

describe("figures of a program", () => {
  it("takes the middle one, the lower of two", () => {
    assert.equal(median([9, 1, 5]), 5);
    assert.equal(median([4, 1, 3, 2]), 2);
    assert.throws(() => median([]), RangeError);
  });

  it("sums up starts", () => {
    const starts = [
      { ms: 900.4, cpuMs: 510 },
      { ms: 700.6, cpuMs: 500 },
      { ms: 5000, cpuMs: 700 },
    ];
    assert.deepEqual(startFigures(starts), { startMs: 900, fastestMs: 701, startCpuMs: 510 });
    assert.throws(() => startFigures([]), RangeError);
  });

  it("reads what the kernel says of memory", () => {
    const status =
      "Name:\tnode\nVmHWM:\t  999999 kB\nVmRSS:\t  105472 kB\nRssAnon:\t   52736 kB\nRssFile:\t   52736 kB\n";
    assert.deepEqual(idleFiguresFrom(status), { idleMiB: 103, ownMiB: 51.5 });
    const own = idleFiguresFrom(readFileSync("/proc/self/status", "latin1"));
    assert.ok(own.ownMiB > 1 && own.idleMiB > own.ownMiB, JSON.stringify(own));
    assert.throws(() => idleFiguresFrom("Name:\tnode\n"), RangeError);
  });
});
