// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { Lifecycle } from "#lib/lifecycle.ts";
import type { Logger } from "#lib/logger.ts";
import type { Metrics } from "#lib/metrics.ts";
import { Rounds } from "../rounds.ts";
import type { HookStore } from "../store/hooks.ts";
import { AllowedNetworks } from "../webhook/public-address.ts";
import { HookLines } from "./hook-lines.ts";
import { createHookMetrics, type HookMetrics } from "./hook-metrics.ts";
import type { HookSettings } from "./hook-settings.ts";
import { HookWorker } from "./hook-worker.ts";
import { HooksFile } from "./hooks-file.ts";
import { readVerdicts } from "./late-verdicts.ts";

const LOOK_MS = 5000;
const PRUNE_MS = 60_000;
const PRUNE_ROWS = 1000;

/** Environment of what tells webhooks. */
export interface HooksConfig {
  IM_HOOKS_FILE?: string | undefined;
  IM_WEBHOOK_ALLOWED_NETWORKS?: readonly string[] | undefined;
  IM_HOOK_KEEP_MS: number;
}

/** What the process lends. */
export interface HooksPorts {
  store: HookStore;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  onFault: (op: string, error: unknown) => void;
  log: Logger;
  registry: Metrics;
}

/** Webhooks of a process, as it sees them. */
export interface Hooks {
  current(): HookSettings;
}

/**
 * Starts what tells webhooks, where a file of hooks is configured. It stops with the process.
 * @throws {ImError} BAD_REQUEST when the file is wrong
 */
export async function openHooks(config: HooksConfig, ports: HooksPorts, lifecycle: Lifecycle): Promise<Hooks> {
  const { store, clock, random, onFault, log, registry } = ports;
  const metrics = createHookMetrics(registry);
  const lines = new HookLines({
    allowed: new AllowedNetworks(config.IM_WEBHOOK_ALLOWED_NETWORKS ?? []),
    clock,
    random,
  });
  const put = async ({ hooks }: HookSettings): Promise<void> => {
    // Known to the store first: a hook that nobody asks for is told nothing.
    await store.register(hooks.map(({ name }) => name));
    lines.set(hooks);
    log.info({ hooks: hooks.map(({ name }) => name) }, "webhooks in force");
  };
  const file = await HooksFile.open(config.IM_HOOKS_FILE, {
    clock,
    onError: (error) => onFault("hooks file", error),
    onChange: (settings) => void put(settings).catch((error: unknown) => onFault("hooks", error)),
  });
  lifecycle.onStop("hooks file", () => file.close());
  lifecycle.onStop("webhooks", () => lines.close());
  if (config.IM_HOOKS_FILE !== undefined) {
    await put(file.current());
    const worker = new HookWorker({
      ...{ store, clock, random, onFault, metrics },
      lines: () => lines.current(),
      onAnswer: async ({ name }, { events }, body) => {
        const verdicts = readVerdicts(name, events, body);
        if (verdicts === undefined) metrics.badAnswers.inc({ hook: name });
        else await store.addVerdicts(verdicts);
      },
    });
    worker.start();
    lifecycle.onStop("hook worker", () => worker.stop());
  }
  keepHouse({ ...ports, metrics, names: () => lines.current().map(({ hook }) => hook.name) }, config, lifecycle);
  return { current: () => file.current() };
}

interface HousePorts extends HooksPorts {
  metrics: HookMetrics;
  names: () => string[];
}

/** Gauges, and an end for what is old. */
function keepHouse(ports: HousePorts, { IM_HOOK_KEEP_MS: keepMs }: HooksConfig, lifecycle: Lifecycle): void {
  const { store, clock, random, onFault, metrics, names } = ports;
  const look = async (): Promise<void> => {
    const { hooks, outboxOldestMs } = await store.backlog(names());
    metrics.outboxOldest.set(outboxOldestMs / 1000);
    // A hook that is no more is not behind.
    metrics.oldest.reset();
    metrics.dead.reset();
    for (const { hook, oldestMs, dead } of hooks) {
      metrics.oldest.set({ hook }, oldestMs / 1000);
      metrics.dead.set({ hook }, dead);
    }
  };
  const prune = async (): Promise<void> => {
    // Facts for hooks that are no more, or that only logic knows of yet: they become old in the log.
    if (names().length === 0) await store.collect(PRUNE_ROWS);
    const { untold } = await store.prune({ hooks: names(), keepMs, maxRows: PRUNE_ROWS });
    metrics.expired.inc(untold);
  };
  for (const [name, job, everyMs] of [["look", look, LOOK_MS] as const, ["prune", prune, PRUNE_MS] as const]) {
    const round = async (): Promise<void> => await job().catch((error: unknown) => onFault(`hooks ${name}`, error));
    const rounds = new Rounds({ everyMs, round, clock, random });
    rounds.start();
    lifecycle.onStop(`hooks ${name}`, () => rounds.stop());
  }
}
