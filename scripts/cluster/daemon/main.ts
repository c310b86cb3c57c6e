// SPDX-License-Identifier: Apache-2.0
// The cloud around the local cluster: addresses for Services of type LoadBalancer, folders for PersistentVolumeClaims.
// `up` starts it detached; it ends on SIGTERM.
import { setTimeout as delay } from "node:timers/promises";
import { Kube } from "../kube.ts";
import { Collection } from "./collection.ts";
import { LoadBalancer } from "./load-balancer.ts";
import type { EndpointSlice, Service } from "./plan.ts";
import { type Claim, Storage, type Volume } from "./storage.ts";

const PROBE_INTERVAL_MS = 1000;
/** Changes come in bursts: one pass serves all that arrive within this time. */
const SETTLE_MS = 30;

const log = (text: string): void => console.log(`${new Date().toISOString()} ${text}`);
const stop = new AbortController();
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => stop.abort());

/** Calls `work` after a change, never twice at the same time; a failed pass is repeated on the next tick. */
class Loop {
  readonly #work: () => Promise<void>;
  #isDirty = true;
  #isBusy = false;

  constructor(work: () => Promise<void>) {
    this.#work = work;
  }

  trigger(): void {
    this.#isDirty = true;
    if (!this.#isBusy) void this.#drain();
  }

  async #drain(): Promise<void> {
    this.#isBusy = true;
    while (this.#isDirty && !stop.signal.aborted) {
      await delay(SETTLE_MS);
      this.#isDirty = false;
      try {
        await this.#work();
      } catch (error) {
        log(`pass failed: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    this.#isBusy = false;
  }
}

const kube = new Kube();
const balancerLoop = new Loop(() => balancer.reconcile());
const storageLoop = new Loop(() => storage.reconcile());
const onNetworkChange = (): void => balancerLoop.trigger();
const onStorageChange = (): void => storageLoop.trigger();

const services = new Collection<Service>({ kube, path: "/api/v1/services", onChange: onNetworkChange, log });
const slices = new Collection<EndpointSlice>({
  kube,
  path: "/apis/discovery.k8s.io/v1/endpointslices",
  onChange: onNetworkChange,
  log,
});
const claims = new Collection<Claim>({ kube, path: "/api/v1/persistentvolumeclaims", onChange: onStorageChange, log });
const volumes = new Collection<Volume>({ kube, path: "/api/v1/persistentvolumes", onChange: onStorageChange, log });
const balancer = new LoadBalancer({ kube, services, slices, log });
const storage = new Storage({ kube, claims, volumes, log });

async function probeNodes(): Promise<void> {
  for (let tick = 0; !stop.signal.aborted; tick++) {
    const isChanged = await balancer.probe();
    // Every tenth pass also repairs what was changed by hand or failed before.
    if (isChanged || tick % 10 === 0) {
      balancerLoop.trigger();
      storageLoop.trigger();
    }
    await delay(PROBE_INTERVAL_MS, undefined, { signal: stop.signal }).catch(() => undefined);
  }
}

log("started");
await Promise.all(
  [services, slices, claims, volumes].map((collection) => collection.run(stop.signal)).concat(probeNodes()),
);
kube.close();
log("stopped");
