// SPDX-License-Identifier: Apache-2.0
import type { TLSSocket } from "node:tls";
import { Command } from "#proto/commands.ts";
import { Envelope } from "#proto/gen/messages.ts";
import { type DialPorts, openTls, type Target } from "./dial.ts";
import { answerOn, framed, helloFrame } from "./login.ts";

/** A session over raw TCP that stays open, to see whether somebody cuts it. */
export class WatchedSession {
  /** Name of the entry that holds it. */
  readonly entry: string;
  readonly #socket: TLSSocket;
  readonly #ports: DialPorts;
  /** Monotonic; undefined while it is open. */
  #cutAtMs: number | undefined;
  #onData = (): void => undefined;

  private constructor(entry: string, socket: TLSSocket, ports: DialPorts) {
    this.entry = entry;
    this.#socket = socket;
    this.#ports = ports;
    socket.on("data", () => this.#onData());
    socket.once("close", () => {
      this.#cutAtMs = ports.clock.nowMs();
      this.#onData();
    });
    if (socket.destroyed) this.#cutAtMs = ports.clock.nowMs();
  }

  /** @returns why there is none: what the fleet said */
  static async open(target: Target, token: string, ports: DialPorts): Promise<WatchedSession | string> {
    const socket = await openTls(target, ["im/1"], ports);
    const answer = await answerOn(socket, helloFrame("tcp", token), ports);
    if (answer.kind === "welcome") return new WatchedSession(answer.entry, socket, ports);
    socket.destroy();
    return `the login was refused with ${answer.code}: ${answer.reason}`;
  }

  /** When it was cut, on the monotonic clock. */
  get cutAtMs(): number | undefined {
    return this.#cutAtMs;
  }

  /** Sends PING and waits for any answer. @returns false when it is cut, or silent for the time of a request */
  ping(): Promise<boolean> {
    if (this.#cutAtMs !== undefined) return Promise.resolve(false);
    return new Promise((resolve) => {
      const settle = (isAlive: boolean): void => {
        cancel();
        this.#onData = () => undefined;
        resolve(isAlive);
      };
      const cancel = this.#ports.clock.after(this.#ports.timeoutMs, () => settle(false));
      this.#onData = () => settle(this.#cutAtMs === undefined);
      this.#socket.write(framed(Envelope.encode({ cmd: Command.PING, rid: 2 })));
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}
