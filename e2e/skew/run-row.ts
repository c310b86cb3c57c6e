// SPDX-License-Identifier: Apache-2.0
// One row of the matrix with real processes on loopback.
import { type Fleet, migrateDatabase, startFleet } from "../harness/fleet.ts";
import type { PostgresServer } from "../harness/postgres.ts";
import type { RedisServer } from "../harness/redis.ts";
import type { ServiceProcess } from "../harness/service-process.ts";
import { startWebhookSandbox, type WebhookSandbox } from "../sandbox/webhook.ts";
import { type Carrier, targetOf } from "../workload/fleet-target.ts";
import { type NemesisView, type Pair, type PairsReport, runPairs } from "../workload/pairs.ts";
import { readStored } from "../workload/read-stored.ts";
import type { Sdk } from "../workload/sdk.ts";
import type { ClientTarget } from "../workload/sdk-transport.ts";
import { isUnknownAnswered, pushAway } from "./away.ts";
import { fleetClientOf, sdkOf } from "./builds.ts";
import { chatInLargeGroup } from "./large-group.ts";
import type { Login } from "./login.ts";
import { type Row, type Step, type Version, versionsAtStart } from "./matrix.ts";
import { operate } from "./operate.ts";
import { countPulled } from "./pulled.ts";
import type { RowFigures } from "./verdict.ts";

/** What every row runs on. */
export interface Ground {
  postgres: PostgresServer;
  redis: RedisServer;
  /** Folder of each build. */
  dirs: Readonly<Record<Version, string>>;
  progress(text: string): void;
}

/** Every carrier of both sides, so that no version is met by one of them only. */
const CARRIERS: readonly [Carrier, Carrier][] = [
  ["tls", "wss"],
  ["ws", "tcp"],
  ["sse", "tls"],
  ["wss", "poll"],
];
const MESSAGES = 600;
const RATE_PER_SECOND = 80;
const CHANGE_EVERY = 10;
const SETTLE_TIMEOUT_MS = 60_000;
const EXIT_TIMEOUT_MS = 60_000;
const DRAIN_ENV = { IM_DRAIN_WINDOW_MS: "1000", IM_DRAIN_DEADLINE_MS: "20000" };

/** Runs a row to its end. @throws Error with the ends of the logs when a process does not come up or go down as it should */
export async function runRow(row: Row, ground: Ground): Promise<RowFigures> {
  const webhook = await startWebhookSandbox();
  try {
    const run = new RowRun(row, ground, webhook);
    return await run.run();
  } finally {
    await webhook.close();
  }
}

class RowRun {
  readonly #row: Row;
  readonly #ground: Ground;
  readonly #webhook: WebhookSandbox;
  readonly #seed = Math.random().toString(36).slice(2, 10);
  /** What each process runs when it starts next. */
  readonly #versions: Map<string, Version>;
  #moved = 0;
  #operatorAsked = 0;
  #operatorAnswered = 0;
  #operations = 0;

  constructor(row: Row, ground: Ground, webhook: WebhookSandbox) {
    this.#row = row;
    this.#ground = ground;
    this.#webhook = webhook;
    this.#versions = versionsAtStart(row);
  }

  async run(): Promise<RowFigures> {
    const { postgres, redis, dirs } = this.#ground;
    await redis.flush();
    const fleet = await startFleet({
      ...{ postgres, redis, entries: 2, logics: 2, extlogics: this.#row.extlogics.length },
      ...{
        entryEnv: DRAIN_ENV,
        logicEnv: { IM_MAX_GROUP_MEMBERS: "1000" },
        extlogicEnv: { IM_PUSH_WEBHOOK_URL: this.#webhook.url },
      },
      buildOf: (name) => dirs[this.#versions.get(name) ?? "N"],
    });
    try {
      return await this.#measure(fleet);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${fleet.explain()}`, { cause: error });
    } finally {
      await fleet.stopAll();
    }
  }

  async #measure(fleet: Fleet): Promise<RowFigures> {
    const sdks = await Promise.all(this.#row.sdks.map((version) => sdkOf(this.#ground.dirs[version])));
    const report = await this.#chat(fleet, sdks);
    const [a, b] = [0, 1].map((at) => loginOf(fleet, sdks[at], at)) as [Login, Login];
    const answered = [
      await isUnknownAnswered(a, `${this.#seed}-asks-0`),
      await isUnknownAnswered(b, `${this.#seed}-asks-1`),
    ];
    const away = this.#row.extlogics.length === 0 ? undefined : await pushAway(a, b, this.#webhook, this.#seed);
    const large = await chatInLargeGroup(a, b, this.#seed);
    const { sent, acked, changed, delivered, lost, duplicated, reordered, corrupted, reconnects, seconds } = report;
    const counted = Object.values(report.counts.violations).reduce((sum, count) => sum + count, 0);
    for (const violation of report.violations.slice(0, 5)) this.#ground.progress(`  ${JSON.stringify(violation)}`);
    return {
      ...{ sent, acked, changed, delivered, lost, duplicated, reordered, corrupted, reconnects, seconds, away, large },
      otherViolations: Math.max(0, counted - (lost + duplicated + reordered + corrupted)),
      pulled: countPulled(report.events),
      moved: this.#moved,
      ...{ unknownAsked: answered.length, unknownAnswered: answered.filter(Boolean).length },
      ...{ operatorAsked: this.#operatorAsked, operatorAnswered: this.#operatorAnswered },
    };
  }

  async #chat(fleet: Fleet, sdks: readonly Sdk[]): Promise<PairsReport> {
    return await runPairs({
      seed: this.#seed,
      pairs: CARRIERS.map((carriers, at) => pairOf(fleet, sdks, carriers, at)),
      ...{ messages: MESSAGES, ratePerSecond: RATE_PER_SECOND, settleTimeoutMs: SETTLE_TIMEOUT_MS },
      changeEvery: CHANGE_EVERY,
      offline: CARRIERS.map((_, pair) => ({ pair, side: pair % 2 === 0 ? "a" : "b", from: 0.3, to: 0.6 })),
      getToken: (uid) => fleet.tokens.mint(uid),
      nemesis: (view) => this.#disturb(fleet, view),
      untilNemesisEnds: true,
      readStored: async () => {
        const rows = await readStored(fleet.postgresUrl);
        return rows.filter(({ sender }) => sender.startsWith(`${this.#seed}-`));
      },
    });
  }

  async #disturb(fleet: Fleet, view: NemesisView): Promise<void> {
    const { steps } = this.#row;
    for (const [at, step] of steps.entries()) {
      await view.reached(0.15 + (0.7 * at) / steps.length);
      view.note(JSON.stringify(step));
      this.#ground.progress(`  ${JSON.stringify(step)}`);
      await this.#do(fleet, step);
    }
  }

  async #do(fleet: Fleet, step: Step): Promise<void> {
    switch (step.do) {
      case "kill": {
        const process = processOf(fleet, step.process);
        await process.kill9();
        await process.start();
        return await process.waitReady();
      }
      case "roll":
        return await this.#roll(fleet, step.process, step.to);
      case "migrate":
        return await migrateDatabase(fleet.postgresUrl, fleet.dir, this.#ground.dirs[step.to]);
      case "operate": {
        const Client = await fleetClientOf(this.#ground.dirs[step.as]);
        const { asked, answered } = await operate(fleet, Client, ++this.#operations);
        this.#operatorAsked += asked;
        this.#operatorAnswered += answered;
      }
    }
  }

  async #roll(fleet: Fleet, name: string, to: Version): Promise<void> {
    const process = processOf(fleet, name);
    if (name.startsWith("logic-")) this.#moved += (await process.metric("im_logic_sessions")) ?? 0;
    process.signal("SIGTERM");
    const { code, signal } = await process.waitExit(EXIT_TIMEOUT_MS);
    if (code !== 0) throw new Error(`${name} ended with ${signal ?? code} when it was told to stop`);
    this.#versions.set(name, to);
    await process.start();
    await process.waitReady();
    // Whoever goes next leaves its sessions to this one.
    await fleet.waitMesh();
  }
}

function processOf(fleet: Fleet, name: string): ServiceProcess {
  const process = fleet.processes.find((one) => one.name === name);
  if (!process)
    throw new RangeError(`no process ${name}: the fleet has ${fleet.processes.map((p) => p.name).join(", ")}`);
  return process;
}

/** One side begins at the first entry, the other one at the second; both know the other way. */
function pairOf(fleet: Fleet, sdks: readonly Sdk[], carriers: readonly [Carrier, Carrier], at: number): Pair {
  const target = (side: 0 | 1): ClientTarget => {
    const first = (at + side) % 2;
    return withSdk(targetOf(fleet, carriers[side], first, 1 - first), sdks[side]);
  };
  return { a: target(0), b: target(1) };
}

function withSdk(target: ClientTarget, sdk: Sdk | undefined): ClientTarget {
  return sdk ? { ...target, sdk } : target;
}

function loginOf(fleet: Fleet, sdk: Sdk | undefined, entry: number): Login {
  return {
    target: withSdk(targetOf(fleet, "tls", entry, 1 - entry), sdk),
    getToken: (uid) => fleet.tokens.mint(uid),
  };
}
