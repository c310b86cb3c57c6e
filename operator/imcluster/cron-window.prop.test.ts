// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { matchesDay, parseCron } from "./cron.ts";
import { type CronWindow, isOpen, nextOpeningMs, windowFault } from "./cron-window.ts";
import { wallMsAt } from "./time-zone.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** Around times that are skipped or come twice, and ordinary ones. */
const PLACES: readonly [zone: string, around: string][] = [
  ["UTC", "2026-02-28T12:00:00Z"],
  ["Europe/Berlin", "2026-03-29T01:00:00Z"],
  ["Europe/Berlin", "2026-10-25T01:00:00Z"],
  ["America/New_York", "2026-11-01T06:00:00Z"],
  ["America/St_Johns", "2026-03-08T05:30:00Z"],
  ["Australia/Lord_Howe", "2026-04-04T15:00:00Z"],
  ["Australia/Lord_Howe", "2026-10-03T15:30:00Z"],
  ["America/Sao_Paulo", "2018-11-04T03:00:00Z"],
  ["Pacific/Apia", "2011-12-30T10:00:00Z"],
  ["Asia/Shanghai", "2024-02-29T00:00:00Z"],
];

const step = (max: number) => fc.constantFrom("*", `*/${Math.ceil(max / 3)}`);
const list = (min: number, max: number) =>
  fc.uniqueArray(fc.integer({ min, max }), { minLength: 1, maxLength: 4 }).map((numbers) => numbers.join(","));
const cron = fc
  .tuple(
    fc.oneof(list(0, 59), step(60)),
    fc.oneof(list(0, 5), list(0, 23), step(24)),
    fc.oneof({ weight: 3, arbitrary: fc.constant("*") }, { weight: 1, arbitrary: list(1, 31) }),
    fc.constant("*"),
    fc.oneof({ weight: 3, arbitrary: fc.constant("*") }, { weight: 1, arbitrary: list(0, 7) }),
  )
  .map((fields) => fields.join(" "));
const scene = fc.record({
  place: fc.constantFrom(...PLACES),
  cron,
  lengthMinutes: fc.integer({ min: 1, max: 600 }),
  offsetMinutes: fc.integer({ min: -1_440, max: 1_440 }),
});

/** Openings from a day before to three days after, found by looking at every minute. */
function slowOpenings(window: CronWindow, nowMs: number): number[] {
  const zone = window.timezone ?? "UTC";
  const read = parseCron(window.cron);
  assert.ok(typeof read !== "string");
  const matches = (wallMs: number) => {
    const wall = new Date(wallMs);
    const isTime = read.minutes.includes(wall.getUTCMinutes()) && read.hours.includes(wall.getUTCHours());
    return isTime && matchesDay(read, wall.getUTCMonth() + 1, wall.getUTCDate(), wall.getUTCDay());
  };
  const openings: number[] = [];
  const seen = new Set<number>();
  let expectedMs: number | undefined;
  for (let atMs = nowMs - 2 * DAY_MS; atMs < nowMs + 3 * DAY_MS; atMs += MINUTE_MS) {
    const wallMs = wallMsAt(zone, atMs);
    for (let skipped = expectedMs ?? wallMs; skipped < wallMs; skipped += MINUTE_MS) {
      if (matches(skipped)) openings.push(atMs + (skipped - (expectedMs ?? wallMs)));
    }
    if (!seen.has(wallMs) && matches(wallMs)) openings.push(atMs);
    seen.add(wallMs);
    expectedMs = wallMs + MINUTE_MS;
  }
  return openings.sort((a, b) => a - b);
}

describe("windows", () => {
  it("open when looking at every minute says so, across all changes of the clocks", () => {
    fc.assert(
      fc.property(scene, ({ place: [timezone, around], cron: text, lengthMinutes, offsetMinutes }) => {
        const window = { cron: text, duration: `${lengthMinutes}m`, timezone };
        const nowMs = Date.parse(around) + offsetMinutes * MINUTE_MS;
        const openings = slowOpenings(window, nowMs);
        const isSlowlyOpen = openings.some((atMs) => atMs <= nowMs && nowMs < atMs + lengthMinutes * MINUTE_MS);
        assert.equal(isOpen(window, nowMs), isSlowlyOpen, "isOpen");
        const next = openings.find((atMs) => atMs > nowMs);
        const found = nextOpeningMs(window, nowMs);
        if (next === undefined)
          assert.ok((found ?? Infinity) >= nowMs + 2 * DAY_MS, "it opens after what was looked at");
        else assert.equal(found, next, `next: ${found && new Date(found).toISOString()}`);
      }),
      { numRuns: 30 },
    );
  });

  it("are open at their next opening, for exactly their duration when that is shorter than the next gap", () => {
    fc.assert(
      fc.property(scene, ({ place: [timezone, around], cron: text, offsetMinutes }) => {
        const window = { cron: text, duration: "1m", timezone };
        const nowMs = Date.parse(around) + offsetMinutes * MINUTE_MS;
        const next = nextOpeningMs(window, nowMs);
        if (next === undefined) return;
        assert.ok(next > nowMs);
        assert.ok(isOpen(window, next) && isOpen(window, next + MINUTE_MS - 1));
        const after = nextOpeningMs(window, next);
        if (after !== next + MINUTE_MS) assert.ok(!isOpen(window, next + MINUTE_MS));
      }),
      { numRuns: 100 },
    );
  });
});

describe("windows in detail", () => {
  const night = { cron: "30 2 * * *", duration: "1h", timezone: "Europe/Berlin" };
  const at = (text: string) => Date.parse(text);

  it("open once when their time comes twice", () => {
    assert.equal(isOpen(night, at("2026-10-25T00:30:00Z")), true);
    assert.equal(isOpen(night, at("2026-10-25T01:29:59Z")), true);
    assert.equal(isOpen(night, at("2026-10-25T01:30:00Z")), false);
  });

  it("last for days", () => {
    const weekend = { cron: "0 22 * * FRI", duration: "60h" };
    assert.equal(isOpen(weekend, at("2026-11-30T09:59:59Z")), true);
    assert.equal(isOpen(weekend, at("2026-11-30T10:00:00Z")), false);
    assert.equal(nextOpeningMs(weekend, at("2026-11-28T00:00:00Z")), at("2026-12-04T22:00:00Z"));
  });

  it("wait for a leap day as long as it takes", () => {
    const leap = { cron: "0 0 29 2 *", duration: "1h" };
    assert.equal(nextOpeningMs(leap, at("2096-03-01T00:00:00Z")), at("2104-02-29T00:00:00Z"));
    assert.equal(windowFault(leap), undefined);
  });

  it("never open when they are faulty, and say why", () => {
    const faulty: [CronWindow, RegExp][] = [
      [{ cron: "0 0 30 2 *", duration: "1h" }, /names a day that no year has/],
      [{ cron: "0 0 * *", duration: "1h" }, /five fields/],
      [{ cron: "0 0 * * *", duration: "1h", timezone: "Europe/Atlantis" }, /no time zone/],
    ];
    for (const [window, reason] of faulty) {
      assert.match(windowFault(window) ?? "", reason);
      assert.equal(isOpen(window, at("2026-03-02T00:30:00Z")), false);
      assert.equal(nextOpeningMs(window, at("2026-03-02T00:30:00Z")), undefined);
    }
    assert.equal(windowFault(night), undefined);
  });
});
