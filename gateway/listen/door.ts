// SPDX-License-Identifier: Apache-2.0
import type { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import type { DemoFiles } from "../demo.ts";
import { HttpCarriers, type HttpCarriersOptions } from "../http/carriers.ts";
import type { Hub } from "../session/hub.ts";
import { Admission } from "./admission.ts";
import { HttpDoor } from "./http.ts";
import { isAllowedOrigin } from "./origin.ts";
import { readPlainUpgrade } from "./plain-upgrade.ts";
import { PendingSocket, type SniffTarget } from "./sniff.ts";
import { acceptFrames } from "./tcp.ts";
import { acceptWebSocket } from "./ws.ts";

/** Options of {@link ClientDoor}. */
export interface DoorOptions {
  hub: Hub;
  maxConnections: number;
  isDraining(): boolean;
  isReady(): boolean;
  http: Omit<HttpCarriersOptions, "hub" | "admission" | "isReady">;
  /** Undefined: no demo. */
  demo: DemoFiles | undefined;
}

/** Everything between a socket that was accepted and a connection: which protocol it speaks, and by when. */
export class ClientDoor implements SniffTarget {
  /** Of the HTTP carrier. */
  readonly carriers: HttpCarriers;
  readonly #hub: Hub;
  readonly #admission: Admission;
  readonly #http: HttpDoor;
  readonly #origins: ReadonlySet<string>;
  /** Sockets that are no connections yet. */
  readonly #pending = new Set<PendingSocket>();

  constructor(options: DoorOptions) {
    const { hub, maxConnections, isDraining, isReady, demo } = options;
    this.#hub = hub;
    this.#admission = new Admission(hub, maxConnections, isDraining);
    this.carriers = new HttpCarriers({ ...options.http, hub, admission: this.#admission, isReady });
    this.#origins = options.http.origins;
    this.#http = new HttpDoor({
      heartbeats: hub.heartbeats,
      admission: this.#admission,
      routes: this.carriers.routes,
      allowedOrigins: options.http.origins,
      isReady,
      onRefused: (reason) => hub.metrics.refused(reason),
      demo,
    });
  }

  /** Sockets that are no connections yet. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Connections of clients since the start, those included that were refused at once. */
  get arrivals(): number {
    return this.#admission.arrivals;
  }

  /** Takes a socket that is ready to read; with `isFrames` its protocol is already agreed. */
  onSocket(socket: Socket, isFrames: boolean): void {
    const { heartbeats, loginTimeoutMs } = this.#hub;
    if (isFrames) {
      acceptFrames(this.#admission, socket, heartbeats.nowTick);
      return;
    }
    const pending = new PendingSocket(socket, heartbeats.nowTick, heartbeats.tickAfter(loginTimeoutMs), this);
    this.#pending.add(pending);
    heartbeats.schedule(pending);
  }

  onReleased(pending: PendingSocket): void {
    this.#pending.delete(pending);
  }

  onFrames(socket: Socket, acceptedTick: number, first: Buffer): void {
    acceptFrames(this.#admission, socket, acceptedTick, first);
  }

  onUpgrade(socket: Socket, pending: PendingSocket, first: Buffer): boolean {
    const plain = readPlainUpgrade(first);
    if (!plain || !isAllowedOrigin(plain.origin, plain.host, this.#origins)) return false;
    pending.release();
    acceptWebSocket(this.#admission, socket, plain.upgrade, plain.rest, pending.acceptedTick);
    return true;
  }

  onHttp(socket: Socket, pending: PendingSocket): void {
    this.#http.accept(socket, pending);
  }

  /** Cuts what is no connection yet. */
  destroyPending(): void {
    for (const pending of [...this.#pending]) pending.destroy();
  }
}
