// SPDX-License-Identifier: Apache-2.0
import { randomFillSync } from "node:crypto";

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const POOL_BYTES = 4096;

/** Fills the buffer with random bytes. */
export type FillRandom = (buffer: Uint8Array) => void;

/** Makes UUIDv7 (RFC 9562): 48 bits of wall clock, then random. Random bytes are drawn 4 KiB at a time. */
export function createMessageIds(wallMs: () => number, fill: FillRandom = randomFillSync): () => string {
  const pool = new Uint8Array(POOL_BYTES);
  let used = POOL_BYTES;
  return () => {
    if (used + 10 > POOL_BYTES) {
      fill(pool);
      used = 0;
    }
    const at = used;
    used += 10;
    const byte = (offset: number): number => pool[at + offset] ?? 0;
    const hex = (value: number): string => HEX[value] ?? "00";
    const time = wallMs().toString(16).padStart(12, "0");
    const version = hex(0x70 | (byte(0) & 0x0f)) + hex(byte(1));
    const variant = hex(0x80 | (byte(2) & 0x3f)) + hex(byte(3));
    const node = hex(byte(4)) + hex(byte(5)) + hex(byte(6)) + hex(byte(7)) + hex(byte(8)) + hex(byte(9));
    return `${time.slice(0, 8)}-${time.slice(8)}-${version}-${variant}-${node}`;
  };
}
