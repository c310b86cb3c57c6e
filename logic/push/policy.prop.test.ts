// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  collapseKey,
  isTimeZone,
  localDay,
  PUSH_CHANNELS,
  type PushStep,
  quietUntilMs,
  readSeq,
  retryDelayMs,
  stepAfter,
} from "./policy.ts";

const zones = fc.constantFrom("UTC", "Asia/Shanghai", "America/New_York", "Asia/Kolkata", "Pacific/Chatham", "Nowhere");
const instants = fc.integer({ min: Date.UTC(2024, 0, 1), max: Date.UTC(2027, 0, 1) });
const minutes = fc.integer({ min: 0, max: 1439 });

/** Independent of the code under test: what a clock on the wall shows. */
function wallMinute(timeZone: string, atMs: number): number {
  const zone = timeZone === "Nowhere" ? "UTC" : timeZone;
  const [hours = "0", mins = "0"] = new Date(atMs).toLocaleTimeString("en-GB", { timeZone: zone }).split(":");
  return Number(hours) * 60 + Number(mins);
}

const isInside = (minute: number, start: number, end: number): boolean =>
  start <= end ? minute >= start && minute < end : minute >= start || minute < end;

describe("quiet hours", () => {
  it("hold exactly the channels and minutes that they name, and end where they say", () => {
    fc.assert(
      fc.property(zones, instants, minutes, minutes, (timeZone, nowMs, startMinute, endMinute) => {
        const policy = { timeZone: "UTC", quietHours: { startMinute, endMinute, channels: ["sms" as const] } };
        assert.equal(quietUntilMs(policy, "app", timeZone, nowMs), 0);
        const untilMs = quietUntilMs(policy, "sms", timeZone, nowMs);
        assert.equal(untilMs > 0, isInside(wallMinute(timeZone, nowMs), startMinute, endMinute));
        if (untilMs === 0) return;
        assert.ok(untilMs > nowMs, "in the future");
        assert.ok(untilMs - nowMs <= 25 * 3_600_000, "within a day, and the hour of a clock change");
        // A clock that jumps over the end is over it.
        const overMinutes = (wallMinute(timeZone, untilMs) - endMinute + 1440) % 1440;
        assert.ok(overMinutes <= 60 || overMinutes >= 1380, `ends ${overMinutes} minutes off`);
      }),
      { numRuns: 2000 },
    );
  });

  it("use the policy's time zone for users without one", () => {
    const quietHours = { startMinute: 22 * 60, endMinute: 8 * 60, channels: ["sms" as const] };
    const policy = { timeZone: "Asia/Shanghai", quietHours };
    const evening = Date.UTC(2026, 10, 25, 15, 30);
    assert.equal(quietUntilMs(policy, "sms", "", evening), Date.UTC(2026, 10, 26, 0, 0));
    assert.equal(quietUntilMs(policy, "sms", "Europe/London", evening), 0);
    assert.equal(quietUntilMs({ ...policy, quietHours: undefined }, "sms", "", evening), 0);
  });

  it("end at the wall clock's time on the days that clocks change", () => {
    const quietHours = { startMinute: 22 * 60, endMinute: 8 * 60, channels: ["sms" as const] };
    const policy = { timeZone: "America/New_York", quietHours };
    assert.equal(quietUntilMs(policy, "sms", "", Date.UTC(2026, 2, 8, 4)), Date.UTC(2026, 2, 8, 12), "spring");
    assert.equal(quietUntilMs(policy, "sms", "", Date.UTC(2026, 10, 1, 3)), Date.UTC(2026, 10, 1, 13), "autumn");
  });
});

describe("calendar days", () => {
  it("change at the user's midnight", () => {
    const beforeMidnight = Date.UTC(2026, 10, 25, 15, 59);
    assert.equal(localDay("Asia/Shanghai", beforeMidnight), 20261125);
    assert.equal(localDay("Asia/Shanghai", beforeMidnight + 60_000), 20261126);
    assert.equal(localDay("", beforeMidnight), 20261125);
    assert.equal(isTimeZone("Asia/Shanghai"), true);
    assert.equal(isTimeZone("Mars/Olympus"), false);
  });
});

describe("steps", () => {
  const stepsArbitrary = fc
    .shuffledSubarray([...PUSH_CHANNELS], { minLength: 1 })
    .chain((channels) =>
      fc.tuple(
        ...channels.map((channel) =>
          fc.record({
            channel: fc.constant(channel),
            delayMs: fc.option(fc.nat(1000), { nil: undefined }),
            unreachedDelayMs: fc.nat(1000),
          }),
        ),
      ),
    )
    .map((steps): PushStep[] => steps);

  it("come in order, each once, and come to an end", () => {
    fc.assert(
      fc.property(stepsArbitrary, fc.constantFrom("reached", "maybe", "unreached"), (steps, reach) => {
        const taken: string[] = [];
        for (
          let next = stepAfter({ steps }, undefined, reach);
          next;
          next = stepAfter({ steps }, next.channel, reach)
        ) {
          taken.push(next.channel);
          assert.ok(taken.length <= steps.length);
        }
        const all = steps.filter(({ delayMs }) => reach === "unreached" || delayMs !== undefined);
        assert.deepEqual(
          taken,
          all.map(({ channel }) => channel),
        );
      }),
    );
  });

  it("end when the policy no longer has the channel", () => {
    const steps = [{ channel: "app" as const, delayMs: 0, unreachedDelayMs: 0 }];
    assert.equal(stepAfter({ steps }, "sms", "unreached"), undefined);
    assert.equal(stepAfter({ steps }, "app", "unreached"), undefined);
  });
});

describe("what counts as read", () => {
  it("is the furthest device, or the furthest mobile one", () => {
    const device = fc.record({ slot: fc.constantFrom("mobile", "web", "desktop"), ackedSeq: fc.nat(100) });
    fc.assert(
      fc.property(fc.array(device, { maxLength: 6 }), (devices) => {
        const highest = (some: typeof devices): number => Math.max(0, ...some.map(({ ackedSeq }) => ackedSeq));
        const mobiles = devices.filter(({ slot }) => slot === "mobile");
        assert.equal(readSeq({ readBy: "any" }, devices), highest(devices));
        assert.equal(readSeq({ readBy: "mobile" }, devices), highest(mobiles.length > 0 ? mobiles : devices));
      }),
    );
  });
});

describe("retries and collapse keys", () => {
  it("wait at least as asked, and at most five minutes otherwise", () => {
    fc.assert(
      fc.property(fc.nat(100), fc.nat(1_000_000), fc.double({ min: 0, max: 0.999, noNaN: true }), (tries, asked, r) => {
        const delayMs = retryDelayMs(tries, asked, () => r);
        assert.ok(delayMs >= asked);
        assert.ok(delayMs <= Math.max(asked, 300_000));
      }),
    );
  });

  it("are 32 characters that every provider takes, and differ by conversation and device", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (conversationId, deviceId) => {
        const key = collapseKey(conversationId, deviceId);
        assert.match(key, /^[A-Za-z0-9_-]{32}$/);
        assert.equal(key, collapseKey(conversationId, deviceId));
        assert.notEqual(key, collapseKey(`${conversationId}x`, deviceId));
        assert.notEqual(key, collapseKey(conversationId, `${deviceId}x`));
      }),
    );
  });
});
