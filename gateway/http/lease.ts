// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";

/** What a request over HTTP proves: which connection of which entry it belongs to. */
export interface Lease {
  /** Wall clock of the entry that signed it. */
  readonly deadlineMs: number;
  /** `host:port` where other entries reach the one that holds the connection. */
  readonly address: string;
  readonly conn: number;
  /** Random number of the connection, hex: `conn` counts from 1 in every process. */
  readonly nonce: string;
}

/** Longer than the longest ping interval: a client that lives renews it in time. */
export const LEASE_MS = 20 * 60_000;
export const NONCE_BYTES = 8;
const VERSION = 1;
const MAC_BYTES = 16;
/** Version, deadline, connection, nonce; the address follows. */
const HEAD_BYTES = 1 + 6 + 4 + NONCE_BYTES;
const MAX_ADDRESS_BYTES = 64;
const MAX_TEXT = Math.ceil(((HEAD_BYTES + MAX_ADDRESS_BYTES + MAC_BYTES) * 4) / 3);
const BASE64URL = /^[A-Za-z0-9_-]+$/;
const KEY_INFO = "imcluster http lease v1";

/**
 * Signs and checks leases: `version | deadline | connection | nonce | address | HMAC-SHA-256/128`, in base64url. Every
 * entry of a cluster derives the same key from the same secret, so any of them can check a lease of any other.
 */
export class LeaseSigner {
  /** The key in force, and the one before it: what it signed still counts. */
  #keys: Buffer[];

  constructor(secret: Uint8Array) {
    this.#keys = [keyOf(secret)];
  }

  /** A new secret is in force from here on. */
  rotate(secret: Uint8Array): void {
    const key = keyOf(secret);
    const [current] = this.#keys;
    if (current && !timingSafeEqual(current, key)) this.#keys = [key, current];
  }

  sign(lease: Lease): string {
    const head = Buffer.alloc(HEAD_BYTES);
    head[0] = VERSION;
    head.writeUIntBE(lease.deadlineMs, 1, 6);
    head.writeUInt32BE(lease.conn, 7);
    head.write(lease.nonce, 11, "hex");
    const content = Buffer.concat([head, Buffer.from(lease.address, "latin1")]);
    return Buffer.concat([content, macOf(this.#keys[0] as Buffer, content)]).toString("base64url");
  }

  /** What it says; undefined when it is none of ours, altered, or past its deadline. */
  verify(text: string, wallMs: number): Lease | undefined {
    if (text.length > MAX_TEXT || !BASE64URL.test(text)) return undefined;
    const bytes = Buffer.from(text, "base64url");
    const end = bytes.length - MAC_BYTES;
    if (end <= HEAD_BYTES || bytes[0] !== VERSION) return undefined;
    const content = bytes.subarray(0, end);
    const mac = bytes.subarray(end);
    if (!this.#keys.some((key) => timingSafeEqual(macOf(key, content), mac))) return undefined;
    const deadlineMs = bytes.readUIntBE(1, 6);
    if (deadlineMs < wallMs) return undefined;
    return {
      deadlineMs,
      conn: bytes.readUInt32BE(7),
      nonce: bytes.toString("hex", 11, HEAD_BYTES),
      address: bytes.toString("latin1", HEAD_BYTES, end),
    };
  }
}

function keyOf(secret: Uint8Array): Buffer {
  return Buffer.from(hkdfSync("sha256", secret, "", KEY_INFO, 32));
}

function macOf(key: Buffer, content: Buffer): Buffer {
  return createHmac("sha256", key).update(content).digest().subarray(0, MAC_BYTES);
}
