// SPDX-License-Identifier: Apache-2.0
import type { Buffer } from "node:buffer";

/** Fields 1 and 2 of a small body, both uint32; what {@link readUints} found last. */
export interface Uints {
  first: number;
  second: number;
}

const TAG_FIRST = 0x08;
const TAG_SECOND = 0x10;
const MAX_VARINT_BYTES = 5;

/**
 * Reads PING and APP_STATE, the two bodies that are the entry's own: nothing but uint32 fields. False, and zeros, when there is
 * anything else in it: such a body counts as empty.
 */
export function readUints(body: Buffer, into: Uints): boolean {
  into.first = 0;
  into.second = 0;
  let first = 0;
  let second = 0;
  let at = 0;
  while (at < body.length) {
    const tag = body[at++];
    let value = 0;
    let size = 0;
    for (let byte = 0x80; byte >= 0x80; size++) {
      if (at >= body.length || size >= MAX_VARINT_BYTES) return false;
      byte = body[at++] as number;
      value += (byte & 0x7f) * 2 ** (7 * size);
    }
    if (tag === TAG_FIRST) first = value;
    else if (tag === TAG_SECOND) second = value;
    else return false;
  }
  into.first = first;
  into.second = second;
  return true;
}
