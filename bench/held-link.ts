// SPDX-License-Identifier: Apache-2.0
// How a held client reaches an entry: raw frames over TCP or TLS, or WebSocket.
import { connect, type OnReadOpts, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { WebSocket } from "ws";
import { FrameReader, type FrameSink } from "./wire.ts";

/** How held clients reach an entry. `tls`: raw frames inside TLS. */
export type HeldCarrier = "tcp" | "ws" | "tls";

/** Where and how; one object for all clients of a process. */
export interface HeldTarget {
  carrier: HeldCarrier;
  ca: string | undefined;
  serverName: string;
}

/** Told what comes; `body` is a view that is good until it returns. */
export interface LinkOwner {
  onOpen(link: HeldLink): void;
  onFrame(link: HeldLink, cmd: number, body: Buffer): void;
  /** Exactly once. */
  onClose(link: HeldLink): void;
}

/** One connection of a client. */
export abstract class HeldLink implements FrameSink {
  readonly #owner: LinkOwner;
  readonly #frames: FrameReader = new FrameReader(this);

  constructor(owner: LinkOwner) {
    this.#owner = owner;
  }

  abstract write(bytes: Buffer): void;
  /** Ends it at once; onClose follows. */
  abstract close(): void;

  frame(cmd: number, _rid: number, body: Buffer): void {
    this.#owner.onFrame(this, cmd, body);
  }

  opened(): void {
    this.#owner.onOpen(this);
  }

  read(bytes: Buffer): void {
    this.#frames.push(bytes);
  }

  closed(): void {
    this.#owner.onClose(this);
  }
}

/** Begins a connection to `port` on this machine. */
export function dial(port: number, target: HeldTarget, owner: LinkOwner): HeldLink {
  return target.carrier === "ws" ? new WebSocketLink(port, owner) : new SocketLink(port, target, owner);
}

/**
 * Names of this machine, in turn. With half of all local ports open to one address and port, the kernel looks at 14,000 before it
 * finds a free one, 1 ms for each connection: real clients have addresses of their own.
 */
const HOSTS = Array.from({ length: 8 }, (_, n) => `127.0.0.${n + 1}`);
let dialled = 0;

function nextHost(): string {
  return HOSTS[dialled++ % HOSTS.length] ?? "";
}

const LINK = Symbol("link");
type LinkedSocket = Socket & { [LINK]?: HeldLink };

/** What is read is handled before the next is read: one buffer for all sockets, and no stream in between. */
const inbound = Buffer.allocUnsafe(64 * 1024);
const onread: OnReadOpts = {
  buffer: inbound,
  callback(this: LinkedSocket, bytes: number): boolean {
    this[LINK]?.read(inbound.subarray(0, bytes));
    return true;
  },
};

/** Its handlers are shared by all sockets: no closure per socket. */
class SocketLink extends HeldLink {
  readonly #socket: LinkedSocket;

  constructor(port: number, { carrier, ca, serverName }: HeldTarget, owner: LinkOwner) {
    super(owner);
    const [host, isTls] = [nextHost(), carrier === "tls"];
    this.#socket = isTls
      ? connectTls({ port, host, servername: serverName, ALPNProtocols: ["im/1"], ...(ca ? { ca } : {}) })
      : connect({ port, host, onread });
    const socket = this.#socket;
    socket[LINK] = this;
    socket.on(isTls ? "secureConnect" : "connect", onConnect);
    if (isTls) socket.on("data", onData);
    socket.on("error", onError);
    socket.on("close", onClose);
  }

  write(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  close(): void {
    this.#socket.destroy();
  }
}

function onConnect(this: LinkedSocket): void {
  this[LINK]?.opened();
}
function onData(this: LinkedSocket, bytes: Buffer): void {
  this[LINK]?.read(bytes);
}
function onError(this: LinkedSocket): void {
  this.destroy();
}
function onClose(this: LinkedSocket): void {
  this[LINK]?.closed();
}

class WebSocketLink extends HeldLink {
  readonly #socket: WebSocket;

  constructor(port: number, owner: LinkOwner) {
    super(owner);
    this.#socket = new WebSocket(`ws://${nextHost()}:${port}/ws`, { perMessageDeflate: false });
    this.#socket.once("open", () => this.opened());
    this.#socket.on("message", (bytes: Buffer) => this.read(bytes));
    this.#socket.on("error", () => this.#socket.terminate());
    this.#socket.on("close", () => this.closed());
  }

  write(bytes: Buffer): void {
    this.#socket.send(bytes);
  }

  close(): void {
    this.#socket.terminate();
  }
}
