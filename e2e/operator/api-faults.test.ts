// SPDX-License-Identifier: Apache-2.0
// The operator behind a proxy that does to its requests and watches whatever networks, load balancers and overloaded API servers do.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { silentLogger } from "#lib/logger.ts";
import { KubeError } from "../../operator/kube/kube-error.ts";
import { LeaderElection } from "../../operator/kube/leader-election.ts";
import { createKubeClient, loadKubeConfig } from "../../operator/kube/rest-client.ts";
import { PODS } from "../../operator/kube/types.ts";
import { ApiFaultProxy } from "../harness/api-fault-proxy.ts";
import type { ApiFaults } from "../harness/api-faults.ts";
import { waitUntil } from "../harness/processes.ts";
import { Bench } from "./support/bench.ts";
import { hookedClient } from "./support/counting-client.ts";
import { type FaultyLife, impatient, liveThrough } from "./support/faulty-life.ts";
import { type ImApiServer, startImApiServer } from "./support/shared-api-server.ts";

let server: ImApiServer;
before(async () => {
  server = await startImApiServer();
});
after(() => server?.stop());

const EVERYTHING: ApiFaults = {
  ...{ goneStatus: 0.1, goneEvent: 0.1, throttled: 0.04, failed: 0.08, staleList: 0.3, halfOpen: 0.15 },
  ...{ duplicated: 0.3, reordered: 0.3, late: 0.3, cut: 0.08, delayed: 0.3 },
};

/** That a stale list matters takes lists, which take watches that end with 410; what is lost by a cut, events out of order. */
const KINDS: readonly (readonly [string, ApiFaults])[] = [
  ["410, at once or later, and lists of the past", { goneStatus: 0.2, goneEvent: 0.3, staleList: 0.4 }],
  ["429, 500 and 503", { throttled: 0.12, failed: 0.12 }],
  ["watches that fall silent", { halfOpen: 0.4 }],
  [
    "events that are late, come twice and in another order",
    { duplicated: 0.4, late: 0.4, reordered: 0.5, delayed: 0.3 },
  ],
  ["answers and watches that are cut in the middle", { cut: 0.2, reordered: 0.5 }],
];

/** Measured: see docs/reliability.md; with room for slow machines, on which the same work takes longer. */
const MAX_WRITES_PER_SECOND = 60;
const MAX_READS_PER_SECOND = 60;
const MAX_WRITES_AT_REST = 6;
/** Much longer than it takes on a quiet machine. */
const PATIENCE_MS = 120_000;
/** 2, 2 more, 2 new ones, 1 instead of the drained one. */
const PODS_OF_A_LIFE = 7;

function check({ judge, bench, ...life }: FaultyLife): void {
  assert.deepEqual(judge.offences, []);
  assert.deepEqual(life.held, [], "held for ever");
  const ended = judge.ended;
  for (const uid of ended) {
    const { name = uid, phases } = judge.lives.get(uid) ?? {};
    assert.ok(bench.fleet.drained.has(uid), `${name} went without asking its clients: ${phases}`);
    assert.ok(bench.fleet.purged.includes(uid), `${name} went before its routes: ${phases}`);
  }
  for (const uid of bench.fleet.drained)
    assert.ok(ended.includes(uid), `${judge.lives.get(uid)?.name} drained, and stays`);
  const reasons = new Set((life.cluster.status?.drains ?? []).map(({ reason = "" }) => reason));
  for (const reason of reasons) assert.ok(["ScaleDown", "Update", "Manual"].includes(reason), reason);
  assert.equal(judge.lives.size, PODS_OF_A_LIFE, "pods made");
  assert.ok(life.writesPerSecond <= MAX_WRITES_PER_SECOND, `${life.writesPerSecond} writes in a second`);
  assert.ok(life.readsPerSecond <= MAX_READS_PER_SECOND, `${life.readsPerSecond} reads in a second`);
  assert.ok(life.writesAtRest <= MAX_WRITES_AT_REST, `${life.writesAtRest} writes with nothing to do`);
}

const figures = ({ proxy, judge, writesPerSecond, readsPerSecond, writesAtRest }: FaultyLife): string =>
  JSON.stringify({
    ...{ pods: judge.lives.size, calls: proxy.calls.length, writesPerSecond, readsPerSecond, writesAtRest },
    ...Object.fromEntries(proxy.happened),
  });

describe("a cluster is created, scaled up and down, updated, drained and deleted", { concurrency: 4 }, () => {
  for (const [what, faults] of KINDS) {
    it(`behind ${what}`, async (t) => {
      await liveThrough(server, faults, 1, (life) => {
        t.diagnostic(figures(life));
        for (const fault of Object.keys(faults) as (keyof ApiFaults)[])
          assert.ok(life.proxy.count(fault) > 0, `${fault} never came about`);
        check(life);
      });
    });
  }

  for (const seed of [1, 2]) {
    it(`behind all of it at once, by seed ${seed}`, async (t) => {
      await liveThrough(server, EVERYTHING, seed, (life) => {
        t.diagnostic(figures(life));
        check(life);
      });
    });
  }
});

describe("an operator without news", () => {
  it("from API server and watches touches no pod that serves, and goes on when they are back", async () => {
    const proxy = await ApiFaultProxy.start(loadKubeConfig({ path: server.api.kubeconfigPath }), 1);
    const client = createKubeClient({ kubeConfig: proxy.kubeConfig });
    const bench = await Bench.open(server);
    try {
      // Watches that are opened now end by themselves; none after them gets through.
      proxy.faults = { halfOpen: 1 };
      await bench.startOperator(impatient(client));
      await bench.create({ entry: { replicas: 2 } });
      await bench.until("two entries", ({ status }) => status?.entry?.ready === 2, PATIENCE_MS);
      const before = (await bench.entryPods()).map(({ metadata }) => metadata.uid).sort();
      proxy.faults = { failed: 1 };
      await bench.patchSpec({ entry: { replicas: 3 } });
      const { passes } = bench;
      await sleep(4_000);
      assert.deepEqual((await bench.entryPods()).map(({ metadata }) => metadata.uid).sort(), before);
      assert.ok(bench.passes - passes < 40, `${bench.passes - passes} passes for nothing`);
      proxy.faults = {};
      await bench.until("three entries", ({ status }) => status?.entry?.ready === 3, PATIENCE_MS);
      assert.equal(bench.fleet.drained.size, 0);
    } finally {
      await bench.close();
      client.close();
      await proxy.close();
    }
  });

  it("of its own pods, whose creations it never hears the end of, makes no pod too many", async () => {
    const bench = await Bench.open(server);
    let lost = 0;
    const forgetful = hookedClient(bench.client, {
      afterWrite: (description) => {
        if (!description.startsWith("create Pod")) return;
        lost++;
        throw new KubeError(0, "Network", `lost the answer to ${description}`);
      },
    });
    const deaf: typeof forgetful.watch = async function* (resource, namespace, options) {
      if (resource.plural !== PODS.plural) {
        yield* bench.client.watch(resource, namespace, options);
        return;
      }
      yield { type: "OPENED" };
      await new Promise((resolve) => options.signal?.addEventListener("abort", resolve));
    };
    try {
      await bench.startOperator({ ...forgetful, watch: deaf });
      await bench.create({ entry: { replicas: 3 } });
      await waitUntil("three pods", async () => (await bench.entryPods()).length === 3, PATIENCE_MS);
      const { passes } = bench;
      await bench.patchSpec({ extlogic: { replicas: 2 } });
      await waitUntil("another pass", () => bench.passes > passes + 1, PATIENCE_MS);
      assert.equal((await bench.entryPods()).length, 3);
      assert.equal(lost, 3);
    } finally {
      await bench.close();
    }
  });

  it("that is asked to pause by a 429 does so", async () => {
    const bench = await Bench.open(server);
    const refusedAtMs: number[] = [];
    const overloaded = hookedClient(bench.client, {});
    const refuse = (): never => {
      refusedAtMs.push(performance.now());
      throw new KubeError(429, "TooManyRequests", "later", { retryAfterMs: 1_500 });
    };
    try {
      await bench.startOperator({ ...overloaded, patchMerge: async () => refuse(), create: async () => refuse() });
      await bench.create();
      await waitUntil("refused twice", () => refusedAtMs.length >= 2, PATIENCE_MS);
      const [first = 0, second = 0] = refusedAtMs;
      assert.ok(second - first >= 1_400, `again after ${Math.round(second - first)} ms`);
    } finally {
      await bench.close();
    }
  });
});

describe("candidates behind all of it", () => {
  it("never lead two at a time, and one leads when it is over", async (t) => {
    const proxy = await ApiFaultProxy.start(loadKubeConfig({ path: server.api.kubeconfigPath }), 3);
    const client = createKubeClient({ kubeConfig: proxy.kubeConfig });
    const namespace = await server.makeNamespace();
    const candidates = new Set<LeaderElection>();
    let terms = 0;
    let joined = 0;
    const join = (): void => {
      const candidate = new LeaderElection({
        ...{ client, namespace, name: "im-operator", identity: `candidate-${joined++}` },
        ...{ log: silentLogger, leaseDurationMs: 2_000, renewDeadlineMs: 1_200, retryPeriodMs: 150 },
        onLeading: () => void terms++,
        // As a process that exits and is started again.
        onLost: () => {
          candidates.delete(candidate);
          join();
        },
      });
      candidates.add(candidate);
      candidate.start();
    };
    const leaders = (): number => [...candidates].filter(({ isLeader }) => isLeader).length;
    try {
      proxy.faults = { ...EVERYTHING, failed: 0.3, cut: 0.3 };
      for (let count = 0; count < 3; count++) join();
      const untilMs = performance.now() + 6_000;
      while (performance.now() < untilMs) {
        assert.ok(leaders() <= 1, `${leaders()} lead`);
        await sleep(5);
      }
      proxy.faults = {};
      await waitUntil("one leads", () => leaders() === 1, PATIENCE_MS);
      t.diagnostic(JSON.stringify({ terms, calls: proxy.calls.length, ...Object.fromEntries(proxy.happened) }));
    } finally {
      await Promise.all([...candidates].map((candidate) => candidate.close()));
      client.close();
      await proxy.close();
    }
  });
});
