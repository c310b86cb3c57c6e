// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { Store, StoredEvent } from "../store/store.ts";
import type { QueuedIntent } from "./intent.ts";
import type { PushMetrics } from "./metrics.ts";
import type { PushNotification, PushProvider } from "./provider.ts";

const MAX_PARALLEL = 16;
const PAGE_EVENTS = 100;
const PAGE_BYTES = 256 * 1024;

/** What became of an intent: finished ones leave the stream, failed ones stay pending and come back. */
export type IntentOutcome =
  | { readonly kind: "finished"; readonly result: "accepted" | "acked" | "gone" }
  | { readonly kind: "rejected"; readonly reason: string }
  | { readonly kind: "failed"; readonly reason: string };

/** What {@link dispatchIntents} needs. */
export interface DispatchPorts {
  store: Pick<Store, "pushTargets" | "readInbox">;
  provider: PushProvider;
  clock: Clock;
  metrics: PushMetrics;
  /** Aborted: intents not yet offered are left as failed. */
  signal: AbortSignal;
}

/**
 * Pushes a batch: what one of the user's devices has acknowledged meanwhile is cancelled, the rest is read from the
 * inbox and offered to the provider, at most 16 at a time.
 * @throws {ImError} when the store is away: the whole batch stays pending
 */
export async function dispatchIntents(
  ports: DispatchPorts,
  intents: readonly QueuedIntent[],
): Promise<Map<string, IntentOutcome>> {
  const acked = await ackedSeqs(ports.store, intents);
  const outcomes = new Map<string, IntentOutcome>();
  const open: QueuedIntent[] = [];
  for (const intent of intents) {
    if (intent.inboxSeq <= (acked.get(intent.userId) ?? 0))
      outcomes.set(intent.id, { kind: "finished", result: "acked" });
    else open.push(intent);
  }
  const events = await readEvents(ports.store, open);
  const waiting = open.values();
  const worker = async (): Promise<void> => {
    for (const intent of waiting) outcomes.set(intent.id, await pushOne(ports, intent, events.get(eventKey(intent))));
  };
  await Promise.all(Array.from({ length: Math.min(MAX_PARALLEL, open.length) }, worker));
  return outcomes;
}

async function pushOne(
  { provider, clock, metrics, signal }: DispatchPorts,
  { userId, inboxSeq }: QueuedIntent,
  event: StoredEvent | undefined,
): Promise<IntentOutcome> {
  if (!event) return { kind: "finished", result: "gone" };
  if (signal.aborted) return { kind: "failed", reason: "out of time" };
  const { conversationId, messageId, sender, sentAtMs } = event;
  const notification: PushNotification = {
    type: "push",
    userId,
    conversationId,
    messageId,
    inboxSeq,
    sender,
    sentAtMs,
  };
  const startedMs = clock.nowMs();
  const result = await provider.push(notification, signal);
  metrics.seconds.observe({ provider: provider.name }, (clock.nowMs() - startedMs) / 1000);
  return result.kind === "accepted" ? { kind: "finished", result: "accepted" } : result;
}

/** Highest inbox seq any device of the user has acknowledged. */
async function ackedSeqs(
  store: Pick<Store, "pushTargets">,
  intents: readonly QueuedIntent[],
): Promise<Map<string, number>> {
  const targets = await store.pushTargets([...new Set(intents.map(({ userId }) => userId))]);
  const acked = new Map<string, number>();
  for (const { userId, ackedSeq } of targets) acked.set(userId, Math.max(ackedSeq, acked.get(userId) ?? 0));
  return acked;
}

async function readEvents(
  store: Pick<Store, "readInbox">,
  intents: readonly QueuedIntent[],
): Promise<Map<string, StoredEvent>> {
  const events = new Map<string, StoredEvent>();
  for (const intent of [...intents].sort((a, b) => a.inboxSeq - b.inboxSeq)) {
    if (events.has(eventKey(intent))) continue;
    const { userId, inboxSeq } = intent;
    const page = await store.readInbox({ userId, cursor: inboxSeq - 1, limit: PAGE_EVENTS, limitBytes: PAGE_BYTES });
    for (const event of page.events) events.set(eventKey({ userId, inboxSeq: event.inboxSeq }), event);
  }
  return events;
}

function eventKey({ userId, inboxSeq }: { userId: string; inboxSeq: number }): string {
  return `${inboxSeq}:${userId}`;
}
