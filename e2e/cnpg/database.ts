// SPDX-License-Identifier: Apache-2.0
// A database of CloudNativePG on the local cluster: its operator, its instances, and what is done to them.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PROJECT_ROOT } from "../../scripts/cluster/paths.ts";
import type { KubeTools } from "../../scripts/up/kube-tools.ts";
import { eventually } from "../cluster/real-cluster.ts";
import { type DatabaseManifest, onLocalCluster, type Shown, shownOn } from "./manifests.ts";

const OPERATOR_NAMESPACE = "cnpg-system";
const OPERATOR = "cnpg-controller-manager";
const MINUTE_MS = 60_000;
const HEALTHY = "Cluster in healthy state";
/** The page that users take it from. */
export const PAGE = "docs/recovery.md";

interface DatabaseObject {
  status?: {
    phase?: string;
    readyInstances?: number;
    currentPrimary?: string;
    targetPrimary?: string;
    instanceNames?: string[];
  };
}

interface PodObject {
  status?: { podIP?: string };
}

export const readShown = (): Shown => shownOn(readFileSync(join(PROJECT_ROOT, PAGE), "utf8"));

/** Installs CloudNativePG by the manifest of its release, and waits until it answers. */
export async function installOperator(tools: KubeTools, manifest: string): Promise<void> {
  // Its definitions are too large for the annotation of a client-side apply.
  const apply = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
  await tools.kubectl(apply, { input: manifest, timeoutMs: 2 * MINUTE_MS });
  const wait = ["wait", "-n", OPERATOR_NAMESPACE, "--for=condition=Available", `deploy/${OPERATOR}`, "--timeout=120s"];
  await tools.kubectl(wait, { timeoutMs: 3 * MINUTE_MS });
}

/** One database by name. */
export class Database {
  readonly #tools: KubeTools;
  readonly #manifest: DatabaseManifest;
  /** Names of primaries, in the order in which they were seen. */
  readonly primaries: string[] = [];

  constructor(tools: KubeTools, shown: Shown, namespace: string, image: string) {
    this.#tools = tools;
    this.#manifest = onLocalCluster(shown.database, namespace, image);
  }

  get #where(): readonly string[] {
    return ["-n", this.#manifest.metadata.namespace];
  }

  /** Makes it, and waits until it can take writes and has its standbys. */
  async create(): Promise<void> {
    const input = JSON.stringify(this.#manifest);
    // The operator's webhook is reached a moment after its pod is ready.
    await eventually("the Cluster is taken", MINUTE_MS, async () => {
      await this.#tools.kubectl(["apply", "--validate=strict", "-f", "-"], { input });
      return true;
    });
    await this.healthy();
  }

  async #read(): Promise<NonNullable<DatabaseObject["status"]>> {
    const { name } = this.#manifest.metadata;
    const object = await this.#tools.getJson<DatabaseObject>(["clusters.postgresql.cnpg.io", name, ...this.#where]);
    return object.status ?? {};
  }

  /** All instances run, one of them as the primary that was wanted. @param otherThan a primary before this one */
  async healthy(otherThan?: string): Promise<string> {
    const primary = await eventually(
      "the database is healthy",
      5 * MINUTE_MS,
      async () => {
        const { phase, readyInstances, currentPrimary, targetPrimary } = await this.#read();
        const isWhole = phase === HEALTHY && readyInstances === this.#manifest.spec.instances;
        const isSettled = currentPrimary !== undefined && currentPrimary === targetPrimary;
        return isWhole && isSettled && currentPrimary !== otherThan ? currentPrimary : undefined;
      },
      async () => JSON.stringify(await this.#read()),
    );
    if (this.primaries.at(-1) !== primary) this.primaries.push(primary);
    return primary;
  }

  /** Another instance than this one is named the primary, by itself, after its promotion. */
  async promoted(otherThan: string): Promise<void> {
    await eventually("another primary", 2 * MINUTE_MS, async () => {
      const { currentPrimary } = await this.#read();
      return currentPrimary !== undefined && currentPrimary !== otherThan ? true : undefined;
    });
  }

  /** An instance that is not the primary. */
  async standby(): Promise<string> {
    const { instanceNames = [], currentPrimary } = await this.#read();
    const name = instanceNames.find((candidate) => candidate !== currentPrimary);
    if (name === undefined) throw new Error(`no standby among ${instanceNames.join(", ")}`);
    return name;
  }

  /** As when its node is gone, as far as a pod can be: no grace, no shutdown. */
  async kill(pod: string): Promise<void> {
    const args = ["delete", "pod", pod, ...this.#where, "--grace-period=0", "--force", "--wait=false"];
    await this.#tools.kubectl(args);
  }

  /** What `kubectl cnpg promote` does: the operator shuts the primary down in order and promotes the other. */
  async promote(standby: string): Promise<void> {
    const status = {
      targetPrimary: standby,
      targetPrimaryTimestamp: new Date().toISOString(),
      phase: "Switchover in progress",
      phaseReason: `Switching over to ${standby}`,
    };
    const { name } = this.#manifest.metadata;
    const target = ["clusters.postgresql.cnpg.io", name, ...this.#where, "--subresource=status", "--type=merge"];
    await this.#tools.kubectl(["patch", ...target, "-p", JSON.stringify({ status })]);
  }

  /** For this machine, which has a route to pods: the URL of the Secret with the address of the primary. */
  async url(secret: { name: string; key: string }): Promise<string> {
    const { data } = await this.#tools.getJson<{ data: Record<string, string> }>([
      "secret",
      secret.name,
      ...this.#where,
    ]);
    const { status } = await this.#tools.getJson<PodObject>(["pod", await this.healthy(), ...this.#where]);
    const url = new URL(Buffer.from(data[secret.key] ?? "", "base64").toString());
    url.hostname = status?.podIP ?? "";
    return url.href;
  }
}
