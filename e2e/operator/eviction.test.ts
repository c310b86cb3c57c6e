// SPDX-License-Identifier: Apache-2.0
// A real API server asks the webhook about evictions, over the certificate that the operator made for it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { parse } from "yaml";
import { systemClock } from "#lib/clock.ts";
import { silentLogger } from "#lib/logger.ts";
import { WebhookCertificate } from "../../operator/eviction/certificate.ts";
import { EvictionGuard } from "../../operator/eviction/guard.ts";
import { EvictionServer } from "../../operator/eviction/server.ts";
import { ANNOTATION } from "../../operator/imcluster/names.ts";
import { createKubeClient, loadKubeConfig } from "../../operator/kube/rest-client.ts";
import {
  type KubeObject,
  PODS,
  type Resource,
  VALIDATING_WEBHOOK_CONFIGURATIONS,
  type ValidatingWebhookConfiguration,
} from "../../operator/kube/types.ts";
import type { Operator } from "../../operator/operator.ts";
import { waitUntil } from "../harness/processes.ts";
import { Bench } from "./support/bench.ts";
import { type ImApiServer, startImApiServer } from "./support/shared-api-server.ts";

const USER = { user: "im-operator-eviction-test" };
const { evictionGuardRules, evictionGuardSecretRules } = parse(
  readFileSync(new URL("../../operator/rbac.yaml", import.meta.url), "utf8"),
) as Record<string, object[]>;

let server: ImApiServer;
before(async () => {
  server = await startImApiServer();
});
after(() => server?.stop());

const rbac = (kind: string, plural: string, namespaced: boolean): Resource => ({
  ...{ apiVersion: "rbac.authorization.k8s.io/v1", kind, plural, namespaced },
});

/** The rights that the chart gives, on objects of this name alone. */
async function grant(namespace: string, name: string): Promise<void> {
  const named = (rules: object[] = []) => rules.map((rule) => ({ ...rule, resourceNames: [name] }));
  const secrets = [...named(evictionGuardSecretRules), { apiGroups: [""], resources: ["secrets"], verbs: ["create"] }];
  const subjects = [{ kind: "User", apiGroup: "rbac.authorization.k8s.io", name: USER.user }];
  const bind = async (scope: "ClusterRole" | "Role", metadata: object, rules: object[]) => {
    const isNamespaced = scope === "Role";
    const make = (resource: Resource, content: object) =>
      server.client.create(resource, {
        apiVersion: resource.apiVersion,
        kind: resource.kind,
        metadata,
        ...content,
      } as KubeObject);
    await make(rbac(scope, `${scope.toLowerCase()}s`, isNamespaced), { rules });
    const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: scope, name };
    await make(rbac(`${scope}Binding`, `${scope.toLowerCase()}bindings`, isNamespaced), { roleRef, subjects });
  };
  await bind("ClusterRole", { name }, named(evictionGuardRules));
  await bind("Role", { name, namespace }, secrets);
}

/** The webhook of the chart, but called at this process. */
async function makeWebhook(namespace: string, name: string, port: number): Promise<void> {
  await server.client.create(VALIDATING_WEBHOOK_CONFIGURATIONS, {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "ValidatingWebhookConfiguration",
    metadata: { name },
    webhooks: [
      {
        name: "evictions.imcluster.io",
        admissionReviewVersions: ["v1"],
        clientConfig: { url: `https://127.0.0.1:${port}/evictions` },
        rules: [
          {
            apiGroups: [""],
            apiVersions: ["v1"],
            resources: ["pods/eviction"],
            operations: ["CREATE"],
            scope: "Namespaced",
          },
        ],
        namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
        matchConditions: [{ name: "entries", expression: "request.name.matches('-entry-[a-z0-9]+$')" }],
        sideEffects: "NoneOnDryRun",
        failurePolicy: "Ignore",
        timeoutSeconds: 5,
      },
    ],
  } as ValidatingWebhookConfiguration);
}

/** A guard beside an operator, with nothing but its own rights for its certificate. */
async function startGuard(bench: Bench, operator: Operator, answers: string[]) {
  const name = `guard-${bench.namespace}`;
  await grant(bench.namespace, name);
  const restricted = createKubeClient({ kubeConfig: loadKubeConfig({ path: await server.api.kubeconfigFor(USER) }) });
  const guard = new EvictionGuard({
    ...{ client: bench.client, fleet: operator.fleetView, clock: systemClock, log: silentLogger },
    onAnswer: (answer) => void answers.push(answer),
  });
  const web = new EvictionServer({
    ...{ port: 0, host: "127.0.0.1", refuse: (question) => guard.refuse(question), log: silentLogger },
  });
  const certificate = new WebhookCertificate({
    ...{ client: restricted, namespace: bench.namespace, name, altNames: ["127.0.0.1"] },
    ...{ clock: systemClock, log: silentLogger, onPair: (pair) => web.use(pair) },
  });
  await waitUntil("the certificate is made", async () => {
    try {
      await certificate.ensure();
    } catch {
      // A right that was only just granted.
    }
    return web.port > 0;
  });
  await makeWebhook(bench.namespace, name, web.port);
  await waitUntil("the API server is told", () => certificate.ensure());
  const close = async () => {
    await server.client.delete(VALIDATING_WEBHOOK_CONFIGURATIONS, undefined, name);
    certificate.close();
    await web.close();
    restricted.close();
  };
  return { certificate, close };
}

describe("an eviction of an entry", () => {
  it("is answered 429 until it is drained, and begins the drain; others are evicted at once", async () => {
    const bench = await Bench.open(server);
    const answers: string[] = [];
    try {
      const operator = await bench.startOperator();
      await bench.create({ entry: { replicas: 2 }, logic: { replicas: 1 } });
      await bench.untilReady();
      const guard = await startGuard(bench, operator, answers);
      try {
        const [victim] = await bench.entryPods();
        assert.ok(victim);
        const { name, uid = "" } = victim.metadata;
        // The API server takes a new webhook into use within about a second.
        await waitUntil("the webhook is asked", async () => {
          const outcome = await bench.client.evict(bench.namespace, name, { dryRun: true });
          return outcome === "blocked" && answers.length > 0;
        });
        const [untouched] = await bench.entryPods();
        assert.equal(
          untouched?.metadata.annotations?.[ANNOTATION.drainRequest],
          undefined,
          "a dry run asks for nothing",
        );
        bench.fleet.stuck.add(uid);
        assert.equal(await bench.client.evict(bench.namespace, name), "blocked");
        const draining = await bench.until("it drains", ({ status }) => status?.drains?.[0]?.phase === "Draining");
        assert.equal(draining.status?.drains?.[0]?.reason, "Evicted");
        assert.equal(await bench.client.evict(bench.namespace, name), "blocked");
        assert.ok((await bench.entryPods()).some((pod) => pod.metadata.uid === uid));
        bench.fleet.stuck.clear();
        await waitUntil("it is gone", async () => (await bench.client.evict(bench.namespace, name)) === "gone");
        await bench.untilReady();
        assert.deepEqual([...bench.fleet.drained], [uid]);
        const asked = answers.length;
        const [logic] = (
          await bench.client.list(PODS, bench.namespace, { labelSelector: "app.kubernetes.io/component=logic" })
        ).items;
        await bench.client.evict(bench.namespace, logic?.metadata.name ?? "");
        assert.equal(answers.length, asked, "nobody asks about other pods");
      } finally {
        await guard.close();
      }
    } finally {
      await bench.close();
    }
  });
});
