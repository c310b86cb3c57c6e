// SPDX-License-Identifier: Apache-2.0
import { SystemMessages, type SystemMessagesClient, type SystemPosition } from "../../client/src/models/index.ts";
import type { WithoutBase } from "../checker/history.ts";

/** What {@link BroadcastReader} needs. */
export interface BroadcastReaderPorts {
  uid: string;
  device: string;
  /** Of the events. */
  process: string;
  record(event: WithoutBase): void;
  /** False: the application forgets its place whenever it ends. */
  keepsPlace: boolean;
  spreadMs: number;
  clock?: NonNullable<ConstructorParameters<typeof SystemMessages>[1]["clock"]>;
  random?: () => number;
}

/**
 * What the application of one device does with broadcasts: it shows them, and keeps its place. It outlives clients and restarts. What it
 * is shown goes into the history; the content of a broadcast is its name there.
 */
export class BroadcastReader {
  readonly #ports: BroadcastReaderPorts;
  #system: SystemMessages | undefined;
  #saved: SystemPosition | undefined;
  #lives = 0;
  #shown = 0;

  constructor(ports: BroadcastReaderPorts) {
    this.#ports = ports;
  }

  /** Everything up to here was shown, or is not for this user; 0: it has not asked yet. */
  get position(): number {
    return this.#system?.position ?? 0;
  }

  /** How many were shown. */
  get shown(): number {
    return this.#shown;
  }

  /** The application has a new client, which is not connected yet. */
  read(client: SystemMessagesClient): void {
    this.stop();
    this.#lives++;
    const { uid, device, process, record, keepsPlace, spreadMs, clock, random } = this.#ports;
    const life = keepsPlace ? {} : { life: this.#lives };
    this.#system = new SystemMessages(client, {
      onMessage: ({ text: id, seq, urgent: isUrgent }) => {
        this.#shown++;
        record({ op: "broadcast", kind: "ok", process, id, uid, device, seq, isUrgent, ...life });
      },
      ...(keepsPlace ? { store: { load: () => this.#saved, save: (position) => this.#save(position) } } : {}),
      ...{ spreadMs, ...(clock ? { clock } : {}), ...(random ? { random } : {}) },
    });
  }

  /** The client is closed. */
  stop(): void {
    this.#system?.close();
    this.#system = undefined;
  }

  #save(saved: SystemPosition): void {
    const { uid, device, process, record } = this.#ports;
    const { position: seq } = saved;
    if (!this.#saved) record({ op: "broadcast", kind: "place", process, id: "", uid, device, seq });
    this.#saved = saved;
  }
}
