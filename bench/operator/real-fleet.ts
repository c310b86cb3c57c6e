// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "#lib/clock.ts";
import { silentLogger } from "#lib/logger.ts";
import type { DrainedSession, DrainRequest } from "#proto/gen/messages.ts";
import { type FleetOptions, type Fleet as ProcessFleet, startFleet } from "../../e2e/harness/fleet.ts";
import { waitUntil } from "../../e2e/harness/processes.ts";
import { Bench } from "../../e2e/operator/support/bench.ts";
import { type ImApiServer, startImApiServer } from "../../e2e/operator/support/shared-api-server.ts";
import { type Fleet, FleetClient, type FleetIdentity } from "../../operator/imcluster/fleet-client.ts";
import { LABEL } from "../../operator/imcluster/names.ts";
import type { Pod } from "../../operator/kube/types.ts";

const READY_EVERY_MS = 250;
const PODS_TIMEOUT_MS = 60_000;

/** As whom: these processes speak plaintext on loopback. */
const plain = ({ clusterUid }: FleetIdentity): FleetIdentity => ({ clusterUid, tls: undefined });

/** The operator's calls, to processes on ports of their own instead of pods: entry pods by their UID, all logic pods are one process. */
class ProcessCalls implements Fleet {
  readonly #clients = new Map<string, FleetClient>();
  readonly #any: FleetClient;

  constructor(fleet: ProcessFleet) {
    const logic = Number(fleet.logicTargets[0]?.split(":").at(-1));
    const clientOf = (entry: number): FleetClient =>
      new FleetClient({ clock: systemClock, log: silentLogger, ports: { entry, logic } });
    for (const { podUid, controlPort } of fleet.entries) this.#clients.set(podUid, clientOf(controlPort));
    this.#any = clientOf(0);
  }

  async status(who: FleetIdentity, pod: Pod) {
    return await this.#of(pod)?.status(plain(who), pod);
  }

  async cordon(who: FleetIdentity, pod: Pod, drainId: string) {
    return await this.#of(pod)?.cordon(plain(who), pod, drainId);
  }

  async uncordon(who: FleetIdentity, pod: Pod, drainId: string) {
    return await this.#of(pod)?.uncordon(plain(who), pod, drainId);
  }

  async drain(who: FleetIdentity, pod: Pod, order: DrainRequest) {
    return await this.#of(pod)?.drain(plain(who), pod, order);
  }

  async shed(who: FleetIdentity, pod: Pod, lease: Parameters<Fleet["shed"]>[2]) {
    return await this.#of(pod)?.shed(plain(who), pod, lease);
  }

  async drainedSessions(who: FleetIdentity, pod: Pod, cursor: number) {
    return await this.#of(pod)?.drainedSessions(plain(who), pod, cursor);
  }

  purge(who: FleetIdentity, logic: readonly Pod[], entry: { uid: string; isForced: boolean }) {
    return this.#any.purge(plain(who), logic, entry);
  }

  audit(who: FleetIdentity, logic: readonly Pod[], request: Parameters<Fleet["audit"]>[2]) {
    return this.#any.audit(plain(who), logic, request);
  }

  returned(who: FleetIdentity, logic: readonly Pod[], sessions: readonly DrainedSession[]) {
    return this.#any.returned(plain(who), logic, sessions);
  }

  logicStatus(who: FleetIdentity, logic: Pod) {
    return this.#any.logicStatus(plain(who), logic);
  }

  close(): void {
    for (const client of [...this.#clients.values(), this.#any]) client.close();
  }

  #of(pod: Pod): FleetClient | undefined {
    return this.#clients.get(pod.metadata.uid ?? "");
  }
}

export interface RealFleetOptions {
  entries: number;
  /** Of the ImCluster, besides the number of entries. */
  drain: object;
  /** Of the processes. */
  fleet: Omit<FleetOptions, "entries" | "logics" | "entryEnvOf">;
}

/**
 * An ImCluster on a real API server whose entry pods are real entry processes, with one logic, PostgreSQL and Redis, and an operator
 * that calls them. Only the kubelet is played.
 */
export class RealFleet {
  readonly bench: Bench;
  readonly processes: ProcessFleet;
  /** Of the first entry, second entry and so on. */
  readonly pods: readonly Pod[];
  readonly calls: Fleet;
  readonly #server: ImApiServer;
  #isClosed = false;

  private constructor(server: ImApiServer, bench: Bench, processes: ProcessFleet, pods: readonly Pod[], calls: Fleet) {
    this.#server = server;
    this.bench = bench;
    this.processes = processes;
    this.pods = pods;
    this.calls = calls;
  }

  static async open({ entries, drain, fleet: options }: RealFleetOptions): Promise<RealFleet> {
    const server = await startImApiServer();
    const ready = new Set<string>();
    const restarts = new Map<string, number>();
    const uidOf = (pod: Pod): string => pod.metadata.uid ?? "";
    const isRunning = (pod: Pod): boolean =>
      pod.metadata.labels?.[LABEL.component] !== "entry" || restarts.has(uidOf(pod));
    const bench = await Bench.open(server, {
      isEntryReady: (pod) => ready.has(uidOf(pod)),
      restartsOf: (pod) => restarts.get(uidOf(pod)) ?? 0,
      starts: isRunning,
    });
    await bench.startOperator();
    await bench.create({ entry: { replicas: entries, drain } });
    await waitUntil("the entry pods exist", async () => (await bench.entryPods()).length === entries, PODS_TIMEOUT_MS);
    await bench.stopOperator();
    const pods = await bench.entryPods();
    const entryEnvOf = (index: number) => ({ IM_POD_UID: pods[index] ? uidOf(pods[index]) : "" });
    const processes = await startFleet({ ...options, entries, logics: 1, entryEnvOf });
    for (const pod of pods) restarts.set(uidOf(pod), 0);
    const fleet = new RealFleet(server, bench, processes, pods, new ProcessCalls(processes));
    fleet.#restarts = restarts;
    void fleet.#watchReadiness(ready);
    await fleet.startOperator();
    await bench.untilReady();
    return fleet;
  }

  #restarts = new Map<string, number>();

  async startOperator(): Promise<void> {
    await this.bench.startOperator(this.bench.client, this.calls);
  }

  /** What the kubelet tells of an entry whose process was started again. */
  countRestart(entry: number): void {
    const uid = this.pods[entry]?.metadata.uid ?? "";
    this.#restarts.set(uid, (this.#restarts.get(uid) ?? 0) + 1);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.bench.close();
    this.calls.close();
    await this.processes.stopAll(15_000);
    await this.#server.stop();
  }

  /** As a kubelet's readiness probe. */
  async #watchReadiness(ready: Set<string>): Promise<void> {
    while (!this.#isClosed) {
      for (const entry of this.processes.entries) {
        if (await entry.isReady()) ready.add(entry.podUid);
        else ready.delete(entry.podUid);
      }
      await sleep(READY_EVERY_MS);
    }
  }
}
