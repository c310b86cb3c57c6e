// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { AppState, DeviceActivity } from "../store/identity.ts";
import type { Store } from "../store/store.ts";
import type { Session } from "./session.ts";

const FLUSH_DELAY_MS = 200;
const MAX_BATCH = 1000;
/** Devices that wait while the store is away; beyond, the newest are dropped: it is a hint. */
const MAX_WAITING = 50_000;

/** What {@link ActivityBuffer} needs. */
export interface ActivityPorts {
  store: Pick<Store, "noteActivity">;
  clock: Clock;
  onFault: (op: string, error: unknown) => void;
}

/** `seenAtMs`: monotonic. */
type Note = Omit<DeviceActivity, "agoMs"> & { readonly seenAtMs: number };

/**
 * App states and ends of connections, one row per device, written 200 ms later in batches. Heartbeats write nothing:
 * while a device is online its presence says so, and acknowledgements move its last-seen time along.
 */
export class ActivityBuffer {
  readonly #ports: ActivityPorts;
  #waiting = new Map<string, Note>();
  #cancel: (() => void) | undefined;
  #flushing: Promise<void> | undefined;
  #isClosed = false;

  constructor(ports: ActivityPorts) {
    this.#ports = ports;
  }

  get isIdle(): boolean {
    return this.#waiting.size === 0 && this.#flushing === undefined;
  }

  /** The device was there just now, with the app in this state if one is given. */
  note({ userId, deviceId }: Pick<Session, "userId" | "deviceId">, appState?: AppState): void {
    this.#keep({ userId, deviceId, seenAtMs: this.#ports.clock.nowMs(), ...(appState ? { appState } : {}) });
    this.#schedule();
  }

  /** Writes everything noted so far, once. */
  async flush(): Promise<void> {
    await this.#flushing;
    while (this.#waiting.size > 0 && !this.#isClosed) {
      const before = this.#waiting.size;
      this.#start();
      await this.#flushing;
      if (this.#waiting.size >= before) return;
    }
  }

  /** Forgets what was not written and releases the timer. */
  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
    this.#cancel = undefined;
    this.#waiting.clear();
  }

  #keep(note: Note): void {
    const key = `${note.userId}\0${note.deviceId}`;
    const known = this.#waiting.get(key);
    if (known || this.#waiting.size < MAX_WAITING) this.#waiting.set(key, { ...known, ...note });
  }

  #schedule(): void {
    if (this.#flushing || this.#isClosed || this.#waiting.size === 0) return;
    this.#cancel ??= this.#ports.clock.after(FLUSH_DELAY_MS, () => this.#start());
  }

  #start(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    const batch = [...this.#waiting].slice(0, MAX_BATCH);
    for (const [key] of batch) this.#waiting.delete(key);
    this.#flushing = this.#write(batch.map(([, note]) => note)).finally(() => {
      this.#flushing = undefined;
      this.#schedule();
    });
  }

  async #write(batch: readonly Note[]): Promise<void> {
    const nowMs = this.#ports.clock.nowMs();
    try {
      await this.#ports.store.noteActivity(
        batch.map(({ seenAtMs, ...note }) => ({ ...note, agoMs: nowMs - seenAtMs })),
      );
    } catch (error) {
      this.#ports.onFault("activity", error);
      // What came meanwhile is newer.
      for (const note of batch) this.#keep({ ...note, ...this.#waiting.get(`${note.userId}\0${note.deviceId}`) });
    }
  }
}
