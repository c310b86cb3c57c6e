// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parse as parseYaml } from "yaml";
import { byKind, CHARTS, ciValues, type Manifest, render, runHelm } from "./testing/helm.ts";

interface RuleGroups {
  groups: { name: string; rules: { alert?: string; annotations?: Record<string, string> }[] }[];
}

for (const chart of ["im-operator", "im-cluster"]) {
  describe(chart, () => {
    it("renders every ci values file to manifests with the standard labels", async () => {
      for (const values of ciValues(chart)) {
        const manifests = await render(chart, ["-f", values]);
        assert.ok(manifests.length > 0);
        for (const { kind, metadata } of manifests.filter((m) => m.kind !== "CustomResourceDefinition")) {
          assert.equal(metadata.labels?.["app.kubernetes.io/instance"], "test", `${values}: ${kind} ${metadata.name}`);
          assert.ok(metadata.labels?.["helm.sh/chart"]?.startsWith(chart), `${values}: ${kind} ${metadata.name}`);
        }
      }
    });
  });
}

describe("im-operator values", () => {
  const monitored = ["--set", "monitoring.podMonitors.enabled=true,monitoring.rules.enabled=true"];
  const kinds = ["--api-versions", "monitoring.coreos.com/v1"];

  it("is monitored when asked to, where the Prometheus operator's kinds exist", async () => {
    const labels = ["--set", "monitoring.labels.release=stack"];
    const manifests = await render("im-operator", [...monitored, ...labels, ...kinds]);
    const monitors = byKind(manifests, "PodMonitor");
    assert.equal(monitors.length, 2);
    const rule = byKind(manifests, "PrometheusRule")[0];
    assert.ok(rule);
    for (const one of [...monitors, rule]) assert.equal(one.metadata.labels?.release, "stack");
    const source = parseYaml(readFileSync(join(CHARTS, "im-operator/files/rules.yaml"), "utf8")) as RuleGroups;
    const { groups } = rule.spec as unknown as RuleGroups;
    const alerts = groups.flatMap((group) => group.rules).filter(({ alert }) => alert !== undefined);
    for (const { alert, annotations } of alerts) {
      assert.match(annotations?.runbook_url ?? "", new RegExp(`^https://\\S+/docs/runbooks/${alert}\\.md$`));
      delete annotations?.runbook_url;
    }
    assert.deepEqual(groups, source.groups);
  });

  it("is installed without them elsewhere, and says so", async () => {
    const manifests = await render("im-operator", monitored);
    for (const kind of ["PodMonitor", "PrometheusRule"]) assert.equal(byKind(manifests, kind).length, 0);
    assert.equal(byKind(manifests, "Deployment").length, 1);
    assert.equal(byKind(await render("im-operator", kinds), "PodMonitor").length, 0);
    const { stdout } = await runHelm(["install", "t", join(CHARTS, "im-operator"), "--dry-run=client", ...monitored]);
    assert.match(stdout, /WARNING: monitoring was asked for/);
  });

  it("has a dashboard in a ConfigMap each when asked to, that Grafana's sidecar finds", async () => {
    const set = ["--set", "monitoring.dashboards.enabled=true,monitoring.dashboards.annotations.grafana_folder=IM"];
    const mapsOf = async (args: string[]) =>
      byKind(await render("im-operator", args), "ConfigMap").filter(({ data }) => data?.level === undefined);
    const maps = await mapsOf(set);
    const files = readdirSync(join(CHARTS, "im-operator/dashboards"));
    assert.deepEqual(maps.flatMap(({ data = {} }) => Object.keys(data)).sort(), files.sort());
    for (const { metadata, data = {} } of maps) {
      assert.equal(metadata.labels?.grafana_dashboard, "1");
      assert.equal(metadata.annotations?.grafana_folder, "IM");
      for (const [file, text] of Object.entries(data)) {
        assert.equal(text, readFileSync(join(CHARTS, "im-operator/dashboards", file), "utf8"));
      }
    }
    assert.deepEqual(await mapsOf([]), []);
  });

  it("confines its PodMonitor to the namespaces that are watched", async () => {
    const manifests = await render("im-operator", [...monitored, ...kinds, "--set", "watchNamespaces={a,b}"]);
    const fleets = byKind(manifests, "PodMonitor").find(({ metadata }) => metadata.name.endsWith("-fleets"));
    assert.deepEqual(fleets?.spec?.namespaceSelector, { matchNames: ["a", "b"] });
  });

  it("keeps the CRD on uninstall unless told otherwise", async () => {
    const kept = byKind(await render("im-operator"), "CustomResourceDefinition")[0];
    assert.equal(kept?.metadata.annotations?.["helm.sh/resource-policy"], "keep");
    const dropped = byKind(await render("im-operator", ["--set", "crds.keep=false"]), "CustomResourceDefinition")[0];
    assert.equal(dropped?.metadata.annotations?.["helm.sh/resource-policy"], undefined);
    assert.equal(
      byKind(await render("im-operator", ["--set", "crds.enabled=false"]), "CustomResourceDefinition").length,
      0,
    );
  });

  it("grants no wildcard, no escalation and no exec", async () => {
    const manifests = await render("im-operator");
    const rules = [...byKind(manifests, "ClusterRole"), ...byKind(manifests, "Role")].flatMap(
      (role) => role.rules ?? [],
    );
    assert.ok(rules.length > 0);
    for (const rule of rules) {
      assert.ok(![...rule.verbs, ...rule.resources, ...rule.apiGroups].includes("*"), JSON.stringify(rule));
      assert.ok(!rule.verbs.some((verb) => ["bind", "escalate", "impersonate"].includes(verb)), JSON.stringify(rule));
      assert.ok(!rule.resources.includes("pods/exec"), JSON.stringify(rule));
    }
  });

  it("uses Roles instead of a ClusterRole for named namespaces", async () => {
    const manifests = await render("im-operator", ["--set", "watchNamespaces={team-a,team-b}"]);
    assert.equal(byKind(manifests, "Role").length, 3);
    assert.equal(byKind(manifests, "ClusterRoleBinding").length, 0);
  });

  interface Webhook {
    name: string;
    failurePolicy: string;
    timeoutSeconds: number;
    sideEffects: string;
    clientConfig: { service: object };
  }
  const webhooksOf = (manifests: Manifest[]): Webhook[] =>
    (byKind(manifests, "ValidatingWebhookConfiguration") as unknown as { webhooks: Webhook[] }[]).flatMap(
      ({ webhooks }) => webhooks,
    );

  it("has webhooks on evictions and updates that block nothing when they are away", async () => {
    const manifests = await render("im-operator");
    const name = "test-im-operator-admission";
    assert.deepEqual(
      webhooksOf(manifests).map(({ name, failurePolicy, timeoutSeconds, sideEffects }) => [
        ...[name, failurePolicy, timeoutSeconds, sideEffects],
      ]),
      [
        ["evictions.imcluster.io", "Ignore", 5, "NoneOnDryRun"],
        ["updates.imcluster.io", "Ignore", 2, "None"],
      ],
    );
    assert.deepEqual(
      webhooksOf(manifests).map(({ clientConfig }) => clientConfig.service),
      ["/evictions", "/updates"].map((path) => ({ name, namespace: "ns", path, port: 443 })),
    );
    for (const kind of ["ValidatingWebhookConfiguration", "Service", "Secret"])
      assert.equal(byKind(manifests, kind)[0]?.metadata.name, name);
    const text = JSON.stringify(byKind(manifests, "Deployment")[0]);
    assert.ok(text.includes(`{"name":"IM_ADMISSION","value":"${name}"}`));
  });

  it("gives the webhooks rights on their own objects alone", async () => {
    const manifests = await render("im-operator");
    const name = "test-im-operator-admission";
    const own = manifests.filter(({ kind, metadata }) => kind.endsWith("Role") && metadata.name === name);
    const named = own.flatMap(({ rules = [] }) => rules).filter(({ verbs }) => !verbs.includes("create"));
    assert.equal(named.length, 2);
    for (const rule of named as unknown as { resourceNames?: string[] }[]) assert.deepEqual(rule.resourceNames, [name]);
  });

  for (const [off, left] of [
    ["evictionGuard", "updates.imcluster.io"],
    ["updateWarnings", "evictions.imcluster.io"],
  ] as const) {
    it(`has only ${left} without ${off}`, async () => {
      const manifests = await render("im-operator", ["--set", `${off}.enabled=false`]);
      assert.deepEqual(
        webhooksOf(manifests).map(({ name }) => name),
        [left],
      );
      assert.equal(byKind(manifests, "Service").length, 1);
    });
  }

  for (const settings of ["evictionGuard.enabled=false,updateWarnings.enabled=false", "watchNamespaces={team-a}"]) {
    it(`has no webhooks with ${settings}`, async () => {
      const manifests = await render("im-operator", ["--set", settings]);
      assert.equal(byKind(manifests, "ValidatingWebhookConfiguration").length, 0);
      const others = ["CustomResourceDefinition", "PodDisruptionBudget"];
      const rest = JSON.stringify(manifests.filter(({ kind }) => !others.includes(kind)));
      assert.ok(!/admission|eviction/i.test(rest));
    });
  }

  it("runs restricted: no root, no capabilities, read-only file system", async () => {
    const deployment = byKind(await render("im-operator"), "Deployment")[0];
    const text = JSON.stringify(deployment?.spec);
    for (const part of [
      '"runAsNonRoot":true',
      '"readOnlyRootFilesystem":true',
      '"drop":["ALL"]',
      '"allowPrivilegeEscalation":false',
      '"type":"RuntimeDefault"',
    ]) {
      assert.ok(text.includes(part), part);
    }
  });

  it("is not process 1: SIGTERM ends it also while it starts", async () => {
    const deployment = byKind(await render("im-operator"), "Deployment")[0];
    assert.ok(JSON.stringify(deployment?.spec).includes('"shareProcessNamespace":true'));
  });
});

describe("im-cluster values", () => {
  it("renders one ImCluster with the spec as given", async () => {
    const manifests = await render("im-cluster", ["-f", join(CHARTS, "im-cluster/ci/external-values.yaml")]);
    assert.deepEqual(
      manifests.map((manifest) => `${manifest.kind}/${manifest.metadata.name}`),
      ["ImCluster/shop", "Pod/shop-test"],
    );
    assert.deepEqual(manifests[0]?.spec?.tls, { secretName: "im-tls" });
  });
});
