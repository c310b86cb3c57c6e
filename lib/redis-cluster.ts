// SPDX-License-Identifier: Apache-2.0
import { EventEmitter } from "node:events";
import { ErrorCode, ImError } from "./errors.ts";
import type { RedisCommand } from "./redis.ts";
import { keyOf, SLOTS, slotOf } from "./redis-slots.ts";

/** A connection to one node. */
export interface NodeConnection {
  /** "ready" when commands can be sent. */
  readonly status: string;
  /**
   * Sends one pipeline; a reply per command, value or Error.
   * @throws {ImError} RETRYABLE when there is no answer within `timeoutMs`; what happened is unknown then
   */
  run(commands: readonly RedisCommand[], timeoutMs: number): Promise<unknown[]>;
  onReady(listener: () => void): void;
  close(): void;
}

/** What {@link ClusterClient} needs. */
export interface ClusterPorts {
  /** Some nodes, as host:port. */
  readonly seeds: readonly string[];
  readonly open: (address: string) => NodeConnection;
  /** Deadline of one {@link ClusterClient.run}, all its retries included. */
  readonly timeoutMs: number;
}

/** A master of the Cluster. */
export interface ClusterMaster {
  /** host:port. */
  readonly address: string;
  owns(key: string): boolean;
}

const REFRESH_TIMEOUT_MS = 1000;
const REFRESH_EVERY_MS = 5000;
/** While a slot has no master that answers. */
const REFRESH_AGAIN_MS = 100;
/** How long the start waits for masters that do not answer. */
const WHOLE_WAIT_MS = 1000;
const RETRY_BASE_MS = 10;
const RETRY_CAP_MS = 100;
/** Several moves may follow each other; the deadline ends it as well. */
const MAX_ATTEMPTS = 16;

/** Where a command goes next, and what came of it so far. */
interface Pending {
  readonly at: number;
  readonly slot: number;
  /** The slot is on its way: this one request goes there, introduced by ASKING. */
  askAddress?: string;
}

/**
 * A Redis Cluster as a client of fail-fast pipelines. It knows who owns each slot (CLUSTER SLOTS, read again every 5 s
 * and after any surprise) and keeps one connection per master. A command that a node refused (MOVED, ASK, TRYAGAIN,
 * CLUSTERDOWN) did not happen and is sent again within the deadline; one whose answer was lost is not.
 */
export class ClusterClient extends EventEmitter<{ ready: [] }> {
  readonly #ports: ClusterPorts;
  readonly #nodes = new Map<string, NodeConnection>();
  #owners: string[] = [];
  #isReady = false;
  #isClosed = false;
  /** When the first complete topology was read; 0 = not yet. */
  #knownSinceMs = 0;
  #refreshing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(ports: ClusterPorts) {
    super();
    this.#ports = ports;
    this.#openSeeds();
    this.#schedule(REFRESH_AGAIN_MS);
  }

  /** "ready" when every slot has a known owner, "end" after {@link disconnect}, else "connecting". */
  get status(): string {
    if (this.#isClosed) return "end";
    return this.#isReady ? "ready" : "connecting";
  }

  get masters(): ClusterMaster[] {
    return [...new Set(this.#owners)].map((address) => ({
      address,
      owns: (key: string) => this.#owners[slotOf(key)] === address,
    }));
  }

  disconnect(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const node of this.#nodes.values()) node.close();
    this.#nodes.clear();
  }

  /**
   * Runs the commands, one pipeline per node at the same time: order holds only among keys of one hash tag. A command
   * whose node did not answer has an {@link ImError} RETRYABLE as its reply.
   * @throws {ImError} RETRYABLE when no node answered at all
   */
  async run(commands: readonly RedisCommand[]): Promise<unknown[]> {
    if (commands.length === 0) return [];
    if (!this.#isReady || this.#isClosed) throw away(`the Cluster is ${this.status}`);
    const deadlineMs = performance.now() + this.#ports.timeoutMs;
    const replies: unknown[] = new Array(commands.length);
    let pending = assignSlots(commands);
    for (let attempt = 0; pending.length > 0 && attempt < MAX_ATTEMPTS; attempt++) {
      if (attempt > 0) await this.#pause(attempt, replies, pending);
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) break;
      pending = await this.#attempt(commands, pending, replies, leftMs);
    }
    for (const { at } of pending) replies[at] = away(describe(replies[at]));
    if (replies.every((reply) => reply instanceof ImError)) throw replies[0];
    return replies;
  }

  /** Runs commands on one master, wherever their keys belong. @throws {ImError} RETRYABLE when it does not answer */
  async runOn(address: string, commands: readonly RedisCommand[]): Promise<unknown[]> {
    const node = this.#nodes.get(address);
    if (node?.status !== "ready") throw away(`${address} is ${node?.status ?? "unknown"}`);
    return await node.run(commands, this.#ports.timeoutMs);
  }

  /** One pipeline per node; returns what has to be sent again. */
  async #attempt(
    commands: readonly RedisCommand[],
    pending: readonly Pending[],
    replies: unknown[],
    leftMs: number,
  ): Promise<Pending[]> {
    const groups = new Map<string, Pending[]>();
    for (const one of pending) {
      const address = one.askAddress ?? this.#owners[one.slot] ?? "";
      const group = groups.get(address);
      if (group) group.push(one);
      else groups.set(address, [one]);
    }
    const again = await Promise.all(
      [...groups].map(([address, group]) => this.#runGroup(address, group, commands, replies, leftMs)),
    );
    return again.flat().sort((a, b) => a.at - b.at);
  }

  async #runGroup(
    address: string,
    group: readonly Pending[],
    commands: readonly RedisCommand[],
    replies: unknown[],
    leftMs: number,
  ): Promise<Pending[]> {
    const node = this.#nodes.get(address) ?? (address === "" ? undefined : this.#open(address));
    if (node?.status !== "ready") {
      // Nothing was sent: as good as a refusal.
      for (const { at } of group) replies[at] = away(`${address} is ${node?.status ?? "unknown"}`);
      void this.#refresh();
      return group.map(({ at, slot }) => ({ at, slot }));
    }
    const words = group.flatMap(({ at, askAddress }) => {
      const command = commands[at] as RedisCommand;
      return askAddress === undefined ? [command] : [["ASKING"] as const, command];
    });
    let answers: unknown[];
    try {
      answers = await node.run(words, leftMs);
    } catch (error) {
      for (const { at } of group) replies[at] = error;
      void this.#refresh();
      return [];
    }
    const again: Pending[] = [];
    let next = 0;
    for (const one of group) {
      if (one.askAddress !== undefined) next++;
      const answer = answers[next++];
      replies[one.at] = answer;
      const retry = this.#refused(answer, one);
      if (retry) again.push(retry);
    }
    return again;
  }

  /** Undefined when the answer stands. */
  #refused(answer: unknown, { at, slot }: Pending): Pending | undefined {
    if (!(answer instanceof Error)) return undefined;
    const [code, movedSlot, address = ""] = answer.message.split(" ");
    switch (code) {
      case "MOVED":
        this.#owners[Number(movedSlot)] = address;
        void this.#refresh();
        return { at, slot };
      case "ASK":
        return { at, slot, askAddress: address };
      case "READONLY":
      case "CLUSTERDOWN":
      case "MASTERDOWN":
        void this.#refresh();
        return { at, slot };
      case "TRYAGAIN":
        return { at, slot };
      default:
        return undefined;
    }
  }

  /** A slot that moved is asked for at once; for everything else the Cluster needs time. */
  async #pause(attempt: number, replies: readonly unknown[], pending: readonly Pending[]): Promise<void> {
    const isMoveOnly = pending.every(({ at }) => /^(MOVED|ASK) /.test(describe(replies[at])));
    if (isMoveOnly && attempt === 1) return;
    const ceilingMs = Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** attempt);
    await new Promise((resolve) => setTimeout(resolve, ceilingMs / 2 + (Math.random() * ceilingMs) / 2));
  }

  #openSeeds(): void {
    for (const address of this.#ports.seeds) if (!this.#nodes.has(address)) this.#open(address);
  }

  #open(address: string): NodeConnection {
    const node = this.#ports.open(address);
    this.#nodes.set(address, node);
    node.onReady(() => void this.#refresh());
    return node;
  }

  #schedule(delayMs: number): void {
    clearTimeout(this.#timer);
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => void this.#refresh(), delayMs);
    // A client that was forgotten must not keep a process alive; its sockets do so while it works.
    this.#timer.unref();
  }

  /** Reads who owns what. One at a time. */
  #refresh(): Promise<void> {
    this.#refreshing ??= this.#readTopology().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #readTopology(): Promise<void> {
    let isComplete = false;
    const ready = [...this.#nodes.values()].filter(({ status }) => status === "ready");
    // Nobody left who could say where the others are.
    if (ready.length === 0 && !this.#isClosed) this.#openSeeds();
    for (const [address, node] of shuffled([...this.#nodes])) {
      if (node.status !== "ready" || isComplete || this.#isClosed) continue;
      try {
        const [reply] = await node.run([["CLUSTER", "SLOTS"]], REFRESH_TIMEOUT_MS);
        isComplete = this.#adopt(reply, hostOf(address));
      } catch {
        // It does not answer: the next one may. Its own connection reports the fault.
      }
    }
    this.#schedule(isComplete && this.#isWhole() ? REFRESH_EVERY_MS : REFRESH_AGAIN_MS);
  }

  #isWhole(): boolean {
    return this.masters.every(({ address }) => this.#nodes.get(address)?.status === "ready");
  }

  /** False when the reply does not name an owner for every slot. */
  #adopt(reply: unknown, askedHost: string): boolean {
    const owners = ownersOf(reply, askedHost);
    if (!owners || this.#isClosed) return false;
    this.#owners = owners;
    const masters = new Set(owners);
    for (const address of masters) if (!this.#nodes.has(address)) this.#open(address);
    for (const [address, node] of [...this.#nodes]) {
      if (masters.has(address)) continue;
      node.close();
      this.#nodes.delete(address);
    }
    this.#becomeReady();
    return true;
  }

  /** Ready when all masters are connected, so that the first pipeline fails on none; one that is down is not waited for long. */
  #becomeReady(): void {
    if (this.#knownSinceMs === 0) this.#knownSinceMs = performance.now();
    if (this.#isReady) return;
    if (!this.#isWhole() && performance.now() - this.#knownSinceMs < WHOLE_WAIT_MS) return;
    this.#isReady = true;
    this.emit("ready");
  }
}

/** A command without a key goes where the one before it goes. */
function assignSlots(commands: readonly RedisCommand[]): Pending[] {
  let slot = 0;
  return commands.map((command, at) => {
    const key = keyOf(command);
    if (key !== undefined) slot = slotOf(key);
    return { at, slot };
  });
}

/** Owner of each slot by CLUSTER SLOTS; undefined when one has none. */
function ownersOf(reply: unknown, askedHost: string): string[] | undefined {
  if (!Array.isArray(reply)) return undefined;
  const owners: string[] = new Array<string>(SLOTS).fill("");
  for (const [first, last, [host, port] = []] of reply as [number, number, [string | null, number]?][]) {
    // A node that does not know its own address leaves it out: it is the one that was asked.
    const address = `${host === null || host === undefined || host === "" || host === "?" ? askedHost : host}:${port}`;
    owners.fill(address, first, last + 1);
  }
  return owners.includes("") ? undefined : owners;
}

function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(":"));
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, rank: Math.random() }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ item }) => item);
}

function describe(reply: unknown): string {
  return reply instanceof Error ? reply.message : String(reply);
}

function away(detail: string): ImError {
  return new ImError(ErrorCode.RETRYABLE, `Redis did not answer: ${detail}`);
}
