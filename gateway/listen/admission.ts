// SPDX-License-Identifier: Apache-2.0
import { DisconnectCode } from "#lib/codes.ts";
import type { Carrier } from "../session/carrier.ts";
import type { Connection } from "../session/connection.ts";
import type { Hub } from "../session/hub.ts";

/** The door: turns carriers into connections, or tells them at once why not. */
export class Admission {
  readonly #hub: Hub;
  readonly #maxConnections: number;
  readonly #isDraining: () => boolean;
  /** Carriers that came, also those that were refused. */
  arrivals = 0;

  constructor(hub: Hub, maxConnections: number, isDraining: () => boolean) {
    this.#hub = hub;
    this.#maxConnections = maxConnections;
    this.#isDraining = isDraining;
  }

  /** @param acceptedTick when the socket was accepted: the time to log in runs since then */
  open(carrier: Carrier, acceptedTick: number): Connection {
    this.arrivals++;
    const isFull = this.#hub.connections >= this.#maxConnections;
    const connection = this.#hub.open(carrier, acceptedTick);
    if (this.#isDraining()) {
      this.#hub.metrics.handshakeFailed("refused");
      connection.close(DisconnectCode.DRAINED, "this entry is being drained: connect again");
    } else if (isFull) {
      this.#hub.metrics.handshakeFailed("refused");
      connection.close(DisconnectCode.OVERLOADED, "this entry is full: connect again", 0, FULL_RETRY_MS);
    }
    return connection;
  }
}

const FULL_RETRY_MS = 1000;
