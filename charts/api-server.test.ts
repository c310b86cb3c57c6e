// SPDX-License-Identifier: Apache-2.0
// Both charts on a real API server: every sample is installed, upgraded from an earlier version, rolled back and removed.
// Nothing runs there: no controller, no kubelet. The pods themselves are shown by e2e/cluster.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parse } from "yaml";
import { type ChartCluster, RESTRICTED, startChartCluster } from "./testing/cluster.ts";
import { CHARTS, chartFile, chartPath, ciValues, documentsOf, type Manifest } from "./testing/helm.ts";
import { PREVIOUS_VERSION, writePreviousChart } from "./testing/previous-chart.ts";
import { podOf } from "./testing/restricted.ts";

const SYSTEM = "imcluster-system";
const CRD = "crd/imclusters.imcluster.io";
const OPERATOR = chartPath("im-operator");
const CLUSTER = chartPath("im-cluster");
const CRD_FILE = join(CHARTS, "../crds/imcluster.yaml");

interface ImCluster {
  metadata: { name: string; uid: string };
  spec: { entry: { replicas: number }; logic: { replicas: number }; presence?: object };
}
interface Deployment {
  spec: { replicas: number };
  metadata: { labels: Record<string, string> };
}
interface Crd {
  metadata: { uid: string };
  spec: { versions: { schema: { openAPIV3Schema: { properties: { spec: { properties: object } } } } }[] };
}

describe("the charts on a real API server", () => {
  let cluster: ChartCluster;
  const folder = mkdtempSync(join(tmpdir(), "im-previous-chart-"));
  before(async () => {
    cluster = await startChartCluster();
    for (const name of [SYSTEM, "team-a", "team-b", "chat"]) await cluster.namespace(name, RESTRICTED);
  });
  after(async () => {
    rmSync(folder, { recursive: true });
    await cluster.stop();
  });

  const install = (chart: string, namespace: string, ...args: string[]): Promise<string> =>
    cluster.helm("install", basename(chart), chart, "-n", namespace, ...args);
  const fieldsOf = async (): Promise<string[]> => {
    const [version] = (await cluster.get<Crd>(CRD)).spec.versions;
    return Object.keys(version?.schema.openAPIV3Schema.properties.spec.properties ?? {});
  };

  it("an ImCluster without the CustomResourceDefinition is refused with the command that brings it", async () => {
    const { code, stderr } = await cluster.tryHelm("install", "shop", CLUSTER, "-n", "chat");
    assert.notEqual(code, 0);
    assert.match(stderr, /does not know ImCluster.*helm install im-operator/s);
  });

  it("the operator without it is installed, and says what to apply", async () => {
    const notes = await install(OPERATOR, SYSTEM, "--set", "crds.enabled=false");
    assert.match(
      notes,
      /WARNING: this cluster has no CustomResourceDefinition.*kubectl apply --server-side -f crds[/]imcluster[.]yaml/s,
    );
    await cluster.helm("uninstall", "im-operator", "-n", SYSTEM);
  });

  for (const values of ciValues("im-operator")) {
    it(`takes every object of im-operator with ${basename(values)}`, async () => {
      await install(OPERATOR, SYSTEM, "-f", values);
      const text = await cluster.helm("get", "manifest", "im-operator", "-n", SYSTEM);
      const kinds = [...text.matchAll(/^kind: (\w+)$/gm)].map(([, kind]) => kind);
      assert.ok(kinds.includes("Deployment"), kinds.join());
      const deployment = await cluster.get<Manifest>("deployment/im-operator", "-n", SYSTEM);
      const spec = podOf(deployment);
      const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "probe", namespace: SYSTEM }, spec };
      const admitted = await cluster.create(pod, "--dry-run=server");
      assert.equal(admitted.code, 0, `Pod Security: ${admitted.stderr}`);
      await cluster.helm("uninstall", "im-operator", "-n", SYSTEM);
      const gone = await cluster.tryKubectl("get", "deployment/im-operator", "-n", SYSTEM);
      assert.match(gone.stderr, /NotFound/);
    });
  }

  it("a pod that is not restricted is refused there", async () => {
    const spec = { containers: [{ name: "a", image: "a" }] };
    const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "probe", namespace: SYSTEM }, spec };
    const { code, stderr } = await cluster.create(pod, "--dry-run=server");
    assert.notEqual(code, 0);
    assert.match(stderr, /violates PodSecurity "restricted/);
  });

  it("an earlier operator is upgraded: new values and fields come, the ImCluster stays as it is", async () => {
    // The samples before may have left a definition behind: that is what `crds.keep` is for.
    await cluster.tryKubectl("delete", CRD, "--timeout=50s");
    await install(writePreviousChart(folder), SYSTEM, "--set", "replicas=3");
    assert.ok(!(await fieldsOf()).includes("presence"));
    await cluster.helm("install", "shop", CLUSTER, "-n", "chat", "--set", "spec.entry.replicas=5");
    const { uid } = (await cluster.get<ImCluster>("imc/shop", "-n", "chat")).metadata;

    const reused = await cluster.tryHelm("upgrade", "im-operator", OPERATOR, "-n", SYSTEM, "--reuse-values");
    assert.notEqual(reused.code, 0);
    assert.match(reused.stderr, /the values lack monitoring.*--reset-then-reuse-values/s);

    await cluster.helm("upgrade", "im-operator", OPERATOR, "-n", SYSTEM, "--reset-then-reuse-values");
    const deployment = await cluster.get<Deployment>("deployment/im-operator", "-n", SYSTEM);
    assert.equal(deployment.spec.replicas, 3);
    assert.notEqual(deployment.metadata.labels["helm.sh/chart"], `im-operator-${PREVIOUS_VERSION}`);
    assert.ok((await fieldsOf()).includes("presence"));
    await cluster.helm(
      "upgrade",
      "shop",
      CLUSTER,
      "-n",
      "chat",
      "--reuse-values",
      "--set",
      "spec.presence.visibleTo=peers",
    );
    const shop = await cluster.get<ImCluster>("imc/shop", "-n", "chat");
    assert.deepEqual(
      [shop.metadata.uid, shop.spec.entry.replicas, shop.spec.presence],
      [uid, 5, { visibleTo: "peers" }],
    );
  });

  it("and rolled back: the earlier objects and fields are there again, and the ImCluster is still the same", async () => {
    const { uid } = (await cluster.get<ImCluster>("imc/shop", "-n", "chat")).metadata;
    await cluster.helm("rollback", "im-operator", "1", "-n", SYSTEM);
    const { metadata, spec } = await cluster.get<Deployment>("deployment/im-operator", "-n", SYSTEM);
    assert.equal(spec.replicas, 3);
    assert.equal(metadata.labels["helm.sh/chart"], `im-operator-${PREVIOUS_VERSION}`);
    assert.ok(!(await fieldsOf()).includes("presence"));
    assert.equal((await cluster.get<ImCluster>("imc/shop", "-n", "chat")).metadata.uid, uid);
  });

  it("an ImCluster's release is rolled back to its earlier spec", async () => {
    await cluster.helm("upgrade", "shop", CLUSTER, "-n", "chat", "--reset-values", "--set", "spec.entry.replicas=7");
    assert.equal((await cluster.get<ImCluster>("imc/shop", "-n", "chat")).spec.entry.replicas, 7);
    await cluster.helm("rollback", "shop", "1", "-n", "chat");
    assert.equal((await cluster.get<ImCluster>("imc/shop", "-n", "chat")).spec.entry.replicas, 5);
    await cluster.helm("uninstall", "shop", "-n", "chat");
  });

  it("the definition outlives the operator's release, with every ImCluster, and the next release takes it over", async () => {
    await cluster.helm("install", "stays", CLUSTER, "-n", "chat");
    const { uid } = (await cluster.get<Crd>(CRD)).metadata;
    await cluster.helm("uninstall", "im-operator", "-n", SYSTEM);
    assert.equal((await cluster.get<Crd>(CRD)).metadata.uid, uid);
    assert.equal((await cluster.get<ImCluster>("imc/stays", "-n", "chat")).metadata.name, "stays");
    await install(OPERATOR, SYSTEM);
    assert.equal((await cluster.get<Crd>(CRD)).metadata.uid, uid);
    assert.ok((await fieldsOf()).includes("presence"));
    await cluster.helm("uninstall", "stays", "-n", "chat");
    await cluster.helm("uninstall", "im-operator", "-n", SYSTEM);
  });

  it("a definition applied by hand is upgraded by hand beside crds.enabled=false, and taken over when asked to", async () => {
    await cluster.tryKubectl("delete", CRD, "--timeout=50s");
    await cluster.kubectl("apply", "--server-side", "-f", CRD_FILE);
    await install(OPERATOR, SYSTEM, "--set", "crds.enabled=false");
    await cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", CRD_FILE);
    const upgrade = ["upgrade", "im-operator", OPERATOR, "-n", SYSTEM, "--set", "crds.enabled=true"];
    const refused = await cluster.tryHelm(...upgrade);
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /invalid ownership metadata/);
    await cluster.helm(...upgrade, "--take-ownership");
    assert.ok((await fieldsOf()).includes("presence"));
  });

  for (const values of ciValues("im-cluster")) {
    it(`validates the ImCluster of ${basename(values)} by the real definition`, async () => {
      const installed = await cluster.tryHelm("install", "sample", CLUSTER, "-n", "chat", "-f", values);
      const { items } = await cluster.get<{ items: ImCluster[] }>("imc", "-n", "chat");
      const hooks = documentsOf((await cluster.tryHelm("get", "hooks", "sample", "-n", "chat")).stdout);
      await cluster.tryHelm("uninstall", "sample", "-n", "chat");
      assert.equal(installed.code, 0, installed.stderr);
      assert.equal(items.length, 1);
      assert.ok((items[0]?.spec.logic.replicas ?? 0) >= 1);
      assert.deepEqual(
        hooks.map(({ kind }) => kind),
        values.includes("minimal") ? [] : ["Pod"],
      );
      for (const hook of hooks) {
        const admitted = await cluster.create(hook, "--dry-run=server");
        assert.equal(admitted.code, 0, `Pod Security: ${admitted.stderr}`);
      }
    });
  }

  it("takes the example that Artifact Hub shows", async () => {
    const { annotations } = chartFile<{ annotations: Record<string, string> }>("im-operator", "Chart.yaml");
    for (const example of parse(annotations["artifacthub.io/crdsExamples"] ?? "") as object[]) {
      const { code, stderr } = await cluster.create(example, "--dry-run=server");
      assert.equal(code, 0, stderr);
    }
  });

  for (const [setting, said] of [
    ["spec.entry.pingInterval=1s", /spec[.]entry[.]pingInterval/],
    ["spec.entry.service.externalTrafficPolicy=Local,spec.entry.service.type=ClusterIP", /externalTrafficPolicy/],
    ["spec.sessions.perSlot=3", /perSlot/],
  ] as const) {
    it(`what the schema cannot see is refused by the API server: ${setting}`, async () => {
      const { code, stderr } = await cluster.tryHelm("install", "sample", CLUSTER, "-n", "chat", "--set", setting);
      assert.notEqual(code, 0);
      assert.match(stderr, said);
      await cluster.tryHelm("uninstall", "sample", "-n", "chat");
    });
  }
});
