// SPDX-License-Identifier: Apache-2.0
// A push provider for the demo, and the shop that is told of pressed buttons: a pod that checks signatures, accepts everything
// and logs pushes. The fleet's image does not hold test code; the sandbox's few modules come in a ConfigMap, and Node runs them as they are.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { PROJECT_ROOT } from "../cluster/paths.ts";
import type { RunContext } from "../cluster/progress.ts";
import { DEMO_LABELS, DEMO_NAMESPACE } from "./demo.ts";
import { ensureSecret } from "./ensure-secret.ts";
import type { KubeTools } from "./kube-tools.ts";

export const PUSH_SANDBOX = "push-sandbox";
/** Key of the Secret {@link PUSH_SANDBOX} that signs pushes. */
export const PUSH_SANDBOX_SECRET_KEY = "secret";
/** Key of that Secret for what the shop is told of pressed buttons. */
export const SHOP_SECRET_KEY = "shop";
const PORT = 8080;
const SHOP_PORT = 8081;
const PROGRAM = "e2e/sandbox/webhook-pod.ts";
const READY_TIMEOUT_S = 60;
const LOG_LIMIT_BYTES = 8 * 1024 * 1024;

/** What `spec.extlogic.webhook` of the demo says. */
export const PUSH_SANDBOX_WEBHOOK = {
  url: `http://${PUSH_SANDBOX}.${DEMO_NAMESPACE}.svc:${PORT}/push`,
  secretRef: { name: PUSH_SANDBOX, key: PUSH_SANDBOX_SECRET_KEY },
} as const;

/** What `spec.chat.cards.actions` of the demo says. */
export const SHOP_ACTIONS = {
  url: `http://${PUSH_SANDBOX}.${DEMO_NAMESPACE}.svc:${SHOP_PORT}/actions`,
  secretRef: { name: PUSH_SANDBOX, key: SHOP_SECRET_KEY },
} as const;

/** The program and every module of its folder that it imports, by file name. */
export function sandboxModules(program = join(PROJECT_ROOT, PROGRAM)): Record<string, string> {
  const modules: Record<string, string> = {};
  const waiting = [program];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const name = basename(path);
    if (name in modules) continue;
    const source = readFileSync(path, "utf8");
    modules[name] = source;
    for (const [, from = ""] of source.matchAll(/ from "(\.[^"]+)"/g)) {
      if (!/^\.\/[^/]+$/.test(from)) throw new Error(`${name} imports ${from}: the pod has one folder only`);
      waiting.push(join(dirname(path), from));
    }
  }
  return modules;
}

const metadata = {
  name: PUSH_SANDBOX,
  namespace: DEMO_NAMESPACE,
  labels: { "app.kubernetes.io/name": PUSH_SANDBOX, ...DEMO_LABELS },
};

const secretVariable = (name: string, key: string): object => ({
  name,
  valueFrom: { secretKeyRef: { name: PUSH_SANDBOX, key } },
});

/** ConfigMap, Deployment and Service. Pure. */
export function pushSandboxManifests(image: string, modules: Record<string, string>): object[] {
  const labels = { "app.kubernetes.io/name": PUSH_SANDBOX };
  const container = {
    name: "sandbox",
    image,
    command: ["node", `/sandbox/${basename(PROGRAM)}`],
    env: [
      { name: "IM_SANDBOX_PORT", value: String(PORT) },
      secretVariable("IM_SANDBOX_SECRET", PUSH_SANDBOX_SECRET_KEY),
      { name: "IM_SANDBOX_SHOP_PORT", value: String(SHOP_PORT) },
      secretVariable("IM_SANDBOX_SHOP_SECRET", SHOP_SECRET_KEY),
    ],
    ports: [
      { name: "http", containerPort: PORT },
      { name: "shop", containerPort: SHOP_PORT },
    ],
    readinessProbe: { tcpSocket: { port: "http" }, periodSeconds: 1 },
    resources: { requests: { cpu: "10m", memory: "64Mi" }, limits: { memory: "192Mi" } },
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    },
    volumeMounts: [{ name: "modules", mountPath: "/sandbox", readOnly: true }],
  };
  const pod = {
    automountServiceAccountToken: false,
    securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: "RuntimeDefault" } },
    containers: [container],
    volumes: [{ name: "modules", configMap: { name: PUSH_SANDBOX } }],
  };
  return [
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata,
      data: { ...modules, "package.json": JSON.stringify({ type: "module" }) },
    },
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata,
      spec: {
        replicas: 1,
        strategy: { type: "Recreate" },
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: pod },
      },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata,
      spec: {
        selector: labels,
        ports: [
          { name: "http", port: PORT, targetPort: "http" },
          { name: "shop", port: SHOP_PORT, targetPort: "shop" },
        ],
      },
    },
  ];
}

/** Creates or updates the sandbox in the demo's namespace, which must exist; resolves when it answers. */
export async function applyPushSandbox(tools: KubeTools, image: string, options: RunContext): Promise<void> {
  const secretOf = (known: string | undefined): string => known ?? randomBytes(24).toString("base64url");
  await ensureSecret(tools, PUSH_SANDBOX, { [PUSH_SANDBOX_SECRET_KEY]: secretOf, [SHOP_SECRET_KEY]: secretOf });
  const items = pushSandboxManifests(image, sandboxModules());
  await tools.kubectl(["apply", "-f", "-"], { input: JSON.stringify({ apiVersion: "v1", kind: "List", items }) });
  const rollout = ["rollout", "status", `deployment/${PUSH_SANDBOX}`, "-n", DEMO_NAMESPACE];
  await tools.kubectl([...rollout, `--timeout=${READY_TIMEOUT_S}s`], { timeoutMs: READY_TIMEOUT_S * 1000 + 10_000 });
  options.progress.line(`push sandbox ready: kubectl -n ${DEMO_NAMESPACE} logs deploy/${PUSH_SANDBOX}`);
}

/** What the sandbox logged in the last `sinceMs`; undefined when the cluster has no sandbox. */
export async function pushSandboxLog(tools: KubeTools, sinceMs: number): Promise<string | undefined> {
  const since = `--since=${Math.ceil(sinceMs / 1000)}s`;
  const limit = `--limit-bytes=${LOG_LIMIT_BYTES}`;
  const args = ["logs", `deployment/${PUSH_SANDBOX}`, "-n", DEMO_NAMESPACE, since, limit];
  const result = await tools.tryKubectl(args);
  return result.code === 0 ? result.stdout : undefined;
}
