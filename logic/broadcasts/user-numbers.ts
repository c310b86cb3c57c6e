// SPDX-License-Identifier: Apache-2.0

/**
 * A set of user numbers in bytes: numbers that share their upper 16 bits are one block, which holds the lower ones as a sorted list or, when
 * it would be longer than that, as a bitmap. A million users who registered one after the other take 130 KB, wherever they are at most
 * 2 bytes each and 8 per block.
 *
 * Layout, little-endian: number of blocks (4 bytes); of each block its upper bits (2), how many it holds less one (2), where it begins (4);
 * then the blocks: 2 bytes a number, or 8192 bytes of bits.
 */
export type UserNumbers = Uint8Array;

const HEAD_BYTES = 4;
const ENTRY_BYTES = 8;
const BITMAP_BYTES = 8192;
/** Beyond it a bitmap is shorter. */
const MAX_LISTED = BITMAP_BYTES / 2;
const MAX_NUMBER = 0x7fff_ffff;

/** The empty set. */
export const NO_NUMBERS: UserNumbers = new Uint8Array(HEAD_BYTES);

/** From numbers in any order, repeated or not. @throws RangeError for what is no number from 0 to 2^31 - 1 */
export function packNumbers(numbers: readonly number[]): UserNumbers {
  const wrong = numbers.find((number) => !Number.isInteger(number) || number < 0 || number > MAX_NUMBER);
  if (wrong !== undefined) throw new RangeError(`no user number: ${wrong}`);
  const sorted = Uint32Array.from(numbers).sort();
  const blocks: PackedBlock[] = [];
  for (let from = 0; from < sorted.length; ) {
    const high = (sorted[from] ?? 0) >>> 16;
    let to = from;
    while (to < sorted.length && (sorted[to] ?? 0) >>> 16 === high) to++;
    blocks.push(
      packLows(
        high,
        Uint16Array.from(sorted.subarray(from, to), (number) => number & 0xffff),
      ),
    );
    from = to;
  }
  return assemble(blocks);
}

/** Is the number in the set? Reads a few bytes of it. */
export function hasNumber(set: UserNumbers, number: number): boolean {
  const view = viewOf(set);
  const block = findBlock(view, number >>> 16);
  if (!block) return false;
  const low = number & 0xffff;
  if (block.count > MAX_LISTED) return ((view.getUint8(block.at + (low >>> 3)) >>> (low & 7)) & 1) === 1;
  let [from, to] = [0, block.count];
  while (from < to) {
    const middle = (from + to) >>> 1;
    const found = view.getUint16(block.at + 2 * middle, true);
    if (found === low) return true;
    if (found < low) from = middle + 1;
    else to = middle;
  }
  return false;
}

/** How many are in the set. */
export function countNumbers(set: UserNumbers): number {
  const view = viewOf(set);
  let count = 0;
  for (let n = 0; n < view.getUint32(0, true); n++) count += blockAt(view, n).count;
  return count;
}

/** All of them, ascending. */
export function* listNumbers(set: UserNumbers): Generator<number, void> {
  const view = viewOf(set);
  for (let n = 0; n < view.getUint32(0, true); n++) {
    const { high, count, at } = blockAt(view, n);
    const base = high * 0x1_0000;
    if (count <= MAX_LISTED) for (let k = 0; k < count; k++) yield base + view.getUint16(at + 2 * k, true);
    else
      for (let byte = 0; byte < BITMAP_BYTES; byte++)
        for (let bits = view.getUint8(at + byte); bits !== 0; bits &= bits - 1)
          yield base + byte * 8 + (31 - Math.clz32(bits & -bits));
  }
}

/** What is in one of them or in several. */
export function joinNumbers(...sets: readonly UserNumbers[]): UserNumbers {
  const byHigh = new Map<number, { view: DataView; block: Block }[]>();
  for (const set of sets) {
    const view = viewOf(set);
    for (let n = 0; n < view.getUint32(0, true); n++) {
      const block = blockAt(view, n);
      byHigh.set(block.high, [...(byHigh.get(block.high) ?? []), { view, block }]);
    }
  }
  const joined = [...byHigh]
    .sort(([a], [b]) => a - b)
    .map(([high, parts]) => {
      const [first, ...others] = parts;
      // Most blocks are of one set only: as they are.
      if (first && others.length === 0)
        return { high, count: first.block.count, bytes: bytesOf(first.view, first.block) };
      const count = parts.reduce((sum, { block }) => sum + block.count, 0);
      if (count <= MAX_LISTED) return packLows(high, Uint16Array.from(parts.flatMap(lowsOf)).sort());
      const bits = new Uint8Array(BITMAP_BYTES);
      for (const { view, block } of parts) orInto(bits, view, block);
      return packBits(high, bits);
    });
  return assemble(joined);
}

/** Bytes that are such a set? For what comes from elsewhere. */
export function isUserNumbers(bytes: Uint8Array): boolean {
  if (bytes.length < HEAD_BYTES) return false;
  const view = viewOf(bytes);
  const blocks = view.getUint32(0, true);
  let at = HEAD_BYTES + blocks * ENTRY_BYTES;
  if (at > bytes.length) return false;
  for (let n = 0; n < blocks; n++) {
    const block = blockAt(view, n);
    if (block.at !== at) return false;
    at += block.count > MAX_LISTED ? BITMAP_BYTES : 2 * block.count;
  }
  return at === bytes.length;
}

interface Block {
  readonly high: number;
  readonly count: number;
  readonly at: number;
}

function blockAt(view: DataView, n: number): Block {
  const entry = HEAD_BYTES + n * ENTRY_BYTES;
  return {
    high: view.getUint16(entry, true),
    count: view.getUint16(entry + 2, true) + 1,
    at: view.getUint32(entry + 4, true),
  };
}

function findBlock(view: DataView, high: number): Block | undefined {
  let [from, to] = [0, view.getUint32(0, true)];
  while (from < to) {
    const middle = (from + to) >>> 1;
    const block = blockAt(view, middle);
    if (block.high === high) return block;
    if (block.high < high) from = middle + 1;
    else to = middle;
  }
  return undefined;
}

interface PackedBlock {
  readonly high: number;
  readonly count: number;
  readonly bytes: Uint8Array;
}

function bytesOf({ buffer, byteOffset }: DataView, { count, at }: Block): Uint8Array {
  return new Uint8Array(buffer, byteOffset + at, count > MAX_LISTED ? BITMAP_BYTES : 2 * count);
}

/** Of a list. */
function lowsOf({ view, block: { count, at } }: { view: DataView; block: Block }): number[] {
  return Array.from({ length: count }, (_, k) => view.getUint16(at + 2 * k, true));
}

/** Ascending, repeated or not. */
function packLows(high: number, lows: Uint16Array): PackedBlock {
  if (lows.length > MAX_LISTED) {
    const bits = new Uint8Array(BITMAP_BYTES);
    for (const low of lows) setBit(bits, low);
    return packBits(high, bits);
  }
  const bytes = new Uint8Array(2 * lows.length);
  let [count, last] = [0, -1];
  for (const low of lows) {
    if (low === last) continue;
    last = low;
    bytes[2 * count] = low & 0xff;
    bytes[2 * count + 1] = low >>> 8;
    count++;
  }
  return { high, count, bytes: bytes.subarray(0, 2 * count) };
}

function setBit(bits: Uint8Array, low: number): void {
  bits[low >>> 3] = (bits[low >>> 3] ?? 0) | (1 << (low & 7));
}

function orInto(bits: Uint8Array, view: DataView, { count, at }: Block): void {
  if (count <= MAX_LISTED) for (let k = 0; k < count; k++) setBit(bits, view.getUint16(at + 2 * k, true));
  else for (let byte = 0; byte < BITMAP_BYTES; byte++) bits[byte] = (bits[byte] ?? 0) | view.getUint8(at + byte);
}

/** The shorter form of a block. */
function packBits(high: number, bits: Uint8Array): PackedBlock {
  let count = 0;
  for (const byte of bits) for (let rest = byte; rest !== 0; rest &= rest - 1) count++;
  if (count > MAX_LISTED) return { high, count, bytes: bits };
  const bytes = new Uint8Array(2 * count);
  let at = 0;
  bits.forEach((byte, index) => {
    for (let rest = byte; rest !== 0; rest &= rest - 1, at += 2) {
      const low = index * 8 + (31 - Math.clz32(rest & -rest));
      bytes[at] = low & 0xff;
      bytes[at + 1] = low >>> 8;
    }
  });
  return { high, count, bytes };
}

function assemble(blocks: readonly PackedBlock[]): UserNumbers {
  let at = HEAD_BYTES + blocks.length * ENTRY_BYTES;
  const set = new Uint8Array(blocks.reduce((sum, { bytes }) => sum + bytes.length, at));
  const view = viewOf(set);
  view.setUint32(0, blocks.length, true);
  blocks.forEach(({ high, count, bytes }, n) => {
    const entry = HEAD_BYTES + n * ENTRY_BYTES;
    view.setUint16(entry, high, true);
    view.setUint16(entry + 2, count - 1, true);
    view.setUint32(entry + 4, at, true);
    set.set(bytes, at);
    at += bytes.length;
  });
  return set;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
