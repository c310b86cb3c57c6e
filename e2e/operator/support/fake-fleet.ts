// SPDX-License-Identifier: Apache-2.0
import type {
  DrainedSession,
  DrainedSessionsReply,
  DrainRequest,
  LivingEntry,
  LogicStatusReply,
  ReturnedReply,
  ShedRequest,
} from "#proto/gen/messages.ts";
import type { Fleet, FleetIdentity } from "../../../operator/imcluster/fleet-client.ts";
import type { EntryProbe } from "../../../operator/imcluster/observed.ts";
import type { Pod } from "../../../operator/kube/types.ts";

interface FakeEntry {
  connections: number;
  cordoned: boolean;
  draining: boolean;
  incarnation: string;
  initial: number;
  asked: number;
}

/** Entries and logic as the operator's calls see them, shared by operators that follow each other in a test. */
export class FakeFleet implements Fleet {
  readonly #entries = new Map<string, FakeEntry>();
  /** UIDs of entries whose routes were purged, in order. */
  readonly purged: string[] = [];
  /** UIDs of entries that were asked to drain. */
  readonly drained = new Set<string>();
  /** Audits of the router that were asked for, and what the next ones find. */
  readonly audits: { living: LivingEntry[]; force: boolean }[] = [];
  ghosts = { deleted: 0, remaining: 0 };
  isLogicUp = true;
  /** Purges are answered when this resolves. */
  purgesWaitFor: Promise<void> = Promise.resolve();
  /** Clients of these pods, by UID, stay until they are closed. */
  readonly stuck = new Set<string>();
  /** Users that do not come back after a drain. */
  readonly absent = new Set<string>();
  /** Orders in which entries were asked to drain, as they came. */
  readonly orders: DrainRequest[] = [];
  /** Clients that entries were told to ask although they serve on, by UID. */
  readonly shedding = new Map<string, number>();
  /** Where these clients were told that there is room, with each such call. */
  readonly hints: string[][] = [];
  /** Connections of clients that all entries say they had since their start. */
  arrivals: number | undefined;
  /** Connections of an entry at its start. */
  connectionsOf: (pod: Pod) => number = () => 3;

  isReady(pod: Pod): boolean {
    return !this.#of(pod).cordoned;
  }

  setConnections(pod: Pod, connections: number): void {
    this.#of(pod).connections = connections;
  }

  /** Its process started again: nobody is connected. */
  restart(pod: Pod): void {
    const entry = this.#of(pod);
    const [uid = "", number] = entry.incarnation.split(".");
    entry.incarnation = `${uid}.${Number(number) + 1}`;
    entry.connections = 0;
  }

  status(_who: FleetIdentity, pod: Pod): Promise<EntryProbe | undefined> {
    const entry = this.#of(pod);
    if (entry.draining && !this.stuck.has(pod.metadata.uid ?? ""))
      entry.connections = Math.max(0, entry.connections - 2);
    return Promise.resolve(this.#probe(entry));
  }

  cordon(_who: FleetIdentity, pod: Pod): Promise<EntryProbe | undefined> {
    const entry = this.#of(pod);
    entry.cordoned = true;
    return Promise.resolve(this.#probe(entry));
  }

  uncordon(_who: FleetIdentity, pod: Pod): Promise<EntryProbe | undefined> {
    const entry = this.#of(pod);
    if (entry.draining) return Promise.resolve(undefined);
    entry.cordoned = false;
    return Promise.resolve(this.#probe(entry));
  }

  drain(_who: FleetIdentity, pod: Pod, order: DrainRequest): Promise<EntryProbe | undefined> {
    const entry = this.#of(pod);
    if (!entry.draining) entry.initial = entry.connections;
    entry.draining = true;
    entry.asked = entry.initial;
    if (order.force) entry.connections = 0;
    this.orders.push(order);
    this.drained.add(pod.metadata.uid ?? "");
    return Promise.resolve(this.#probe(entry));
  }

  shed(_who: FleetIdentity, pod: Pod, { lease, endpoints }: ShedRequest): Promise<EntryProbe | undefined> {
    const entry = this.#of(pod);
    const { connections = 0 } = lease ?? {};
    this.hints.push(endpoints);
    entry.connections -= connections;
    this.shedding.set(pod.metadata.uid ?? "", (this.shedding.get(pod.metadata.uid ?? "") ?? 0) + connections);
    return Promise.resolve(this.#probe(entry));
  }

  drainedSessions(_who: FleetIdentity, pod: Pod): Promise<DrainedSessionsReply | undefined> {
    const { asked } = this.#of(pod);
    const sessions = Array.from({ length: asked }, (_, at) => ({ userId: `u${at}`, slot: "web", closedAgoMs: 10 }));
    return Promise.resolve({ sessions, nextCursor: 0 });
  }

  returned(
    _who: FleetIdentity,
    logic: readonly Pod[],
    sessions: readonly DrainedSession[],
  ): Promise<ReturnedReply | undefined> {
    if (!this.isLogicUp || logic.length === 0) return Promise.resolve(undefined);
    const absent = sessions.flatMap(({ userId }, at) => (this.absent.has(userId) ? [at] : []));
    return Promise.resolve({ absent, offlineMs: sessions.slice(absent.length).map((_, at) => at) });
  }

  logicStatus(): Promise<LogicStatusReply | undefined> {
    return Promise.resolve(this.isLogicUp ? { ackTimeouts: 0, uptimeMs: 60_000 } : undefined);
  }

  async purge(_who: FleetIdentity, logic: readonly Pod[], { uid }: { uid: string }): Promise<number | undefined> {
    await this.purgesWaitFor;
    if (!this.isLogicUp || logic.length === 0) return undefined;
    this.purged.push(uid);
    return 0;
  }

  audit(_who: FleetIdentity, logic: readonly Pod[], request: { living: LivingEntry[]; force: boolean }) {
    if (!this.isLogicUp || logic.length === 0) return Promise.resolve(undefined);
    this.audits.push(request);
    return Promise.resolve({ ...this.ghosts });
  }

  close(): void {
    this.#entries.clear();
  }

  #probe(entry: FakeEntry): EntryProbe {
    return { ...probeOf(entry), ...(this.arrivals === undefined ? {} : { arrivals: this.arrivals }) };
  }

  #of(pod: Pod): FakeEntry {
    const uid = pod.metadata.uid ?? "";
    let entry = this.#entries.get(uid);
    if (!entry) {
      const fresh = { cordoned: false, draining: false, initial: 0, asked: 0, incarnation: `${uid}.1` };
      entry = { connections: this.connectionsOf(pod), ...fresh };
      this.#entries.set(uid, entry);
    }
    return entry;
  }
}

function probeOf({ incarnation, connections, cordoned, draining, initial, asked }: FakeEntry): EntryProbe {
  const drain = { initial, asked, waiting: initial - asked, forced: 0 };
  return { incarnation, connections, sessions: connections, cordoned, draining, drain, atMs: 0 };
}
