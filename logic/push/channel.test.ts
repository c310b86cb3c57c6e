// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { Metrics } from "#lib/metrics.ts";
import { FakeTracer } from "#lib/tracing/fake-tracer.ts";
import { ProviderChannel, type ProviderChannelOptions } from "./channel.ts";
import { createPushMetrics } from "./metrics.ts";
import type { PushRequest } from "./provider.ts";
import { ToldProvider } from "./push-kit.ts";

const never = new AbortController().signal;
const yes = (): Promise<boolean> => Promise.resolve(true);
const request: PushRequest = {
  notification: {
    type: "push",
    userId: "u",
    conversationId: "c",
    messageId: "m",
    inboxSeq: 1,
    sender: "s",
    sentAtMs: 0,
  },
  address: "a secret address",
  collapseKey: "k",
  urgency: "high",
  badge: 1,
  ttlMs: 1000,
};

function world(over: Partial<ProviderChannelOptions> = {}) {
  const clock = new FakeClock();
  const provider = new ToldProvider("told");
  const metrics = new Metrics();
  const channel = new ProviderChannel({
    provider,
    clock,
    random: () => 0,
    metrics: createPushMetrics(metrics),
    ...over,
  });
  return { clock, provider, metrics, channel };
}

describe("ProviderChannel", () => {
  it("bounds calls and waiting ones, and sheds the rest at once", async () => {
    const { clock, provider, metrics, channel } = world({ gate: { maxRunning: 2, maxWaiting: 1, maxWaitMs: 5000 } });
    provider.answer = () => "stall";
    const stop = new AbortController();
    const calls = Array.from({ length: 4 }, () => channel.attempt(request, yes, stop.signal));
    assert.deepEqual(await calls[3], { kind: "untried", reason: "full", retryAfterMs: 1000 });
    assert.equal(provider.requests.length, 2);
    const text = await metrics.render();
    assert.match(text, /im_push_running\{provider="told"\} 2/);
    assert.match(text, /im_push_waiting\{provider="told"\} 1/);
    stop.abort();
    assert.deepEqual((await Promise.all(calls.slice(0, 3))).map(({ kind }) => kind).sort(), [
      "failed",
      "failed",
      "untried",
    ]);
    assert.equal(clock.pending, 0);
  });

  it("has a span for each call about a traced message, which names the provider and what it said, and nothing of the user", async () => {
    const tracer = new FakeTracer();
    const { provider, channel } = world({ tracer });
    const trace = { traceId: "a".repeat(32), spanId: "b".repeat(16) };
    await channel.attempt({ ...request, trace }, yes, never);
    provider.answer = () => ({ kind: "gone", reason: "a secret address" });
    await channel.attempt({ ...request, trace }, yes, never);
    await channel.attempt(request, yes, never);
    await channel.attempt({ ...request, trace }, () => Promise.resolve(false), never);
    assert.deepEqual(tracer.ended, ["notify", "notify gone"]);
    assert.deepEqual(
      tracer.spans.map(({ parent, facts }) => [parent, facts]),
      [
        [trace, { "im.provider": "told", "im.result": "accepted" }],
        [trace, { "im.provider": "told", "im.result": "gone" }],
      ],
    );
    // The business's own spans go under the call's.
    assert.deepEqual(
      provider.requests.map((asked) => asked.trace),
      [...tracer.spans.map(({ context }) => context), undefined],
    );
  });

  it("ends a call that the provider does not end itself", async () => {
    const { clock, provider, channel } = world();
    provider.answer = () => "stall";
    const call = channel.attempt(request, yes, never);
    while (provider.requests.length === 0) await new Promise((resolve) => setImmediate(resolve));
    clock.advance(12_000);
    assert.equal((await call).kind, "failed");
  });

  it("asks whether the push is still wanted right before the call", async () => {
    const { provider, channel } = world();
    const result = await channel.attempt(request, () => Promise.resolve(false), never);
    assert.deepEqual(result, { kind: "untried", reason: "cancelled", retryAfterMs: 0 });
    assert.equal(provider.requests.length, 0);
  });

  it("stops calling a provider in trouble, and says when to ask again", async () => {
    const { clock, provider, metrics, channel } = world({ breaker: { failures: 2, minOpenMs: 1000, maxOpenMs: 1000 } });
    provider.answer = () => ({ kind: "failed", reason: "503" });
    for (let n = 0; n < 2; n++) await channel.attempt(request, yes, never);
    assert.deepEqual(await channel.attempt(request, yes, never), {
      kind: "untried",
      reason: "open",
      retryAfterMs: 1000,
    });
    assert.equal(provider.requests.length, 2);
    assert.match(await metrics.render(), /im_push_breaker_open\{provider="told"\} 1/);
    clock.advance(1000);
    provider.answer = () => ({ kind: "accepted" });
    assert.equal((await channel.attempt(request, yes, never)).kind, "accepted");
    assert.match(await metrics.render(), /im_push_breaker_open\{provider="told"\} 0/);
  });

  it("does not blame the provider for one address, or for our own stop", async () => {
    const { provider, channel } = world({ breaker: { failures: 1, minOpenMs: 1000, maxOpenMs: 1000 } });
    provider.answer = () => ({ kind: "failed", reason: "429", retryAfterMs: 60_000, scope: "address" });
    await channel.attempt(request, yes, never);
    assert.equal(channel.breakerState, "closed");
    provider.answer = () => "stall";
    const stop = new AbortController();
    const call = channel.attempt(request, yes, stop.signal);
    while (provider.requests.length < 2) await new Promise((resolve) => setImmediate(resolve));
    stop.abort();
    await call;
    assert.equal(channel.breakerState, "closed");
  });

  it("counts by provider and result, and never shows an address", async () => {
    const { provider, metrics, channel } = world();
    for (const kind of ["accepted", "gone", "rejected", "failed"] as const) {
      provider.answer = () => (kind === "accepted" ? { kind } : { kind, reason: "r" });
      await channel.attempt(request, yes, never);
    }
    const text = await metrics.render();
    for (const kind of ["accepted", "gone", "rejected", "failed"]) {
      assert.match(text, new RegExp(`im_push_total\\{provider="told",result="${kind}"\\} 1`));
    }
    assert.match(text, /im_push_by_tenant_total\{tenant="_default"\} 1/, "what was taken");
    assert.equal(text.includes("secret"), false);
  });
});
