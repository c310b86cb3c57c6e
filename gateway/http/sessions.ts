// SPDX-License-Identifier: Apache-2.0
import type { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { DisconnectCode } from "#lib/codes.ts";
import type { Connection } from "../session/connection.ts";
import type { Ended, HttpCarrier } from "./http-carrier.ts";
import { type Lease, NONCE_BYTES } from "./lease.ts";
import { PollCarrier } from "./poll-carrier.ts";

/** What came of a request. */
export type Outcome =
  | { readonly kind: "ok" }
  /** Downlink of a poll; see {@link PollCarrier.poll}. */
  | { readonly kind: "bytes"; readonly bytes: Uint8Array; readonly cursor: number; readonly ended: Ended | undefined }
  /** Nothing was taken: the client reads its answers first. */
  | { readonly kind: "busy" }
  /** The cursor is no position of this downlink. */
  | { readonly kind: "conflict" }
  /** There is no such connection any more. */
  | { readonly kind: "gone"; readonly ended: Ended };

/** Sessions over HTTP, wherever they are: here or at another entry. */
export interface HttpSessions {
  /** Whole frames of the client. */
  post(lease: Lease, frames: Buffer): Promise<Outcome>;
  /** The next piece of the downlink; `isWanted` says whether the client still waits for it. */
  poll(lease: Lease, cursor: number, waitMs: number, isWanted: () => boolean): Promise<Outcome>;
  /** The client leaves. */
  close(lease: Lease): Promise<Outcome>;
}

/** Connections that ended lately: a client that asks hears why. Beyond, the oldest are forgotten. */
const MAX_ENDED = 4096;
const LOST: Ended = { code: DisconnectCode.SHUTDOWN, reason: "this connection is gone: connect again" };
const OK: Outcome = { kind: "ok" };

interface Held {
  readonly nonce: string;
  readonly connection: Connection;
  readonly carrier: HttpCarrier;
}

/** Sessions whose downlink is held by this entry. */
export class LocalSessions implements HttpSessions {
  readonly #held = new Map<number, Held>();
  readonly #ended = new Map<number, { nonce: string; ended: Ended }>();

  /** Connections over HTTP, logged in or not. */
  get size(): number {
    return this.#held.size;
  }

  /** Takes in a connection that was just opened; returns its nonce. */
  add(connection: Connection, carrier: HttpCarrier): string {
    const nonce = randomBytes(NONCE_BYTES).toString("hex");
    this.#held.set(connection.conn, { nonce, connection, carrier });
    carrier.attach({
      onDrain: () => connection.onDrain(),
      onGone: () => {
        this.#held.delete(connection.conn);
        this.#remember(connection.conn, nonce, carrier.ended);
        connection.onGone();
      },
    });
    return nonce;
  }

  async post(lease: Lease, frames: Buffer): Promise<Outcome> {
    const held = this.#find(lease);
    if (!held || held.carrier.ended) return this.#gone(lease, held);
    if (held.carrier.isPaused) return { kind: "busy" };
    held.connection.onMessage(frames);
    return held.carrier.ended ? this.#gone(lease, held) : OK;
  }

  async poll(lease: Lease, cursor: number, waitMs: number): Promise<Outcome> {
    const held = this.#find(lease);
    if (!held) return this.#gone(lease, held);
    if (!(held.carrier instanceof PollCarrier)) return { kind: "conflict" };
    const polled = await held.carrier.poll(cursor, waitMs);
    return polled ? { kind: "bytes", ...polled } : { kind: "conflict" };
  }

  async close(lease: Lease): Promise<Outcome> {
    this.#find(lease)?.carrier.destroy();
    return OK;
  }

  #find({ conn, nonce }: Lease): Held | undefined {
    const held = this.#held.get(conn);
    return held?.nonce === nonce ? held : undefined;
  }

  #gone({ conn, nonce }: Lease, held: Held | undefined): Outcome {
    const known = this.#ended.get(conn);
    const ended = held?.carrier.ended ?? (known?.nonce === nonce ? known.ended : LOST);
    return { kind: "gone", ended };
  }

  #remember(conn: number, nonce: string, ended: Ended | undefined): void {
    if (!ended) return;
    this.#ended.set(conn, { nonce, ended });
    const oldest = this.#ended.keys().next();
    if (this.#ended.size > MAX_ENDED && !oldest.done) this.#ended.delete(oldest.value);
  }
}
