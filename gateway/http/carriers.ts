// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from "node:crypto";
import type { Clock } from "#lib/clock.ts";
import type { Endpoint } from "#lib/endpoint.ts";
import type { GrpcService, InternalTls } from "#lib/grpc.ts";
import type { Logger } from "#lib/logger.ts";
import type { Admission } from "../listen/admission.ts";
import type { Hub } from "../session/hub.ts";
import { EndpointList } from "./endpoints.ts";
import { LeaseSigner } from "./lease.ts";
import { RelaySessions, relayService } from "./relay.ts";
import { HttpRoutes } from "./routes.ts";
import { LocalSessions } from "./sessions.ts";

const SECRET_BYTES = 32;

/** Options of {@link HttpCarriers}. */
export interface HttpCarriersOptions {
  clock: Clock;
  log: Logger;
  hub: Hub;
  admission: Admission;
  /** The internal certificate in force. */
  tls(): InternalTls | undefined;
  address(): string;
  /** Of other hosts whose pages may use it. */
  origins: ReadonlySet<string>;
  /** Public addresses of the fleet. */
  endpoints: readonly Endpoint[];
  isReady(): boolean;
}

/** Everything of the HTTP carrier in one entry. */
export class HttpCarriers {
  readonly routes: HttpRoutes;
  /** For other entries. */
  readonly service: GrpcService;
  readonly #signer: LeaseSigner;
  readonly #remote: RelaySessions;

  constructor(options: HttpCarriersOptions) {
    const { clock, log, hub, admission, tls, address, origins, isReady } = options;
    // The key of the entries' internal certificate is the one secret that all entries of a cluster share, and nobody else.
    // Without internal TLS an entry knows its own leases only.
    this.#signer = new LeaseSigner(tls()?.key ?? randomBytes(SECRET_BYTES));
    this.#remote = new RelaySessions({ clock, log, tls });
    const local = new LocalSessions();
    this.service = relayService(local);
    const { heartbeats } = hub;
    const endpoints = new EndpointList(options.endpoints);
    const shared = { clock, heartbeats, admission, address, isReady, origins, endpoints };
    this.routes = new HttpRoutes({ ...shared, signer: this.#signer, local, remote: this.#remote });
  }

  /** A new internal certificate is in force. */
  onTls(tls: InternalTls): void {
    this.#signer.rotate(tls.key);
  }

  close(): void {
    this.#remote.closeChannels();
  }
}
