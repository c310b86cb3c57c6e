// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { turnsOf } from "./turns.ts";

describe("the turns of clients that are asked to move", () => {
  it("are one in each part of the time, whatever the dice say", () => {
    const grants = fc.record({ afterMs: fc.nat(10_000), spreadMs: fc.nat(10_000) });
    const dice = fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), {
      minLength: 1,
      maxLength: 50,
    });
    fc.assert(
      fc.property(fc.nat(200), grants, dice, (count, grant, thrown) => {
        let at = 0;
        const turns = turnsOf(count, grant, () => thrown[at++ % thrown.length] ?? 0);
        assert.equal(turns.length, count);
        for (const [turn, ms] of turns.entries()) {
          const fromMs = grant.afterMs + (turn / count) * grant.spreadMs;
          assert.ok(
            ms >= fromMs - 1e-6 && ms <= fromMs + grant.spreadMs / count + 1e-6,
            `${turn} of ${count} at ${ms} ms`,
          );
        }
      }),
    );
  });

  it("are by chance within their parts", () => {
    const grant = { afterMs: 100, spreadMs: 1_000 };
    assert.deepEqual(
      turnsOf(2, grant, () => 0.5),
      [350, 850],
    );
    assert.deepEqual(
      turnsOf(1, grant, () => 0),
      [100],
    );
    assert.deepEqual(
      turnsOf(0, grant, () => 0),
      [],
    );
  });
});
