// SPDX-License-Identifier: Apache-2.0
// A wrong value for each of the keys that people set most: Helm refuses it by its path before anything is rendered.
// All wrong values of a chart go into one run, which lists them all; so each must be in the list, and nothing else.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { stringify } from "yaml";
import { type ChartName, chartPath, runHelm } from "./testing/helm.ts";

type Wrong = readonly [path: string, value: unknown];

const WRONG: Readonly<Record<ChartName, readonly Wrong[]>> = {
  "im-operator": [
    ["image.repository", ""],
    ["image.tag", "latest"],
    ["image.digest", "sha256:123"],
    ["image.pullPolicy", "Sometimes"],
    ["imagePullSecrets", "registry"],
    ["operand.image", 7],
    ["operand.postgresImage", ""],
    ["operand.redisImage", ""],
    ["replicas", "two"],
    ["watchNamespaces.0", "Team_A"],
    ["drainTaints.0", "a,b"],
    ["evictionGuard.enabled", "perhaps"],
    ["evictionGuard.namespaceSelector", "chat"],
    ["updateWarnings.enabled", "perhaps"],
    ["logLevel", "loud"],
    ["networkPolicy.enabled", "perhaps"],
    ["networkPolicy.dnsPort", 0],
    ["networkPolicy.metricsFrom", "prometheus"],
    ["crds.enabled", "perhaps"],
    ["crds.keep", "maybe"],
    ["rbac.create", 1],
    ["serviceAccount.create", "perhaps"],
    ["serviceAccount.name", true],
    ["resources.limits", "64Mi"],
    ["podLabels.team", 7],
    ["podAnnotations.note", true],
    ["nodeSelector.disk", false],
    ["tolerations", { key: "infra" }],
    ["affinity", []],
    ["priorityClassName", 10],
    ["fullnameOverride", "x".repeat(51)],
    ["monitoring.podMonitors.enabled", "perhaps"],
    ["monitoring.podMonitors.interval", "often"],
    ["monitoring.rules.enabled", "perhaps"],
    ["monitoring.rules.runbookUrl", "docs"],
    ["monitoring.dashboards.enabled", "perhaps"],
    ["monitoring.dashboards.label", ""],
    ["monitoring.labels.release", 1],
  ],
  "im-cluster": [
    ["name", "Shop_1"],
    ["labels.team", 1],
    ["test.enabled", "perhaps"],
    ["test.image", "imcluster:latest"],
    ["test.timeout", "soon"],
    ["spec.version", "v1"],
    ["spec.image", "registry.example.com/imcluster:latest"],
    ["spec.imagePullSecrets", "registry"],
    ["spec.paused", "perhaps"],
    ["spec.entry.replicas", 0],
    ["spec.entry.autoscaling.min", 0],
    ["spec.entry.autoscaling.max", 201],
    ["spec.entry.maxConnectionsPerPod", 10],
    ["spec.entry.proxyProtocol.trustedCIDRs.0", "10.0.0.1"],
    ["spec.entry.limits.messagesPerSecondPerUser", -1],
    ["spec.entry.endpoints.0", "chat.example.com"],
    ["spec.entry.pingInterval", "often"],
    ["spec.entry.service.type", "Ingress"],
    ["spec.entry.service.externalTrafficPolicy", "local"],
    ["spec.entry.drain.window", "soon"],
    ["spec.entry.drain.deadline", 60],
    ["spec.entry.drain.onDeadline", "Wait"],
    ["spec.entry.update.strategy", "RollingUpdate"],
    ["spec.entry.update.batch", "120%"],
    ["spec.entry.resources.requests.cpu", "much"],
    ["spec.entry.resources.limits.gpu", "1"],
    ["spec.entry.podTemplate.labels.imcluster.io/x", "z"],
    ["spec.entry.podTemplate.tolerations.0.effect", "Never"],
    ["spec.logic.replicas", "many"],
    ["spec.logic.serverApi.ratePerSecond", "fast"],
    ["spec.logic.serverApi.keysSecretRef.name", "No_Name"],
    ["spec.delivery.ackTimeout", 5],
    ["spec.retention.days", 1],
    ["spec.extlogic.replicas", 500],
    ["spec.extlogic.webhook.url", "http://push.example.com"],
    ["spec.extlogic.push.apns.keyId", "short"],
    ["spec.postgres.urlSecretRef.key", "a b"],
    ["spec.postgres.embedded.storageSize", "big"],
    ["spec.redis.urlSecretRef.name", "Redis"],
    ["spec.redis.embedded.maxMemory", "1 GB"],
    ["spec.entry.logLevel", "loud"],
    ["spec.logic.logLevel", "trace"],
    ["spec.tracing.endpoint", "otel-collector:4318"],
    ["spec.tracing.ratio", "1%"],
    ["spec.tracing.maxPerSecond", 0],
    ["spec.networkPolicy.clientsFrom", "everyone"],
    ["spec.tls.secretName", "Shop TLS"],
    ["spec.tls.minVersion", "TLSv1.1"],
    ["spec.auth.algorithms.0", "none"],
    ["spec.auth.issuer", ""],
    ["spec.sessions.policy", "one"],
    ["spec.sessions.perSlot", 1],
    ["spec.presence.visibleTo", "everybody"],
    ["spec.chat.recallWindow", "a while"],
    ["spec.chat.maxGroupMembers", 1],
    ["spec.chat.maxItemConversations", 0],
  ],
};

/** Keys that do not exist: Helm names them and the group that they were written in. */
const UNKNOWN: Readonly<Record<ChartName, readonly string[]>> = {
  "im-operator": ["replicasss", "image.repo", "monitoring.podMonitor"],
  "im-cluster": [
    "replicas",
    "test.pod",
    "spec.unknown",
    "spec.entry.replica",
    "spec.entry.service.kind",
    "spec.tls.secret",
  ],
};

/** Segments of a path; a label's name has dots of its own. */
function segments(path: string): string[] {
  const own = path.indexOf(".imcluster.io/");
  return own < 0 ? path.split(".") : [...path.slice(0, own).split("."), path.slice(own + 1)];
}

type Tree = { [key: string]: unknown };

function put(tree: Tree, path: readonly string[], value: unknown): void {
  const [head = "", next, ...rest] = path;
  if (next === undefined) tree[head] = value;
  else if (/^\d+$/.test(next)) {
    const item: Tree = {};
    put(item, ["x", ...rest], value);
    tree[head] = [item.x];
  } else {
    tree[head] ??= {};
    put(tree[head] as Tree, [next, ...rest], value);
  }
}

/** A JSON pointer, as Helm writes paths. */
const pointer = (path: readonly string[]): string =>
  `/${path.map((segment) => segment.replaceAll("~", "~0").replaceAll("/", "~1")).join("/")}`;

const folder = mkdtempSync(join(tmpdir(), "im-wrong-values-"));
after(() => rmSync(folder, { recursive: true }));

/** What Helm says of these values. */
async function refusal(chart: ChartName, values: Tree): Promise<string> {
  const file = join(folder, `${chart}-${Object.keys(values).join("-").slice(0, 40)}.yaml`);
  writeFileSync(file, stringify(values));
  const result = await runHelm(["template", "test", chartPath(chart), "-f", file]);
  assert.notEqual(result.code, 0, `not refused:\n${result.stdout.slice(0, 400)}`);
  return result.stderr;
}

for (const [chart, wrong] of Object.entries(WRONG) as [ChartName, readonly Wrong[]][]) {
  describe(`wrong values of ${chart}`, () => {
    it(`are refused by their paths, ${wrong.length} of them, and no other`, async () => {
      const tree: Tree = {};
      for (const [path, value] of wrong) put(tree, segments(path), value);
      const said = await refusal(chart, tree);
      const named = [...said.matchAll(/at '([^']*)': (.*)$/gm)].filter(
        ([, , text = ""]) => text !== "validation failed" && !text.startsWith("missing propert"),
      );
      const paths = new Set(named.map(([, path = "", text = ""]) => pathOf(path, text)));
      assert.deepEqual([...paths].sort(), wrong.map(([path]) => pointer(segments(path))).sort(), said);
    });

    it("are refused when nobody knows their key, with its group", async () => {
      const tree: Tree = {};
      for (const path of UNKNOWN[chart]) put(tree, segments(path), "x");
      const said = await refusal(chart, tree);
      for (const path of UNKNOWN[chart]) {
        const group = segments(path).slice(0, -1);
        const name = segments(path).at(-1) ?? "";
        const line = said
          .split("\n")
          .find((text) => text.includes(`at '${group.length === 0 ? "" : pointer(group)}': additional`));
        assert.ok(line?.includes(`'${name}'`), `${path}: ${said}`);
      }
    });
  });
}

/** A key that a map may not have is named in the text: `at '/labels': additional properties 'x' not allowed`. */
function pathOf(path: string, text: string): string {
  const key = /^additional properties '([^']*)'/.exec(text)?.[1];
  return key === undefined ? path : `${path}${pointer([key])}`;
}
