// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { API_PORT, HOST_ADDRESS } from "./layout.ts";
import { pkiFile } from "./pki.ts";

/** Any Kubernetes object, as far as this folder looks. */
export interface KubeObject {
  apiVersion?: string;
  kind?: string;
  metadata: {
    name: string;
    namespace?: string;
    uid?: string;
    resourceVersion?: string;
    annotations?: Record<string, string>;
    labels?: Record<string, string>;
    deletionTimestamp?: string;
    finalizers?: string[];
  };
}

interface KubeList<T> {
  metadata: { resourceVersion: string };
  items: T[];
}

/** The API server answered with an error status. */
export class KubeError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = "KubeError";
    this.status = status;
  }
}

const REQUEST_TIMEOUT_MS = 10_000;
/** The server ends a watch after this long; the reader lists again. */
const WATCH_SECONDS = 300;

const PLURALS: Readonly<Record<string, string>> = {
  ServiceAccount: "serviceaccounts",
  ClusterRole: "clusterroles",
  ClusterRoleBinding: "clusterrolebindings",
  ConfigMap: "configmaps",
  Deployment: "deployments",
  Service: "services",
  StorageClass: "storageclasses",
  PersistentVolume: "persistentvolumes",
};

/** `/apis/apps/v1/namespaces/kube-system/deployments/coredns` */
function objectPath(object: KubeObject): string {
  const { apiVersion = "v1", kind = "" } = object;
  const plural = PLURALS[kind];
  if (!plural) throw new Error(`kind ${kind} is not known here`);
  const group = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const namespace = object.metadata.namespace ? `/namespaces/${object.metadata.namespace}` : "";
  return `${group}${namespace}/${plural}/${object.metadata.name}`;
}

/** The local cluster's API server as its administrator: what bring-up needs, over one keep-alive agent. */
export class Kube {
  readonly #agent: Agent;

  constructor() {
    this.#agent = new Agent({
      keepAlive: true,
      ca: readFileSync(pkiFile("ca.crt")),
      cert: readFileSync(pkiFile("admin.crt")),
      key: readFileSync(pkiFile("admin.key")),
    });
  }

  close(): void {
    this.#agent.destroy();
  }

  /** Sends one request; resolves with the body of a 2xx answer, else rejects with {@link KubeError}. */
  async call(method: string, path: string, body?: unknown, contentType = "application/json"): Promise<string> {
    return await new Promise<string>((resolve, reject) => {
      const outgoing = request(
        {
          agent: this.#agent,
          host: HOST_ADDRESS,
          port: API_PORT,
          method,
          path,
          timeout: REQUEST_TIMEOUT_MS,
          headers: { "content-type": contentType },
        },
        (response) => {
          let text = "";
          response.setEncoding("utf8");
          response.on("data", (chunk: string) => {
            text += chunk;
          });
          response.on("error", reject);
          response.on("end", () => {
            const status = response.statusCode ?? 0;
            if (status >= 200 && status < 300) resolve(text);
            else reject(new KubeError(status, `${method} ${path}: ${status} ${text.slice(0, 300)}`));
          });
        },
      );
      outgoing.on("timeout", () =>
        outgoing.destroy(new Error(`${method} ${path}: no answer within ${REQUEST_TIMEOUT_MS / 1000} s`)),
      );
      outgoing.on("error", reject);
      outgoing.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  async get<T>(path: string): Promise<T> {
    return JSON.parse(await this.call("GET", path)) as T;
  }

  async list<T>(path: string): Promise<KubeList<T>> {
    return await this.get<KubeList<T>>(path);
  }

  /** Server-side apply; fields of ours that others changed are taken back. */
  async apply(object: KubeObject): Promise<void> {
    await this.call(
      "PATCH",
      `${objectPath(object)}?fieldManager=imcluster-local&force=true`,
      object,
      "application/apply-patch+yaml",
    );
  }

  async mergePatch(path: string, patch: unknown): Promise<void> {
    await this.call("PATCH", path, patch, "application/merge-patch+json");
  }

  /** Deletes; an object that is gone already is fine. */
  async delete(path: string): Promise<void> {
    try {
      await this.call("DELETE", path);
    } catch (error) {
      if (!(error instanceof KubeError && error.status === 404)) throw error;
    }
  }

  /** Reads a watch until the server ends it or `signal` aborts; `onEvent` gets each event in order. */
  async watch<T>(
    path: string,
    resourceVersion: string,
    onEvent: (event: { type: string; object: T }) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const query = `watch=1&allowWatchBookmarks=true&timeoutSeconds=${WATCH_SECONDS}&resourceVersion=${resourceVersion}`;
    await new Promise<void>((resolve, reject) => {
      const outgoing = request(
        { agent: this.#agent, host: HOST_ADDRESS, port: API_PORT, path: `${path}?${query}`, signal },
        (response) => {
          let rest = "";
          response.setEncoding("utf8");
          response.on("data", (chunk: string) => {
            const lines = (rest + chunk).split("\n");
            rest = lines.pop() ?? "";
            for (const line of lines) if (line !== "") onEvent(JSON.parse(line) as { type: string; object: T });
          });
          response.on("error", reject);
          response.on("end", resolve);
        },
      );
      outgoing.on("error", reject);
      outgoing.end();
    });
  }
}
