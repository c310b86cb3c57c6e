// SPDX-License-Identifier: Apache-2.0

/**
 * Arrays in PostgreSQL's binary format. node-postgres sends a Buffer parameter as binary, any other array as text with
 * every element quoted; for a batch of messages binary costs a fraction of the CPU on both sides.
 * Layout: dimensions, null flag, element type, length, lower bound, then each element as length + bytes.
 */
const HEADER_BYTES = 20;
const OID = { bytea: 17, int8: 20, int4: 23, text: 25, uuid: 2950 } as const;
const NULL_LENGTH = -1;

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
  let bytes = 0;
  for (const value of values) bytes += value === undefined ? 0 : Buffer.byteLength(value);
  const array = allocate(OID.text, values.length, bytes);
  let offset = HEADER_BYTES;
  for (const value of values) {
    const length = value === undefined ? NULL_LENGTH : array.write(value, offset + 4);
    array.writeInt32BE(length, offset);
    offset += 4 + Math.max(0, length);
  }
  return array;
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

/** `uuid[]` of at least one element, from the usual text form with hyphens. */
export function uuidArray(values: readonly string[]): Buffer {
  const array = allocate(OID.uuid, values.length, values.length * 16);
  let offset = HEADER_BYTES;
  for (const value of values) {
    array.writeInt32BE(16, offset);
    const hex = value.replaceAll("-", "");
    if (hex.length !== 32 || array.write(hex, offset + 4, "hex") !== 16) throw new TypeError(`not a uuid: ${value}`);
    offset += 20;
  }
  return array;
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

/** A `bigint[]` or `int[]` in text format, such as `{1,2}`; empty for NULL. */
export function parseNumbers(text: string | null | undefined): number[] {
  return text ? text.slice(1, -1).split(",").map(Number) : [];
}
