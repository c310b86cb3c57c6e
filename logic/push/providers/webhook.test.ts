// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { systemClock } from "#lib/clock.ts";
import { requestFor } from "../../../e2e/sandbox/provider-contract.ts";
import { startWebhookSandbox, type WebhookSandbox, type WebhookSandboxOptions } from "../../../e2e/sandbox/webhook.ts";
import { signature } from "../../webhook/signature.ts";
import { WebhookProvider } from "./webhook.ts";

let sandbox: WebhookSandbox | undefined;
afterEach(async () => {
  await sandbox?.close();
  sandbox = undefined;
});

async function start(options: WebhookSandboxOptions): Promise<WebhookSandbox> {
  sandbox = await startWebhookSandbox(options);
  return sandbox;
}

const provider = (url: string): WebhookProvider => new WebhookProvider({ url, secret: "s3cret", clock: systemClock });
const never = new AbortController().signal;
const request = requestFor("");

describe("webhook provider", () => {
  it("signs the timestamp and the body", () => {
    assert.equal(
      signature("key", 1_700_000_000, '{"a":1}'),
      "t=1700000000,v1=a438e398bfafc57e4396bb7fc2304422f0f768e965d073ca313cb52e22e6ad03",
    );
    assert.notEqual(signature("key", 1, "x"), signature("key", 2, "x"));
    assert.notEqual(signature("key", 1, "x"), signature("other", 1, "x"));
  });

  it("delivers the notification, sender included, signed", async () => {
    const { url, pushes, traceparents } = await start({ secret: "s3cret" });
    assert.deepEqual(await provider(url).push(request, never), { kind: "accepted" });
    const [traceId, spanId] = ["a".repeat(32), "b".repeat(16)];
    await provider(url).push({ ...request, trace: { traceId, spanId } }, never);
    assert.deepEqual(pushes, [request.notification, request.notification]);
    assert.deepEqual(traceparents, ["", `00-${traceId}-${spanId}-01`]);
  });

  it("names the tenant, and its users as it knows them", async () => {
    const { url, pushes } = await start({ secret: "s3cret" });
    const notification = { ...request.notification, userId: "acme/bob", sender: "acme/alice" };
    assert.deepEqual(await provider(url).push({ ...request, notification }, never), { kind: "accepted" });
    assert.deepEqual(pushes, [{ ...notification, tenant: "acme", userId: "bob", sender: "alice" }]);
  });

  it("is refused for good when the secret is wrong", async () => {
    const { url, pushes } = await start({ secret: "other" });
    assert.equal((await provider(url).push(request, never)).kind, "rejected");
    assert.equal(pushes.length, 0);
  });

  it("does not follow redirects", async () => {
    const { url, pushes } = await start({
      answer: () => ({ status: 302, headers: { location: "http://127.0.0.1:9/" } }),
    });
    assert.equal((await provider(url).push(request, never)).kind, "failed");
    assert.equal(pushes.length, 1);
  });
});
