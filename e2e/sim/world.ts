// SPDX-License-Identifier: Apache-2.0
import { Metrics } from "#lib/metrics.ts";
import { EntryMetrics } from "../../gateway/metrics.ts";
import { EntryStats } from "../../gateway/session/stats.ts";
import { createLogicMetrics, type LogicMetrics } from "../../logic/metrics.ts";
import { createPushMetrics, type PushMetrics } from "../../logic/push/metrics.ts";
import { MemoryStore } from "../../logic/store/memory.ts";
import type { HistoryEvent, WithoutBase } from "../checker/history.ts";
import { Calls, type Server } from "./calls.ts";
import { type Journal, storeOf } from "./database.ts";
import { Kernel, Proc } from "./kernel.ts";
import { Network } from "./network.ts";
import { RedisServer } from "./redis/server.ts";
import { shardsOf } from "./shards.ts";

/** The conversation of many. */
export const EVERYBODY = "everybody";

/** Counters that count nothing: nobody reads them. */
class NoMetrics extends Metrics {
  readonly #none = { inc: nothing, dec: nothing, set: nothing, observe: nothing };

  override counter(): never {
    return this.#none as never;
  }

  override gauge(): never {
    return this.#none as never;
  }

  override histogram(): never {
    return this.#none as never;
  }
}

function nothing(): void {}

/** Of all processes of all runs. */
export const METRICS: { logic: LogicMetrics; push: PushMetrics; stats: EntryStats; entry: EntryMetrics } = (() => {
  const stats = new EntryStats();
  const none = new NoMetrics();
  return {
    logic: createLogicMetrics(none),
    push: createPushMetrics(none),
    stats,
    entry: new EntryMetrics(none, stats),
  };
})();

/** Two deadlines of one slot are at least the grain of the wheel (500 ms) apart, and a look (220 ms) may find the first late. */
const FIRED_ONCE_MS = 250;

/** What all processes of one run share: time, network, servers, and the history. */
export class World {
  readonly users: readonly string[];
  readonly #members: readonly string[];
  /** Of the ack wheel and the push intents: those in which somebody is. */
  readonly shards: readonly number[];
  readonly kernel: Kernel;
  readonly network: Network;
  readonly calls: Calls;
  readonly history: HistoryEvent[] = [];
  readonly redis: RedisServer;
  /** Slots for which the wheel asked for two pushes at once. */
  readonly firedTwice: string[] = [];
  readonly #firedAtMs = new Map<string, number>();
  #database: MemoryStore;
  /** What was done to the database, while somebody wants to know. */
  #journal: { path: readonly string[]; args: readonly unknown[]; wallMs: number }[] | undefined;
  /** Somebody restores the database in this run. */
  #hasRestore = false;
  /** When it was done that is done again now. */
  #replayedMs: number | undefined;
  /** Groups that were made, and by whom. */
  readonly groups: { conv: string; owner: string }[] = [];
  readonly servers: { readonly database: Server; readonly redis: Server; readonly provider: Server };

  /**
   * @param users names of all of them
   * @param members those in the conversation of many
   */
  constructor(seed: number, users: readonly string[], members: readonly string[] = users) {
    this.users = users;
    this.#members = members;
    this.shards = shardsOf(users);
    this.kernel = new Kernel(seed);
    this.network = new Network(this.kernel);
    this.calls = new Calls(this.kernel, this.network);
    this.#database = this.#emptyDatabase();
    this.redis = new RedisServer(
      () => this.kernel.wallMs,
      (words) => this.#intentAdded(words),
    );
    const server = (name: string): Server => ({ proc: new Proc(name), awayUntilMs: 0, lossRate: 0 });
    this.servers = { database: server("database"), redis: server("redis"), provider: server("provider") };
  }

  /** The database as it is now. */
  get database(): MemoryStore {
    return this.#database;
  }

  /** The store as `proc` sees it. */
  storeFor(proc: Proc): MemoryStore {
    const journal: Journal = (path, args) => this.#journal?.push({ path, args, wallMs: this.kernel.wallMs });
    return storeOf({ calls: this.calls, proc, server: this.servers.database, journal }, () => this.#database);
  }

  /** Keeps from now on what {@link World.restore} needs. Call before anybody writes. */
  keepJournal(): void {
    this.#journal = [];
    this.#hasRestore = true;
  }

  get hasRestore(): boolean {
    return this.#hasRestore;
  }

  /** How much was done until now. */
  get journalLength(): number {
    return this.#journal?.length ?? 0;
  }

  /** The database becomes what it was after its first `length` writes, with a new epoch. */
  async restore(length: number): Promise<void> {
    const older = this.#emptyDatabase();
    await older.changeEpoch(this.#database.epoch);
    for (const { path, args, wallMs } of this.#journal?.slice(0, length) ?? []) {
      this.#replayedMs = wallMs;
      const owner = path.slice(0, -1).reduce((part: object, key) => Reflect.get(part, key) as object, older);
      // What was refused then is refused now.
      await Promise.resolve(Reflect.get(owner, path.at(-1) ?? "").apply(owner, args)).catch(() => undefined);
    }
    this.#replayedMs = undefined;
    await older.changeEpoch();
    this.#database = older;
    this.#journal = undefined;
  }

  #emptyDatabase(): MemoryStore {
    const wallMs = (): number => this.#replayedMs ?? this.kernel.wallMs;
    const database = new MemoryStore(() => this.kernel.nowMs, wallMs);
    void database.createConversation(EVERYBODY, this.#members);
    this.#watchBroadcasts(database);
    return database;
  }

  /** Notes when each part of a broadcast comes into force, whoever asks for it. */
  #watchBroadcasts({ broadcasts }: MemoryStore): void {
    const known = new Set<string>();
    const activate = broadcasts.activate.bind(broadcasts);
    broadcasts.activate = async () => {
      const found = await activate();
      for (const { tenant } of found.heads)
        for (const { broadcastId, part, activationSeq: seq } of (await broadcasts.open(tenant)).parts) {
          const name = `${broadcastId}/${part}`;
          if (known.has(name)) continue;
          known.add(name);
          const id = Buffer.from((await broadcasts.content(broadcastId)) ?? "").toString();
          this.record({ op: "broadcast", kind: "force", process: "database", id, seq });
        }
      return found;
    };
  }

  /** A deadline of the wheel fires once: the next one of the same slot comes an ack timeout later. */
  #intentAdded(words: readonly string[]): void {
    const fields = words.slice(words.indexOf("*") + 1);
    const field = (name: string): string => fields[fields.indexOf(name) + 1] ?? "";
    if (!fields.includes("l") || field("c") !== "timeout") return;
    const slot = `${field("l")}/${field("u")}`;
    const lastMs = this.#firedAtMs.get(slot) ?? Number.NEGATIVE_INFINITY;
    if (this.kernel.nowMs - lastMs < FIRED_ONCE_MS) this.firedTwice.push(`${slot} at ${this.kernel.nowMs} ms`);
    this.#firedAtMs.set(slot, this.kernel.nowMs);
  }

  record(event: WithoutBase): void {
    this.history.push({ seed: String(this.kernel.seed), atMs: this.kernel.nowMs, ...event } as HistoryEvent);
  }

  note(process: string, what: string): void {
    this.record({ op: "connection", kind: "info", process, what });
  }
}
