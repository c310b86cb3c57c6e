// SPDX-License-Identifier: Apache-2.0
// What the values of im-operator change in its objects.
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { byKind, CHARTS, chartFile, ciValues, type Manifest, render } from "./testing/helm.ts";
import { type KeySchema, valueKeys } from "./testing/value-keys.ts";

const CLUSTER_SCOPED = [
  "ClusterRole",
  "ClusterRoleBinding",
  "CustomResourceDefinition",
  "ValidatingWebhookConfiguration",
];
const MONITORED = ["--api-versions", "monitoring.coreos.com/v1"];

interface Pod {
  containers: {
    image: string;
    resources?: object;
    env: { name: string; value?: string }[];
    volumeMounts: { name: string }[];
  }[];
  volumes: { name: string }[];
  topologySpreadConstraints?: { labelSelector: object }[];
}
interface Template {
  metadata: { labels: Record<string, string> };
  spec: Pod;
}

const sample = (name: string): string[] => ["-f", join(CHARTS, `im-operator/ci/${name}-values.yaml`)];
const set = (...values: string[]): string[] => values.map((value) => `--set=${value}`);
const json = (...values: string[]): string[] => values.map((value) => `--set-json=${value}`);

function templateOf(manifests: readonly Manifest[]): Template {
  const template = byKind(manifests, "Deployment")[0]?.spec?.template;
  assert.ok(template);
  return template as Template;
}
const imageOf = async (...values: string[]): Promise<string | undefined> =>
  templateOf(await render("im-operator", set(...values))).spec.containers[0]?.image;

describe("samples of im-operator", () => {
  it("set every value once at least", () => {
    const schema = chartFile<KeySchema>("im-operator", "values.schema.json");
    const keys = valueKeys(chartFile("im-operator", "values.yaml"), schema);
    const used = new Set(
      ciValues("im-operator").flatMap((path) =>
        valueKeys(chartFile("im-operator", join("ci", path.split("/").at(-1) ?? "")), schema),
      ),
    );
    assert.deepEqual(
      keys.filter((key) => !used.has(key)),
      [],
    );
  });
});

describe("the image of im-operator", () => {
  const digest = `sha256:${"a".repeat(64)}`;
  for (const [registry, repository, made] of [
    ["", "ghcr.io/imcluster/imcluster", "ghcr.io/imcluster/imcluster"],
    ["mirror.example.com:5000", "ghcr.io/imcluster/imcluster", "mirror.example.com:5000/imcluster/imcluster"],
    ["mirror.example.com/hub", "localhost/im", "mirror.example.com/hub/im"],
    ["mirror.example.com", "localhost:5000/im", "mirror.example.com/im"],
    ["mirror.example.com", "imcluster/imcluster", "mirror.example.com/imcluster/imcluster"],
    ["mirror.example.com", "imcluster", "mirror.example.com/imcluster"],
  ] as const)
    it(`of ${repository} comes from ${registry || "there"}`, async () => {
      const values = [`image.registry=${registry}`, `image.repository=${repository}`, "image.tag=1.2"];
      assert.equal(await imageOf(...values), `${made}:1.2`);
      assert.equal(await imageOf(...values, `image.digest=${digest}`), `${made}@${digest}`);
    });
});

describe("labels of im-operator", () => {
  it("are added to all objects and to the pods, and to no selector", async () => {
    const manifests = await render("im-operator", [...set("commonLabels.team=chat"), ...sample("network-policy")]);
    for (const { kind, metadata } of manifests.filter((one) => one.kind !== "CustomResourceDefinition"))
      assert.equal(metadata.labels?.team, "chat", `${kind} ${metadata.name}`);
    const { metadata } = templateOf(await render("im-operator", set("commonLabels.team=all", "podLabels.team=chat")));
    assert.equal(metadata.labels.team, "chat");
    for (const kind of ["Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy"]) {
      const [made] = byKind(manifests, kind);
      const { selector, podSelector } = (made?.spec ?? {}) as { selector?: object; podSelector?: object };
      assert.ok(selector ?? podSelector, kind);
      assert.ok(!JSON.stringify([selector, podSelector]).includes("chat"), kind);
    }
  });

  it("are on dashboards, too, beside the one that Grafana's sidecar looks for", async () => {
    const values = ["monitoring.dashboards.enabled=true", "monitoring.labels.release=stack"];
    const maps = byKind(await render("im-operator", set(...values)), "ConfigMap").filter(({ metadata }) =>
      metadata.name.includes("-dashboard-"),
    );
    assert.ok(maps.length >= 4);
    for (const { metadata } of maps)
      assert.deepEqual([metadata.labels?.release, metadata.labels?.grafana_dashboard], ["stack", "1"]);
  });
});

describe("names of im-operator", () => {
  it("have no dot where the release's has one: a Service may have none", async () => {
    const manifests = await render("im-operator", [], "chat.v1");
    for (const { metadata } of manifests.filter(({ kind }) => kind !== "CustomResourceDefinition"))
      assert.match(metadata.name, /^chat-v1-im-operator/);
    assert.equal(byKind(manifests, "Deployment")[0]?.metadata.labels?.["app.kubernetes.io/instance"], "chat.v1");
  });
});

describe("pods of im-operator", () => {
  it("have environment, volumes and mounts besides their own, none of them twice", async () => {
    const { spec } = templateOf(await render("im-operator", sample("full")));
    const [{ env, volumeMounts } = { env: [], volumeMounts: [] }] = spec.containers;
    const lists = [env, volumeMounts, spec.volumes].map((list) => list.map(({ name }) => name));
    for (const names of lists) assert.deepEqual([...new Set(names)], names);
    for (const [at, name] of ["HTTPS_PROXY", "ca", "ca"].entries()) assert.ok(lists[at]?.includes(name), name);
  });

  it("are spread as asked: the constraints mean the operator's pods unless they say another thing", async () => {
    const { spec } = templateOf(await render("im-operator", sample("full")));
    assert.deepEqual(
      spec.topologySpreadConstraints?.map(({ labelSelector }) => labelSelector),
      [
        {
          matchLabels: {
            "app.kubernetes.io/component": "operator",
            "app.kubernetes.io/instance": "test",
            "app.kubernetes.io/name": "im-operator",
          },
        },
      ],
    );
    const own = `topologySpreadConstraints=[{"maxSkew":1,"topologyKey":"a","whenUnsatisfiable":"DoNotSchedule","labelSelector":{"matchLabels":{"a":"b"}}}]`;
    const other = templateOf(await render("im-operator", json(own)));
    assert.deepEqual(other.spec.topologySpreadConstraints?.[0]?.labelSelector, { matchLabels: { a: "b" } });
  });

  it("have no resources where null is written", async () => {
    const resources = async (...args: string[]) =>
      templateOf(await render("im-operator", args)).spec.containers[0]?.resources;
    assert.equal(await resources(...sample("minimal")), undefined);
    assert.notEqual(await resources(), undefined);
  });
});

describe("an operator of namespaces", () => {
  it("has no right of the whole cluster, which a Role cannot give", async () => {
    const rules = async (args: string[]) =>
      (await render("im-operator", args))
        .filter(({ kind }) => ["Role", "ClusterRole"].includes(kind))
        .flatMap((role) => role.rules ?? [])
        .flatMap(({ resources }) => resources);
    const confined = await rules(sample("namespaced"));
    const all = await rules([]);
    for (const resource of ["nodes", "storageclasses"])
      assert.deepEqual([all.includes(resource), confined.includes(resource)], [true, false], resource);
    assert.ok(confined.includes("secrets"));
  });

  it("is installed by who may make nothing outside of namespaces", async () => {
    const manifests = await render("im-operator", sample("namespaced"));
    assert.deepEqual(
      manifests.filter(({ kind }) => CLUSTER_SCOPED.includes(kind)).map(({ kind }) => kind),
      [],
    );
    const usual = await render("im-operator", set("watchNamespaces={a}"));
    const roles = byKind(usual, "ClusterRole").map(({ metadata }) => metadata.name);
    assert.deepEqual(roles, ["test-im-operator-view", "test-im-operator-edit"]);
  });
});

describe("the operator's metrics", () => {
  const monitors = async (...values: string[]) =>
    (await render("im-operator", [...set(...values), ...MONITORED]))
      .filter(({ kind }) => kind.endsWith("Monitor"))
      .map(({ kind, metadata }) => `${kind} ${metadata.name.replace("test-im-operator", "")}`);

  it("are scraped once: by a ServiceMonitor in place of its PodMonitor", async () => {
    const pods = "monitoring.podMonitors.enabled=true";
    const service = "monitoring.serviceMonitor.enabled=true";
    assert.deepEqual(await monitors(pods), ["PodMonitor ", "PodMonitor -fleets"]);
    assert.deepEqual((await monitors(pods, service)).sort(), ["PodMonitor -fleets", "ServiceMonitor "]);
    assert.deepEqual(await monitors(service), ["ServiceMonitor "]);
  });

  it("are behind a Service that the ServiceMonitor chooses, and no other one", async () => {
    const manifests = await render("im-operator", [...set("monitoring.serviceMonitor.enabled=true"), ...MONITORED]);
    const spec = byKind(manifests, "ServiceMonitor")[0]?.spec ?? {};
    const { matchLabels = {} } = (spec.selector ?? {}) as { matchLabels?: Record<string, string> };
    assert.equal(Object.keys(matchLabels).length, 4);
    const chosen = byKind(manifests, "Service").filter(({ metadata }) =>
      Object.entries(matchLabels).every(([key, value]) => metadata.labels?.[key] === value),
    );
    assert.deepEqual(
      chosen.map(({ metadata }) => metadata.name),
      ["test-im-operator-metrics"],
    );
    const elsewhere = await render("im-operator", set("monitoring.serviceMonitor.enabled=true"));
    assert.ok(!elsewhere.some(({ metadata }) => metadata.name.endsWith("-metrics")));
  });
});
