// SPDX-License-Identifier: Apache-2.0
// A client that logs in, pings and moves when it is asked to: as little memory and CPU as that takes, for tens of thousands.
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { WebSocket } from "ws";
import { Command } from "#proto/commands.ts";
import { Goaway, Hello } from "#proto/gen/messages.ts";
import { FrameReader, frameOf } from "./wire.ts";

/** How held clients reach an entry. `tls`: raw frames inside TLS. */
export type HeldCarrier = "tcp" | "ws" | "tls";

/** Where and how; one object for all clients of a process. */
export interface HeldTarget {
  carrier: HeldCarrier;
  ca: string | undefined;
  serverName: string;
}

/** What a client tells. */
export interface HeldEvents {
  /** The entry asked to move, between these delays. */
  onGoaway(client: HeldClient, minDelayMs: number, maxDelayMs: number): void;
  /** The connection ended, by whomever. */
  onClosed(client: HeldClient): void;
}

interface Link {
  write(bytes: Buffer): void;
  close(): void;
}

const PING = frameOf(Command.PING, 1, new Uint8Array(0));
const LOGIN_TIMEOUT_MS = 60_000;

/** One user's connection. */
export class HeldClient {
  readonly userId: string;
  readonly token: string;
  readonly #events: HeldEvents;
  #link: Link | undefined;

  constructor(userId: string, token: string, events: HeldEvents) {
    this.userId = userId;
    this.token = token;
    this.#events = events;
  }

  /** Resolves when WELCOME came on a new connection; the one before, if any, is closed then. @throws Error when refused */
  logIn(port: number, target: HeldTarget): Promise<void> {
    return new Promise((resolve, reject) => {
      const { token } = this;
      let isIn = false;
      const timer = setTimeout(() => reject(new Error("no WELCOME in time")), LOGIN_TIMEOUT_MS);
      const frames = new FrameReader({
        frame: (cmd, _rid, body) => {
          if (cmd === Command.GOAWAY) {
            const { minDelayMs, maxDelayMs } = Goaway.decode(body);
            this.#events.onGoaway(this, minDelayMs, maxDelayMs);
          }
          if (isIn) return;
          clearTimeout(timer);
          if (cmd !== Command.WELCOME) return reject(new Error(`refused with command ${cmd}`));
          isIn = true;
          const previous = this.#link;
          this.#link = link;
          previous?.close();
          resolve();
        },
      });
      const link = dial(port, target, {
        onOpen: () => {
          const device = { deviceId: "held", platform: "android", deviceName: "held", firstPageBytes: 1 };
          link.write(frameOf(Command.HELLO, 1, Hello.encode({ protoMin: 1, protoMax: 1, token, ...device })));
        },
        onBytes: (bytes) => frames.push(bytes),
        onClose: () => {
          clearTimeout(timer);
          if (!isIn) reject(new Error("closed by the server"));
          else if (this.#link === link) this.#events.onClosed(this);
        },
      });
    });
  }

  ping(): void {
    this.#link?.write(PING);
  }
}

interface LinkEvents {
  onOpen(): void;
  onBytes(bytes: Buffer): void;
  onClose(): void;
}

function dial(port: number, { carrier, ca, serverName }: HeldTarget, events: LinkEvents): Link {
  if (carrier === "ws") return dialWebSocket(port, events);
  const socket: Socket =
    carrier === "tcp"
      ? connect({ port, host: "127.0.0.1", noDelay: true })
      : connectTls({ port, host: "127.0.0.1", servername: serverName, ALPNProtocols: ["im/1"], ...(ca ? { ca } : {}) });
  socket.once(carrier === "tcp" ? "connect" : "secureConnect", () => events.onOpen());
  socket.on("data", (bytes: Buffer) => events.onBytes(bytes));
  socket.on("error", () => socket.destroy());
  socket.on("close", () => events.onClose());
  return { write: (bytes) => socket.write(bytes), close: () => socket.destroy() };
}

function dialWebSocket(port: number, events: LinkEvents): Link {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, { perMessageDeflate: false });
  socket.once("open", () => events.onOpen());
  socket.on("message", (bytes: Buffer) => events.onBytes(bytes));
  socket.on("error", () => socket.terminate());
  socket.on("close", () => events.onClose());
  return { write: (bytes) => socket.send(bytes), close: () => socket.terminate() };
}
