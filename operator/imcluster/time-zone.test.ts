// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { instantOf, isTimeZone, wallMsAt } from "./time-zone.ts";

const at = (text: string) => Date.parse(text);
const shown = (ms: number) => new Date(ms).toISOString();

describe("time zones", () => {
  it("knows those of the IANA data base", () => {
    for (const zone of ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Shanghai"]) assert.ok(isTimeZone(zone), zone);
    for (const zone of ["", "Mars/Olympus", "Europe/Berlin ", "25:00"]) assert.ok(!isTimeZone(zone), zone);
  });

  it("shows the wall clock", () => {
    assert.equal(shown(wallMsAt("Asia/Shanghai", at("2026-11-26T20:30:15Z"))), "2026-11-27T04:30:15.000Z");
    assert.equal(shown(wallMsAt("America/St_Johns", at("2026-01-01T00:00:00Z"))), "2025-12-31T20:30:00.000Z");
    assert.equal(shown(wallMsAt("Europe/Berlin", at("2026-06-30T22:00:00Z"))), "2026-07-01T00:00:00.000Z");
  });

  const cases: [what: string, zone: string, wall: string, instant: string][] = [
    ["winter", "Europe/Berlin", "2026-01-15T08:00:00Z", "2026-01-15T07:00:00.000Z"],
    ["summer", "Europe/Berlin", "2026-07-15T08:00:00Z", "2026-07-15T06:00:00.000Z"],
    ["skipped", "Europe/Berlin", "2026-03-29T02:30:00Z", "2026-03-29T01:30:00.000Z"],
    ["twice", "Europe/Berlin", "2026-10-25T02:30:00Z", "2026-10-25T00:30:00.000Z"],
    ["after the second", "Europe/Berlin", "2026-10-25T03:00:00Z", "2026-10-25T02:00:00.000Z"],
    ["skipped in the west", "America/New_York", "2026-03-08T02:15:00Z", "2026-03-08T07:15:00.000Z"],
    ["twice in the west", "America/New_York", "2026-11-01T01:59:00Z", "2026-11-01T05:59:00.000Z"],
    ["half an hour twice", "Australia/Lord_Howe", "2026-04-05T01:45:00Z", "2026-04-04T14:45:00.000Z"],
    ["a skipped midnight", "America/Sao_Paulo", "2018-11-04T00:00:00Z", "2018-11-04T03:00:00.000Z"],
    ["a skipped day", "Pacific/Apia", "2011-12-30T12:00:00Z", "2011-12-30T22:00:00.000Z"],
  ];
  for (const [what, zone, wall, instant] of cases) {
    it(`finds when a clock shows a time: ${what}`, () => assert.equal(shown(instantOf(zone, at(wall))), instant));
  }

  it("stays right with more zones than it keeps", () => {
    for (const zone of Intl.supportedValuesOf("timeZone").slice(0, 150)) {
      const wallMs = wallMsAt(zone, at("2026-02-10T12:00:00Z"));
      assert.equal(instantOf(zone, wallMs), at("2026-02-10T12:00:00Z"), zone);
    }
  });
});
