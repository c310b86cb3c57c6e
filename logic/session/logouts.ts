// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import type { DeviceLogout } from "../store/identity.ts";
import type { Store } from "../store/store.ts";
import { type Defer, TickBatch } from "../tick-batch.ts";
import type { EntryPort, Session } from "./session.ts";

const MAX_BATCH = 500;
const MAX_WAITING = 20_000;
const RETRY_MS = 1000;

interface Logout extends DeviceLogout {
  entry: EntryPort;
  conn: number;
}

/** What {@link LogoutQueue} needs. */
export interface LogoutPorts {
  store: Pick<Store, "logoutDevices">;
  clock: Clock;
  defer: Defer;
  onFault: (op: string, error: unknown) => void;
}

/**
 * Explicit logouts: unbinds the devices' push tokens, then tells the entry, which asks another logic when this one is
 * lost first. Tried every second while the store is away; at most 20,000 wait, more are asked for again by the entry.
 */
export class LogoutQueue {
  readonly #ports: LogoutPorts;
  readonly #batch: TickBatch<Logout>;
  readonly #cancels = new Set<() => void>();

  constructor(ports: LogoutPorts) {
    this.#ports = ports;
    this.#batch = new TickBatch({
      defer: ports.defer,
      run: (batch) => this.#run(batch),
      maxBatch: MAX_BATCH,
      maxWaiting: MAX_WAITING,
    });
  }

  get isIdle(): boolean {
    return this.#batch.isIdle;
  }

  add({ entry, conn, userId, deviceId, loginSeq }: Session): void {
    const isTaken = this.#batch.add({ entry, conn, userId, deviceId, loginSeq });
    if (!isTaken) this.#ports.onFault("logout", new Error("too many logouts wait for the store"));
  }

  /** Releases the timers; what waits stays with the entries. */
  close(): void {
    for (const cancel of this.#cancels) cancel();
    this.#cancels.clear();
  }

  async #run(batch: readonly Logout[]): Promise<void> {
    try {
      await this.#ports.store.logoutDevices(
        batch.map(({ userId, deviceId, loginSeq }) => ({ userId, deviceId, loginSeq })),
      );
      for (const { entry, conn } of batch) entry.send({ kind: RecordKind.LOGOUT_DONE, conn });
    } catch (error) {
      this.#ports.onFault("logout", error);
      this.#retryLater(batch);
    }
  }

  #retryLater(batch: readonly Logout[]): void {
    const cancel = this.#ports.clock.after(RETRY_MS, () => {
      this.#cancels.delete(cancel);
      for (const logout of batch) this.#batch.add(logout);
    });
    this.#cancels.add(cancel);
  }
}
