// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { DisconnectCode } from "#lib/codes.ts";
import type { Logger } from "#lib/logger.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import { disconnectBody, type Session } from "../session/session.ts";
import type { Store } from "../store/store.ts";

const LOOK_EVERY_MS = 500;

/** What {@link EpochWatch} needs. */
export interface EpochWatchPorts {
  store: Pick<Store, "epoch">;
  clock: Clock;
  /** The attached entries with their sessions. */
  entries: Iterable<{ sessions: ReadonlyMap<number, Session> }>;
  log: Logger;
}

/**
 * When the database is another one than before (restored to an older state), positions of every open session mean
 * nothing: what is pushed now may lie below its cursor. All are told to reconnect, and learn the new epoch at login.
 */
export class EpochWatch {
  readonly #ports: EpochWatchPorts;
  #epoch: string;
  #cancel: () => void;

  constructor(ports: EpochWatchPorts) {
    this.#ports = ports;
    this.#epoch = ports.store.epoch;
    this.#cancel = this.#later();
  }

  stop(): void {
    this.#cancel();
  }

  #later(): () => void {
    return this.#ports.clock.after(LOOK_EVERY_MS, () => {
      this.#look();
      this.#cancel = this.#later();
    });
  }

  #look(): void {
    const { store, entries, log } = this.#ports;
    if (store.epoch === this.#epoch) return;
    const body = disconnectBody(DisconnectCode.INBOX_RESET, "the inboxes begin anew: reconnect");
    let sessions = 0;
    for (const entry of entries) {
      for (const session of entry.sessions.values()) {
        session.entry.send({ kind: RecordKind.KICK, conn: session.conn, body });
        sessions++;
      }
    }
    log.warn({ from: this.#epoch, to: store.epoch, sessions }, "the inbox epoch changed: sessions reconnect");
    this.#epoch = store.epoch;
  }
}
