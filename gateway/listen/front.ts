// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { createServer, type Server, type Socket } from "node:net";
import type { Clock } from "#lib/clock.ts";
import type { RefusalReason } from "../metrics.ts";
import { peerAddress } from "../session/client-address.ts";
import { type AddressLimits, addressKey } from "./address-limits.ts";
import { type AddressRanges, readProxyHeader } from "./proxy.ts";

/** Options of {@link Front}. */
export interface FrontOptions {
  clock: Clock;
  limits: AddressLimits;
  /** Peers that must begin with a PROXY header. */
  proxies: AddressRanges;
  /** Peers are clients themselves, so limits count them. False: only addresses that a proxy told. */
  limitsPeers: boolean;
  /** Why nobody may come in now. */
  overloaded(): "lag" | "memory" | undefined;
  onRefused(reason: RefusalReason): void;
}

const PROXY_TIMEOUT_MS = 2000;

/** Counted for this address while it is open. */
const COUNTED = Symbol("counted address");
type CountedSocket = Socket & { [COUNTED]?: string };

/** Takes a socket that may stay. `address`: its client's, when a proxy told it. */
export type OnAccepted = (socket: Socket, address: string | undefined) => void;

/** The first thing behind every listening port: turns away whom limits forbid, before TLS or anything else costs time. */
export class Front {
  readonly #options: FrontOptions;
  /** One for all sockets. */
  readonly #onClosed: (this: CountedSocket) => void;

  constructor(options: FrontOptions) {
    this.#options = options;
    const { limits } = options;
    this.#onClosed = function (this: CountedSocket) {
      limits.closed(this[COUNTED] ?? "");
    };
  }

  createServer(maxSockets: number, onAccepted: OnAccepted): Server {
    const server = createServer({ noDelay: true }, (socket) => this.accept(socket, onAccepted));
    server.maxConnections = maxSockets;
    return server;
  }

  /** Takes a socket that just came. */
  accept(socket: Socket, onAccepted: OnAccepted): void {
    const { overloaded, proxies, limitsPeers } = this.#options;
    const reason = overloaded();
    if (reason) {
      this.#refuse(socket, reason);
      return;
    }
    const peer = peerAddress(socket);
    if (!proxies.has(peer)) {
      if (this.#admits(socket, limitsPeers ? peer : undefined)) onAccepted(socket, undefined);
      return;
    }
    new ProxyReader(socket, this.#options.clock, (address) => {
      if (address === "bad") this.#refuse(socket, "proxy_header");
      else if (this.#admits(socket, address)) onAccepted(socket, address);
    });
  }

  /** Counts the socket for its address while it is open. */
  #admits(socket: Socket, address: string | undefined): boolean {
    if (address === undefined) return true;
    const { limits, clock } = this.#options;
    const key = addressKey(address);
    const reason = limits.opened(key, clock.nowMs());
    if (reason) {
      this.#refuse(socket, reason);
      return false;
    }
    (socket as CountedSocket)[COUNTED] = key;
    socket.on("close", this.#onClosed);
    return true;
  }

  #refuse(socket: Socket, reason: RefusalReason): void {
    this.#options.onRefused(reason);
    socket.destroy();
  }
}

/** Reads the PROXY header of one socket and gives the rest back to it. */
class ProxyReader {
  readonly #socket: Socket;
  readonly #done: (address: string | "bad" | undefined) => void;
  readonly #cancel: () => void;
  #read: Buffer = Buffer.alloc(0);

  /** @param done told once: the address, undefined when the proxy names none, or "bad" */
  constructor(socket: Socket, clock: Clock, done: (address: string | "bad" | undefined) => void) {
    this.#socket = socket;
    this.#done = done;
    this.#cancel = clock.after(PROXY_TIMEOUT_MS, () => this.#finish("bad"));
    socket.on("data", this.#onData);
    socket.on("close", this.#onGone);
    socket.on("error", this.#onError);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#read = this.#read.length === 0 ? chunk : Buffer.concat([this.#read, chunk]);
    const header = readProxyHeader(this.#read);
    if (header.kind === "more") return;
    if (header.kind === "bad") {
      this.#finish("bad");
      return;
    }
    this.#socket.pause();
    const rest = this.#read.subarray(header.bytes);
    if (rest.length > 0) this.#socket.unshift(rest);
    this.#finish(header.address);
  };
  /** Gone before its header: nobody to turn away. */
  readonly #onGone = (): void => this.#release();
  readonly #onError = (): void => {
    this.#socket.destroy();
  };

  #finish(address: string | "bad" | undefined): void {
    this.#release();
    this.#done(address);
  }

  #release(): void {
    this.#cancel();
    this.#socket.off("data", this.#onData);
    this.#socket.off("close", this.#onGone);
    this.#socket.off("error", this.#onError);
  }
}
