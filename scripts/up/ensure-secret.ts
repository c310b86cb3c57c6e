// SPDX-License-Identifier: Apache-2.0
import { DEMO_LABELS, DEMO_NAMESPACE } from "./demo.ts";
import type { KubeTools } from "./kube-tools.ts";

/** The data of a Secret in the demo's namespace, as text; undefined when there is none. */
export async function readSecret(tools: KubeTools, name: string): Promise<Record<string, string> | undefined> {
  const found = await tools.tryKubectl(["get", "secret", name, "-n", DEMO_NAMESPACE, "-o", "json"]);
  if (found.code !== 0) return undefined;
  const { data = {} } = JSON.parse(found.stdout) as { data?: Record<string, string> };
  return Object.fromEntries(
    Object.entries(data).map(([key, text]) => [key, Buffer.from(text, "base64").toString("utf8")]),
  );
}

/**
 * Makes each value that a Secret in the demo's namespace lacks; what is there stays, unless its maker changes it. Resolves with all of them.
 * @param makers - by key, given what is there
 */
export async function ensureSecret(
  tools: KubeTools,
  name: string,
  makers: Readonly<Record<string, (known: string | undefined) => string>>,
): Promise<Record<string, string>> {
  const known = await readSecret(tools, name);
  const stringData = { ...known };
  for (const [key, make] of Object.entries(makers)) stringData[key] = make(known?.[key]);
  if (known && Object.entries(stringData).every(([key, value]) => known[key] === value)) return stringData;
  const metadata = { name, namespace: DEMO_NAMESPACE, labels: DEMO_LABELS };
  const input = JSON.stringify({ apiVersion: "v1", kind: "Secret", metadata, stringData });
  await tools.kubectl(["apply", "-f", "-"], { input });
  return stringData;
}
