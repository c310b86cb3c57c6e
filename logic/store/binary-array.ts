// SPDX-License-Identifier: Apache-2.0

/**
 * Arrays in PostgreSQL's binary format. node-postgres sends a Buffer parameter as binary, any other array as text with
 * every element quoted; for a batch of messages binary costs a fraction of the CPU on both sides.
 * Layout: dimensions, null flag, element type, length, lower bound, then each element as length + bytes.
 */
const HEADER_BYTES = 20;
const OID = { bytea: 17, int8: 20, int4: 23, text: 25, uuid: 2950 } as const;
const NULL_LENGTH = -1;
const HYPHEN = 45;
const COMMA = 44;
const MINUS = 45;
const ZERO = 48;

function allocate(oid: number, count: number, bodyBytes: number): Buffer {
  const array = Buffer.allocUnsafe(HEADER_BYTES + count * 4 + bodyBytes);
  array.writeInt32BE(1, 0);
  // A hint that the server checks for itself.
  array.writeInt32BE(0, 4);
  array.writeInt32BE(oid, 8);
  array.writeInt32BE(count, 12);
  array.writeInt32BE(1, 16);
  return array;
}

/** `text[]`; undefined = NULL. */
export function textArray(values: readonly (string | undefined)[]): Buffer {
  // Room for the worst case, three bytes per UTF-16 unit: asking for the length would cost as much as writing.
  let bytes = 0;
  for (const value of values) bytes += value === undefined ? 0 : 3 * value.length;
  const array = allocate(OID.text, values.length, bytes);
  let offset = HEADER_BYTES;
  for (const value of values) {
    const length = value === undefined ? NULL_LENGTH : array.write(value, offset + 4);
    array.writeInt32BE(length, offset);
    offset += 4 + Math.max(0, length);
  }
  return array.subarray(0, offset);
}

/** `bytea[]` of at least one element. */
export function byteaArray(values: readonly Uint8Array[]): Buffer {
  let bytes = 0;
  for (const value of values) bytes += value.length;
  const array = allocate(OID.bytea, values.length, bytes);
  let offset = HEADER_BYTES;
  for (const value of values) {
    array.writeInt32BE(value.length, offset);
    array.set(value, offset + 4);
    offset += 4 + value.length;
  }
  return array;
}

/** Values of hexadecimal digits by character code; 255 = none. */
const DIGITS = new Uint8Array(128).fill(255);
for (let value = 0; value < 16; value++) {
  const digit = value.toString(16);
  DIGITS[digit.charCodeAt(0)] = value;
  DIGITS[digit.toUpperCase().charCodeAt(0)] = value;
}

/** `uuid[]` of at least one element, from the usual text form with hyphens. */
export function uuidArray(values: readonly string[]): Buffer {
  const array = allocate(OID.uuid, values.length, values.length * 16);
  let offset = HEADER_BYTES;
  for (const value of values) {
    array.writeInt32BE(16, offset);
    offset = writeUuid(array, offset + 4, value);
  }
  return array;
}

function writeUuid(array: Buffer, start: number, uuid: string): number {
  let offset = start;
  let high = -1;
  for (let at = 0; at < uuid.length; at++) {
    const code = uuid.charCodeAt(at);
    if (code === HYPHEN) continue;
    const value = DIGITS[code] ?? 255;
    if (value > 15 || offset === start + 16) throw new TypeError(`not a uuid: ${uuid}`);
    if (high < 0) {
      high = value;
    } else {
      array[offset++] = (high << 4) | value;
      high = -1;
    }
  }
  if (offset !== start + 16 || high >= 0) throw new TypeError(`not a uuid: ${uuid}`);
  return offset;
}

/** `int[]`. */
export function intArray(values: readonly number[]): Buffer {
  const array = allocate(OID.int4, values.length, values.length * 4);
  let offset = HEADER_BYTES;
  for (const value of values) {
    array.writeInt32BE(4, offset);
    array.writeInt32BE(value, offset + 4);
    offset += 8;
  }
  return array;
}

/** `bigint[]` of at least one element, from safe integers. */
export function bigintArray(values: readonly number[]): Buffer {
  const array = allocate(OID.int8, values.length, values.length * 8);
  let offset = HEADER_BYTES;
  for (const value of values) {
    array.writeInt32BE(8, offset);
    // Two halves: a BigInt per element would be garbage.
    array.writeInt32BE(Math.floor(value / 0x1_0000_0000), offset + 4);
    array.writeUInt32BE(value >>> 0, offset + 8);
    offset += 12;
  }
  return array;
}

/** A `bigint[]` or `int[]` of safe integers in text format, such as `{1,2}`; empty for NULL. */
export function parseNumbers(text: string | null | undefined): number[] {
  const numbers: number[] = [];
  if (!text || text.length <= 2) return numbers;
  let number = 0;
  let sign = 1;
  for (let at = 1; at < text.length - 1; at++) {
    const code = text.charCodeAt(at);
    if (code === COMMA) {
      numbers.push(sign * number);
      number = 0;
      sign = 1;
    } else if (code === MINUS) sign = -1;
    else number = number * 10 + (code - ZERO);
  }
  numbers.push(sign * number);
  return numbers;
}
