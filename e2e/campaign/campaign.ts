// SPDX-License-Identifier: Apache-2.0
// One campaign: a new fleet in a private network, people who chat, faults, the heal, and what the checker says.

import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { inTurns } from "#lib/in-turns.ts";
import type { HistoryReport } from "../checker/check-history.ts";
import { type FinalState, HistoryRecorder, monotonicMs } from "../checker/history.ts";
import type { Violation } from "../checker/violation.ts";
import { type Fleet, SERVER_NAME, startFleet } from "../harness/fleet.ts";
import { freePort } from "../harness/ports.ts";
import { PrivateNetwork } from "../harness/private-network.ts";
import { createApiKey } from "../process/api-caller.ts";
import { startWebhookSandbox, type WebhookSandbox } from "../sandbox/webhook.ts";
import { readBroadcasts, readInboxHeads, readStored } from "../workload/read-stored.ts";
import type { ClientTarget } from "../workload/sdk-transport.ts";
import { Crowd } from "./crowd.ts";
import { FleetSite } from "./fleet-site.ts";
import { waitHealed } from "./healed.ts";
import { Herald } from "./herald.ts";
import { LeaseWatch } from "./lease-watch.ts";
import { Nemesis } from "./nemesis.ts";
import type { Heads, Person } from "./person.ts";
import { checkCampaign, keepRecording } from "./recorded.ts";
import { resumeMaxMs } from "./resume.ts";
import { RouterView } from "./router-view.ts";
import { describeFault, makeSchedule, type Pace, paceOf } from "./schedule.ts";
import { seededRandom } from "./seeded-random.ts";
import { type PostgresMode, type RedisMode, type Stores, startStores, stopStores } from "./stores.ts";
import { Supervisor } from "./supervisor.ts";

/** Options of {@link runCampaign}. */
export interface CampaignOptions {
  seed: number;
  /** Of the load and the faults. */
  durationMs: number;
  ratePerSecond: number;
  pairs: number;
  redis: RedisMode;
  postgres: PostgresMode;
  /** Told every few seconds how it goes. */
  progress: (text: string) => void;
  /** A campaign that broke a promise leaves its history and logs in a folder below this one. */
  failedDir: string;
  /** History and logs are kept in this folder in any case. */
  keepDir?: string | undefined;
}

/** What became of a campaign. `lost`, `duplicated`, `reordered`, `corrupted` and `violations` must be 0 and empty. */
export interface CampaignResult {
  seed: number;
  pace: Pace;
  sent: number;
  acked: number;
  delivered: number;
  pushed: number;
  /** Push intents that were given up. */
  deadLetters: number;
  faults: number;
  /** Changes of messages that were made, groups, and changes of groups. */
  recalls: number;
  edits: number;
  groups: number;
  groupChanges: number;
  broadcasts: number;
  lost: number;
  duplicated: number;
  reordered: number;
  corrupted: number;
  /** Longest wait for a push, beyond the last fault that touched it, ms. */
  pushLateMaxMs: number;
  /** Longest time a killed entry counted as online. */
  fakeOnlineMaxMs: number;
  /** Longest time without an acknowledgement after the begin of a failover; absent without one. */
  resumeMs?: number;
  ackP99Ms: number;
  /** Longest time in which this process, with clients, webhook and clocks, got no turn: the times above are as good as this. */
  stallMaxMs: number;
  reconnects: number;
  /** Processes that ended by themselves, as a fenced entry does, and were started again. */
  restarts: number;
  seconds: number;
  /** How often each check failed. */
  violated: Record<string, number>;
  violations: Violation[];
  /** Folder with history and logs, when they were kept. */
  folder?: string;
}

const FLEET = { entries: 2, logics: 2, extlogics: 2 };
const PUSH_SECRET = "a secret of the campaign";
const PROGRESS_MS = 5000;
/** For sends that are still on their way when the last fault is healed, and then for each device's pull to the head. */
const SETTLE_MS = 45_000;
const PULL_MS = 45_000;
const PULLING = 12;
/** A phone pings less often; here a dead connection has to be noticed within a fault. */
const PING_INTERVAL_MS = "2000";

/** Runs one campaign. Resolves also when promises were broken. @throws when the fleet does not come up */
export async function runCampaign(options: CampaignOptions): Promise<CampaignResult> {
  const campaign = new Campaign(options);
  try {
    await campaign.start();
    await campaign.rage();
    return await campaign.judge();
  } catch (error) {
    const folder = campaign.keep([]);
    throw new Error(`campaign with seed ${options.seed} broke off; its history and logs: ${folder}`, { cause: error });
  } finally {
    await campaign.stop();
  }
}

/** Started parts. */
interface Parts {
  fleet: Fleet;
  stores: Stores;
  view: RouterView;
  leases: LeaseWatch;
  crowd: Crowd;
  herald: Herald;
  nemesis: Nemesis;
}

class Campaign {
  readonly #options: CampaignOptions;
  readonly #startedMs = performance.now();
  readonly #stalls = monitorEventLoopDelay({ resolution: 10 });
  readonly #network = new PrivateNetwork();
  readonly #recorder: HistoryRecorder;
  readonly #supervisor: Supervisor;
  readonly #closers: (() => Promise<void> | void)[] = [];
  #parts: Parts | undefined;
  #pushed = 0;

  constructor(options: CampaignOptions) {
    this.#options = options;
    this.#recorder = new HistoryRecorder(String(options.seed));
    this.#supervisor = new Supervisor((name, how) => {
      this.#note(`${name} ended by itself (${how})`);
      options.progress(`${name} ended by itself (${how}) and is started again`);
    });
  }

  get #ready(): Parts {
    if (!this.#parts) throw new Error("the campaign was not started");
    return this.#parts;
  }

  #note(what: string): void {
    this.#recorder.record({ op: "connection", kind: "info", process: "campaign", what });
  }

  async start(): Promise<void> {
    const network = this.#network;
    await network.open();
    this.#closers.push(() => network.close());
    const names: string[] = [];
    for (const [role, count] of [
      ["entry", FLEET.entries],
      ["logic", FLEET.logics],
      ["extlogic", FLEET.extlogics],
    ] as const)
      for (let i = 0; i < count; i++) names.push(`${role}-${i}`);
    for (const name of names) await network.addHost(name);
    const placeOf = (name: string) => network.find(name);
    const { redis, postgres } = this.#options;
    const stores = await startStores(network, { redis, postgres });
    this.#closers.push(() => stopStores(stores));
    const webhook = await this.#startWebhook();
    const apiPorts = new Map<number, number>();
    for (let i = 0; i < FLEET.logics; i++) apiPorts.set(i, await freePort());
    const fleet = await startFleet({
      ...FLEET,
      placeOf,
      postgres: stores.postgres.host,
      redis: stores.redis.host,
      env: { IM_PING_INTERVAL_MS: PING_INTERVAL_MS },
      logicEnvOf: (index) => ({ IM_API_PORT: String(apiPorts.get(index)) }),
      extlogicEnv: { IM_PUSH_WEBHOOK_URL: webhook.url, IM_PUSH_WEBHOOK_SECRET: PUSH_SECRET },
    });
    this.#closers.push(() => fleet.stopAll());
    const view = new RouterView(() => stores.redis.masters());
    this.#closers.push(() => view.close());
    const leases = new LeaseWatch({ leases: () => view.leases() });
    this.#closers.push(() => leases.stop());
    const crowd = this.#newCrowd(fleet);
    this.#closers.push(() => crowd.close());
    const urls = [...apiPorts].map(([index, port]) => `http://${network.find(`logic-${index}`).host}:${port}`);
    const herald = await this.#newHerald(fleet, crowd, urls);
    this.#parts = { fleet, stores, view, leases, crowd, herald, nemesis: this.#newNemesis(fleet, stores, leases) };
    await crowd.arrive();
  }

  async #newHerald({ postgresUrl }: Fleet, { people }: Crowd, urls: readonly string[]): Promise<Herald> {
    const key = await createApiKey(postgresUrl, ["broadcasts:manage"]);
    const users = people.map(({ uid }) => uid);
    const random = seededRandom(this.#options.seed + 1);
    const herald = new Herald({ urls, key, users, random, recorder: this.#recorder });
    this.#closers.push(() => herald.stop());
    return herald;
  }

  async #startWebhook(): Promise<WebhookSandbox> {
    const { host } = this.#network.hub;
    const webhook = await startWebhookSandbox({
      host,
      secret: PUSH_SECRET,
      answer: ({ userId: uid, inboxSeq, messageId }) => {
        this.#pushed++;
        this.#recorder.record({ op: "push", kind: "ok", process: "webhook", uid, inboxSeq, messageId });
        return { status: 204 };
      },
    });
    this.#closers.push(() => webhook.close());
    return webhook;
  }

  #newCrowd(fleet: Fleet): Crowd {
    const { seed, pairs, ratePerSecond } = this.#options;
    return new Crowd({
      seed,
      pairs,
      ratePerSecond,
      random: seededRandom(seed),
      hasChatter: true,
      readsBroadcasts: true,
      recorder: this.#recorder,
      getToken: (uid) => fleet.tokens.mint(uid),
      target: (index, isAlias) => this.#targetOf(fleet, index, isAlias),
    });
  }

  /** TCP and WebSocket in turn, both with TLS; the first dial goes to one entry, the next to the other, and so on. */
  #targetOf(fleet: Fleet, index: number, isAlias: boolean): ClientTarget {
    const url = fleet.entries.map((_, at) => {
      const entry = fleet.entry((at + (index >> 1)) % fleet.entries.length);
      const { host, alias } = this.#network.find(entry.name);
      const address = `${isAlias ? alias : host}:${entry.tlsPort}`;
      return index % 2 === 0 ? `tls://${address}` : `wss://${address}/ws`;
    });
    return { url, ca: fleet.ca, servername: SERVER_NAME };
  }

  #newNemesis(fleet: Fleet, stores: Stores, leases: LeaseWatch): Nemesis {
    const { seed, durationMs, redis, postgres } = this.#options;
    const supervisor = this.#supervisor;
    const onEntryKilled = (podUid: string): void => leases.killed(podUid);
    const site = new FleetSite({ fleet, stores, network: this.#network, supervisor, onEntryKilled });
    const pace = paceOf(seed);
    const schedule = makeSchedule({
      ...FLEET,
      seed,
      durationMs,
      pace,
      redis: redis === "single" ? "single" : "replicated",
      postgres: postgres === "single" ? "single" : "replicated",
    });
    return new Nemesis({ site, recorder: this.#recorder, schedule });
  }

  /** Load and faults together; at the end all faults are healed and every send was answered, or was given up. */
  async rage(): Promise<void> {
    const { fleet, leases, crowd, herald, nemesis } = this.#ready;
    const { durationMs, progress } = this.#options;
    const watched = fleet.processes.map((process) => this.#supervisor.watch(process));
    // A process that cannot be started again is a fault of the run; it is reported by what waits for it.
    for (const one of watched) one.catch((error: unknown) => progress(String(error)));
    this.#stalls.enable();
    leases.start();
    crowd.start();
    herald.start();
    const timer = setInterval(() => progress(this.#line()), PROGRESS_MS);
    try {
      const load = new Promise((resolve) => setTimeout(resolve, durationMs));
      await nemesis.run(durationMs);
      await load;
      await Promise.all(fleet.processes.map((process) => process.waitBack()));
      const [areSettled] = await Promise.all([crowd.settleDown(SETTLE_MS), herald.stop()]);
      if (!areSettled) progress("some sends are still without an answer");
    } finally {
      this.#stalls.disable();
      clearInterval(timer);
    }
  }

  #line(): string {
    const { crowd, nemesis } = this.#ready;
    const now = nemesis.active.map(describeFault).join(", ");
    return `${crowd.acked} acked, ${crowd.shown} shown, ${this.#pushed} pushed, ${nemesis.done} faults healed; now: ${now || "calm"}`;
  }

  /** Everybody pulls to the head, the store and the router are read, the history is checked. */
  async judge(): Promise<CampaignResult> {
    const { fleet, view, leases, crowd, nemesis } = this.#ready;
    const healedAtMs = monotonicMs();
    const newest = await this.#readForce(fleet.postgresUrl);
    const heads = await readInboxHeads(fleet.postgresUrl);
    await this.#pullAll(crowd.people, ({ uid }) => ({ inbox: heads.get(uid) ?? 0, broadcasts: newest }));
    const healed = await waitHealed({ view, people: crowd.people, healedAtMs });
    await leases.stop();
    // Every device is accountable, also one that could not come back: what it misses is lost.
    const devices = crowd.people.flatMap(({ uid, devices: own }) =>
      [...own.map(({ device }) => device), "audit"].map((device) => ({ uid, device })),
    );
    const final: FinalState = { devices, stored: await readStored(fleet.postgresUrl), healed };
    const report = checkCampaign(this.#options.seed, this.#recorder.events, final);
    const { C1, C2, C3, C4, C5, C6 } = report.counts.violations;
    const { recalls, edits, groups, groupChanges, broadcasts } = report.counts;
    const resets = crowd.people.reduce(
      (sum, person) => sum + person.devices.reduce((n, peer) => n + peer.resets, 0),
      0,
    );
    const resumeMs = resumeMaxMs(this.#recorder.events);
    const result: CampaignResult = {
      seed: this.#options.seed,
      pace: paceOf(this.#options.seed),
      sent: report.counts.sends,
      acked: report.counts.acked,
      delivered: crowd.shown,
      pushed: this.#pushed,
      deadLetters: await view.deadLetters(),
      faults: nemesis.done,
      ...{ recalls, edits, groups, groupChanges, broadcasts },
      lost: C1,
      duplicated: C2 + resets,
      reordered: C3 + C6,
      corrupted: C4 + C5,
      pushLateMaxMs: Math.round(report.notify?.lateMaxMs ?? 0),
      fakeOnlineMaxMs: leases.fakeOnlineMaxMs,
      ...(resumeMs === undefined ? {} : { resumeMs: Math.round(resumeMs) }),
      ackP99Ms: Math.round(crowd.ackLatency.quantileMs(0.99)),
      stallMaxMs: Math.round(this.#stalls.max / 1e6),
      reconnects: crowd.reconnects,
      restarts: this.#supervisor.restarts,
      seconds: Math.round((performance.now() - this.#startedMs) / 1000),
      violated: violatedChecks(report),
      violations: report.violations,
    };
    const isKept = result.violations.length > 0 || this.#options.keepDir !== undefined;
    if (isKept) result.folder = this.keep(result.violations, final);
    return result;
  }

  /** What is in force when everything planned is due; resolves with the newest number. */
  async #readForce(postgresUrl: string): Promise<number> {
    await this.#ready.herald.allInForce();
    const parts = await readBroadcasts(postgresUrl);
    for (const { id, seq } of parts)
      this.#recorder.record({ op: "broadcast", kind: "force", process: "postgres", id, seq });
    return parts.at(-1)?.seq ?? 0;
  }

  /** A few at a time: what is measured here is the end of the faults, not a storm of logins. */
  async #pullAll(people: readonly Person[], headsOf: (person: Person) => Heads): Promise<void> {
    await inTurns(people, PULLING, async (person) => {
      for (const problem of await person.pullAll(headsOf(person), PULL_MS)) this.#note(`${person.uid}: ${problem}`);
    });
  }

  /** Keeps everything for people; returns the folder. */
  keep(violations: readonly Violation[], final?: FinalState): string {
    const folder = this.#options.keepDir ?? join(this.#options.failedDir, `seed-${this.#options.seed}-${Date.now()}`);
    const logPaths = (this.#parts?.fleet.processes ?? []).map(({ logPath }) => logPath);
    keepRecording(folder, { events: this.#recorder.events, violations, final, logPaths });
    return folder;
  }

  async stop(): Promise<void> {
    this.#supervisor.stop();
    for (const close of this.#closers.splice(0).reverse()) await close();
    await this.#recorder.close();
  }
}

function violatedChecks(report: HistoryReport): Record<string, number> {
  return Object.fromEntries(Object.entries(report.counts.violations).filter(([, count]) => count > 0));
}
