// SPDX-License-Identifier: Apache-2.0
// For tests: dispatch and schedule on a memory store, with a clock that is moved by hand and providers that do as told.
import { createHash, randomUUID } from "node:crypto";
import { type Clock, FakeClock } from "#lib/clock.ts";
import { silentLogger } from "#lib/logger.ts";
import { Metrics } from "#lib/metrics.ts";
import { MemoryStore } from "../store/memory.ts";
import { MemoryPushStore } from "../store/memory-push.ts";
import type { PushTarget } from "../store/store.ts";
import { StoreClock } from "../store/store-clock.ts";
import { ProviderChannel } from "./channel.ts";
import { type Dispatch, dispatchIntents, type IntentOutcome } from "./dispatch.ts";
import type { QueuedIntent } from "./intent.ts";
import { createPushMetrics } from "./metrics.ts";
import type { PushPolicy } from "./policy.ts";
import type { PushProvider, PushRequest, PushResult } from "./provider.ts";
import { Recipients } from "./recipients.ts";
import { StepRunner } from "./step-runner.ts";
import { type PushLetter, StepSchedule } from "./step-schedule.ts";

export const MINUTE_MS = 60_000;

/** App, then WeChat after a minute, then SMS after five; the webhook for those whom nothing reaches. */
export const KIT_POLICY: PushPolicy = {
  steps: [
    { channel: "app", delayMs: 0, unreachedDelayMs: 0 },
    { channel: "wechat", delayMs: MINUTE_MS, unreachedDelayMs: 0 },
    { channel: "sms", delayMs: 5 * MINUTE_MS, unreachedDelayMs: MINUTE_MS },
    { channel: "webhook", delayMs: undefined, unreachedDelayMs: 0 },
  ],
  quietHours: undefined,
  timeZone: "UTC",
  dailyCaps: {},
  appMode: "alert",
  backgroundIntervalMs: 20 * MINUTE_MS,
  readBy: "any",
  ttlMs: 86_400_000,
};

/** Dispatch without policy: what is unread and exists goes to `push`, one after the other. */
export function plainDispatch(
  store: Pick<MemoryStore, "pushTargets" | "readInbox">,
  push: (intent: QueuedIntent) => PushResult,
): Dispatch {
  return async (intents) => {
    const outcomes = new Map<string, IntentOutcome>();
    for (const intent of intents) {
      const devices = await store.pushTargets([intent.userId]);
      const { head } = await store.readInbox({ userId: intent.userId, cursor: 0, limit: 1, limitBytes: 1 });
      if (devices.some(({ ackedSeq }) => ackedSeq >= intent.inboxSeq)) {
        outcomes.set(intent.id, { kind: "finished", result: "acked" });
      } else if (intent.inboxSeq > head) outcomes.set(intent.id, { kind: "finished", result: "gone" });
      else {
        const result = push(intent);
        const isOver = result.kind === "accepted" || result.kind === "gone";
        outcomes.set(intent.id, isOver ? { kind: "finished", result: result.kind } : result);
      }
    }
    return outcomes;
  };
}

type Answer = (request: PushRequest, attempt: number) => PushResult | "stall";

/** A provider that does as it is told, and remembers. */
export class ToldProvider implements PushProvider {
  readonly name: string;
  answer: Answer = () => ({ kind: "accepted" });
  readonly requests: PushRequest[] = [];
  readonly #stalled: ((result: PushResult) => void)[] = [];

  constructor(name: string) {
    this.name = name;
  }

  push(request: PushRequest, signal: AbortSignal): Promise<PushResult> {
    this.requests.push(request);
    const answer = this.answer(request, this.requests.length);
    if (answer !== "stall") return Promise.resolve(answer);
    return new Promise((resolve) => {
      this.#stalled.push(resolve);
      signal.addEventListener("abort", () => resolve({ kind: "failed", reason: "stopped" }));
    });
  }

  /** Answers the calls that stall, oldest first; all of them by default. */
  release(result: PushResult, count = this.#stalled.length): void {
    for (const resolve of this.#stalled.splice(0, count)) resolve(result);
  }

  close(): void {
    // Nothing to release.
  }
}

/** A memory store whose devices have tokens. */
class TokenStore extends MemoryStore {
  readonly tokens = new Map<string, { pushProvider: string; pushToken: string }>();
  override readonly pushStore: MemoryPushStore;

  /** The store's time: the clock of the process that was made last. */
  clock: Clock;

  constructor(clock: Clock) {
    super(
      () => this.clock.nowMs(),
      () => this.clock.wallMs(),
    );
    this.clock = clock;
    this.pushStore = new MemoryPushStore(
      (userId, deviceId) => this.tokens.get(`${userId}/${deviceId}`),
      (position) => this.pushSubject(position),
      () => this.clock.wallMs(),
    );
  }

  override async pushTargets(userIds: readonly string[]): Promise<PushTarget[]> {
    const targets = await super.pushTargets(userIds);
    return targets.map((target) => ({ ...target, ...this.tokens.get(`${target.userId}/${target.deviceId}`) }));
  }
}

/** One extlogic process in memory; several may share a store. */
export class PushKit {
  readonly clock: FakeClock;
  /** How far the wall clock of this process is off. */
  wallSkewMs = 0;
  readonly store: TokenStore;
  readonly metrics = new Metrics();
  readonly letters: PushLetter[] = [];
  readonly providers = new Map<string, ToldProvider>();
  readonly schedule: StepSchedule;
  readonly faults: string[] = [];
  #intents = 0;

  constructor(policy: Partial<PushPolicy> = {}, shared?: Pick<PushKit, "clock" | "store">) {
    // 2023-11-14T12:00:00Z
    this.clock = shared?.clock ?? new FakeClock(0, 1_699_963_200_000);
    this.store = shared?.store ?? new TokenStore(this.clock);
    this.store.clock = this.clock;
    const { store } = this;
    const metrics = createPushMetrics(this.metrics);
    const own: Clock = {
      wallMs: () => this.clock.wallMs() + this.wallSkewMs,
      nowMs: () => this.clock.nowMs(),
      after: (delayMs, fn) => this.clock.after(delayMs, fn),
    };
    const clock = new StoreClock(own);
    const timing = { clock, random: () => 0.5 };
    const whole = { ...KIT_POLICY, ...policy };
    const channels = new Map<string, ProviderChannel>();
    for (const name of ["apns", "fcm", "web-push", "wechat", "sms", "webhook"]) {
      const provider = new ToldProvider(name);
      this.providers.set(name, provider);
      channels.set(name, new ProviderChannel({ provider, metrics, ...timing }));
    }
    const onFault = (op: string): number => this.faults.push(op);
    const recipients = new Recipients(store, whole, setImmediate);
    const common = { recipients, policy: whole, defer: setImmediate, metrics, onFault, ...timing };
    const runner = new StepRunner({ ...common, store: store.pushStore, channels });
    const bury = async (letters: readonly PushLetter[]): Promise<void> => void this.letters.push(...letters);
    this.schedule = new StepSchedule({ ...common, store: store.pushStore, runner, bury, log: silentLogger });
  }

  provider(name: string): ToldProvider {
    const provider = this.providers.get(name);
    if (!provider) throw new RangeError(`no provider ${name}`);
    return provider;
  }

  /** Pushes so far, as provider:address. */
  get pushed(): string[] {
    return [...this.providers.values()].flatMap(({ name, requests }) =>
      requests.map(({ address }) => `${name}:${address}`),
    );
  }

  async device(userId: string, deviceId: string, token?: { provider: string; token: string }, slot = "mobile") {
    await this.store.login({ userId, slot, deviceId, deviceName: "", platform: "ios", appVersion: "1" });
    if (token) this.store.tokens.set(`${userId}/${deviceId}`, { pushProvider: token.provider, pushToken: token.token });
  }

  contact(userId: string): Promise<void> {
    return this.store.pushStore.saveContacts([{ userId, phone: "+861", wechat: "o1", timeZone: "" }]);
  }

  /** Stores a message to `userId` in `conversationId`; its inbox seq. */
  async message(userId: string, conversationId = "c_1"): Promise<number> {
    const content = Buffer.from(randomUUID());
    const [result] = await this.store.append([
      {
        sender: "alice",
        peer: userId,
        conversationId: `${conversationId}:${userId}`,
        clientMessageId: randomUUID(),
        payloadHash: createHash("sha256").update(content).digest(),
        messageId: randomUUID(),
        contentType: "text/plain",
        content,
        sentAtMs: this.clock.wallMs(),
      },
    ]);
    const recipients = result && "recipients" in result ? result.recipients : [];
    return recipients.find((recipient) => recipient.userId === userId)?.inboxSeq ?? 0;
  }

  /** As CONV_SET does with the conversation of {@link message}. */
  async mute(userId: string, untilMs: number, conversationId = "c_1"): Promise<void> {
    const change = { userId, conversationId: `${conversationId}:${userId}`, mutedUntilMs: untilMs };
    await this.store.conversations.change([change]);
  }

  /** Dispatches one intent each, moving the clock to the end of the hand-over. */
  async dispatch(...intents: [userId: string, inboxSeq: number][]): Promise<(IntentOutcome | undefined)[]> {
    const queued = intents.map(([userId, inboxSeq]) => ({
      id: String(++this.#intents),
      userId,
      inboxSeq,
      cause: "offline" as const,
    }));
    const signal = new AbortController().signal;
    const done = dispatchIntents({ schedule: this.schedule, signal }, queued);
    // Met below, after the clock has moved.
    done.catch(() => undefined);
    await this.settle();
    this.clock.advance(300);
    const outcomes = await done;
    return queued.map(({ id }) => outcomes.get(id));
  }

  /** Moves the clock in steps, so that everything that becomes due on the way happens. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 500) {
      this.clock.advance(Math.min(500, left));
      await this.settle();
    }
  }

  /** Lets everything that is not waiting for time come to its end. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 30; turn++) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Steps that wait, as channel[/device]@seconds from now. */
  waiting(): string[] {
    return this.store.pushStore.steps.map(
      ({ channel, deviceId, dueMs }) =>
        `${channel}${deviceId === "" ? "" : `/${deviceId}`}@${Math.round((dueMs - this.clock.wallMs()) / 1000)}`,
    );
  }
}
