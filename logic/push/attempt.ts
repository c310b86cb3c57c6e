// SPDX-License-Identifier: Apache-2.0
import type { PushLedger, PushMark } from "../store/push-ledger.ts";
import type { Dispatch, IntentOutcome } from "./dispatch.ts";
import type { QueuedIntent } from "./intent.ts";
import type { PushMetrics } from "./metrics.ts";

/** What {@link attemptIntents} needs. */
export interface AttemptPorts {
  dispatch: Dispatch;
  /** Aborted: intents without an outcome are left as failed. */
  signal: AbortSignal;
  store: { pushes: Pick<PushLedger, "pushedSeqs" | "recordPushes"> };
  metrics: PushMetrics;
}

/** `repeated`: a push of the same message or a later one of this user was accepted before. */
export type AttemptOutcome = IntentOutcome | { readonly kind: "finished"; readonly result: "repeated" };

/**
 * Dispatches what was not pushed yet, and notes in the store what needs no push any more: two intents for one message
 * (from the stream, the wheel, the reconciler, a consumer that was thought dead) make one push.
 * @throws {ImError} when the store is away: nothing is decided
 */
export async function attemptIntents(
  ports: AttemptPorts,
  intents: readonly QueuedIntent[],
): Promise<Map<string, AttemptOutcome>> {
  const { pushes } = ports.store;
  const pushed = await pushes.pushedSeqs([...new Set(intents.map(({ userId }) => userId))]);
  const isOpen = ({ userId, inboxSeq }: QueuedIntent): boolean => inboxSeq > (pushed.get(userId) ?? 0);
  const outcomes = new Map<string, AttemptOutcome>();
  for (const intent of intents) if (!isOpen(intent)) outcomes.set(intent.id, { kind: "finished", result: "repeated" });
  const { open, twins } = apart(intents.filter(isOpen));
  if (open.length === 0) return outcomes;
  for (const [id, outcome] of await ports.dispatch(open, ports.signal)) outcomes.set(id, outcome);
  await pushes.recordPushes(marksOf(open, outcomes));
  for (const [id, first] of twins) {
    const outcome = outcomes.get(first);
    if (outcome) outcomes.set(id, outcome.kind === "finished" ? { kind: "finished", result: "repeated" } : outcome);
  }
  return outcomes;
}

/** One intent per message; `twins`: the others, and whose outcome they share. */
function apart(intents: readonly QueuedIntent[]): { open: QueuedIntent[]; twins: Map<string, string> } {
  const firsts = new Map<string, QueuedIntent>();
  const twins = new Map<string, string>();
  for (const intent of intents) {
    const key = `${intent.inboxSeq}/${intent.userId}`;
    const first = firsts.get(key);
    if (first) twins.set(intent.id, first.id);
    else firsts.set(key, intent);
  }
  return { open: [...firsts.values()], twins };
}

/**
 * How far each user is done: below the first intent that failed, so that its next try is not taken for a repetition. What
 * is muted moves no mark: an older message may yet be owed its push. The debts of the ledger end by their mark.
 */
function marksOf(intents: readonly QueuedIntent[], outcomes: ReadonlyMap<string, AttemptOutcome>): PushMark[] {
  const failedFrom = new Map<string, number>();
  const doneUpTo = new Map<string, number>();
  for (const { id, userId, inboxSeq, cause } of intents) {
    const outcome = outcomes.get(id);
    if (outcome?.kind === "finished" && outcome.result === "muted" && cause !== "reconciled") continue;
    const isFailed = (outcome?.kind ?? "failed") === "failed";
    if (isFailed) failedFrom.set(userId, Math.min(inboxSeq, failedFrom.get(userId) ?? inboxSeq));
    else doneUpTo.set(userId, Math.max(inboxSeq, doneUpTo.get(userId) ?? 0));
  }
  const marks: PushMark[] = [];
  for (const [userId, done] of doneUpTo) {
    const inboxSeq = Math.min(done, (failedFrom.get(userId) ?? Number.POSITIVE_INFINITY) - 1);
    if (inboxSeq > 0) marks.push({ userId, inboxSeq });
  }
  return marks;
}

/** Counts what became of an intent. */
export function countAttempt(
  { metrics }: Pick<AttemptPorts, "metrics">,
  { cause }: QueuedIntent,
  outcome: AttemptOutcome | undefined,
): void {
  const result = outcome?.kind === "finished" ? outcome.result : (outcome?.kind ?? "failed");
  metrics.causes.inc({ cause, result });
}
