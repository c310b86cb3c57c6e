// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Cron, matchesDay, parseCron } from "./cron.ts";

function read(text: string): Cron {
  const cron = parseCron(text);
  assert.ok(typeof cron !== "string", String(cron));
  return cron;
}

describe("parseCron", () => {
  it("reads numbers, ranges, steps, lists and names", () => {
    const cron = read(" 0,30  8-18/5 1,15 JAN-mar,12 mon-FRI ");
    assert.deepEqual(cron.minutes, [0, 30]);
    assert.deepEqual(cron.hours, [8, 13, 18]);
    assert.deepEqual([...cron.days], [1, 15]);
    assert.deepEqual([...cron.months], [1, 2, 3, 12]);
    assert.deepEqual([...cron.weekdays], [1, 2, 3, 4, 5]);
    assert.equal(cron.isEitherDay, true);
  });

  it("counts a number with a step on to the end, and 7 as Sunday", () => {
    const cron = read("10/25 */12 * * 5-7");
    assert.deepEqual(cron.minutes, [10, 35]);
    assert.deepEqual(cron.hours, [0, 12]);
    assert.deepEqual([...cron.weekdays].sort(), [0, 5, 6]);
    assert.equal(cron.isEitherDay, false);
  });

  const wrong: [string, RegExp][] = [
    ["", /five fields/],
    ["* * * *", /five fields/],
    ["* * * * * *", /five fields/],
    ["@daily", /five fields/],
    ["60 * * * *", /"60" is no minute/],
    ["* 24 * * *", /"24" is no hour/],
    ["* * 0 * *", /"0" is no day of the month/],
    ["* * 32 * *", /"32" is no day of the month/],
    ["* * * 13 *", /"13" is no month/],
    ["* * * * 8", /"8" is no day of the week/],
    ["* * * * FRI-MON", /"FRI-MON" is no day of the week/],
    ["* 5-3 * * *", /"5-3" is no hour/],
    ["*/0 * * * *", /"\*\/0" is no minute/],
    ["1, * * * *", /"" is no minute/],
    ["1-2-3 * * * *", /"1-2-3" is no minute/],
    ["-1 * * * *", /"-1" is no minute/],
    ["MON * * * *", /"MON" is no minute/],
    ["* * * FOO *", /"FOO" is no month/],
    ["1.5 * * * *", /"1.5" is no minute/],
    ["0x1 * * * *", /"0x1" is no minute/],
  ];
  for (const [text, reason] of wrong) {
    it(`says what is wrong with ${JSON.stringify(text)}`, () => assert.match(String(parseCron(text)), reason));
  }
});

describe("matchesDay", () => {
  it("needs both days, or either when both are restricted", () => {
    const friday13 = { month: 11, day: 13, weekday: 5 };
    const matches = (text: string, { month, day, weekday } = friday13) => matchesDay(read(text), month, day, weekday);
    assert.equal(matches("0 0 13 * *"), true);
    assert.equal(matches("0 0 14 * *"), false);
    assert.equal(matches("0 0 * * 5"), true);
    assert.equal(matches("0 0 * * 4"), false);
    assert.equal(matches("0 0 14 * 5"), true, "the day of the week is enough");
    assert.equal(matches("0 0 13 * 4"), true, "the day of the month is enough");
    assert.equal(matches("0 0 13 12 5"), false, "another month");
    assert.equal(matches("0 0 */2 * 5"), true, "a step is a star: both count");
    assert.equal(matches("0 0 */2 * 4"), false);
  });
});
