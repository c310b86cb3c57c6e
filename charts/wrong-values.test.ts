// SPDX-License-Identifier: Apache-2.0
// A wrong value for each of the keys that people set most: Helm refuses it by its path before anything is rendered.
// The wrong values of a chart go into few runs, each of which lists all of its own; so each must be in the list, and nothing else.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { stringify } from "yaml";
import { type ChartName, chartPath, runHelm } from "./testing/helm.ts";

/** A path with dots, or its segments where a key has dots of its own. */
type Path = string | readonly string[];
type Wrong = readonly [path: Path, value: unknown];

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
    ["image.repository", "ghcr.io/imcluster/imcluster:0.1.0"],
    ["image.repository", "ghcr.io/Im Cluster"],
    ["image.tag", "a b"],
    ["image.tag", 1.5],
    ["imagePullSecrets.0", "registry"],
    ["imagePullSecrets.0.name", "Registry"],
    ["operand.image", "registry.example.com/imcluster:latest"],
    ["operand.image", "registry.example.com/imcluster"],
    ["operand.postgresImage", "postgres"],
    ["operand.redisImage", "Redis 7"],
    ["replicas", -1],
    ["replicas", 1.5],
    ["watchNamespaces", "team-a"],
    ["watchNamespaces.0", "a".repeat(64)],
    ["drainTaints.0", "no taint!"],
    ["evictionGuard.namespaceSelector.matchLabel", { team: "chat" }],
    ["evictionGuard.namespaceSelector.matchExpressions.0.operator", "Is"],
    ["networkPolicy.metricsFrom.0.podSelector.matchLabel", { app: "prometheus" }],
    ["networkPolicy.apiServerTo.0.ipBlock.cidr", "10.0.0.0/99"],
    ["networkPolicy.webhookFrom.0.ipBlock.except.0", "10.0.0.1"],
    ["networkPolicy.apiServerPorts.0", "https"],
    ["serviceAccount.name", "Im_Operator"],
    ["serviceAccount.annotations.an account", "x"],
    ["resources.limits.memory", "lots"],
    ["resources.limits.ram", "1Gi"],
    ["resources.limit", { memory: "1Gi" }],
    ["podLabels.team", "not a label"],
    ["podLabels.a team", "chat"],
    [["podLabels", "app.kubernetes.io/name"], "mine"],
    ["podAnnotations.a note", "hello"],
    ["nodeSelector.disk", "a b"],
    ["tolerations.0.operator", "Equals"],
    ["tolerations.0.efect", "NoSchedule"],
    ["affinity.nodeAffinty", {}],
    ["affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution.0.weight", 0],
    ["affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution.0.topologyKey", "a zone"],
    ["priorityClassName", "System Critical"],
    ["fullnameOverride", "Im_Operator"],
    ["monitoring.podMonitors.interval", 15],
    ["monitoring.rules.runbookUrl", "https://our docs"],
    ["monitoring.dashboards.label", "a label"],
    ["monitoring.dashboards.annotations.folder", 1],
    [["monitoring", "labels", "helm.sh/chart"], "mine"],
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
    ["spec.networkPolicy.postgresTo.0.ipBlock.cidr", "10.0.0.0/33"],
    ["spec.chat.webhookAllowedNetworks.0", "300.0.0.0/8"],
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
    [["spec", "entry", "podTemplate", "labels", "imcluster.io/x"], "z"],
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
    ["labels.team", "not a label"],
    ["labels.a team", "chat"],
    [["labels", "app.kubernetes.io/instance"], "mine"],
    ["annotations.note", 1],
    ["annotations.a note", "hello"],
    ["test.image", "imcluster"],
    ["test.tokensSecretName", "No_Name"],
    ["test.resources.limits.memory", "lots"],
    ["test.resources.limits.gpu", 1],
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

const segments = (path: Path): readonly string[] => (typeof path === "string" ? path.split(".") : path);

/** Rounds in which no path is another's, or below another's. Pure. */
function rounds(all: readonly Wrong[]): Wrong[][] {
  const made: Wrong[][] = [];
  const isApart = (one: Path, other: Path): boolean => {
    const [a, b] = [segments(one), segments(other)];
    return a.slice(0, b.length).some((segment, at) => segment !== b[at]);
  };
  for (const wrong of all) {
    const free = made.find((round) => round.every(([path]) => isApart(path, wrong[0])));
    if (free) free.push(wrong);
    else made.push([wrong]);
  }
  return made;
}

type Tree = { [key: string]: unknown };

function put(tree: Tree, path: readonly string[], value: unknown): void {
  const [head = "", next, ...rest] = path;
  if (next === undefined) tree[head] = value;
  else if (/^\d+$/.test(next)) {
    const [first] = (tree[head] as unknown[] | undefined) ?? [];
    const item: Tree = first === undefined ? {} : { x: first };
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
    for (const [at, round] of rounds(wrong).entries())
      it(`are refused by their paths, ${round.length} of ${wrong.length}, and no other (${at + 1})`, async () => {
        const tree: Tree = {};
        for (const [path, value] of round) put(tree, segments(path), value);
        const said = await refusal(chart, tree);
        const named = [...said.matchAll(/at '([^']*)': (.*)$/gm)].filter(
          ([, , text = ""]) => text !== "validation failed" && !text.startsWith("missing propert"),
        );
        const paths = new Set(named.flatMap(([, path = "", text = ""]) => pathsOf(path, text)));
        assert.deepEqual([...paths].sort(), round.map(([path]) => pointer(segments(path))).sort(), said);
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

describe("values of im-operator that are null", () => {
  const NEEDED = [
    ...["replicas", "logLevel", "image.repository", "image.pullPolicy", "operand.postgresImage", "operand.redisImage"],
    ...["monitoring.podMonitors.interval", "monitoring.rules.runbookUrl", "monitoring.dashboards.label"],
    ...["networkPolicy.apiServerPorts", "networkPolicy.dnsPort"],
  ];
  it(`are refused where nothing can stand in for them, ${NEEDED.length} of them`, async () => {
    const tree: Tree = {};
    for (const path of NEEDED) put(tree, segments(path), null);
    const said = await refusal("im-operator", tree);
    const missing = [...said.matchAll(/at '([^']*)': missing propert(?:y|ies) (.*)$/gm)].flatMap(
      ([, at = "", names = ""]) =>
        names.split(", ").map((name) => `${at.slice(1).replaceAll("/", ".")}.${name.slice(1, -1)}`),
    );
    assert.deepEqual(missing.map((path) => path.replace(/^[.]/, "")).sort(), NEEDED.toSorted(), said);
  });
});

/** Keys that a map may not have are named in the text: `at '/labels': additional properties 'x', 'y' not allowed`. */
function pathsOf(path: string, text: string): string[] {
  const keys = /^additional properties ('.*') not allowed/.exec(text)?.[1];
  return keys === undefined ? [path] : keys.split(", ").map((key) => `${path}${pointer([key.slice(1, -1)])}`);
}
