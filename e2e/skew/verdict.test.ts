// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { planMatrix, type Row } from "./matrix.ts";
import { judge, type RowFigures, shortfallsOf } from "./verdict.ts";

const rowNamed = (name: string): Row => {
  const row = planMatrix().find((one) => one.name === name);
  assert.ok(row, name);
  return row;
};
const kept: RowFigures = {
  ...{
    sent: 100,
    acked: 100,
    delivered: 100,
    changed: 7,
    lost: 0,
    duplicated: 0,
    reordered: 0,
    corrupted: 0,
    otherViolations: 0,
  },
  ...{
    reconnects: 4,
    pulled: 12,
    moved: 8,
    unknownAsked: 2,
    unknownAnswered: 2,
    operatorAsked: 5,
    operatorAnswered: 5,
  },
  ...{ away: { sent: 20, pushed: 20, twice: 0, shown: 20 }, seconds: 12 },
  large: { sent: 6, shown: 6, changes: 2, changed: 2, missed: 2, read: 2 },
};
const control = rowNamed("N alone");

describe("the verdict on a row", () => {
  it("finds nothing where all was kept", () => {
    for (const row of planMatrix()) assert.deepEqual(shortfallsOf(row, kept), [], row.name);
  });

  it("names each figure that is not as promised", () => {
    const cases: [Partial<RowFigures>, string][] = [
      [{ lost: 1 }, "lost: 1"],
      [{ duplicated: 2 }, "duplicated: 2"],
      [{ reordered: 3 }, "reordered: 3"],
      [{ corrupted: 4 }, "corrupted: 4"],
      [{ otherViolations: 5 }, "otherViolations: 5"],
      [{ acked: 99 }, "acknowledged: 99 of 100"],
      [{ delivered: 99 }, "delivered: 99 of 100"],
      [{ changed: 0 }, "nothing was recalled or edited"],
      [{ reconnects: 0 }, "no client connected again"],
      [{ pulled: 0 }, "nothing was pulled after an absence"],
      [{ moved: 0 }, "no session moved"],
      [{ unknownAnswered: 1 }, "unknown commands answered: 1 of 2"],
      [{ operatorAnswered: 4 }, "questions of the operator answered: 4 of 5"],
      [{ operatorAsked: 0, operatorAnswered: 0 }, "the operator asked nothing"],
      [{ large: { ...kept.large, shown: 5 } }, "shown in a large group: 5 of 6"],
      [{ large: { ...kept.large, changed: 0 } }, "changes shown in a large group: 0 of 2"],
      [{ large: { ...kept.large, read: 1 } }, "read in a large group after an absence: 1 of 2"],
      [{ away: undefined }, "nobody was pushed to"],
      [{ away: { sent: 20, pushed: 19, twice: 0, shown: 20 } }, "pushed: 19 of 20"],
      [{ away: { sent: 20, pushed: 20, twice: 1, shown: 20 } }, "pushed again: 1"],
      [{ away: { sent: 20, pushed: 20, twice: 0, shown: 3 } }, "shown in order after the absence: 3 of 20"],
    ];
    for (const [change, text] of cases) assert.deepEqual(shortfallsOf(control, { ...kept, ...change }), [text]);
    assert.ok(shortfallsOf(control, { ...kept, sent: 0, acked: 0, delivered: 0 }).includes("nothing was sent"));
  });

  it("asks for pushes, moves and an operator only where the row has them", () => {
    const quiet = { ...kept, away: undefined, moved: 0, operatorAsked: 0, operatorAnswered: 0 };
    assert.deepEqual(shortfallsOf(rowNamed("entry N-1, logic N"), quiet), []);
  });
});

describe("the judge of a matrix", () => {
  const result = (name: string, ...shortfalls: string[]) => ({ name, figures: kept, shortfalls });

  it("is content when every row is kept", () => {
    assert.equal(judge([result("N-1 alone"), result("N alone"), result("mixed")]).isKept, true);
  });

  it("is not when one is not", () => {
    const { rows, isKept } = judge([result("N-1 alone"), result("mixed", "lost: 1")]);
    assert.deepEqual([isKept, rows[1]?.isOlderAlone], [false, false]);
  });

  it("names rows that fall short as the older build does by itself", () => {
    const { rows, isKept } = judge([result("N-1 alone", "pushed again: 3"), result("mixed", "pushed again: 1")]);
    assert.deepEqual([isKept, rows[0]?.isOlderAlone, rows[1]?.isOlderAlone], [true, true, true]);
  });

  it("excuses nothing else by that, and never this version alone", () => {
    const older = result("N-1 alone", "pushed again: 3");
    assert.equal(judge([older, result("mixed", "pushed again: 1", "lost: 1")]).isKept, false);
    assert.equal(judge([older, result("N alone", "pushed again: 3")]).isKept, false);
  });
});
