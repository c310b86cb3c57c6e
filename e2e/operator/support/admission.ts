// SPDX-License-Identifier: Apache-2.0
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { parse } from "yaml";
import { systemClock } from "#lib/clock.ts";
import { silentLogger } from "#lib/logger.ts";
import { createAdmission } from "../../../operator/admission/admission.ts";
import { createKubeClient, loadKubeConfig } from "../../../operator/kube/rest-client.ts";
import {
  type KubeObject,
  type Resource,
  VALIDATING_WEBHOOK_CONFIGURATIONS,
  type ValidatingWebhookConfiguration,
} from "../../../operator/kube/types.ts";
import type { Operator } from "../../../operator/operator.ts";
import { silentProgress } from "../../../scripts/cluster/progress.ts";
import { ensureBinaries } from "../../../scripts/cluster/toolchain.ts";
import { waitUntil } from "../../harness/processes.ts";
import type { Bench } from "./bench.ts";
import type { ImApiServer } from "./shared-api-server.ts";

const USER = { user: "im-operator-admission-test" };
const CHART = join(import.meta.dirname, "../../../charts/im-operator");
const HELM_TIMEOUT_MS = 30_000;
const { admissionRules, admissionSecretRules } = parse(
  readFileSync(new URL("../../../operator/rbac.yaml", import.meta.url), "utf8"),
) as Record<string, object[]>;

const rbac = (kind: string, plural: string, namespaced: boolean): Resource => ({
  ...{ apiVersion: "rbac.authorization.k8s.io/v1", kind, plural, namespaced },
});

/** The rights that the chart gives, on objects of this name alone. */
async function grant(server: ImApiServer, namespace: string, name: string): Promise<void> {
  const named = (rules: object[] = []) => rules.map((rule) => ({ ...rule, resourceNames: [name] }));
  const secrets = [...named(admissionSecretRules), { apiGroups: [""], resources: ["secrets"], verbs: ["create"] }];
  const subjects = [{ kind: "User", apiGroup: "rbac.authorization.k8s.io", name: USER.user }];
  const bind = async (scope: "ClusterRole" | "Role", metadata: object, rules: object[]) => {
    const isNamespaced = scope === "Role";
    const make = ({ apiVersion, ...resource }: Resource, content: object) =>
      server.client.create({ apiVersion, ...resource }, {
        ...{ apiVersion, kind: resource.kind, metadata, ...content },
      } as KubeObject);
    await make(rbac(scope, `${scope.toLowerCase()}s`, isNamespaced), { rules });
    const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: scope, name };
    await make(rbac(`${scope}Binding`, `${scope.toLowerCase()}bindings`, isNamespaced), { roleRef, subjects });
  };
  await bind("ClusterRole", { name }, named(admissionRules));
  await bind("Role", { name, namespace }, secrets);
}

/** The webhooks of the chart, but for one namespace, and called at this process. */
async function makeWebhooks(server: ImApiServer, namespace: string, name: string, port: number): Promise<void> {
  const helm = (await ensureBinaries(["helm"], { progress: silentProgress })).helm ?? "";
  const args = ["template", "test", CHART, "--show-only", "templates/admission.yaml"];
  const { stdout } = await promisify(execFile)(helm, args, { timeout: HELM_TIMEOUT_MS });
  const [config] = stdout
    .split(/^---$/m)
    .map((text) => parse(text) as ValidatingWebhookConfiguration | null)
    .filter((object) => object?.kind === VALIDATING_WEBHOOK_CONFIGURATIONS.kind);
  if (!config) throw new Error("the chart has no webhooks");
  const webhooks = config.webhooks?.map(({ clientConfig, ...webhook }) => {
    const { path } = clientConfig.service as { path: string };
    const namespaceSelector = { matchLabels: { "kubernetes.io/metadata.name": namespace } };
    return { ...webhook, namespaceSelector, clientConfig: { url: `https://127.0.0.1:${port}${path}` } };
  });
  await server.client.create(VALIDATING_WEBHOOK_CONFIGURATIONS, {
    ...config,
    metadata: { name },
    ...(webhooks ? { webhooks } : {}),
  });
}

/** The webhooks beside an operator, with nothing but their own rights for their certificate. */
export async function startAdmission(
  server: ImApiServer,
  bench: Bench,
  operator: Operator,
  onEviction: (answer: string) => void = () => undefined,
): Promise<{ close(): Promise<void> }> {
  const name = `admission-${bench.namespace}`;
  await grant(server, bench.namespace, name);
  const restricted = createKubeClient({ kubeConfig: loadKubeConfig({ path: await server.api.kubeconfigFor(USER) }) });
  const admission = createAdmission({
    ...{ client: bench.client, certificateClient: restricted, fleet: operator.fleetView, onEviction },
    ...{ namespace: bench.namespace, name, port: 0, host: "127.0.0.1", altNames: ["127.0.0.1"] },
    ...{ clock: systemClock, log: silentLogger },
  });
  await waitUntil("the certificate is made", async () => {
    try {
      await admission.certificate.ensure();
    } catch {
      // A right that was only just granted.
    }
    return admission.server.port > 0;
  });
  await makeWebhooks(server, bench.namespace, name, admission.server.port);
  await waitUntil("the API server is told", () => admission.certificate.ensure());
  const close = async () => {
    await server.client.delete(VALIDATING_WEBHOOK_CONFIGURATIONS, undefined, name);
    await admission.close();
    restricted.close();
  };
  return { close };
}
