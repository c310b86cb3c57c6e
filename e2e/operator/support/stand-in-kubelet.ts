// SPDX-License-Identifier: Apache-2.0
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import type { KubeClient } from "../../../operator/kube/client.ts";
import { defineResource, type KubeObject } from "../../../operator/kube/types.ts";
import { createCa, issueLeaf } from "../../../operator/pki/x509.ts";

/** What a program in a container came to. */
export interface Ran {
  exitCode: number;
  stdout?: string;
  stderr?: string;
}

/** What the containers of this node do. */
export interface StandInOptions {
  /** Lines with their times, as a runtime keeps them. */
  logOf(pod: string, container: string): readonly string[];
  run(pod: string, container: string, command: readonly string[]): Promise<Ran>;
}

const NODES = defineResource<KubeObject & { status?: unknown }>("v1", "Node", "nodes", false);
const LOG_PATH = /^\/containerLogs\/([^/]+)\/([^/]+)\/([^/]+)$/;
const EXEC_PATH = /^\/exec\/([^/]+)\/([^/]+)\/([^/]+)$/;
const PROTOCOL = "v4.channel.k8s.io";
const NOT_ACCEPTABLE =
  "HTTP/1.1 406 Not Acceptable\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n406: Not Acceptable\n\nAvailable representations: ";

/**
 * The part of a kubelet that the API server calls for people: logs, and programs in containers. A node of its own, so pods
 * with its name in `spec.nodeName` are asked here. What is real: the API server, its authorization, its proxying.
 */
export class StandInKubelet {
  readonly nodeName: string;
  /** Query strings of logs that were asked for, by pod. */
  readonly asked: { pod: string; query: URLSearchParams }[] = [];
  readonly #server: Server;
  readonly #options: StandInOptions;
  readonly #followers = new Map<string, Set<(line: string) => void>>();

  private constructor(nodeName: string, options: StandInOptions) {
    this.nodeName = nodeName;
    this.#options = options;
    const nowMs = Date.now();
    const ca = createCa({ commonName: "stand-in", nowMs, validDays: 1 });
    const leaf = issueLeaf(ca, {
      commonName: nodeName,
      altNames: ["127.0.0.1"],
      usage: ["server"],
      nowMs,
      validDays: 1,
    });
    this.#server = createServer({ cert: leaf.cert, key: leaf.key });
    this.#server.on("request", (request, response) => {
      const url = new URL(request.url ?? "/", "https://node");
      const [, , pod = "", container = ""] = LOG_PATH.exec(url.pathname) ?? [];
      if (pod === "") return void response.writeHead(404).end();
      this.asked.push({ pod, query: url.searchParams });
      response.writeHead(200, { "content-type": "text/plain" });
      const tail = Number(url.searchParams.get("tailLines") ?? 1e9);
      const lines = this.#options.logOf(pod, container);
      response.write(
        lines
          .slice(Math.max(0, lines.length - tail))
          .map((line) => `${line}\n`)
          .join(""),
      );
      if (url.searchParams.get("follow") !== "true") return void response.end();
      response.flushHeaders();
      const write = (line: string): void => void response.write(`${line}\n`);
      const followers = this.#followers.get(pod) ?? new Set();
      this.#followers.set(pod, followers.add(write));
      response.on("close", () => followers.delete(write));
    });
    const sockets = new WebSocketServer({
      noServer: true,
      handleProtocols: (offered) => (offered.has(PROTOCOL) ? PROTOCOL : false),
    });
    this.#server.on("upgrade", (request, socket, head) => {
      const url = new URL(request.url ?? "/", "https://node");
      const [, , pod = "", container = ""] = EXEC_PATH.exec(url.pathname) ?? [];
      const command = url.searchParams.getAll("command");
      // As a kubelet does, whose routes for programs name no type.
      if (!request.headers.accept?.includes("*/*")) return void socket.end(NOT_ACCEPTABLE);
      sockets.handleUpgrade(request, socket, head, (opened) => void this.#exec(opened, pod, container, command));
    });
  }

  /** Starts it, and registers its node. */
  static async start(client: KubeClient, nodeName: string, options: StandInOptions): Promise<StandInKubelet> {
    const kubelet = new StandInKubelet(nodeName, options);
    await new Promise<void>((resolve) => kubelet.#server.listen(0, "127.0.0.1", resolve));
    const { port } = kubelet.#server.address() as AddressInfo;
    await client.create(NODES, { apiVersion: "v1", kind: "Node", metadata: { name: nodeName } });
    const status = {
      addresses: [{ type: "InternalIP", address: "127.0.0.1" }],
      daemonEndpoints: { kubeletEndpoint: { Port: port } },
    };
    await client.patchMerge(NODES, undefined, nodeName, { status }, { subresource: "status" });
    return kubelet;
  }

  /** Prints a line to everybody who follows the pod. */
  print(pod: string, line: string): void {
    for (const write of this.#followers.get(pod) ?? []) write(line);
  }

  /** Who follows the pod now. */
  followersOf(pod: string): number {
    return this.#followers.get(pod)?.size ?? 0;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #exec(socket: WebSocket, pod: string, container: string, command: readonly string[]): Promise<void> {
    const { exitCode, stdout = "", stderr = "" } = await this.#options.run(pod, container, command);
    const send = (channel: number, text: string): void =>
      socket.send(Buffer.concat([Buffer.from([channel]), Buffer.from(text)]));
    if (stdout) send(1, stdout);
    if (stderr) send(2, stderr);
    const causes = [{ reason: "ExitCode", message: String(exitCode) }];
    const failure = {
      status: "Failure",
      reason: "NonZeroExitCode",
      message: "command terminated",
      details: { causes },
    };
    send(3, JSON.stringify(exitCode === 0 ? { metadata: {}, status: "Success" } : failure));
    socket.close(1000);
  }
}
