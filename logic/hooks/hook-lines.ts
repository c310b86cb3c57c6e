// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { Breaker } from "../push/breaker.ts";
import { HOOK_SHARDS } from "../store/hooks.ts";
import type { AllowedNetworks } from "../webhook/public-address.ts";
import { type ResolveAll, WebhookSender } from "../webhook/webhook-sender.ts";
import type { Hook } from "./hook-settings.ts";
import type { HookLine } from "./hook-worker.ts";

const BREAKER = { failures: 5, minOpenMs: 1000, maxOpenMs: 60_000 };
const MAX_ANSWER_BYTES = 64 * 1024;

/** What {@link HookLines} needs. */
export interface HookLinesPorts {
  allowed: AllowedNetworks;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  /** For tests. */
  resolve?: ResolveAll;
}

interface OwnLine extends HookLine {
  readonly sender: WebhookSender;
}

/** One bulkhead per hook: its own connections and its own breaker, kept as long as its settings are the same. */
export class HookLines {
  readonly #ports: HookLinesPorts;
  #lines: readonly OwnLine[] = [];

  constructor(ports: HookLinesPorts) {
    this.#ports = ports;
  }

  current(): readonly HookLine[] {
    return this.#lines;
  }

  set(hooks: readonly Hook[]): void {
    const before = this.#lines;
    this.#lines = hooks.map((hook) => before.find((line) => isSame(line.hook, hook)) ?? this.#open(hook));
    for (const line of before) if (!this.#lines.includes(line)) line.sender.close();
  }

  close(): void {
    this.set([]);
  }

  #open(hook: Hook): OwnLine {
    const { random } = this.#ports;
    const limits = { tries: 1, timeoutMs: hook.timeoutMs, connections: HOOK_SHARDS, maxAnswerBytes: MAX_ANSWER_BYTES };
    return {
      hook,
      sender: new WebhookSender({ ...this.#ports, ...limits }),
      breaker: new Breaker({ random, ...BREAKER }),
    };
  }
}

function isSame(one: Hook, other: Hook): boolean {
  return print(one) === print(other);
}

function print(hook: Hook): string {
  return JSON.stringify({ ...hook, events: [...hook.events], contentTypes: [...hook.contentTypes] });
}
