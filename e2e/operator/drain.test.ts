// SPDX-License-Identifier: Apache-2.0
// Why an entry goes, how it may be called off, and what is said about it.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { ImCluster } from "../../operator/api/v1alpha1.ts";
import { DEFAULT_DRAIN_TAINTS } from "../../operator/imcluster/drain-cause.ts";
import { ANNOTATION, LABEL } from "../../operator/imcluster/names.ts";
import type { KubeClient } from "../../operator/kube/client.ts";
import { NODES, type Node, PODS, type Pod } from "../../operator/kube/types.ts";
import { Bench, conditionStatus, withCluster } from "./support/bench.ts";
import { type ImApiServer, startImApiServer } from "./support/shared-api-server.ts";

let server: ImApiServer;
before(async () => {
  server = await startImApiServer();
});
after(() => server?.stop());

const isEntry = (pod: Pod) => pod.metadata.labels?.[LABEL.component] === "entry";

/** Two nodes of this namespace alone. The client puts entries on them in turn, as a scheduler would, and ends pods at once. */
class TwoNodes {
  readonly names: string[];
  readonly #cordoned = new Set<string>();
  readonly #client: KubeClient;
  #made = 0;

  private constructor(client: KubeClient, namespace: string) {
    this.#client = client;
    this.names = [`${namespace}-1`, `${namespace}-2`];
  }

  static async make({ client, namespace }: Bench): Promise<TwoNodes> {
    const nodes = new TwoNodes(client, namespace);
    for (const name of nodes.names)
      await client.create(NODES, { apiVersion: "v1", kind: "Node", metadata: { name }, spec: {} });
    return nodes;
  }

  get client(): KubeClient {
    const client = this.#client;
    return {
      ...{ get: client.get.bind(client), list: client.list.bind(client), apply: client.apply.bind(client) },
      ...{ applyStatus: client.applyStatus.bind(client), patchMerge: client.patchMerge.bind(client) },
      ...{ evict: client.evict.bind(client), watch: client.watch.bind(client), raw: client.raw.bind(client) },
      create: (resource, object, options) => {
        const pod = object as unknown as Pod;
        if (resource.kind !== "Pod" || !isEntry(pod)) return client.create(resource, object, options);
        const free = this.names.filter((name) => !this.#cordoned.has(name));
        const nodeName = free[this.#made++ % free.length];
        return client.create(resource, { ...object, spec: { ...pod.spec, nodeName } }, options);
      },
      delete: (resource, namespace, name, options) =>
        client.delete(resource, namespace, name, {
          ...options,
          ...(resource.kind === "Pod" ? { gracePeriodSeconds: 0 } : {}),
        }),
      close: () => undefined,
    };
  }

  async cordon(at: number, isCordoned = true): Promise<void> {
    const name = this.names[at] ?? "";
    if (isCordoned) this.#cordoned.add(name);
    else this.#cordoned.delete(name);
    await this.#client.patchMerge(NODES, undefined, name, { spec: { unschedulable: isCordoned } });
  }

  async taint(at: number, taints: NonNullable<Node["spec"]>["taints"]): Promise<void> {
    await this.#client.patchMerge(NODES, undefined, this.names[at] ?? "", { spec: { taints } });
  }
}

async function withNodes(
  replicas: number,
  body: (bench: Bench, nodes: TwoNodes) => Promise<void>,
  starts: (pod: Pod) => boolean = () => true,
): Promise<void> {
  const bench = await Bench.open(server, { starts });
  try {
    const nodes = await TwoNodes.make(bench);
    bench.drainTaints = DEFAULT_DRAIN_TAINTS;
    await bench.startOperator(nodes.client);
    await bench.create({ entry: { replicas } });
    await bench.untilReady();
    await body(bench, nodes);
  } finally {
    await bench.close();
  }
}

const request = (bench: Bench, pod: Pod | undefined, reason: string | null) =>
  bench.client.patchMerge(PODS, bench.namespace, pod?.metadata.name ?? "", {
    metadata: { annotations: { [ANNOTATION.drainRequest]: reason } },
  });
/** The status tells of a release a little after the pod is gone. */
const untilDrains = (bench: Bench, expected: string) =>
  bench.until(expected, ({ status }) => {
    const drains = (status?.drains ?? []).map(({ reason, phase }) => `${reason} ${phase}`);
    return drains.join() === expected;
  });
const uidOf = (pod: Pod | undefined) => pod?.metadata.uid ?? "";

describe("a node that is being emptied", () => {
  it("loses its entries, each after another one is ready elsewhere", async () => {
    await withNodes(2, async (bench, nodes) => {
      const before = await bench.entryPods();
      const victim = before.find(({ spec }) => spec.nodeName === nodes.names[0]);
      await nodes.cordon(0);
      await bench.until("it is gone", async () => {
        const pods = await bench.entryPods();
        const serving = pods.filter((pod) => !pod.metadata.deletionTimestamp && bench.fleet.isReady(pod));
        assert.ok(serving.length >= 2, "never fewer than wanted");
        return !pods.some((pod) => uidOf(pod) === uidOf(victim));
      });
      await bench.untilReady();
      const left = await bench.entryPods();
      assert.deepEqual(new Set(left.map(({ spec }) => spec.nodeName)), new Set([nodes.names[1]]));
      assert.deepEqual([...bench.fleet.drained], [uidOf(victim)]);
      await untilDrains(bench, "NodeDrain Released");
    });
  });

  it("keeps them when that is taken back before anybody was told", async () => {
    const late = { isOn: false };
    await withNodes(
      2,
      async (bench, nodes) => {
        const before = (await bench.entryPods()).map(uidOf).sort();
        late.isOn = true;
        await nodes.taint(0, [{ key: "karpenter.sh/disrupted", effect: "NoSchedule" }]);
        await bench.until("planned", ({ status }) => status?.drains?.[0]?.phase === "Planned");
        await bench.until("its replacement is there", async () => (await bench.entryPods()).length === 3);
        await nodes.taint(0, []);
        await bench.until(
          "called off",
          ({ status }) => status?.drains?.some(({ phase }) => phase === "Aborted") ?? false,
        );
        await bench.untilReady();
        const left = await bench.entryPods();
        assert.deepEqual(left.map(uidOf).sort(), before, "the one that had not started goes again");
        assert.ok(left.every(({ metadata }) => !metadata.annotations?.[ANNOTATION.drain]));
        assert.equal(bench.fleet.drained.size, 0);
      },
      (pod) => !isEntry(pod) || !late.isOn,
    );
  });
});

describe("a new leader that has not seen nodes yet", () => {
  it("calls no drain of a node off, until it knows better", async () => {
    const late = { isOn: false };
    await withNodes(
      2,
      async (bench, nodes) => {
        late.isOn = true;
        const victim = (await bench.entryPods()).find(({ spec }) => spec.nodeName === nodes.names[0]);
        // Its replacement may land on the same node, and is then drained as well.
        const phaseOf = ({ status }: ImCluster) =>
          status?.drains?.find(({ podUID }) => podUID === uidOf(victim))?.phase;
        await nodes.taint(0, [{ key: "karpenter.sh/disrupted", effect: "NoSchedule" }]);
        await bench.until("planned", (cluster) => phaseOf(cluster) === "Planned");
        await bench.stopOperator();
        const { client } = nodes;
        const seen = Promise.withResolvers<void>();
        try {
          const list: KubeClient["list"] = async (resource, namespace, options) => {
            if (resource.kind === "Node") await seen.promise;
            return client.list(resource, namespace, options);
          };
          await bench.startOperator({ ...client, list });
          const { passes } = bench;
          await bench.until("five passes", () => bench.passes >= passes + 5);
          assert.equal(phaseOf(await bench.get()), "Planned");
          await nodes.taint(0, []);
        } finally {
          seen.resolve();
        }
        await bench.until("called off", (cluster) => phaseOf(cluster) === "Aborted");
      },
      (pod) => !isEntry(pod) || !late.isOn,
    );
  });
});

const withEntries = (entry: object, body: (bench: Bench) => Promise<void>) => withCluster(server, { entry }, body);

describe("a request on a pod", () => {
  it("by a person drains it after it was replaced", async () => {
    await withEntries({ replicas: 1 }, async (bench) => {
      const [victim] = await bench.entryPods();
      await request(bench, victim, "please");
      await bench.until("gone", async () => !(await bench.entryPods()).some((pod) => uidOf(pod) === uidOf(victim)));
      await bench.untilReady();
      assert.deepEqual([...bench.fleet.drained], [uidOf(victim)]);
      await untilDrains(bench, "Manual Released");
    });
  });

  it("to fence it purges at once, and asks nobody to move", async () => {
    await withEntries({ replicas: 2 }, async (bench) => {
      const [victim] = await bench.entryPods();
      await request(bench, victim, "Fence");
      await bench.until("gone", async () => !(await bench.entryPods()).some((pod) => uidOf(pod) === uidOf(victim)));
      await bench.untilReady();
      assert.equal(bench.fleet.drained.size, 0);
      assert.ok(bench.fleet.purged.includes(uidOf(victim)));
      await untilDrains(bench, "Fenced Released");
    });
  });
});

describe("the deadline of a drain", () => {
  const drain = { window: "100ms", deadline: "1s", lbDetach: "0s" };

  it("that holds leaves clients alone, until the spec says that they must go", async () => {
    await withEntries({ replicas: 1, drain: { ...drain, onDeadline: "Hold" } }, async (bench) => {
      const [victim] = await bench.entryPods();
      bench.fleet.stuck.add(uidOf(victim));
      await request(bench, victim, "Manual");
      await bench.until("drained", ({ status }) => status?.drains?.[0]?.phase === "Draining");
      const { status } = await bench.get();
      const overMs = Date.parse(status?.drains?.[0]?.deadline ?? "") + 2_000;
      await bench.until("the deadline is over", () => Date.now() > overMs);
      assert.equal((await bench.get()).status?.drains?.[0]?.phase, "Draining");
      assert.ok(bench.fleet.orders.every(({ hold, force }) => hold && !force));
      await bench.patchSpec({ entry: { drain: { ...drain, onDeadline: "Force" } } });
      await bench.until("gone", async () => !(await bench.entryPods()).some((pod) => uidOf(pod) === uidOf(victim)));
      assert.ok(bench.fleet.orders.some(({ force }) => force));
    });
  });
});

describe("a logic pod that takes long", () => {
  it("keeps no lease from the entries that drain meanwhile", async () => {
    await withEntries({ replicas: 2, drain: { deadline: "10m" } }, async (bench) => {
      const purges = Promise.withResolvers<void>();
      bench.fleet.purgesWaitFor = purges.promise;
      try {
        const [fenced, drained] = await bench.entryPods();
        bench.fleet.stuck.add(uidOf(drained));
        await request(bench, fenced, "Fence");
        await bench.until("purged", ({ status }) => status?.drains?.[0]?.phase === "Purging");
        await request(bench, drained, "Manual");
        await bench.until("leases", () => bench.fleet.orders.filter(({ lease }) => lease).length >= 5);
        assert.deepEqual(bench.fleet.purged, []);
        bench.fleet.stuck.clear();
      } finally {
        purges.resolve();
      }
      await bench.until("both gone", ({ status }) => {
        const drains = status?.drains ?? [];
        return drains.length === 2 && drains.every(({ phase }) => phase === "Released");
      });
      await bench.untilReady();
    });
  });
});

describe("what a drain shows of the network", () => {
  it("is in the status, and a condition judges it", async () => {
    await withEntries({ replicas: 1, drain: { deadline: "10m" } }, async (bench) => {
      assert.equal(conditionStatus(await bench.get(), "DataPlaneSafe"), "Unknown");
      const [victim] = await bench.entryPods();
      bench.fleet.arrivals = 5;
      // Its clients stay until it was looked at for long enough.
      bench.fleet.stuck.add(uidOf(victim));
      await request(bench, victim, "Manual");
      const cluster = await bench.until("seen", (now) => conditionStatus(now, "DataPlaneSafe") === "True");
      const { pod, cutsOnUnready, detachSeconds } = cluster.status?.dataPlane ?? {};
      assert.deepEqual([pod, cutsOnUnready, detachSeconds], [victim?.metadata.name, false, 0]);
      bench.fleet.stuck.clear();
      await untilDrains(bench, "Manual Released");
    });
  });
});

describe("the report of a drain", () => {
  it("says who came back, and whether a route is left; a condition judges it", async () => {
    await withEntries({ replicas: 2 }, async (bench) => {
      bench.fleet.absent.add("u0");
      await request(bench, (await bench.entryPods())[0], "Manual");
      // Who does not come back is looked for until the deadline.
      const isJudged = (now: ImCluster) => conditionStatus(now, "DrainVerified") === "False";
      const cluster = await bench.until("proved", isJudged, 90_000);
      const condition = cluster.status?.conditions?.find(({ type }) => type === "DrainVerified");
      assert.equal(condition?.reason, "ClientsAbsent");
      const [drain] = cluster.status?.drains ?? [];
      const { initial, asked, forced, returned, absent, offlineP50Ms, offlineP99Ms, routesLeft, phase } = drain ?? {};
      assert.deepEqual([initial, asked, forced, returned, absent, routesLeft, phase], [3, 3, 0, 2, 1, 0, "Released"]);
      assert.deepEqual([offlineP50Ms, offlineP99Ms], [0, 1]);
      const said = bench.events.find(({ reason }) => reason === "EntryReleased")?.message ?? "";
      assert.match(said, /3 sessions, 3 asked, 0 closed at the deadline, 2 back elsewhere, 1 absent, .*routes left: 0/);
      const [lease] = bench.fleet.orders.flatMap((order) => order.lease ?? []);
      assert.ok(lease && lease.connections > 0 && lease.number > 1e12, "by a lease");
    });
  });
});
