// SPDX-License-Identifier: Apache-2.0
import { FINALIZER, LABEL } from "../../operator/imcluster/names.ts";
import type { EntryProbe } from "../../operator/imcluster/observed.ts";
import type { Pod } from "../../operator/kube/types.ts";
import type { Random } from "../sim/random.ts";

export const OWNER = "cluster-uid";
export const STEP_MS = 500;
/** From the end of a node's kubelet until its pods are told to go. */
const NODE_PATIENCE_MS = 30_000;
const GRACE_MS = 30_000;

export interface Node {
  name: string;
  /** Pods that fit. */
  capacity: number;
  /** Back at this time; 0 while it is up. */
  downUntilMs: number;
  downSinceMs: number;
}

/** A client: on a pod, or on its way to one. */
export interface Client {
  at: SimPod | undefined;
  /** Connects then, when it is nowhere. */
  backAtMs: number;
  /** Since {@link SimCluster.forgetMoves}. */
  moves: number;
}

/** A drain as an entry carries it out. */
export interface SimDrain {
  id: string;
  startedMs: number;
  windowMs: number;
  deadlineMs: number;
  /** Sessions at its begin. */
  of: number;
  asked: number;
  /** When the next ones are asked, by leases. */
  due: number[];
  lastLease: number;
  /** Without another lease until then it goes by its own window. */
  leasedUntilMs: number;
}

export interface SimLease {
  number: number;
  connections: number;
  afterMs: number;
  spreadMs: number;
  ttlMs: number;
}

export interface SimPod {
  pod: Pod;
  uid: string;
  revision: string;
  clients: Set<Client>;
  node: Node | undefined;
  /** Started by the kubelet, and ready, at these times. */
  startsAtMs: number;
  readyAtMs: number;
  cordoned: boolean;
  /** Its routes were purged while it drained: it lets nobody in any more. */
  isFenced: boolean;
  /** Serves, and does not answer the operator. */
  isMute: boolean;
  /** While it asks its clients to move. */
  drain: SimDrain | undefined;
  /** In the list of the load balancer until then, after it was last ready. */
  listedUntilMs: number;
  hasServed: boolean;
  endedMs: number | undefined;
}

/** What pods of a revision do. */
export type Behaviour = "good" | "crashes" | "neverReady" | "refuses";

/**
 * API server, scheduler, kubelets, load balancer, entries and clients, reduced to what an operator can notice and what users feel.
 * Time goes in steps of half a second. Nothing in it knows the operator.
 */
export class SimCluster {
  nowMs = 1_700_000_000_000;
  readonly pods = new Map<string, SimPod>();
  readonly nodes: Node[];
  readonly clients: Client[];
  readonly behaviours = new Map<string, Behaviour>();
  /** Routes that a pod left behind, by UID, and when they end by themselves. */
  readonly routes = new Map<string, number>();
  isLogicUp = true;
  /** When clients were asked by leases, newest last; what is older than a second is forgotten. */
  readonly asks: number[] = [];
  #made = 0;
  readonly #random: Random;

  constructor(random: Random, options: { nodes: number; capacity: number; clients: number }) {
    this.#random = random;
    this.nodes = Array.from({ length: options.nodes }, (_, index) => ({
      ...{ name: `n${index}`, capacity: options.capacity, downUntilMs: 0, downSinceMs: 0 },
    }));
    this.clients = Array.from({ length: options.clients }, () => ({ at: undefined, backAtMs: this.nowMs, moves: 0 }));
  }

  /** From here on, moves count anew. */
  forgetMoves(): void {
    for (const client of this.clients) client.moves = 0;
  }

  /** Clients evenly over the pods, as years of coming and going leave them. */
  spread(): void {
    const pods = [...this.pods.values()];
    for (const one of pods) one.clients.clear();
    for (const [index, client] of this.clients.entries()) {
      client.at = pods[index % pods.length];
      client.at?.clients.add(client);
    }
  }

  create(revision: string): void {
    const uid = `u${this.#made++}`;
    const pod: Pod = {
      metadata: {
        ...{ name: `demo-entry-${uid}`, uid, namespace: "shop", finalizers: [FINALIZER.entry] },
        labels: { [LABEL.revision]: revision },
        creationTimestamp: new Date(this.nowMs).toISOString(),
        ownerReferences: [{ apiVersion: "", kind: "ImCluster", name: "demo", uid: OWNER, controller: true }],
      },
      spec: { containers: [] },
      status: { phase: "Pending" },
    };
    this.pods.set(uid, {
      ...{ pod, uid, revision, clients: new Set<Client>(), node: undefined, startsAtMs: 0, readyAtMs: 0 },
      ...{
        cordoned: false,
        isFenced: false,
        isMute: false,
        drain: undefined,
        listedUntilMs: 0,
        hasServed: false,
        endedMs: undefined,
      },
    });
  }

  /** A deletion as the API server takes it. */
  delete(one: SimPod): void {
    one.pod.metadata.deletionTimestamp ??= new Date(this.nowMs + GRACE_MS).toISOString();
  }

  /** Reachable by the operator, and what it says. */
  probe(one: SimPod): EntryProbe | undefined {
    if (
      one.isMute ||
      !isRunning(one) ||
      !one.node ||
      one.node.downUntilMs > 0 ||
      this.behaviours.get(one.revision) === "neverReady"
    )
      return undefined;
    const connections = one.clients.size;
    const refuses = this.behaviours.get(one.revision) === "refuses";
    return {
      ...{ connections, sessions: connections, cordoned: one.cordoned, draining: one.drain !== undefined, atMs: 0 },
      ...{ logins: 100, loginsFailed: refuses ? 40 : 0 },
      ...(one.drain
        ? {
            drain: {
              initial: one.drain.of,
              asked: one.drain.asked,
              waiting: connections - one.drain.due.length,
              forced: 0,
            },
          }
        : {}),
    };
  }

  /** Ready, and in the Service. */
  accepting(): SimPod[] {
    return [...this.pods.values()].filter((one) => isReady(one) && !one.cordoned && !one.drain && !isDeleted(one));
  }

  step(): void {
    this.nowMs += STEP_MS;
    for (const node of this.nodes) {
      if (node.downUntilMs > 0 && node.downUntilMs <= this.nowMs) node.downUntilMs = 0;
    }
    for (const one of [...this.pods.values()]) this.#stepPod(one);
    const reachable = this.#reachable();
    for (const client of this.clients) this.#stepClient(client, reachable);
    for (const [uid, untilMs] of this.routes) if (untilMs <= this.nowMs) this.routes.delete(uid);
  }

  #stepPod(one: SimPod): void {
    if (!one.node) this.#schedule(one);
    const { node } = one;
    if (node && node.downUntilMs > 0) this.#withoutKubelet(one, node);
    else if (node) this.#kubelet(one);
    if (one.drain) this.#drain(one, one.drain);
    this.#collect(one);
  }

  #schedule(one: SimPod): void {
    if (isDeleted(one)) return;
    const used = (node: Node) =>
      [...this.pods.values()].filter((other) => other.node === node && !isOver(other)).length;
    const free = this.nodes.filter((node) => node.downUntilMs === 0 && used(node) < node.capacity);
    const node = free.sort((a, b) => used(a) - used(b))[0];
    if (!node) {
      const message = `0/${this.nodes.length} nodes are available`;
      one.pod.status = {
        phase: "Pending",
        conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message }],
      };
      return;
    }
    one.node = node;
    one.pod.spec = { ...one.pod.spec, nodeName: node.name };
    one.pod.status = { phase: "Pending" };
    one.startsAtMs = this.nowMs + this.#random.int(500, 6_000);
    one.readyAtMs = one.startsAtMs + this.#random.int(500, 4_000);
  }

  #withoutKubelet(one: SimPod, node: Node): void {
    // Nobody on a lost node hears or says anything; the node controller speaks for it.
    this.#cutOff(one, 5_000);
    if (isRunning(one)) setReady(one, false);
    if (this.nowMs - node.downSinceMs > NODE_PATIENCE_MS && !isOver(one)) this.delete(one);
  }

  #kubelet(one: SimPod): void {
    if (isOver(one)) return;
    if (isDeleted(one)) {
      // SIGTERM: the entry closes what is left, and ends.
      this.#cutOff(one, 1_000);
      this.end(one, "Succeeded");
      return;
    }
    if (!isRunning(one)) {
      if (this.nowMs < one.startsAtMs) return;
      run(one, 0);
    }
    const behaviour = this.behaviours.get(one.revision) ?? "good";
    if (behaviour === "crashes" && one.hasServed && this.#random.chance(0.1)) this.restart(one);
    const isFit = this.nowMs >= one.readyAtMs && behaviour !== "neverReady";
    setReady(one, isFit && !one.cordoned && !one.drain);
    if (!isReady(one)) return;
    one.hasServed = true;
    one.listedUntilMs = this.nowMs + this.#random.int(500, 1_500);
  }

  /** Its container dies and is started again. */
  restart(one: SimPod): void {
    if (!isRunning(one)) return;
    this.#cutOff(one, 2_000);
    one.cordoned = false;
    one.isFenced = false;
    one.drain = undefined;
    one.readyAtMs = this.nowMs + this.#random.int(1_000, 5_000);
    run(one, (one.pod.status?.containerStatuses?.[0]?.restartCount ?? 0) + 1);
  }

  end(one: SimPod, phase: "Failed" | "Succeeded"): void {
    if (isOver(one)) return;
    this.#cutOff(one, 2_000);
    one.drain = undefined;
    one.endedMs = this.nowMs;
    if (one.hasServed) this.routes.set(one.uid, this.nowMs + 15_000);
    const state = { terminated: { exitCode: phase === "Failed" ? 1 : 0 } };
    const statuses = isRunning(one) ? [{ name: "entry", ready: false, restartCount: 0, state }] : [];
    one.pod.status = { phase, containerStatuses: statuses };
  }

  /** Clients that lost their pod come back within `withinMs`. */
  #cutOff(one: SimPod, withinMs: number): void {
    for (const client of one.clients) this.#leave(client, this.#random.int(200, withinMs));
  }

  #leave(client: Client, afterMs: number): void {
    client.at?.clients.delete(client);
    client.at = undefined;
    client.moves++;
    client.backAtMs = this.nowMs + afterMs;
  }

  /** What an entry does with a call of Drain. */
  order(one: SimPod, drain: Pick<SimDrain, "id" | "windowMs" | "deadlineMs">, lease: SimLease | undefined): void {
    one.cordoned = true;
    if (one.drain?.id !== drain.id) {
      const { nowMs } = this;
      one.drain = {
        ...drain,
        startedMs: nowMs,
        of: one.clients.size,
        asked: 0,
        due: [],
        lastLease: 0,
        leasedUntilMs: nowMs,
      };
    }
    const now = one.drain;
    if (!lease || lease.number <= now.lastLease) return;
    now.lastLease = lease.number;
    now.leasedUntilMs = this.nowMs + lease.ttlMs;
    for (let index = 0; index < lease.connections; index++)
      now.due.push(this.nowMs + lease.afterMs + (lease.spreadMs * index) / lease.connections);
  }

  #drain(one: SimPod, drain: SimDrain): void {
    const isOver = this.nowMs - drain.startedMs >= drain.deadlineMs;
    // By leases clients are asked, and past the deadline closed.
    const isLeased = this.nowMs < drain.leasedUntilMs;
    const byWindow = drain.windowMs === 0 ? 1 : (this.nowMs - drain.startedMs) / drain.windowMs;
    const fallen = drain.due.filter((atMs) => atMs <= this.nowMs);
    drain.due = drain.due.filter((atMs) => atMs > this.nowMs);
    const target = isOver ? one.clients.size : Math.ceil(Math.min(1, byWindow) * drain.of) - drain.asked;
    let left = isLeased ? fallen.length : Math.max(0, target);
    for (const client of one.clients) {
      if (left-- <= 0) break;
      drain.asked++;
      if (isLeased) this.asks.push(fallen.shift() ?? this.nowMs);
      this.#leave(client, this.#random.int(100, 1_500));
    }
  }

  /** Where the load balancer may send somebody. */
  #reachable(): SimPod[] {
    const listed = [...this.pods.values()].filter((one) => one.listedUntilMs > this.nowMs && isRunning(one));
    return listed.filter(({ node, drain, isFenced }) => node?.downUntilMs === 0 && !drain && !isFenced);
  }

  #stepClient(client: Client, reachable: readonly SimPod[]): void {
    if (client.at || client.backAtMs > this.nowMs) return;
    if (reachable.length === 0) {
      client.backAtMs = this.nowMs + 1_000;
      return;
    }
    const pod = this.#random.pick(reachable);
    client.at = pod;
    pod.clients.add(client);
  }

  /** The API server removes what is deleted, over, and held by nobody. */
  #collect(one: SimPod): void {
    if (!isDeleted(one) || (one.pod.metadata.finalizers ?? []).length > 0) return;
    const isGone = isOver(one) || !one.node;
    // A lost node confirms nothing: the garbage collector does, after a while.
    const isForgotten = Date.parse(one.pod.metadata.deletionTimestamp ?? "") + 10_000 < this.nowMs;
    if (!isGone && !isForgotten) return;
    this.#cutOff(one, 2_000);
    this.pods.delete(one.uid);
  }
}

export function isRunning({ pod }: SimPod): boolean {
  return pod.status?.phase === "Running";
}

export function isOver({ pod }: SimPod): boolean {
  return pod.status?.phase === "Failed" || pod.status?.phase === "Succeeded";
}

export function isDeleted({ pod }: SimPod): boolean {
  return pod.metadata.deletionTimestamp !== undefined;
}

export function isReady({ pod }: SimPod): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
}

function run(one: SimPod, restartCount: number): void {
  const containerStatuses = [{ name: "entry", ready: false, restartCount, state: { running: {} } }];
  one.pod.status = { phase: "Running", conditions: [{ type: "Ready", status: "False" }], containerStatuses };
}

function setReady(one: SimPod, isFit: boolean): void {
  if (isReady(one) === isFit) return;
  one.pod.status = { ...one.pod.status, conditions: [{ type: "Ready", status: isFit ? "True" : "False" }] };
}
