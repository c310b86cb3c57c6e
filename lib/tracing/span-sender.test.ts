// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import { FakeClock } from "../clock.ts";
import { ErrorCode, ImError } from "../errors.ts";
import { type Logger, silentLogger } from "../logger.ts";
import type { OtlpTraces } from "./otlp.ts";
import { SpanSender } from "./span-sender.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const span = (name: string): ReadableSpan => ({
  name,
  kind: 4,
  spanContext: () => ({ traceId: "a".repeat(32), spanId: "b".repeat(16), traceFlags: 1 }),
  parentSpanContext: { traceId: "a".repeat(32), spanId: "c".repeat(16), traceFlags: 1 },
  startTime: [1_700_000_000, 5],
  endTime: [1_700_000_001, 999_999_999],
  status: { code: 2, message: "why" },
  attributes: { text: "t", count: 3, share: 0.5, is: true, list: ["not written"] },
  ...{ links: [], events: [], duration: [1, 0], ended: true },
  resource: {
    attributes: { "service.name": "x" },
    merge: (other) => other ?? assert.fail(),
    getRawAttributes: () => [],
  },
  instrumentationScope: { name: "scope" },
  ...{ droppedAttributesCount: 0, droppedEventsCount: 0, droppedLinksCount: 0 },
});

function setUp(maxWaiting = 1000) {
  const clock = new FakeClock();
  const bodies: OtlpTraces[] = [];
  const lines: string[] = [];
  const state = { isAway: false, open: undefined as (() => void) | undefined, isSlow: false };
  const log: Logger = {
    ...silentLogger,
    info: (_, message) => lines.push(message),
    warn: ({ reason }, message) => lines.push(`${message} (${String(reason)})`),
  };
  const sender = new SpanSender({
    ...{ clock, log, maxWaiting, random: () => 0 },
    post: async (body) => {
      if (state.isSlow) await new Promise<void>((resolve) => (state.open = resolve));
      if (state.isAway) throw new ImError(ErrorCode.RETRYABLE, "refused");
      bodies.push(JSON.parse(body) as OtlpTraces);
    },
  });
  const names = (): string[][] =>
    bodies.map(({ resourceSpans }) => resourceSpans[0]?.scopeSpans[0]?.spans.map(({ name }) => name) ?? []);
  return { clock, sender, bodies, names, lines, state };
}

async function pass(clock: FakeClock, ms: number): Promise<void> {
  clock.advance(ms);
  await turn();
}

describe("spans on their way to the collector", () => {
  it("wait a second for company and go in one request, as OTLP writes it", async () => {
    const { clock, sender, bodies, names } = setUp();
    sender.onEnd(span("one"));
    sender.onEnd(span("two"));
    await pass(clock, 999);
    assert.deepEqual(names(), []);
    await pass(clock, 1);
    assert.deepEqual(names(), [["one", "two"]]);
    assert.deepEqual(sender.counts, { sent: 2, dropped: 0 });
    const [resourceSpans] = bodies[0]?.resourceSpans ?? [];
    assert.deepEqual(resourceSpans?.resource.attributes, [{ key: "service.name", value: { stringValue: "x" } }]);
    assert.equal(resourceSpans?.scopeSpans[0]?.scope.name, "scope");
    assert.deepEqual(resourceSpans?.scopeSpans[0]?.spans[0], {
      traceId: "a".repeat(32),
      spanId: "b".repeat(16),
      parentSpanId: "c".repeat(16),
      name: "one",
      kind: 5,
      startTimeUnixNano: "1700000000000000005",
      endTimeUnixNano: "1700000001999999999",
      attributes: [
        { key: "text", value: { stringValue: "t" } },
        { key: "count", value: { intValue: "3" } },
        { key: "share", value: { doubleValue: 0.5 } },
        { key: "is", value: { boolValue: true } },
      ],
      status: { code: 2, message: "why" },
    });
  });

  it("are dropped and counted when the collector is away, which is said once, and once that it is back", async () => {
    const { clock, sender, names, lines, state } = setUp();
    state.isAway = true;
    for (let at = 0; at < 5; at++) {
      sender.onEnd(span(String(at)));
      await pass(clock, 1000);
    }
    assert.deepEqual(sender.counts, { sent: 0, dropped: 5 });
    assert.deepEqual(lines, ["the trace collector takes no spans: they are dropped (refused)"]);
    state.isAway = false;
    sender.onEnd(span("back"));
    await pass(clock, 1000);
    assert.deepEqual(names(), [["back"]]);
    assert.deepEqual(lines.slice(1), ["the trace collector takes spans again"]);
  });

  it("wait in a bounded queue behind one request at a time", async () => {
    const { clock, sender, names, state } = setUp(10);
    state.isSlow = true;
    sender.onEnd(span("first"));
    await pass(clock, 1000);
    for (let at = 0; at < 50; at++) sender.onEnd(span(String(at)));
    await pass(clock, 60_000);
    assert.deepEqual(sender.counts, { sent: 0, dropped: 40 });
    state.isSlow = false;
    state.open?.();
    await turn();
    await pass(clock, 1000);
    assert.deepEqual(
      names().map(({ length }) => length),
      [1, 10],
    );
    assert.deepEqual(sender.counts, { sent: 11, dropped: 40 });
  });

  it("go at the end of the process, unless the collector was away, and none after it", async () => {
    const { sender, names } = setUp();
    sender.onEnd(span("last"));
    await sender.shutdown();
    sender.onEnd(span("late"));
    await sender.forceFlush();
    assert.deepEqual(names(), [["last"]]);
    assert.deepEqual(sender.counts, { sent: 1, dropped: 1 });

    const away = setUp();
    away.state.isAway = true;
    away.sender.onEnd(span("one"));
    await pass(away.clock, 1000);
    away.state.isSlow = true;
    away.sender.onEnd(span("two"));
    await away.sender.shutdown();
    assert.deepEqual(away.sender.counts, { sent: 0, dropped: 2 });
  });
});
