// SPDX-License-Identifier: Apache-2.0
// The contract suite: what every push provider must do, run on each against its sandbox.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterEach, it } from "node:test";
import type { PushFailure, PushProvider, PushRequest, PushResult } from "../../logic/push/provider.ts";
import type { ProviderSandbox, SandboxAnswer } from "./sandbox.ts";

/** A provider, and the sandbox that it calls. */
export interface ProviderBench {
  provider: PushProvider;
  sandbox: Pick<ProviderSandbox, "pushes" | "accepted" | "refused" | "behave" | "close">;
  /** A valid address; "" where the provider addresses users itself. */
  address: string;
  /** How the sandbox's record names it. */
  recorded: string;
  /** Does the provider know dead addresses? The webhook does not. */
  knowsGone: boolean;
  /** Is 429 with Retry-After in its protocol? */
  hasRetryAfter: boolean;
  /** Does it say which push replaces which? */
  hasCollapseKey: boolean;
  /** Does it carry references for the app? Nothing of them goes to the others. */
  tellsApp: boolean;
}

/** Deadline that a bench gives its provider: no test but the one of the stall meets it on a busy machine. */
export const BENCH_TIMEOUT_MS = 10_000;
const STALL_TIMEOUT_MS = 800;
const STALL_MUST_END_MS = 5000;
/** Message text would be this; nothing of ours ever has it. */
const SENDER = "the sender of the message";

/** A push to `address`, with the values that every test knows. */
export function requestFor(address: string, over: Partial<PushRequest> = {}): PushRequest {
  return {
    notification: {
      type: "push",
      userId: "bob",
      conversationId: "c_1",
      messageId: "018f2f6e-7c1a-7d1e-8000-000000000001",
      inboxSeq: 7,
      sender: SENDER,
      sentAtMs: 1_700_000_000_000,
      ...{ subjectType: "item", subjectId: "lamp-4711" },
    },
    address,
    collapseKey: createHash("sha256").update("c_1").digest("base64url").slice(0, 32),
    urgency: "high",
    badge: 3,
    ttlMs: 3_600_000,
    ...over,
  };
}

const never = new AbortController().signal;

/** Registers the contract's tests for the benches that `start` makes. */
export function providerContract(start: (timeoutMs: number) => Promise<ProviderBench>): void {
  const open: ProviderBench[] = [];
  const bench: Bench = async (answer, timeoutMs = BENCH_TIMEOUT_MS) => {
    const made = await start(timeoutMs);
    made.sandbox.behave = (_, attempt) => answer(attempt);
    open.push(made);
    return made;
  };
  afterEach(async () => {
    for (const { provider, sandbox } of open.splice(0)) {
      provider.close();
      await sandbox.close();
    }
  });
  const push = async (made: ProviderBench, signal = never): Promise<PushResult> => {
    const result = await made.provider.push(requestFor(made.address), signal);
    if (result.kind !== "accepted" && made.address !== "") {
      assert.equal(result.reason.includes(made.recorded), false, "a reason names the address");
    }
    return result;
  };
  refusals(bench, push);
  faults(bench, push);
}

type Bench = (answer: (attempt: number) => SandboxAnswer, timeoutMs?: number) => Promise<ProviderBench>;
type Push = (made: ProviderBench, signal?: AbortSignal) => Promise<PushResult>;

function refusals(bench: Bench, push: Push): void {
  it("delivers what the provider's own checks accept", async () => {
    const made = await bench(() => ({ kind: "accept" }));
    assert.deepEqual(await push(made), { kind: "accepted" });
    assert.deepEqual(made.sandbox.refused, []);
    const [sent] = made.sandbox.pushes;
    assert.equal(sent?.address, made.recorded);
    if (made.hasCollapseKey) assert.equal(sent?.collapseKey, requestFor("").collapseKey);
    if (made.address !== "") assert.equal(sent?.text.includes(SENDER), false, "third parties learn no sender");
    for (const reference of ["c_1", "018f2f6e-7c1a-7d1e-8000-000000000001", "item", "lamp-4711"])
      assert.equal(sent?.text.includes(`"${reference}"`), made.tellsApp, `the app opens ${reference}`);
  });

  it("takes several pushes at the same time", async () => {
    const made = await bench(() => ({ kind: "accept" }));
    const results = await Promise.all(Array.from({ length: 20 }, () => push(made)));
    assert.deepEqual(new Set(results.map(({ kind }) => kind)), new Set(["accepted"]));
    assert.equal(made.sandbox.accepted.length, 20);
  });

  it("is told of a push that is refused for good, and does not repeat it", async () => {
    const made = await bench(() => ({ kind: "refuse" }));
    assert.equal((await push(made)).kind, "rejected");
    assert.equal(made.sandbox.pushes.length, 1);
  });

  it("is told of an address that is dead", async () => {
    const made = await bench(() => ({ kind: "gone" }));
    assert.equal((await push(made)).kind, made.knowsGone ? "gone" : "rejected");
    assert.equal(made.sandbox.pushes.length, 1);
  });
}

function faults(bench: Bench, push: Push): void {
  it("passes on how long to wait", async () => {
    const made = await bench((attempt) => (attempt === 1 ? { kind: "busy", retryAfterS: 7 } : { kind: "accept" }));
    const result = (await push(made)) as PushFailure;
    assert.equal(result.kind, "failed");
    if (made.hasRetryAfter) assert.equal(result.retryAfterMs, 7000);
    assert.equal((await push(made)).kind, "accepted");
  });

  it("fails while the provider is in trouble, and works after it", async () => {
    const made = await bench((attempt) => ({ kind: attempt === 1 ? "fail" : "accept" }));
    assert.equal((await push(made)).kind, "failed");
    assert.equal((await push(made)).kind, "accepted");
  });

  it("gives up on a stall at its deadline, and works after it", async () => {
    const made = await bench((attempt) => ({ kind: attempt === 1 ? "stall" : "accept" }), STALL_TIMEOUT_MS);
    const startedMs = performance.now();
    assert.equal((await push(made)).kind, "failed");
    assert.ok(performance.now() - startedMs < STALL_MUST_END_MS, "within its deadline");
    assert.equal((await push(made)).kind, "accepted");
  });

  it("fails when the connection breaks, and works after it", async () => {
    const made = await bench((attempt) => ({ kind: attempt === 1 ? "reset" : "accept" }));
    assert.equal((await push(made)).kind, "failed");
    assert.equal((await push(made)).kind, "accepted");
  });

  it("survives credentials that ended early", async () => {
    const made = await bench((attempt) => ({ kind: attempt === 1 ? "expired" : "accept" }));
    const first = await push(made);
    assert.ok(first.kind === "accepted" || first.kind === "failed", first.kind);
    assert.equal((await push(made)).kind, "accepted");
  });

  it("ends at once when it is told to stop", async () => {
    const made = await bench(() => ({ kind: "stall" }));
    const abort = new AbortController();
    const result = push(made, abort.signal);
    while (made.sandbox.pushes.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const startedMs = performance.now();
    abort.abort();
    assert.equal((await result).kind, "failed");
    assert.ok(performance.now() - startedMs < BENCH_TIMEOUT_MS / 2, "before its deadline");
    assert.equal((await push(made, abort.signal)).kind, "failed");
    assert.equal(made.sandbox.pushes.length, 1);
  });

  it("fails when nobody listens", async () => {
    const made = await bench(() => ({ kind: "accept" }));
    await made.sandbox.close();
    assert.equal((await push(made)).kind, "failed");
  });
}
