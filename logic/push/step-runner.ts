// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { TraceContext } from "#lib/tracing/trace-context.ts";
import { Gathered } from "../gathered.ts";
import { subjectFields } from "../send/subject.ts";
import type { PushStepRow, PushStore, PushSubject, QuotaRequest } from "../store/push-store.ts";
import type { Defer } from "../tick-batch.ts";
import { type Address, addressesOf, type ChannelSet } from "./addresses.ts";
import type { AttemptResult } from "./channel.ts";
import type { PushMetrics } from "./metrics.ts";
import {
  collapseKey,
  localDay,
  type PushChannelName,
  type PushPolicy,
  quietUntilMs,
  type Reach,
  retryDelayMs,
  stepAfter,
} from "./policy.ts";
import type { PushRequest } from "./provider.ts";
import type { Recipient, Recipients } from "./recipients.ts";

/** Tries of one address that the provider may fail; the sum of their pauses is some 10 minutes. */
const MAX_ATTEMPTS = 12;
/** What was read longer ago is read again before the provider is called. */
const FRESH_MS = 250;
/** A run that took longer leaves its next step to the schedule: it must end within its lease. */
const MAX_RUN_MS = 8000;
const QUOTA_BATCH = 200;
const MAX_WAITING = 20_000;

/** What {@link StepRunner} needs. */
export interface StepRunnerPorts {
  store: Pick<PushStore, "forgetTokens" | "forgetContacts" | "takeQuota" | "takeBackgroundTurn">;
  recipients: Recipients;
  channels: ChannelSet;
  policy: PushPolicy;
  /** Its wall clock is the store's: what is due is read by other replicas. */
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  defer: Defer;
  metrics: PushMetrics;
  onFault: (op: string, error: unknown) => void;
}

/** What became of a run; `letter`: given up, and why. */
export interface RunEnd {
  readonly result: "accepted" | "muted" | "read" | "scheduled" | "unreachable" | "given-up";
  /** Steps to be kept for later. */
  readonly rows: readonly PushStepRow[];
  readonly letter: string | undefined;
}

type Stop = (result: RunEnd["result"], letter?: string) => RunEnd;

/** One step: how far it came, what to try again, and why somebody refused. */
type StepResult =
  | { readonly kind: "read" }
  | { readonly kind: "hold"; readonly untilMs: number; readonly firstSeq: number }
  | { readonly kind: "done"; readonly reach: Reach; readonly retries: readonly PushStepRow[]; readonly why: string };

/** Whom a step is for, and why. */
export interface StepSubject {
  recipient: Recipient;
  /** When `recipient` was read, monotonic ms. */
  readAtMs: number;
  found: PushSubject;
  /** Of a message that is traced. */
  trace?: TraceContext | undefined;
  signal: AbortSignal;
}

/** Takes the steps of the policy for one message and user, one after the other, as far as none has to wait. */
export class StepRunner {
  readonly #ports: StepRunnerPorts;
  readonly #quota: Gathered<QuotaRequest, boolean>;

  constructor(ports: StepRunnerPorts) {
    this.#ports = ports;
    this.#quota = new Gathered({
      defer: ports.defer,
      run: (requests) => takeQuota(ports.store, requests),
      maxBatch: QUOTA_BATCH,
      maxWaiting: MAX_WAITING,
    });
  }

  /** @throws {ImError} when the store is away in the middle: run it again */
  async run(first: PushStepRow, subject: StepSubject): Promise<RunEnd> {
    const { clock, policy } = this.#ports;
    const startedMs = clock.nowMs();
    const rows: PushStepRow[] = [];
    let isAccepted = false;
    const stop = (result: RunEnd["result"], letter?: string): RunEnd => ({
      result: isAccepted ? "accepted" : result,
      rows,
      letter: isAccepted ? undefined : letter,
    });
    for (let step = first; ; ) {
      if (clock.wallMs() - step.createdMs > policy.ttlMs) return stop("given-up", "expired");
      const end = await this.#step(step, subject);
      if (end.kind === "read") return stop("read");
      if (end.kind === "hold") {
        rows.push({ ...step, dueMs: end.untilMs, firstSeq: end.firstSeq, leased: false });
        return stop("scheduled");
      }
      rows.push(...end.retries);
      isAccepted ||= end.reach === "reached";
      const next = this.#next(step, end.reach, subject.recipient);
      if (!next) return this.#last(step, end.why, rows, stop);
      const isInTime = clock.nowMs() - startedMs < MAX_RUN_MS && !subject.signal.aborted;
      if (next.dueMs > clock.wallMs() || !isInTime) {
        rows.push(next);
        return stop("scheduled");
      }
      step = next;
    }
  }

  /** There is no further step: did anybody hear of it, or will? */
  #last(step: PushStepRow, why: string, rows: readonly PushStepRow[], stop: Stop): RunEnd {
    if (rows.length > 0) return stop("scheduled");
    if (step.reached) return stop("accepted");
    return why === "" ? stop("unreachable") : stop("given-up", why);
  }

  /** The step that begins the escalation for this user; undefined when nothing of the policy leads to them. */
  firstStep(recipient: Recipient): { channel: PushChannelName; delayMs: number } | undefined {
    return this.#reachable(undefined, "unreached", recipient);
  }

  /** The next step that has an address for this user. */
  #reachable(channel: PushChannelName | undefined, reach: Reach, recipient: Recipient) {
    const { policy, channels } = this.#ports;
    let next = stepAfter(policy, channel, reach);
    while (next && addressesOf(channels, next.channel, recipient, "").length === 0) {
      next = stepAfter(policy, next.channel, reach);
    }
    return next;
  }

  /** The step after this one, at its time. */
  #next(step: PushStepRow, reach: Reach, recipient: Recipient): PushStepRow | undefined {
    const { clock } = this.#ports;
    const isRetry = step.deviceId !== "";
    // The retry of one device: the rest of the escalation is on its way already, unless this was the last hope.
    if (isRetry && (reach !== "unreached" || step.reached)) return undefined;
    const isReached = step.reached || reach === "reached";
    const next = this.#reachable(step.channel as PushChannelName, isReached ? "reached" : reach, recipient);
    if (!next) return undefined;
    return {
      ...step,
      channel: next.channel,
      deviceId: "",
      aloneSeq: next.channel === "webhook" ? step.lastSeq : 0,
      attempts: 0,
      reached: isReached,
      dueMs: clock.wallMs() + next.delayMs,
      leased: false,
    };
  }

  async #step(step: PushStepRow, subject: StepSubject): Promise<StepResult> {
    const { policy, channels, clock } = this.#ports;
    const { recipient } = subject;
    const channel = step.channel as PushChannelName;
    if (recipient.readSeq >= step.lastSeq) return { kind: "read" };
    const rearmed = this.#rearm(step, recipient);
    if (rearmed) return rearmed;
    const untilMs = quietUntilMs(policy, channel, recipient.contact.timeZone, clock.wallMs());
    if (untilMs > 0) return { kind: "hold", untilMs, firstSeq: step.firstSeq };
    const addresses = addressesOf(channels, channel, recipient, step.deviceId);
    if (addresses.length === 0) return { kind: "done", reach: "unreached", retries: [], why: "" };
    if (!(await this.#isAllowed(step, channel, recipient))) {
      return { kind: "done", reach: "unreached", retries: [], why: "" };
    }
    const results = await Promise.all(addresses.map((address) => this.#attempt(step, address, subject)));
    await this.#forget(step.userId, addresses, results);
    return this.#judge(step, addresses, results);
  }

  /** The user read some of it meanwhile: the delay of a step that waits for being unread starts again. */
  #rearm(step: PushStepRow, { readSeq }: Recipient): StepResult | undefined {
    const { policy, clock } = this.#ports;
    const delayMs = policy.steps.find(({ channel }) => channel === step.channel)?.delayMs ?? 0;
    const isPartlyRead = step.attempts === 0 && readSeq >= step.firstSeq;
    if (!isPartlyRead || delayMs === 0) return undefined;
    return { kind: "hold", untilMs: clock.wallMs() + delayMs, firstSeq: readSeq + 1 };
  }

  /** The day's allowance; a retry was counted the first time. */
  async #isAllowed(step: PushStepRow, channel: PushChannelName, { contact }: Recipient): Promise<boolean> {
    const { policy, clock, metrics } = this.#ports;
    const cap = policy.dailyCaps[channel];
    if (step.attempts > 0 || step.deviceId !== "" || cap === undefined) return true;
    const day = localDay(contact.timeZone || policy.timeZone, clock.wallMs());
    if (await this.#quota.call({ userId: step.userId, channel, day, want: 1, cap })) return true;
    metrics.steps.inc({ channel, result: "capped" });
    return false;
  }

  async #attempt(
    step: PushStepRow,
    { provider, deviceId, address }: Address,
    subject: StepSubject,
  ): Promise<AttemptResult> {
    const { policy, clock, store, metrics } = this.#ports;
    const isBackground = step.channel === "app" && policy.appMode === "background";
    if (isBackground && step.attempts === 0) {
      const turn = { userId: step.userId, deviceId, intervalMs: policy.backgroundIntervalMs };
      // It was woken a moment ago and fetches everything: as good as told.
      if (!(await store.takeBackgroundTurn(turn))) {
        metrics.steps.inc({ channel: step.channel, result: "throttled" });
        return { kind: "accepted" };
      }
    }
    const request = requestOf(step, subject.found, deviceId, address, {
      urgency: isBackground ? "background" : "high",
      ttlMs: Math.max(0, step.createdMs + policy.ttlMs - clock.wallMs()),
    });
    const traced = subject.trace ? { ...request, trace: subject.trace } : request;
    return provider.attempt(traced, () => this.#isUnread(step, subject), subject.signal);
  }

  async #isUnread({ userId, lastSeq }: PushStepRow, { readAtMs }: StepSubject): Promise<boolean> {
    const { recipients, clock, onFault } = this.#ports;
    if (clock.nowMs() - readAtMs < FRESH_MS) return true;
    try {
      return (await recipients.currentReadSeq(userId)) < lastSeq;
    } catch (error) {
      // A needless push is better than a missing one.
      onFault("push read check", error);
      return true;
    }
  }

  async #forget(userId: string, addresses: readonly Address[], results: readonly AttemptResult[]): Promise<void> {
    const { store, metrics, onFault } = this.#ports;
    for (const [at, { provider, deviceId, kind, address }] of addresses.entries()) {
      if (results[at]?.kind !== "gone") continue;
      metrics.invalidTokens.inc({ provider: provider.name });
      try {
        if (kind === "device") await store.forgetTokens([{ userId, deviceId, pushToken: address }]);
        else await store.forgetContacts([{ userId, kind, address }]);
      } catch (error) {
        // The next push to it finds out again.
        onFault("forget push token", error);
      }
    }
  }

  #judge(step: PushStepRow, addresses: readonly Address[], results: readonly AttemptResult[]): StepResult {
    if (results.some((result) => result.kind === "untried" && result.reason === "cancelled")) return { kind: "read" };
    const isReached = results.some(({ kind }) => kind === "accepted");
    const retries: PushStepRow[] = [];
    let why = "";
    for (const [at, result] of results.entries()) {
      const retry = this.#retryOf(step, addresses[at]?.deviceId ?? "", result, isReached);
      if (retry) retries.push(retry);
      else if (result.kind === "failed") why = `exhausted: ${result.reason}`;
      else if (result.kind === "rejected") why = result.reason;
    }
    return { kind: "done", reach: isReached ? "reached" : retries.length > 0 ? "maybe" : "unreached", retries, why };
  }

  #retryOf(step: PushStepRow, deviceId: string, result: AttemptResult, isReached: boolean): PushStepRow | undefined {
    if (result.kind !== "failed" && result.kind !== "untried") return undefined;
    const { clock, random } = this.#ports;
    const attempts = step.attempts + (result.kind === "failed" ? 1 : 0);
    if (attempts >= MAX_ATTEMPTS) return undefined;
    const isStopped = result.kind === "untried" && result.reason === "stopped";
    const delayMs = isStopped ? 0 : retryDelayMs(step.attempts, result.retryAfterMs ?? 0, random);
    return {
      ...step,
      deviceId: step.channel === "app" ? deviceId : "",
      attempts,
      reached: step.reached || isReached,
      dueMs: clock.wallMs() + delayMs,
      leased: false,
    };
  }
}

function requestOf(
  step: PushStepRow,
  { conversationId, messageId, sender, sentAtMs, inboxSeq, head, subject }: PushSubject,
  deviceId: string,
  address: string,
  { urgency, ttlMs }: Pick<PushRequest, "urgency" | "ttlMs">,
): PushRequest {
  return {
    notification: {
      ...{ type: "push", userId: step.userId, conversationId, messageId, inboxSeq, sender, sentAtMs },
      ...subjectFields(subject),
    },
    address,
    collapseKey: collapseKey(conversationId, deviceId || step.channel),
    urgency,
    badge: Math.max(1, head - step.firstSeq + 1),
    ttlMs,
  };
}

/** One request per (user, channel) for the store; what it grants goes to the first of them. */
async function takeQuota(store: Pick<PushStore, "takeQuota">, requests: readonly QuotaRequest[]): Promise<boolean[]> {
  const keyOf = ({ userId, channel }: QuotaRequest): string => `${channel}\0${userId}`;
  const merged = new Map<string, QuotaRequest>();
  for (const request of requests) {
    const known = merged.get(keyOf(request));
    merged.set(keyOf(request), known ? { ...known, want: known.want + 1 } : request);
  }
  const keys = [...merged.keys()];
  const granted = await store.takeQuota([...merged.values()]);
  const left = new Map(keys.map((key, at) => [key, granted[at] ?? 0]));
  return requests.map((request) => {
    const rest = left.get(keyOf(request)) ?? 0;
    left.set(keyOf(request), rest - 1);
    return rest > 0;
  });
}
