// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { createHash, createHmac, createSecretKey, type KeyObject, timingSafeEqual } from "node:crypto";

/** What a client may be told, and show again, of how long it counts as alive. */
export interface Lease {
  /** Below 2^48; the unit is the issuer's: ticks of one process, or wall ms where several have to read it. */
  readonly deadline: number;
  /** Names the entry that gave it, below 2^32; see {@link entryMark}. */
  readonly entry: number;
  /** Names the connection there, and never another one, below 2^32. */
  readonly generation: number;
}

/** Why a lease counts for nothing. */
export type LeaseFault = "malformed" | "forged" | "foreign" | "expired" | "too_far";

export type LeaseVerdict = { readonly kind: "ok"; readonly lease: Lease } | { readonly kind: LeaseFault };

/** What a lease must satisfy beyond its signature. */
export interface LeaseBounds {
  readonly now: number;
  /** No honest deadline lies further ahead. */
  readonly maxAhead: number;
  /** Whose lease it must be; undefined = any entry's with this key. */
  readonly entry?: number;
  readonly generation?: number;
}

/** deadline 6, entry 4, generation 4, all big endian; then the first 8 bytes of HMAC-SHA256 over label and these. */
export const LEASE_BYTES = 22;
const SIGNED_BYTES = 14;
const MAC_BYTES = 8;
const MIN_KEY_BYTES = 32;
/** Keeps a MAC of something else, made with the same key, from being taken for a lease. */
const LABEL = Buffer.from("im/1 lease\0", "latin1");

/**
 * Signs and reads leases. A client carries one but cannot make, prolong or move one; 8 bytes
 * of a MAC are enough, as each guess costs a frame, and a good one would win one heartbeat.
 */
export class LeaseSigner {
  readonly #key: KeyObject;
  readonly #signed = Buffer.alloc(LABEL.length + SIGNED_BYTES);

  /** @throws RangeError when the key has less than 32 bytes */
  constructor(key: Uint8Array) {
    if (key.length < MIN_KEY_BYTES) throw new RangeError(`a lease key needs ${MIN_KEY_BYTES} bytes, not ${key.length}`);
    this.#key = createSecretKey(key);
    this.#signed.set(LABEL);
  }

  sign({ deadline, entry, generation }: Lease): Buffer {
    const bytes = Buffer.alloc(LEASE_BYTES);
    bytes.writeUIntBE(deadline, 0, 6);
    bytes.writeUInt32BE(entry, 6);
    bytes.writeUInt32BE(generation, 10);
    bytes.set(this.#mac(bytes), SIGNED_BYTES);
    return bytes;
  }

  /** Never throws, whatever the bytes are. */
  verify(bytes: Uint8Array, { now, maxAhead, entry, generation }: LeaseBounds): LeaseVerdict {
    if (bytes.length !== LEASE_BYTES) return { kind: "malformed" };
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (!timingSafeEqual(this.#mac(buffer), buffer.subarray(SIGNED_BYTES))) return { kind: "forged" };
    const deadline = buffer.readUIntBE(0, 6);
    const lease = { deadline, entry: buffer.readUInt32BE(6), generation: buffer.readUInt32BE(10) };
    if (entry !== undefined && lease.entry !== entry) return { kind: "foreign" };
    if (generation !== undefined && lease.generation !== generation) return { kind: "foreign" };
    if (deadline <= now) return { kind: "expired" };
    if (deadline > now + maxAhead) return { kind: "too_far" };
    return { kind: "ok", lease };
  }

  #mac(bytes: Buffer): Buffer {
    bytes.copy(this.#signed, LABEL.length, 0, SIGNED_BYTES);
    return createHmac("sha256", this.#key).update(this.#signed).digest().subarray(0, MAC_BYTES);
  }
}

/** The number by which leases name an entry: 32 bits of a hash of its incarnation. */
export function entryMark(incarnation: string): number {
  return createHash("sha256").update(incarnation).digest().readUInt32BE(0);
}
