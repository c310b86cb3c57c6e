// SPDX-License-Identifier: Apache-2.0
import type { FaultClass } from "../checker/history.ts";
import type { Fleet } from "../harness/fleet.ts";
import type { DropRule, NetworkHost, PrivateNetwork } from "../harness/private-network.ts";
import type { ServiceProcess } from "../harness/service-process.ts";
import type { FaultSite } from "./nemesis.ts";
import type { Fault } from "./schedule.ts";
import type { StoreGroup, Stores } from "./stores.ts";
import type { Supervisor } from "./supervisor.ts";

/** What the nemesis needs of a campaign. */
export interface FleetSiteOptions {
  fleet: Fleet;
  stores: Stores;
  network: PrivateNetwork;
  supervisor: Supervisor;
  /** An entry is about to be killed. */
  onEntryKilled: (podUid: string) => void;
}

const NOTHING = async (): Promise<void> => undefined;

/** Strikes a fleet whose processes run on the hosts of a private network. */
export class FleetSite implements FaultSite {
  readonly #options: FleetSiteOptions;

  constructor(options: FleetSiteOptions) {
    this.#options = options;
  }

  /** What a half-open client misses is no excuse for the system: its push is due as ever. */
  classOf({ kind, target }: Fault): FaultClass {
    if (kind === "half-open") return "none";
    const isRedisLoss = target === "redis" && (kind === "flush" || kind === "kill" || kind === "failover");
    return isRedisLoss ? "redis-loss" : "component";
  }

  async strike(fault: Fault): Promise<() => Promise<void>> {
    const { network, stores } = this.#options;
    switch (fault.kind) {
      case "kill":
        return await this.#kill(fault.target);
      case "pause":
        return this.#pause(fault.target);
      case "flush":
        await stores.redis.host.flush();
        return NOTHING;
      case "failover":
        return await this.#group(fault.target === "redis" ? "redis" : "postgres").failover();
      case "reset":
        await network.reset(this.#host(fault.target), this.#host(fault.peer ?? "").host);
        return NOTHING;
      default:
        return await network.drop(this.#rules(fault));
    }
  }

  #group(target: "redis" | "postgres"): StoreGroup {
    return this.#options.stores[target];
  }

  #service(name: string): ServiceProcess {
    const service = this.#options.fleet.processes.find((process) => process.name === name);
    if (!service) throw new RangeError(`the fleet has no process ${name}`);
    return service;
  }

  #host(name: string): NetworkHost {
    const { network, stores } = this.#options;
    if (name === "clients") return network.hub;
    return network.find(name === "redis" || name === "postgres" ? stores[name].hostName : name);
  }

  async #kill(target: string): Promise<() => Promise<void>> {
    if (target === "redis" || target === "postgres") {
      const group = this.#group(target);
      await group.kill();
      return () => group.start();
    }
    const { fleet, supervisor } = this.#options;
    const service = this.#service(target);
    const entry = fleet.entries.find(({ name }) => name === target);
    if (entry) this.#options.onEntryKilled(entry.podUid);
    const release = await supervisor.hold(service);
    await service.kill9();
    return async () => {
      await service.start();
      release();
      await service.waitBack();
    };
  }

  #pause(target: string): () => Promise<void> {
    const paused = target === "redis" || target === "postgres" ? this.#group(target) : this.#service(target);
    paused.sigstop();
    return async () => paused.sigcont();
  }

  #rules(fault: Fault): DropRule[] {
    const host = this.#host(fault.target);
    if (fault.kind === "lose") return [{ host, share: fault.share ?? 0 }];
    if (fault.kind === "half-open") {
      const hub = this.#host("hub");
      const entries = this.#options.fleet.entries.map(({ name }) => this.#host(name));
      return entries.flatMap((entry) => [
        { host: entry, to: entry.alias },
        { host: hub, from: entry.alias },
      ]);
    }
    const peer = this.#host(fault.peer ?? "");
    const away = { host: peer, from: host.host };
    return fault.kind === "one-way" ? [away] : [away, { host, from: peer.host }];
  }
}
