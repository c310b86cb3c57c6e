// SPDX-License-Identifier: Apache-2.0
import type { PushStepRow } from "../store/push-store.ts";
import type { QueuedIntent } from "./intent.ts";
import { eventKey, type Recipient } from "./recipients.ts";
import type { HeldStep } from "./step-leases.ts";
import type { RunEnd } from "./step-runner.ts";
import type { StepRun, StepSchedule } from "./step-schedule.ts";

/**
 * What became of an intent: finished ones leave the stream, failed ones stay pending and come back. `scheduled`: kept
 * in the database for a later try. `muted`: the user does not want to hear of the conversation.
 */
export type IntentOutcome =
  | {
      readonly kind: "finished";
      readonly result: "accepted" | "acked" | "gone" | "muted" | "scheduled" | "unreachable";
    }
  | { readonly kind: "rejected"; readonly reason: string }
  | { readonly kind: "failed"; readonly reason: string };

/** See {@link dispatchIntents}. */
export type Dispatch = (intents: readonly QueuedIntent[], signal: AbortSignal) => Promise<Map<string, IntentOutcome>>;

/** What {@link dispatchIntents} needs. */
export interface DispatchPorts {
  /** Runs the steps, and keeps those that have to wait. */
  schedule: StepSchedule;
  /** Aborted: intents without an outcome are left as failed. */
  signal: AbortSignal;
}

/** Providers that took longer go on alone: neither they nor their users hold up the intents behind them. */
const HANDOVER_MS = 300;

interface Run {
  intent: QueuedIntent;
  step: PushStepRow;
  end: RunEnd | undefined;
  running: StepRun;
}

/**
 * Pushes a batch. What one of the user's devices has acknowledged meanwhile is cancelled; for the rest the steps of
 * the policy are taken. Within 300 ms every intent has an outcome: whatever is not over by then is written down in the
 * database first, with a lease, and goes on in the background.
 * @throws {ImError} when the store is away: the whole batch stays pending
 */
export async function dispatchIntents(
  { schedule, signal }: DispatchPorts,
  intents: readonly QueuedIntent[],
): Promise<Map<string, IntentOutcome>> {
  const { recipients, clock } = schedule.ports;
  await schedule.knowTime();
  const readAtMs = clock.nowMs();
  const users = await recipients.read(intents.map(({ userId }) => userId));
  const outcomes = new Map<string, IntentOutcome>();
  const open: QueuedIntent[] = [];
  for (const intent of intents) {
    if (intent.inboxSeq <= (users.get(intent.userId)?.readSeq ?? 0)) {
      outcomes.set(intent.id, { kind: "finished", result: "acked" });
    } else open.push(intent);
  }
  const events = await recipients.events(open);
  const runs: Run[] = [];
  const later: PushStepRow[] = [];
  for (const intent of open) {
    const found = events.get(eventKey(intent));
    if (found?.isMuted) {
      outcomes.set(intent.id, { kind: "finished", result: "muted" });
      continue;
    }
    const recipient = users.get(intent.userId);
    const step = found && recipient && firstStep(schedule, intent, found.conversationId, recipient);
    if (!found || !recipient || !step) {
      outcomes.set(intent.id, { kind: "finished", result: found ? "unreachable" : "gone" });
      continue;
    }
    if (step.dueMs > clock.wallMs()) {
      later.push(step);
      outcomes.set(intent.id, { kind: "finished", result: "scheduled" });
      continue;
    }
    const running = schedule.run(step, { recipient, readAtMs, found, trace: intent.trace });
    const run: Run = { intent, step, end: undefined, running };
    runs.push(run);
    // A rejection is met below, by whoever waits for the run.
    running.end.then((end) => (run.end = end)).catch(() => undefined);
  }
  await settled(schedule, runs, signal);
  await conclude(schedule, runs, { later, outcomes, signal });
  return outcomes;
}

function firstStep(
  schedule: StepSchedule,
  intent: QueuedIntent,
  conversationId: string,
  recipient: Recipient,
): PushStepRow | undefined {
  const { runner, clock } = schedule.ports;
  const first = runner.firstStep(recipient);
  if (!first) return undefined;
  const { userId, inboxSeq } = intent;
  return {
    userId,
    conversationId,
    channel: first.channel,
    deviceId: "",
    aloneSeq: first.channel === "webhook" ? inboxSeq : 0,
    firstSeq: inboxSeq,
    lastSeq: inboxSeq,
    attempts: 0,
    reached: false,
    createdMs: clock.wallMs(),
    dueMs: clock.wallMs() + first.delayMs,
    leased: false,
  };
}

/** Resolves when all runs are over, after {@link HANDOVER_MS}, or on abort. */
function settled(schedule: StepSchedule, runs: readonly Run[], signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      cancel();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const cancel = schedule.ports.clock.after(HANDOVER_MS, done);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
    void Promise.allSettled(runs.map(({ running }) => running.end)).then(done);
  });
}

/** Writes down what is not over, in one statement; then each intent has its outcome. */
async function conclude(
  schedule: StepSchedule,
  runs: readonly Run[],
  { later, outcomes, signal }: { later: PushStepRow[]; outcomes: Map<string, IntentOutcome>; signal: AbortSignal },
): Promise<void> {
  const rows = [...later];
  const slow: { held: HeldStep; running: StepRun }[] = [];
  for (const { intent, step, end, running } of runs) {
    if (end) {
      rows.push(...end.rows);
      outcomes.set(intent.id, outcomeOf(end));
    } else if (signal.aborted) outcomes.set(intent.id, { kind: "failed", reason: "out of time" });
    else {
      const held = schedule.hold(step);
      rows.push(held.step);
      slow.push({ held, running });
      outcomes.set(intent.id, { kind: "finished", result: "scheduled" });
    }
  }
  try {
    await schedule.keep(rows);
  } catch (error) {
    for (const { held } of slow) schedule.letGo(held);
    throw error;
  }
  for (const { held, running } of slow) schedule.adopt(held, running);
}

function outcomeOf({ result, letter }: RunEnd): IntentOutcome {
  switch (result) {
    case "given-up":
      return { kind: "rejected", reason: letter ?? "" };
    case "read":
      return { kind: "finished", result: "acked" };
    default:
      return { kind: "finished", result };
  }
}
