// SPDX-License-Identifier: Apache-2.0
// Specs that the API server cannot refuse, and edits at the wrong time: a condition names the cause, nothing turns in circles
// meanwhile, and mending the cause heals the cluster.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { IM_CLUSTER } from "../../operator/api/resource.ts";
import type { ImCluster } from "../../operator/api/v1alpha1.ts";
import { FINALIZER } from "../../operator/imcluster/names.ts";
import { CONFIG_MAPS, PODS, type Pod, SECRETS } from "../../operator/kube/types.ts";
import { waitUntil } from "../harness/processes.ts";
import { Bench, conditionStatus, OPERAND_IMAGE } from "./support/bench.ts";
import { Crash, hookedClient } from "./support/counting-client.ts";
import type { KubeletOptions } from "./support/kubelet.ts";
import { type ImApiServer, startImApiServer } from "./support/shared-api-server.ts";

let server: ImApiServer;
before(async () => {
  server = await startImApiServer();
});
after(() => server?.stop());

const WAIT_MS = 110_000;
/** Each has its own namespace, and mostly waits. */
const TOGETHER = { concurrency: 3 };
/** How long the passes and writes of a cluster that is stuck are counted. */
const WATCH_MS = 6_000;
/** Without a write for so long it is stuck, and not on its way. */
const QUIET_MS = 2_500;
/** A pass every half second, and one for each of a few events. */
const MAX_PASSES = 20;
/** The status may change a few times more until all of it is known. */
const MAX_WRITES = 5;

class World {
  readonly bench: Bench;
  writes = 0;

  private constructor(bench: Bench) {
    this.bench = bench;
  }

  static async open(options: Partial<KubeletOptions> = {}): Promise<World> {
    const world = new World(await Bench.open(server, options));
    const afterWrite = () => void world.writes++;
    const crash = new Crash(Number.POSITIVE_INFINITY);
    await world.bench.startOperator(hookedClient(world.bench.client, { ...crash.hooks, afterWrite }));
    return world;
  }

  /** Waits until a condition says so, and checks that the operator then waits, too. */
  async untilStuck(type: string, status: string, message: RegExp): Promise<ImCluster> {
    const cluster = await this.bench.until(
      `${type} ${status} ${message}`,
      (now) => {
        const found = now.status?.conditions?.find((one) => one.type === type);
        return found?.status === status && message.test(found.message);
      },
      WAIT_MS,
    );
    await this.#untilQuiet();
    const { passes } = this.bench;
    const { writes } = this;
    await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
    const [passed, written] = [this.bench.passes - passes, this.writes - writes];
    assert.ok(passed <= MAX_PASSES, `${passed} passes in ${WATCH_MS} ms`);
    assert.ok(written <= MAX_WRITES, `${written} writes in ${WATCH_MS} ms`);
    return cluster;
  }

  /** What can be done besides is done. */
  async #untilQuiet(): Promise<void> {
    let [seen, sinceMs] = [-1, 0];
    const isQuiet = (): boolean => {
      if (seen !== this.writes) [seen, sinceMs] = [this.writes, performance.now()];
      return performance.now() - sinceMs >= QUIET_MS;
    };
    await waitUntil("no more writes", isQuiet, WAIT_MS);
  }

  untilHealed(): Promise<ImCluster> {
    return this.bench.until(
      "healed",
      (cluster) => {
        const { status, metadata } = cluster;
        const isNow = status?.observedGeneration === metadata.generation;
        return isNow && status?.phase === "Ready" && conditionStatus(cluster, "Degraded") === "False";
      },
      WAIT_MS,
    );
  }
}

async function inWorld(body: (world: World) => Promise<void>, options: Partial<KubeletOptions> = {}): Promise<void> {
  const world = await World.open(options);
  try {
    await body(world);
  } finally {
    await world.bench.close();
  }
}

const base64 = (text: string) => Buffer.from(text).toString("base64");

async function putSecret({ client, namespace }: Bench, name: string, values: Record<string, string>): Promise<void> {
  const data = Object.fromEntries(Object.entries(values).map(([key, value]) => [key, base64(value)]));
  const secret = { apiVersion: "v1", kind: "Secret", metadata: { name, namespace }, data };
  if ((await client.create(SECRETS, secret)) === "exists") await client.patchMerge(SECRETS, namespace, name, { data });
}

const imageOf = (pod: Pod) => pod.spec.containers[0]?.image ?? "";
const isEntry = (pod: Pod) => pod.metadata.labels?.["app.kubernetes.io/component"] === "entry";

/** Says of every pod for which `applies` what the kubelet or the scheduler would. */
async function say(bench: Bench, applies: (pod: Pod) => boolean, status: object): Promise<number> {
  const pods = (await bench.entryPods()).filter((pod) => applies(pod) && !pod.status?.conditions && !hasSaid(pod));
  for (const pod of pods)
    await bench.client.patchMerge(PODS, bench.namespace, pod.metadata.name, { status }, { subresource: "status" });
  return pods.length;
}

function hasSaid({ status }: Pod): boolean {
  return status?.containerStatuses !== undefined;
}

describe("a Secret that is not as the spec says", TOGETHER, () => {
  const url = { name: "own", key: "url" };
  const cases: [
    what: string,
    spec: object,
    broken: Record<string, string> | undefined,
    whole: Record<string, string>,
  ][] = [
    ["that does not exist", { redis: { urlSecretRef: url } }, undefined, { url: "redis://r:6379/0" }],
    ["without the key", { redis: { urlSecretRef: url } }, { other: "x" }, { url: "redis://r:6379/0" }],
    ["with an empty key", { auth: { jwksSecretRef: url } }, { url: "" }, { url: '{"keys":[]}' }],
    [
      "of a webhook",
      { extlogic: { webhook: { url: "https://hooks.example/push", secretRef: url } } },
      undefined,
      { url: "secret" },
    ],
  ];
  for (const [what, spec, broken, whole] of cases) {
    it(`${what} is named with its key, and read again`, async () => {
      await inWorld(async (world) => {
        if (broken) await putSecret(world.bench, "own", broken);
        await world.bench.create({ entry: { replicas: 1 }, ...spec });
        const remedy = broken
          ? /Secret own, named by spec\.\S+, has no key url/
          : /Secret own, named by spec\.\S+, does not exist/;
        const stuck = await world.untilStuck("Degraded", "True", remedy);
        assert.equal(conditionStatus(stuck, "Ready"), "False");
        await putSecret(world.bench, "own", whole);
        await world.untilHealed();
      });
    });
  }

  it("has company in a ConfigMap that does not exist, lacks the key, and is read again", async () => {
    await inWorld(async (world) => {
      const { bench } = world;
      const configMapRef = { name: "rules", key: "policy.json" };
      await bench.create({ entry: { replicas: 1 }, chat: { policy: { configMapRef } } });
      const which = String.raw`ConfigMap rules, named by spec\.chat\.policy\.configMapRef,`;
      const stuck = await world.untilStuck("Degraded", "True", new RegExp(`${which} does not exist: create it with`));
      assert.equal(stuck.status?.conditions?.find(({ type }) => type === "Ready")?.reason, "ConfigMapMissing");
      const metadata = { name: "rules", namespace: bench.namespace };
      await bench.client.create(CONFIG_MAPS, { apiVersion: "v1", kind: "ConfigMap", metadata, data: { other: "{}" } });
      await world.untilStuck("Degraded", "True", new RegExp(`${which} has no key policy\\.json`));
      const data = { "policy.json": "{}" };
      await bench.client.patchMerge(CONFIG_MAPS, bench.namespace, "rules", { data });
      await world.untilHealed();
    });
  });

  it("of the clients' certificate keeps entries from being made, and is read again", async () => {
    await inWorld(async (world) => {
      await world.bench.create({ entry: { replicas: 1 }, tls: { secretName: "shop-tls" } });
      await world.untilStuck("Degraded", "True", /Secret shop-tls, named by spec\.tls\.secretName, does not exist/);
      assert.equal((await world.bench.entryPods()).length, 0);
      await putSecret(world.bench, "shop-tls", { "tls.crt": "certificate" });
      await world.untilStuck(
        "Degraded",
        "True",
        /Secret shop-tls, named by spec\.tls\.secretName, has no key tls\.key/,
      );
      await putSecret(world.bench, "shop-tls", { "tls.crt": "certificate", "tls.key": "key" });
      await world.untilHealed();
    });
  });
});

describe("pods that cannot run", TOGETHER, () => {
  it("of an image that does not pull: the old entries serve on, the cause is named, going back heals", async () => {
    const bad = "registry.example/imcluster:9.9.9";
    const waiting = { reason: "ImagePullBackOff", message: `Back-off pulling image "${bad}"` };
    const container = { name: "entry", ready: false, restartCount: 0, image: bad, imageID: "", state: { waiting } };
    const starts = (pod: Pod) => !isEntry(pod) || imageOf(pod) !== bad;
    await inWorld(
      async (world) => {
        await world.bench.create({ entry: { replicas: 2 } });
        await world.untilHealed();
        const before = new Set((await world.bench.entryPods()).map(({ metadata }) => metadata.uid));
        await world.bench.patchSpec({ image: bad });
        await world.bench.until(
          "a pod of the new image",
          async () => (await say(world.bench, (pod) => imageOf(pod) === bad, { containerStatuses: [container] })) > 0,
          WAIT_MS,
        );
        const stuck = await world.untilStuck("Degraded", "True", /ImagePullBackOff.*imcluster:9\.9\.9/);
        assert.equal(conditionStatus(stuck, "Ready"), "True", "users do not notice");
        const serving = (await world.bench.entryPods()).filter(({ metadata }) => before.has(metadata.uid));
        assert.equal(serving.length, 2);
        await world.bench.patchSpec({ image: OPERAND_IMAGE });
        await world.untilHealed();
        const now = (await world.bench.entryPods()).filter(({ metadata }) => !metadata.deletionTimestamp);
        assert.deepEqual(new Set(now.map(({ metadata }) => metadata.uid)), before, "the same entries as before");
      },
      { starts },
    );
  });

  it("of a version that does not exist: named in the same way, and another version heals", async () => {
    const starts = (pod: Pod) => !isEntry(pod) || !imageOf(pod).endsWith(":7.7.7");
    const waiting = { reason: "ErrImagePull", message: "not found" };
    const container = { name: "entry", ready: false, restartCount: 0, image: "i", imageID: "", state: { waiting } };
    await inWorld(
      async (world) => {
        await world.bench.create({ entry: { replicas: 1 }, version: "7.7.7" });
        await world.bench.until(
          "a pod of that version",
          async () => (await say(world.bench, (pod) => !starts(pod), { containerStatuses: [container] })) > 0,
          WAIT_MS,
        );
        await world.untilStuck("EntriesReady", "False", /ErrImagePull: not found/);
        await world.bench.patchSpec({ version: "0.1.1" });
        const healed = await world.untilHealed();
        assert.equal(healed.status?.version, "0.1.1");
      },
      { starts },
    );
  });

  it("beyond what the nodes hold: the scheduler is quoted, fewer heal", async () => {
    const started = new Set<string>();
    const starts = (pod: Pod) => {
      if (isEntry(pod) && started.size < 2) started.add(pod.metadata.name);
      return !isEntry(pod) || started.has(pod.metadata.name);
    };
    const condition = {
      ...{ type: "PodScheduled", status: "False", reason: "Unschedulable" },
      message: "0/2 nodes are available: 2 Insufficient cpu.",
    };
    await inWorld(
      async (world) => {
        await world.bench.create({ entry: { replicas: 2 } });
        await world.untilHealed();
        await world.bench.patchSpec({ entry: { replicas: 4 } });
        let told = 0;
        await world.bench.until(
          "two more pods",
          async () => {
            told += await say(world.bench, (pod) => !started.has(pod.metadata.name), { conditions: [condition] });
            return told >= 2;
          },
          WAIT_MS,
        );
        const stuck = await world.untilStuck("EntriesReady", "False", /2 of 4.*Unschedulable.*Insufficient cpu/);
        assert.equal(conditionStatus(stuck, "Ready"), "True", "the others serve");
        await world.bench.patchSpec({ entry: { replicas: 2 } });
        await world.untilHealed();
        assert.equal((await world.bench.entryPods()).filter(({ metadata }) => !metadata.deletionTimestamp).length, 2);
      },
      { starts },
    );
  });
});

describe("edits during a drain", TOGETHER, () => {
  /** Two of three entries drain, and would for long. */
  async function draining(body: (world: World) => Promise<void>): Promise<void> {
    await inWorld(async (world) => {
      const { bench } = world;
      bench.fleet.connectionsOf = () => 16;
      await bench.create({ entry: { replicas: 3 } });
      await world.untilHealed();
      await bench.patchSpec({ entry: { replicas: 1 } });
      await bench.until("a drain", ({ status }) => (status?.entry?.draining ?? 0) > 0, WAIT_MS);
      await body(world);
    });
  }
  const all = async (bench: Bench) => (await bench.entryPods()).filter(({ metadata }) => !metadata.deletionTimestamp);
  const edits: [what: string, edits: object[], pods: number][] = [
    ["more entries", [{ entry: { replicas: 4 } }], 4],
    ["back and forth", [{ entry: { replicas: 3 } }, { entry: { replicas: 1 } }, { entry: { replicas: 2 } }], 2],
    ["another version", [{ version: "0.2.0" }], 1],
    ["other limits of the drain", [{ entry: { drain: { window: "1s", deadline: "2s" } } }], 1],
    ["another version, and back", [{ version: "0.2.0" }, { version: null }], 1],
    ["hibernation, and awake again", [{ hibernate: true }, { hibernate: false }], 1],
    ["autoscaling", [{ entry: { autoscaling: { min: 1, max: 1 } } }], 1],
    ["a fence around an unknown pod", [{ fencedEntries: ["demo-entry-zzzzz"] }], 1],
    ["pause, and on", [{ paused: true }, { paused: false }], 1],
  ];
  for (const [what, changes, pods] of edits) {
    it(`${what}: every pod is drained or stays, and the cluster settles`, async () => {
      await draining(async (world) => {
        const { bench } = world;
        for (const change of changes) {
          await bench.patchSpec(change);
          await bench.until(
            "seen",
            ({ status, metadata }) => status?.observedGeneration === metadata.generation,
            WAIT_MS,
          );
        }
        const healed = await bench.until(
          "settled",
          async (cluster) => {
            const { status, metadata } = cluster;
            const isNow = status?.observedGeneration === metadata.generation && status?.phase === "Ready";
            return isNow && status?.entry?.draining === 0 && (await all(bench)).length === pods;
          },
          WAIT_MS,
        );
        assert.ok((healed.status?.drains ?? []).every(({ phase }) => phase === "Released" || phase === "Aborted"));
        const uids = new Set((await all(bench)).map(({ metadata }) => metadata.uid));
        assert.ok(
          bench.fleet.purged.every((uid) => !uids.has(uid)),
          "nobody who stays was purged",
        );
      });
    });
  }

  it("deletion: the cluster goes, and nothing holds its pods", async () => {
    await draining(async ({ bench }) => {
      await bench.client.delete(IM_CLUSTER, bench.namespace, "demo", {});
      const isFree = ({ metadata }: Pod) => !metadata.finalizers?.includes(FINALIZER.entry);
      const isGone = async () => (await bench.client.get(IM_CLUSTER, bench.namespace, "demo")) === undefined;
      await waitUntil("the cluster gone", isGone, WAIT_MS);
      assert.ok((await bench.entryPods()).every(isFree), "collected with it, as its owner");
    });
  });
});
