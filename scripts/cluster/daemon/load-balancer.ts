// SPDX-License-Identifier: Apache-2.0
import { get } from "node:http";
import type { Kube } from "../kube.ts";
import { KUBE_PROXY_HEALTH_PORT, NODES, type NodeLayout } from "../layout.ts";
import { addNodeAddress, forgetNeighbour, listDevices, removeNodeAddress } from "../network.ts";
import type { Collection } from "./collection.ts";
import {
  addressRange,
  type EndpointSlice,
  isOurs,
  keyOf,
  type Placement,
  planPlacements,
  type Service,
  type TargetNode,
} from "./plan.ts";

const PROBE_TIMEOUT_MS = 1000;
/** Failed probes in a row after which a node counts as dead; probes run once a second. */
const PROBE_FAILURES = 2;

async function isProxyHealthy(node: NodeLayout): Promise<boolean> {
  return await new Promise<boolean>((resolve) => {
    const options = { host: node.address, port: KUBE_PROXY_HEALTH_PORT, path: "/healthz", timeout: PROBE_TIMEOUT_MS };
    const request = get({ ...options, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on("timeout", () => request.destroy(new Error("timeout")));
    request.on("error", () => resolve(false));
  });
}

/** Gives Services of type LoadBalancer an address on a node that can serve them, as a cloud's load balancer would. */
export class LoadBalancer {
  readonly #kube: Kube;
  readonly #services: Collection<Service>;
  readonly #slices: Collection<EndpointSlice>;
  readonly #log: (text: string) => void;
  readonly #failures = new Map<string, number>();

  constructor(o: {
    kube: Kube;
    services: Collection<Service>;
    slices: Collection<EndpointSlice>;
    log: (text: string) => void;
  }) {
    this.#kube = o.kube;
    this.#services = o.services;
    this.#slices = o.slices;
    this.#log = o.log;
  }

  /** Probes every node once; true when a node died or came back. */
  async probe(): Promise<boolean> {
    const changes = await Promise.all(
      NODES().map(async (node) => {
        const before = this.#isHealthy(node.name);
        const isHealthy = await isProxyHealthy(node);
        this.#failures.set(node.name, isHealthy ? 0 : (this.#failures.get(node.name) ?? PROBE_FAILURES) + 1);
        const after = this.#isHealthy(node.name);
        if (before !== after) this.#log(`${node.name} is ${after ? "healthy" : "dead"}`);
        return before !== after;
      }),
    );
    return changes.includes(true);
  }

  /** Moves addresses to where they belong and writes them into the Services. */
  async reconcile(): Promise<void> {
    if (!this.#services.isSynced || !this.#slices.isSynced) return;
    const nodes = await this.#observe();
    const placements = planPlacements(this.#services.values(), this.#slices.values(), nodes);
    for (const node of nodes) await this.#release(node, placements);
    for (const node of nodes) await this.#take(node, placements);
    for (const placement of placements) await this.#publish(placement);
  }

  #isHealthy(name: string): boolean {
    return (this.#failures.get(name) ?? PROBE_FAILURES) < PROBE_FAILURES;
  }

  async #observe(): Promise<TargetNode[]> {
    const range = new Set(addressRange());
    return await Promise.all(
      NODES().map(async (node) => {
        const devices = await listDevices(node.namespace);
        const addresses = devices.flatMap((device) => (device.addr_info ?? []).map((info) => info.local));
        return {
          name: node.name,
          isHealthy: this.#isHealthy(node.name),
          addresses: addresses.filter((a) => range.has(a)),
        };
      }),
    );
  }

  async #release(target: TargetNode, placements: readonly Placement[]): Promise<void> {
    const node = NODES().find((candidate) => candidate.name === target.name);
    for (const address of node ? target.addresses : []) {
      if (!node || placements.some((placement) => placement.address === address && placement.node === target.name))
        continue;
      await removeNodeAddress(node, address);
      await forgetNeighbour(address);
      this.#log(`${address} left ${node.name}`);
    }
  }

  async #take(target: TargetNode, placements: readonly Placement[]): Promise<void> {
    const node = NODES().find((candidate) => candidate.name === target.name);
    for (const { address, node: wanted } of placements) {
      if (!node || wanted !== target.name || target.addresses.includes(address)) continue;
      await addNodeAddress(node, address);
      await forgetNeighbour(address);
      this.#log(`${address} is on ${node.name}`);
    }
  }

  async #publish(placement: Placement): Promise<void> {
    const service = this.#services
      .values()
      .find((candidate) => isOurs(candidate) && keyOf(candidate) === placement.service);
    const ingress = [{ ip: placement.address, ipMode: "VIP" }];
    if (!service || service.status?.loadBalancer?.ingress?.[0]?.ip === placement.address) return;
    const { namespace = "", name } = service.metadata;
    await this.#kube.mergePatch(`/api/v1/namespaces/${namespace}/services/${name}/status`, {
      status: { loadBalancer: { ingress } },
    });
    this.#log(`${placement.service} has ${placement.address}`);
  }
}
