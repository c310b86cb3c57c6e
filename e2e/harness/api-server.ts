// SPDX-License-Identifier: Apache-2.0
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { connect } from "node:net";
import { join } from "node:path";
import { ensureBinaries } from "../../scripts/cluster/toolchain.ts";
import { ApiServerPki, type ClientIdentity } from "./api-server-pki.ts";
import { temporaryFolder } from "./folders.ts";
import { freePort } from "./ports.ts";
import { type GuardedProcess, startProcess, waitUntil } from "./processes.ts";

const READY_TIMEOUT_MS = 60_000;
const PORT_ATTEMPTS = 3;
const FOLDER_PREFIX = "imcluster-api-server-";

export interface ApiServerOptions {
  /** What these users ask is written to {@link TestApiServer.auditPath}, a line of JSON for each answer begun and ended. Default: nobody. */
  auditUsers?: readonly string[];
}

/** A real etcd and kube-apiserver on loopback, without controllers, scheduler or kubelet. */
export interface TestApiServer {
  /** Its audit log; there is a file only with {@link ApiServerOptions.auditUsers}. */
  readonly auditPath: string;
  /** Process id of the API server. */
  readonly pid: number;
  /** `system:masters`. */
  readonly kubeconfigPath: string;
  readonly url: string;
  /** A kubeconfig of another user, to test what RBAC allows. */
  kubeconfigFor(identity: ClientIdentity): Promise<string>;
  /** Freezes the API server: connections stay open and nothing answers. */
  pause(): void;
  resume(): void;
  /** Kills the API server and starts it again on the same port with the same data. */
  restart(): Promise<void>;
  /** Ends both processes and removes their data. */
  stop(): Promise<void>;
}

/**
 * Starts one, ready to serve, in 2.5-5 s and 300 MB; where its programs are not cached yet they are built first, which takes
 * minutes. It ends with the test process, however that ends. There is no garbage collection of owned objects, no namespace deletion and no default service account
 * (its admission is off), because no controller runs.
 */
export async function startApiServer(options: ApiServerOptions = {}): Promise<TestApiServer> {
  const { etcd, "kube-apiserver": kubeApiServer } = await ensureBinaries(["etcd", "kube-apiserver"]);
  if (!etcd || !kubeApiServer) throw new Error("the toolchain gave no etcd or kube-apiserver");
  const dir = temporaryFolder(FOLDER_PREFIX);
  const server = new LocalApiServer(dir, kubeApiServer, options.auditUsers ?? []);
  try {
    await server.start(etcd);
    return server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}

class LocalApiServer implements TestApiServer {
  readonly #dir: string;
  readonly #binary: string;
  readonly #pki: ApiServerPki;
  readonly #auditUsers: readonly string[];
  readonly #remove: () => void;
  #etcd: GuardedProcess | undefined;
  #apiServer: GuardedProcess | undefined;
  #port = 0;
  #kubeconfigPath = "";

  constructor(dir: string, binary: string, auditUsers: readonly string[]) {
    this.#dir = dir;
    this.#binary = binary;
    this.#auditUsers = auditUsers;
    this.#pki = new ApiServerPki(dir);
    this.#remove = () => rmSync(dir, { recursive: true, force: true });
    process.once("exit", this.#remove);
  }

  get kubeconfigPath(): string {
    return this.#kubeconfigPath;
  }

  get auditPath(): string {
    return join(this.#dir, "audit.log");
  }

  get pid(): number {
    return this.#apiServer?.pid ?? 0;
  }

  get url(): string {
    return `https://127.0.0.1:${this.#port}`;
  }

  async start(etcdBinary: string): Promise<void> {
    await this.#pki.create();
    this.#etcd = await startEtcd(etcdBinary, this.#dir);
    for (let attempt = 1; this.#apiServer === undefined; attempt++) {
      this.#port = await freePort();
      try {
        this.#apiServer = await this.#startApiServer();
      } catch (error) {
        if (attempt === PORT_ATTEMPTS) throw error;
      }
    }
    this.#kubeconfigPath = await this.kubeconfigFor({ user: "admin", groups: ["system:masters"] });
  }

  kubeconfigFor(identity: ClientIdentity): Promise<string> {
    return this.#pki.kubeconfig(this.url, identity);
  }

  pause(): void {
    this.#apiServer?.freeze();
  }

  resume(): void {
    this.#apiServer?.signal("SIGCONT");
  }

  async restart(): Promise<void> {
    await this.#apiServer?.stop("SIGKILL");
    this.#apiServer = await this.#startApiServer();
  }

  async stop(): Promise<void> {
    await Promise.all([this.#apiServer?.stop("SIGKILL"), this.#etcd?.stop("SIGKILL")]);
    process.removeListener("exit", this.#remove);
    this.#remove();
  }

  async #startApiServer(): Promise<GuardedProcess> {
    const args = [...apiServerArguments(this.#dir, this.#port, this.#pki), ...this.#auditArguments()];
    const child = await startProcess({ name: "kube-apiserver", command: this.#binary, args, cwd: this.#dir });
    const ca = readFileSync(this.#pki.path("ca.crt"));
    await untilUp(child, async () => (await probe(this.#port, ca)) === 200);
    return child;
  }

  #auditArguments(): string[] {
    if (this.#auditUsers.length === 0) return [];
    const policy = join(this.#dir, "audit-policy.json");
    const rules = [{ level: "Metadata", users: this.#auditUsers, omitStages: ["RequestReceived"] }, { level: "None" }];
    writeFileSync(policy, JSON.stringify({ apiVersion: "audit.k8s.io/v1", kind: "Policy", rules }));
    return [`--audit-policy-file=${policy}`, `--audit-log-path=${this.auditPath}`, "--audit-log-format=json"];
  }
}

async function startEtcd(binary: string, dir: string): Promise<GuardedProcess> {
  const socket = join(dir, "etcd.sock");
  // Port 0 lets the kernel choose where no peer will ever call.
  const nowhere = "http://127.0.0.1:0";
  const args = [
    `--data-dir=${join(dir, "etcd")}`,
    `--listen-client-urls=unix://${socket}`,
    `--advertise-client-urls=${nowhere}`,
    `--listen-peer-urls=${nowhere}`,
    `--initial-advertise-peer-urls=${nowhere}`,
    `--initial-cluster=default=${nowhere}`,
    "--unsafe-no-fsync",
    "--log-level=warn",
  ];
  const child = await startProcess({ name: "etcd", command: binary, args, cwd: dir });
  await untilUp(child, () => isListening(socket));
  return child;
}

function apiServerArguments(dir: string, port: number, pki: ApiServerPki): string[] {
  return [
    `--etcd-servers=unix://${join(dir, "etcd.sock")}`,
    "--bind-address=127.0.0.1",
    "--advertise-address=127.0.0.1",
    `--secure-port=${port}`,
    `--cert-dir=${join(dir, "generated")}`,
    `--tls-cert-file=${pki.path("server.crt")}`,
    `--tls-private-key-file=${pki.path("server.key")}`,
    `--client-ca-file=${pki.path("ca.crt")}`,
    `--service-account-key-file=${pki.path("service-account.pub")}`,
    `--service-account-signing-key-file=${pki.path("service-account.key")}`,
    "--service-account-issuer=https://kubernetes.default.svc",
    "--authorization-mode=RBAC",
    // Room for the Services of hundreds of ImClusters.
    "--service-cluster-ip-range=10.96.0.0/16",
    "--disable-admission-plugins=ServiceAccount",
    "--allow-privileged=true",
    "--profiling=false",
    "--endpoint-reconciler-type=none",
  ];
}

async function untilUp(child: GuardedProcess, isUp: () => Promise<boolean>): Promise<void> {
  try {
    await waitUntil(`${child.name} is up`, async () => child.exit !== undefined || (await isUp()), READY_TIMEOUT_MS);
    if (child.exit) throw new Error(`${child.name} ended while starting`);
  } catch (cause) {
    await child.stop("SIGKILL");
    throw new Error(`${child.name} did not start; the end of its output:\n${child.output.slice(-4_000)}`, { cause });
  }
}

function isListening(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

/** HTTP status of /readyz (open to everybody by the default RBAC rules), 0 when nothing answers. */
function probe(port: number, ca: Buffer): Promise<number> {
  return new Promise((resolve) => {
    const req = request({ host: "127.0.0.1", port, path: "/readyz", ca, agent: false, timeout: 2_000 }, (res) => {
      res.resume();
      resolve(res.statusCode ?? 0);
    });
    req.on("timeout", () => req.destroy());
    req.on("error", () => resolve(0));
    req.end();
  });
}
