// SPDX-License-Identifier: Apache-2.0
import { silentLogger } from "#lib/logger.ts";
import { ProviderChannel } from "../../logic/push/channel.ts";
import { PushConsumer } from "../../logic/push/consumer.ts";
import { buryLetters } from "../../logic/push/dead-letters.ts";
import { type Dispatch, dispatchIntents } from "../../logic/push/dispatch.ts";
import type { PushPolicy } from "../../logic/push/policy.ts";
import type { PushProvider, PushResult } from "../../logic/push/provider.ts";
import { Recipients } from "../../logic/push/recipients.ts";
import { Reconciler } from "../../logic/push/reconciler.ts";
import { StepRunner } from "../../logic/push/step-runner.ts";
import { type PushLetter, StepSchedule } from "../../logic/push/step-schedule.ts";
import type { MemoryStore } from "../../logic/store/memory.ts";
import { StoreClock } from "../../logic/store/store-clock.ts";
import { Proc } from "./kernel.ts";
import { ACK_TIMEOUT_MS } from "./logic-process.ts";
import type { Plan } from "./plan.ts";
import { redisClientOf } from "./redis/client.ts";
import { METRICS, type World } from "./world.ts";

/** The product looks ten times as often; here that would be most of a run. */
const POLL_MS = 1500;
/** Of runs without a fault, which hold pushes to 6 s: 5 s for the acknowledgement, and one look. */
const CALM_POLL_MS = 400;
/** By so much longer may a push take in the other runs. */
export const SLOW_LOOK_MS = POLL_MS - CALM_POLL_MS;
/** As long as extlogic leaves it to the faster ways. */
const RECONCILE_AFTER_MS = ACK_TIMEOUT_MS + 2000;

/** One way to reach people, at once. */
const POLICY: PushPolicy = {
  steps: [{ channel: "webhook", delayMs: 0, unreachedDelayMs: 0 }],
  quietHours: undefined,
  timeZone: "UTC",
  dailyCaps: {},
  appMode: "alert",
  backgroundIntervalMs: 1_200_000,
  readBy: "any",
  ttlMs: 86_400_000,
};

/** One extlogic process after the other under one name. */
export class ExtlogicProcess {
  readonly name: string;
  readonly #world: World;
  #proc: Proc;
  #starts = 0;

  readonly #hasReconciler: boolean;
  readonly #pollMs: number;

  constructor(world: World, name: string, { hasReconciler, faults }: Plan) {
    this.#hasReconciler = hasReconciler;
    this.#pollMs = faults.length === 0 ? CALM_POLL_MS : POLL_MS;
    this.#world = world;
    this.name = name;
    this.#proc = new Proc(name);
  }

  get proc(): Proc {
    return this.#proc;
  }

  get isUp(): boolean {
    return !this.#proc.isDead && this.#starts > 0;
  }

  start(): void {
    const world = this.#world;
    const { kernel, calls, servers } = world;
    const proc = new Proc(this.name);
    this.#proc = proc;
    const consumer = `${this.name}-${++this.#starts}`;
    kernel.after(0, proc, () => {
      const clock = new StoreClock(kernel.clockOf(proc));
      const redis = redisClientOf(calls, proc, servers.redis, world.redis);
      const store = world.storeFor(proc);
      const common = { store, clock, random: kernel.random.next, log: silentLogger, metrics: METRICS.push };
      const schedule = this.#schedule(proc, { store, clock }, (letters) => buryLetters(redis, letters));
      schedule.start();
      const dispatch: Dispatch = (intents, signal) => dispatchIntents({ schedule, signal }, intents);
      const ports = { ...common, redis, dispatch };
      const queue = new PushConsumer({ ...ports, consumer, pollMs: this.#pollMs, shards: world.shards });
      queue.start();
      const { caughtUp } = queue;
      if (this.#hasReconciler) new Reconciler({ ...ports, olderThanMs: RECONCILE_AFTER_MS }).start(caughtUp);
    });
  }

  /** As composePush of logic/push does, with the provider of the simulation in place of the real ones. */
  #schedule(
    proc: Proc,
    { store, clock }: { store: MemoryStore; clock: StoreClock },
    bury: (letters: readonly PushLetter[]) => Promise<void>,
  ): StepSchedule {
    const { kernel } = this.#world;
    const timing = { clock, random: kernel.random.next, defer: kernel.defer };
    const shared = { ...timing, policy: POLICY, metrics: METRICS.push, onFault: () => undefined };
    const recipients = new Recipients(store, POLICY, kernel.defer);
    const provider = new ProviderChannel({ provider: this.#provider(proc), ...shared });
    const channels = new Map([[provider.name, provider]]);
    const runner = new StepRunner({ ...shared, store: store.pushStore, recipients, channels });
    const ports = { ...shared, store: store.pushStore, runner, recipients, bury, log: silentLogger };
    return new StepSchedule({ ...ports, pollMs: this.#pollMs });
  }

  /** SIGKILL. */
  kill(why: string): void {
    if (this.#proc.isDead) return;
    this.#proc.isDead = true;
    this.#world.note(this.name, `killed: ${why}`);
  }

  /** A provider that takes what it is told, refuses for now, or does not answer. */
  #provider(proc: Proc): PushProvider {
    const world = this.#world;
    return {
      name: "webhook",
      close: () => undefined,
      push: async ({ notification: { userId, inboxSeq, messageId } }) => {
        const base = { op: "push" as const, process: this.name, uid: userId, inboxSeq, messageId };
        try {
          return await world.calls.call<PushResult>(
            proc,
            world.servers.provider,
            () => "provider.push",
            () => {
              world.record({ ...base, kind: "ok" });
              return { kind: "accepted" };
            },
            () => new Error("no answer"),
          );
        } catch {
          world.record({ ...base, kind: "fail" });
          return { kind: "failed", reason: "no answer" };
        }
      },
    };
  }
}
