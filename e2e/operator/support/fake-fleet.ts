// SPDX-License-Identifier: Apache-2.0
import type { LivingEntry } from "#proto/gen/messages.ts";
import type { DrainLimits } from "../../../operator/imcluster/drain.ts";
import type { Fleet, FleetIdentity } from "../../../operator/imcluster/fleet-client.ts";
import type { EntryProbe } from "../../../operator/imcluster/observed.ts";
import type { Pod } from "../../../operator/kube/types.ts";

interface FakeEntry {
  connections: number;
  cordoned: boolean;
  draining: boolean;
  incarnation: string;
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
    if (entry.draining) entry.connections = Math.max(0, entry.connections - 2);
    return Promise.resolve(probeOf(entry));
  }

  cordon(_who: FleetIdentity, pod: Pod): Promise<EntryProbe | undefined> {
    const entry = this.#of(pod);
    entry.cordoned = true;
    return Promise.resolve(probeOf(entry));
  }

  uncordon(_who: FleetIdentity, pod: Pod): Promise<EntryProbe | undefined> {
    const entry = this.#of(pod);
    if (entry.draining) return Promise.resolve(undefined);
    entry.cordoned = false;
    return Promise.resolve(probeOf(entry));
  }

  drain(_who: FleetIdentity, pod: Pod, _id: string, _limits: DrainLimits): Promise<EntryProbe | undefined> {
    const entry = this.#of(pod);
    entry.draining = true;
    this.drained.add(pod.metadata.uid ?? "");
    return Promise.resolve(probeOf(entry));
  }

  purge(_who: FleetIdentity, logic: readonly Pod[], { uid }: { uid: string }): Promise<number | undefined> {
    if (!this.isLogicUp || logic.length === 0) return Promise.resolve(undefined);
    this.purged.push(uid);
    return Promise.resolve(0);
  }

  audit(_who: FleetIdentity, logic: readonly Pod[], request: { living: LivingEntry[]; force: boolean }) {
    if (!this.isLogicUp || logic.length === 0) return Promise.resolve(undefined);
    this.audits.push(request);
    return Promise.resolve({ ...this.ghosts });
  }

  close(): void {
    this.#entries.clear();
  }

  #of(pod: Pod): FakeEntry {
    const uid = pod.metadata.uid ?? "";
    let entry = this.#entries.get(uid);
    if (!entry) {
      entry = { connections: this.connectionsOf(pod), cordoned: false, draining: false, incarnation: `${uid}.1` };
      this.#entries.set(uid, entry);
    }
    return entry;
  }
}

function probeOf(entry: FakeEntry): EntryProbe {
  return { ...entry, sessions: entry.connections, atMs: 0 };
}
