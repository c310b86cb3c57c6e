// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { type Clock, systemClock } from "#lib/clock.ts";
import { startWebhookSandbox, type WebhookSandbox, type WebhookSandboxOptions } from "../../e2e/sandbox/webhook.ts";
import type { PushNotification } from "./provider.ts";
import { signature, WebhookProvider } from "./webhook.ts";

const notification: PushNotification = {
  type: "push",
  userId: "bob",
  conversationId: "c_1",
  messageId: "m_1",
  inboxSeq: 7,
  sender: "alice",
  sentAtMs: 1_700_000_000_000,
};

let sandbox: WebhookSandbox | undefined;
afterEach(async () => {
  await sandbox?.close();
  sandbox = undefined;
});

async function start(options: WebhookSandboxOptions): Promise<WebhookSandbox> {
  sandbox = await startWebhookSandbox(options);
  return sandbox;
}

/** Sleeps are asked for, and over at once. */
function hurried(delaysMs: number[] = []): Clock {
  return {
    ...systemClock,
    after: (delayMs, fn) => {
      delaysMs.push(delayMs);
      return systemClock.after(0, fn);
    },
  };
}

function provider(url: string, over: { secret?: string; clock?: Clock; timeoutMs?: number } = {}): WebhookProvider {
  return new WebhookProvider({ url, secret: "s3cret", clock: hurried(), random: () => 0.5, ...over });
}

const never = new AbortController().signal;

describe("webhook provider", () => {
  it("signs the timestamp and the body", () => {
    assert.equal(
      signature("key", 1_700_000_000, '{"a":1}'),
      "t=1700000000,v1=a438e398bfafc57e4396bb7fc2304422f0f768e965d073ca313cb52e22e6ad03",
    );
    assert.notEqual(signature("key", 1, "x"), signature("key", 2, "x"));
    assert.notEqual(signature("key", 1, "x"), signature("other", 1, "x"));
  });

  it("delivers a signed notification", async () => {
    const { url, pushes } = await start({ secret: "s3cret" });
    assert.deepEqual(await provider(url).push(notification, never), { kind: "accepted" });
    assert.deepEqual(pushes, [notification]);
  });

  it("is refused for good when the secret is wrong", async () => {
    const { url, pushes } = await start({ secret: "other" });
    const result = await provider(url).push(notification, never);
    assert.equal(result.kind, "rejected");
    assert.equal(pushes.length, 0);
  });

  it("tries three times on 5xx and 429 and obeys Retry-After up to its limit", async () => {
    const delaysMs: number[] = [];
    const { url, pushes } = await start({
      answer: (_, attempt) =>
        attempt === 1 ? { status: 503, headers: { "retry-after": "2" } } : { status: attempt === 2 ? 429 : 200 },
    });
    assert.equal((await provider(url, { clock: hurried(delaysMs) }).push(notification, never)).kind, "accepted");
    assert.equal(pushes.length, 3);
    assert.deepEqual(delaysMs, [2000, 500]);
  });

  it("does not wait longer than 4 s for a provider that asks for more", async () => {
    const delaysMs: number[] = [];
    const { url, pushes } = await start({ answer: () => ({ status: 503, headers: { "retry-after": "3600" } }) });
    assert.equal((await provider(url, { clock: hurried(delaysMs) }).push(notification, never)).kind, "failed");
    assert.equal(pushes.length, 3);
    assert.deepEqual(delaysMs, [4000, 4000]);
  });

  it("does not repeat what is refused for good", async () => {
    const { url, pushes } = await start({ answer: () => ({ status: 410 }) });
    assert.equal((await provider(url).push(notification, never)).kind, "rejected");
    assert.equal(pushes.length, 1);
  });

  it("does not follow redirects", async () => {
    const { url } = await start({ answer: () => ({ status: 302, headers: { location: "http://127.0.0.1:9/" } }) });
    assert.equal((await provider(url).push(notification, never)).kind, "failed");
  });

  it("gives up on a provider that never answers", async () => {
    const { url, pushes } = await start({ answer: () => "hang" });
    assert.equal((await provider(url, { timeoutMs: 50 }).push(notification, never)).kind, "failed");
    assert.equal(pushes.length, 3);
  });

  it("ends at once when it is told to stop", async () => {
    const { url, pushes } = await start({ answer: () => "hang" });
    const abort = new AbortController();
    const result = provider(url).push(notification, abort.signal);
    while (pushes.length === 0) await new Promise((resolve) => setImmediate(resolve));
    abort.abort();
    assert.equal((await result).kind, "failed");
    assert.equal(pushes.length, 1);
  });

  it("fails when nobody listens", async () => {
    const { url, close } = await start({});
    await close.call(sandbox);
    assert.equal((await provider(url).push(notification, never)).kind, "failed");
  });
});
