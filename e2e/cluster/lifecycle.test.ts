// SPDX-License-Identifier: Apache-2.0
// The whole road on the real two-node cluster, in the order a platform engineer walks it. Steps depend on each other.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { leftovers } from "../../scripts/cluster/leftovers.ts";
import { PROJECT_ROOT } from "../../scripts/cluster/paths.ts";
import { DEMO_NAME, DEMO_NAMESPACE, demoAccess } from "../../scripts/up/demo.ts";
import type { KubeTools } from "../../scripts/up/kube-tools.ts";
import { provePython } from "../harness/python.ts";
import { startClusterPrometheus } from "./cluster-prometheus.ts";
import { describeNamespace, eventually, getImCluster, isCondition, localTools, runScript } from "./real-cluster.ts";

const MINUTE_MS = 60_000;
const CHART = join(PROJECT_ROOT, "charts/im-cluster");
const SHOP = "imcluster-shop";
let tools: KubeTools;

async function waitForEntries(count: number, timeoutMs = 3 * MINUTE_MS): Promise<void> {
  await eventually(
    `${count} entries ready`,
    timeoutMs,
    async () => {
      const object = await getImCluster(tools, DEMO_NAME);
      const settled = object.status?.phase === "Ready" && object.status.entry?.summary === `${count}/${count}`;
      const pods = await entryPods();
      return settled && isCondition(object, "Ready") && pods.length === count ? true : undefined;
    },
    () => describeNamespace(tools, DEMO_NAMESPACE),
  );
}

async function entryPods(): Promise<string[]> {
  const selector = `imcluster.io/cluster=${DEMO_NAME},app.kubernetes.io/component=entry`;
  const text = await tools.kubectl(["get", "pods", "-n", DEMO_NAMESPACE, "-l", selector, "-o", "name"]);
  return text.split("\n").filter((line) => line !== "");
}

async function nodeNames(): Promise<string[]> {
  const text = await tools.kubectl(["get", "nodes", "-o", "jsonpath={.items[*].metadata.name}"]);
  return text.split(" ").filter((name) => name !== "");
}

/** `helm test` of the shop: a pod of the image that the operator runs sends a message through the fleet. */
async function helmTest(): Promise<void> {
  const image = "jsonpath={.spec.template.spec.containers[0].image}";
  const tag = await tools.kubectl(["get", "deploy", "im-operator", "-n", "imcluster-system", "-o", image]);
  await tools.helm(["upgrade", "shop", CHART, "-n", SHOP, "--reuse-values", "--set", `test.image=${tag}`]);
  const told = await tools.helm(["test", "shop", "-n", SHOP, "--logs", "--timeout", "150s"]);
  assert.match(told, /"ok":true,.*"steps":\[/, told);
  // Helm leaves the pods of tests behind, for their logs.
  await tools.kubectl(["delete", "pods", "-n", SHOP, "--field-selector=status.phase==Succeeded"]);
}

async function objectsIn(namespace: string): Promise<string[]> {
  const kinds =
    "pods,deployments,statefulsets,jobs,services,secrets,configmaps,persistentvolumeclaims,serviceaccounts,poddisruptionbudgets,networkpolicies";
  // The demo's shop and push provider lie beside the ImCluster: `make up` made them, `make down` removes them.
  const others = "app.kubernetes.io/managed-by!=make-up,app.kubernetes.io/name!=push-sandbox";
  const text = await tools.kubectl(["get", kinds, "-n", namespace, "-l", others, "-o", "name"]);
  const everywhere = /^(configmap\/kube-root-ca\.crt|serviceaccount\/default|secret\/sh\.helm\.)/;
  return text.split("\n").filter((line) => line !== "" && !everywhere.test(line));
}

describe("a real cluster", { concurrency: 1 }, () => {
  before(async () => {
    const up = await runScript("scripts/up/main.ts", ["up"], 20 * MINUTE_MS);
    assert.equal(up.code, 0, up.stderr);
    tools = await localTools();
  });

  it("comes up again in a minute, and Ready soon after apply", async () => {
    const again = await runScript("scripts/up/main.ts", ["up"], 3 * MINUTE_MS);
    assert.equal(again.code, 0, again.stderr);
    assert.ok(
      typeof again.figures.warmSeconds === "number" && again.figures.warmSeconds <= 60,
      JSON.stringify(again.figures),
    );
  });

  it("shows phase, version, entries, sessions, Ready and age", async () => {
    await waitForEntries(3);
    const table = await tools.kubectl(["get", "imc", "-n", DEMO_NAMESPACE]);
    const [header = "", row = ""] = table.split("\n");
    assert.deepEqual(
      header
        .trim()
        .split(/\s{2,}/)
        .map((cell) => cell.toUpperCase()),
      ["NAME", "PHASE", "VERSION", "ENTRIES", "SESSIONS", "READY", "AGE"],
    );
    assert.match(row, /^demo\s+Ready\s+\S+\s+3\/3\s+\d+\s+True\s+\S+/);
  });

  it("explains its fields", async () => {
    assert.match(
      await tools.kubectl(["explain", "imc.spec.entry"]),
      /replicas\s+<integer>[\s\S]*DESCRIPTION|DESCRIPTION[\s\S]*replicas\s+<integer>/,
    );
  });

  it("carries observedGeneration on the object and on every condition", async () => {
    const object = await getImCluster(tools, DEMO_NAME);
    assert.equal(object.status?.observedGeneration, object.metadata.generation);
    for (const condition of object.status?.conditions ?? [])
      assert.equal(typeof condition.observedGeneration, "number", condition.type);
  });

  it("loses nothing while pods are killed (smoke)", async () => {
    const smoke = await runScript("e2e/smoke/main.ts", [], 5 * MINUTE_MS);
    assert.equal(smoke.code, 0, `${JSON.stringify(smoke.figures)}\n${smoke.stderr}`);
    assert.deepEqual(
      { lost: smoke.figures.lost, duplicated: smoke.figures.duplicated, reordered: smoke.figures.reordered },
      { lost: 0, duplicated: 0, reordered: 0 },
    );
    assert.equal(smoke.figures.delivered, smoke.figures.acked);
    await waitForEntries(3);
  });

  it("does what a marketplace's chat does, step by step (smoke-market)", async () => {
    const walk = await runScript("e2e/market/main.ts", [], 5 * MINUTE_MS);
    assert.equal(walk.code, 0, `${JSON.stringify(walk.figures)}\n${walk.stderr}`);
    assert.equal(walk.figures.failed, 0);
    assert.ok(Number(walk.figures.steps) >= 13, JSON.stringify(walk.figures));
  });

  it("is spoken to by a client in another language", async () => {
    const folder = mkdtempSync(join(tmpdir(), "im-python-"));
    try {
      const { address, serverName, caPem, mintToken } = await demoAccess(tools);
      const ca = join(folder, "ca.crt");
      writeFileSync(ca, caPem);
      const tokens = await Promise.all(["py-alice", "py-bob"].map((user) => mintToken(user)));
      const talk = ["talk", "--host", address, "--server-name", serverName, "--ca", ca, "--tokens", ...tokens];
      assert.deepEqual((await provePython(talk)).failures, []);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("serves the demo page: two people chat in a real browser", async () => {
    const folder = mkdtempSync(join(tmpdir(), "im-demo-"));
    try {
      const seen = await runScript("e2e/demo/main.ts", ["--out", join(folder, "demo.png")], 2 * MINUTE_MS);
      assert.equal(seen.code, 0, seen.stderr);
      assert.deepEqual([seen.figures.shown, seen.figures.pageErrors], [5, 0]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("scales by kubectl scale, up and down through the drain", async () => {
    await tools.kubectl(["scale", `imc/${DEMO_NAME}`, "-n", DEMO_NAMESPACE, "--replicas=5"]);
    await waitForEntries(5);
    await tools.kubectl(["scale", `imc/${DEMO_NAME}`, "-n", DEMO_NAMESPACE, "--replicas=2"]);
    await waitForEntries(2);
    const object = await tools.getJson<{ status?: { drains?: { phase?: string }[] } }>([
      "imc",
      DEMO_NAME,
      "-n",
      DEMO_NAMESPACE,
    ]);
    assert.ok((object.status?.drains ?? []).length >= 3, JSON.stringify(object.status?.drains));
  });

  it("replaces an entry pod that was deleted by hand", async () => {
    const [first = ""] = await entryPods();
    await tools.kubectl(["delete", first, "-n", DEMO_NAMESPACE, "--wait=false"]);
    await eventually("the pod is gone", 2 * MINUTE_MS, async () =>
      (await entryPods()).includes(first) ? undefined : true,
    );
    await waitForEntries(2);
  });

  it("is watched by Prometheus: ImGatewayDown fires when an entry is gone that cannot come back, and resolves when it can", async () => {
    const { server, stop } = await startClusterPrometheus(tools);
    const isFiring = async (): Promise<boolean> => (await server.firing()).has("ImGatewayDown");
    const told = async (): Promise<string> => JSON.stringify(await server.query("im_cluster_entries"));
    const nodes = await nodeNames();
    try {
      await eventually("entries, logics, extlogics and the operator are scraped", MINUTE_MS, async () => {
        const found = await server.query("count by (component) (up == 1)");
        return found.length === 4 ? true : undefined;
      });
      assert.equal(await isFiring(), false, await told());
      // Before: the operator brings others for those that stand on a node that is to be emptied.
      const pods = await entryPods();
      await tools.kubectl(["cordon", ...nodes]);
      await tools.kubectl(["delete", pods[0] ?? "", "-n", DEMO_NAMESPACE, "--wait=false"]);
      await eventually(
        "it fires",
        4 * MINUTE_MS,
        async () => ((await isFiring()) ? true : undefined),
        async () => `${await told()}\n${await describeNamespace(tools, DEMO_NAMESPACE)}`,
      );
      await tools.kubectl(["uncordon", ...nodes]);
      await eventually("it is resolved", 3 * MINUTE_MS, async () => ((await isFiring()) ? undefined : true), told);
      await waitForEntries(pods.length);
    } finally {
      await tools.kubectl(["uncordon", ...nodes]);
      await stop();
    }
  });

  it("converges after the operator was killed in the middle of a scale-up", async () => {
    await tools.kubectl(["scale", `imc/${DEMO_NAME}`, "-n", DEMO_NAMESPACE, "--replicas=4"]);
    const selector = "app.kubernetes.io/name=im-operator";
    await tools.kubectl(["delete", "pods", "-n", "imcluster-system", "-l", selector, "--grace-period=0", "--force"], {
      timeoutMs: MINUTE_MS,
    });
    await waitForEntries(4);
  });

  it("installs, upgrades and uninstalls both charts by Helm", async () => {
    const args = [
      CHART,
      "-n",
      SHOP,
      "--create-namespace",
      "--set",
      "spec.entry.replicas=1,spec.logic.replicas=1,spec.extlogic.replicas=1",
    ];
    await tools.helm(["install", "shop", ...args]);
    await tools.kubectl(["wait", "--for=condition=Ready", "imc/shop", "-n", SHOP, "--timeout=150s"], {
      timeoutMs: 3 * MINUTE_MS,
    });
    await tools.helm(["upgrade", "shop", ...args, "--set", "spec.entry.replicas=2"]);
    await eventually("two entries", 2 * MINUTE_MS, async () =>
      (await getImCluster(tools, "shop", SHOP)).status?.entry?.summary === "2/2" ? true : undefined,
    );
    await helmTest();
    await tools.helm([
      "upgrade",
      "im-operator",
      join(PROJECT_ROOT, "charts/im-operator"),
      "-n",
      "imcluster-system",
      "--reuse-values",
      "--set",
      "logLevel=debug",
      "--wait",
      "--timeout",
      "120s",
    ]);
    await tools.helm(["uninstall", "shop", "-n", SHOP]);
    await eventually(
      "nothing of the shop is left",
      2 * MINUTE_MS,
      async () => ((await objectsIn(SHOP)).length === 0 ? true : undefined),
      async () => (await objectsIn(SHOP)).join("\n"),
    );
  });

  it("removes everything it owned when the ImCluster is deleted", async () => {
    await tools.kubectl(["delete", "imc", DEMO_NAME, "-n", DEMO_NAMESPACE, "--timeout=120s"], {
      timeoutMs: 3 * MINUTE_MS,
    });
    await eventually(
      "the namespace is empty",
      2 * MINUTE_MS,
      async () => ((await objectsIn(DEMO_NAMESPACE)).length === 0 ? true : undefined),
      async () => (await objectsIn(DEMO_NAMESPACE)).join("\n"),
    );
  });

  it("uninstalls the operator by Helm and keeps the CRD", async () => {
    await tools.helm(["uninstall", "im-operator", "-n", "imcluster-system", "--wait"]);
    await eventually(
      "the operator's namespace is empty",
      MINUTE_MS,
      async () => ((await objectsIn("imcluster-system")).length === 0 ? true : undefined),
      async () => (await objectsIn("imcluster-system")).join("\n"),
    );
    assert.match(await tools.kubectl(["get", "crd", "imclusters.imcluster.io", "-o", "name"]), /imclusters/);
  });

  it("leaves nothing behind after make down", async () => {
    const down = await runScript("scripts/up/main.ts", ["down"], 2 * MINUTE_MS);
    assert.equal(down.code, 0, down.stderr);
    assert.deepEqual(await leftovers(), []);
  });
});
