// SPDX-License-Identifier: Apache-2.0
// Every sample of values, alone and with other surroundings: linted, rendered, and what holds for all manifests.
import assert from "node:assert/strict";
import { basename } from "node:path";
import { describe, it } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { byKind, CHART_NAMES, chartPath, ciValues, helmOk, type Manifest, render, runHelm } from "./testing/helm.ts";
import { podOf, restrictedFaults } from "./testing/restricted.ts";

interface Surrounding {
  args: readonly string[];
  release?: string;
}

/** What the cluster and the release are, beside the values. */
const SURROUNDINGS: readonly Surrounding[] = [
  { args: [] },
  {
    args: ["--api-versions=monitoring.coreos.com/v1", "--api-versions=imcluster.io/v1alpha1", "--kube-version=1.31.0"],
  },
  { args: ["--is-upgrade"], release: "a-release-whose-name-is-as-long-as-helm-lets-it-be-12" },
];

const identity = ({ apiVersion, kind, metadata }: Manifest): string =>
  [apiVersion.replace(/\/.*$/, ""), kind, metadata.namespace ?? "", metadata.name].join("/");

/** Namespaced kinds that the charts make; the others are of the cluster. */
const NAMESPACED = new Set([
  "ConfigMap",
  "Deployment",
  "ImCluster",
  "NetworkPolicy",
  "Pod",
  "PodDisruptionBudget",
  "PodMonitor",
  "PrometheusRule",
  "Role",
  "RoleBinding",
  "Secret",
  "Service",
  "ServiceAccount",
  "ServiceMonitor",
]);

function checkManifests(manifests: readonly Manifest[], where: string): void {
  assert.ok(manifests.length > 0, where);
  const ids = manifests.map(identity);
  assert.deepEqual(
    ids.filter((id, at) => ids.indexOf(id) !== at),
    [],
    `${where}: made twice`,
  );
  for (const manifest of manifests) {
    const { kind, metadata } = manifest;
    assert.equal(metadata.namespace !== undefined, NAMESPACED.has(kind), `${where}: namespace of ${kind}`);
    assert.match(metadata.name, /^[a-z0-9][-.a-z0-9]*[a-z0-9]$/, `${where}: ${kind} ${metadata.name}`);
    assert.ok(metadata.name.length <= (kind === "ConfigMap" ? 253 : 63), `${where}: ${kind} ${metadata.name}`);
    const pod = podOf(manifest);
    if (pod) assert.deepEqual(restrictedFaults(pod), [], `${where}: ${kind} ${metadata.name}`);
    for (const [key, value] of Object.entries({ ...metadata.labels, ...metadata.annotations }))
      assert.equal(typeof value, "string", `${where}: ${kind} ${key}`);
  }
}

for (const chart of CHART_NAMES) {
  describe(`samples of ${chart}`, () => {
    for (const values of ciValues(chart)) {
      it(`${basename(values)}: no complaint of helm lint, no object twice, restricted pods, in every surrounding`, async () => {
        await helmOk(["lint", "--strict", "--quiet", chartPath(chart), "-f", values]);
        for (const { args, release } of SURROUNDINGS) {
          // An ImCluster's name is shorter than a release's may be.
          const named = release !== undefined && chart === "im-cluster" ? ["--set=name=shop"] : [];
          const manifests = await render(chart, ["-f", values, ...named, ...args], release);
          checkManifests(manifests, [basename(values), release, ...args].join(" "));
        }
      });
    }

    it("is refused by Kubernetes older than 1.31, with both versions", async () => {
      const { code, stderr } = await runHelm(["template", "test", chartPath(chart), "--kube-version", "1.30.9"]);
      assert.notEqual(code, 0);
      assert.match(stderr, /requires kubeVersion: >=1[.]31[.]0-0 which is incompatible with Kubernetes v1[.]30[.]9/);
    });
  });
}

describe("the matrix", () => {
  it("has pods to check", async () => {
    const manifests = await render("im-operator");
    assert.equal(byKind(manifests, "Deployment").filter((one) => podOf(one) !== undefined).length, 1);
  });
});

describe("the operator's log level", () => {
  it("is another ConfigMap, and no other pod", async () => {
    const [usual, debug] = [await render("im-operator"), await render("im-operator", ["--set=logLevel=debug"])];
    const changed = debug.filter((manifest, at) => !isDeepStrictEqual(manifest, usual[at]));
    assert.deepEqual(
      changed.map(({ kind, data }) => [kind, data]),
      [["ConfigMap", { level: "debug" }]],
    );
  });
});
