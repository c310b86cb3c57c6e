// SPDX-License-Identifier: Apache-2.0
import { createGrpcServer, type GrpcServer, type InternalTls, type UnaryHandler, unaryService } from "#lib/grpc.ts";
import type { StatusReply } from "#proto/gen/messages.ts";
import { serviceDefinition } from "#proto/load.ts";
import { LABEL, PORT } from "../../operator/imcluster/names.ts";
import type { KubeClient } from "../../operator/kube/client.ts";
import { type Pod, SECRETS } from "../../operator/kube/types.ts";

/** Connections that every entry says it has. */
export const CONNECTIONS = 3;

const CLOSE_GRACE_MS = 100;

/**
 * Plays the control services of entry and logic pods: each on an address of its own, with the certificate that the operator issued
 * to its cluster, on the ports that pods have. For a network of its own.
 */
export class ControlServers {
  readonly #client: KubeClient;
  readonly #servers = new Map<string, Promise<GrpcServer>>();
  readonly #addresses = new Map<string, string>();
  readonly #tls = new Map<string, Promise<InternalTls>>();
  /** Calls that were answered. */
  calls = 0;

  constructor(client: KubeClient) {
    this.#client = client;
  }

  /** Address of a pod: the next of 127.16.0.0/12. */
  addressOf({ metadata: { uid = "" } }: Pod): string {
    let address = this.#addresses.get(uid);
    if (!address) {
      const number = this.#addresses.size + 1;
      address = `127.${16 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;
      this.#addresses.set(uid, address);
    }
    return address;
  }

  /** Resolves when what the operator calls in this pod answers; at once for one that it does not call. */
  async serve(pod: Pod): Promise<void> {
    const { uid = "", labels } = pod.metadata;
    const role = labels?.[LABEL.component];
    if (role !== "entry" && role !== "logic") return;
    const known = this.#servers.get(uid) ?? this.#start(pod, role);
    this.#servers.set(uid, known);
    await known;
  }

  async close(): Promise<void> {
    const servers = await Promise.all(this.#servers.values());
    await Promise.all(servers.map((server) => server.close(CLOSE_GRACE_MS)));
  }

  async #start(pod: Pod, role: "entry" | "logic"): Promise<GrpcServer> {
    const server = createGrpcServer({ tls: await this.#tlsOf(pod, role), clientRoles: ["operator"] });
    const name = role === "entry" ? "EntryControl" : "LogicControl";
    const definition = serviceDefinition(`im.uplink.v1.${name}`);
    const replies = role === "entry" ? entryReplies(pod) : logicReplies();
    const handlers = Object.keys(definition).map((method): [string, UnaryHandler] => [
      method,
      () => {
        this.calls++;
        return replies[method] ?? {};
      },
    ]);
    server.addService(unaryService(definition, Object.fromEntries(handlers)));
    await server.bind(this.addressOf(pod), role === "entry" ? PORT.entryControl : PORT.logicGrpc);
    return server;
  }

  #tlsOf({ metadata: { namespace = "", labels } }: Pod, role: string): Promise<InternalTls> {
    const name = `${labels?.[LABEL.cluster]}-internal-${role}`;
    const key = `${namespace}/${name}`;
    const known = this.#tls.get(key) ?? this.#readTls(namespace, name);
    this.#tls.set(key, known);
    return known;
  }

  async #readTls(namespace: string, name: string): Promise<InternalTls> {
    const secret = await this.#client.get(SECRETS, namespace, name);
    if (!secret) throw new Error(`a pod runs, but Secret ${name} does not exist`);
    const pem = (key: string): Buffer => Buffer.from(secret.data?.[key] ?? "", "base64");
    return { ca: pem("ca.crt"), cert: pem("tls.crt"), key: pem("tls.key") };
  }
}

function entryReplies({ metadata }: Pod): Record<string, object> {
  const status: Partial<StatusReply> = {
    ...{ incarnation: `${metadata.uid}.1`, connections: CONNECTIONS, sessions: CONNECTIONS, ready: true, uplinks: 2 },
    ...{ cordoned: false, draining: false, logins: CONNECTIONS },
  };
  return { Status: status };
}

function logicReplies(): Record<string, object> {
  return {
    AuditRoutes: { routesDeleted: 0, routesRemaining: 0, cursor: "" },
    Status: { ackTimeouts: 0, uptimeMs: 60_000 },
  };
}
