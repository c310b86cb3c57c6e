// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { hkdfSync } from "node:crypto";
import type { Clock } from "#lib/clock.ts";

/** Each key is in force so long; what an older one sealed is no longer opened, and costs a full handshake. */
export const TICKET_PERIOD_MS = 12 * 3_600_000;
/** The wall clock is looked at this often: it may jump. */
const LOOK_MS = 60_000;
/** Of `setTicketKeys`: name, HMAC key and AES key. */
const KEY_BYTES = 48;

/**
 * The keys that seal session tickets (RFC 8446 4.6.1) in the period of `wallMs`. Entries with the same secret have the same
 * keys without a word between them, so a client that moves to another entry resumes there.
 */
export function ticketKeysAt(secret: Uint8Array, wallMs: number): Buffer {
  const period = Math.floor(wallMs / TICKET_PERIOD_MS);
  return Buffer.from(hkdfSync("sha256", secret, "", `imcluster tls tickets v1 ${period}`, KEY_BYTES));
}

/** What {@link TicketKeys} needs. */
export interface TicketKeysOptions {
  /** Shared by the entries; asked each time. */
  secret(): Uint8Array;
  clock: Clock;
  /** New keys are in force. */
  onChange(keys: Buffer): void;
}

/** The keys in force, which follow the time and the secret. */
export class TicketKeys {
  readonly #options: TicketKeysOptions;
  #keys: Buffer;
  #cancel: () => void = () => undefined;

  constructor(options: TicketKeysOptions) {
    this.#options = options;
    this.#keys = this.#now();
    this.#wait();
  }

  get current(): Buffer {
    return this.#keys;
  }

  /** Looks now instead of within a minute: the secret changed. */
  refresh(): void {
    const keys = this.#now();
    if (keys.equals(this.#keys)) return;
    this.#keys = keys;
    this.#options.onChange(keys);
  }

  close(): void {
    this.#cancel();
  }

  #now(): Buffer {
    return ticketKeysAt(this.#options.secret(), this.#options.clock.wallMs());
  }

  #wait(): void {
    this.#cancel = this.#options.clock.after(LOOK_MS, () => {
      this.refresh();
      this.#wait();
    });
  }
}
