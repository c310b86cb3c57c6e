// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { PagePointers } from "./page-pointers.ts";
import { RawRows } from "./row-tap.ts";

type Column = number | string | undefined;
type Pointer = [inboxSeq: number, conversationId: string, convSeq: number, timeMs: number];

function columnBytes(value: Column): Buffer {
  if (value === undefined) return Buffer.alloc(0);
  if (typeof value === "string") return Buffer.from(value);
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
}

/** The answer to READ_POINTERS. */
function pointersOf(pointers: readonly Pointer[], gap = 0): PagePointers {
  const rows = new RawRows();
  const header: Column[] = [100, "an epoch", gap, undefined];
  for (const row of [header, ...pointers]) {
    const columns = row.map((column) => {
      const bytes = columnBytes(column);
      const length = Buffer.alloc(4);
      length.writeInt32BE(column === undefined ? -1 : bytes.length);
      return Buffer.concat([length, bytes]);
    });
    rows.add(Buffer.concat([Buffer.from("in front"), ...columns]), 8);
  }
  return new PagePointers(rows);
}

/** Elements of an array in binary format, as `read` finds them behind their lengths. */
function elements<T>(array: unknown, read: (buffer: Buffer, at: number, bytes: number) => T): T[] {
  assert.ok(Buffer.isBuffer(array));
  const found: T[] = [];
  for (let at = 20; at < array.length; ) {
    const bytes = array.readInt32BE(at);
    found.push(read(array, at + 4, bytes));
    at += 4 + bytes;
  }
  return found;
}

const int8 = (buffer: Buffer, at: number): number => Number(buffer.readBigInt64BE(at));
const all = (pointers: PagePointers): number[] => pointers.inboxSeqs.map((_, position) => position);

function rangesOf(pointers: PagePointers, wanted = all(pointers)): unknown[] {
  const [conversationIds, first, last, numbers, fromMs, toMs] = pointers.ranges(wanted);
  return [
    elements(conversationIds, (buffer, at, bytes) => buffer.toString("utf8", at, at + bytes)),
    elements(first, int8),
    elements(last, int8),
    elements(numbers, (buffer, at) => buffer.readInt32BE(at)),
    fromMs,
    toMs,
  ];
}

describe("pointers of a page", () => {
  it("come with the header of the page", () => {
    const { head, epoch, isGapTooLong, count } = pointersOf([], 1);
    assert.deepEqual([head, epoch, isGapTooLong, count], [100, "an epoch", true, 0]);
    // A message of 1970 is no header.
    const pointers = pointersOf([[7, "ü", 3, 0]]);
    assert.deepEqual([pointers.count, pointers.isGapTooLong], [1, false]);
    assert.deepEqual(pointers.conversations, [{ id: "ü", bytes: Buffer.from("ü") }]);
  });

  it("make one range of the seqs of a conversation that follow each other", () => {
    const pointers = pointersOf([
      [1, "a", 5, 30],
      [2, "b", 1, 20],
      [3, "a", 6, 10],
      [4, "a", 8, 40],
      [5, "b", 2, 25],
    ]);
    assert.deepEqual(rangesOf(pointers), [["a", "a", "b"], [5, 8, 1], [6, 8, 2], [0, 2, 3], 10, 40]);
    assert.deepEqual(pointers.positions, [0, 2, 3, 1, 4]);
    assert.deepEqual(rangesOf(pointers, [1, 3]), [["b", "a"], [1, 8], [1, 8], [0, 1], 20, 40]);
    assert.deepEqual(pointers.positions, [1, 3]);
  });

  it("lead from each number of a range back to the pointer that asked for that message", () => {
    const pointer = fc.tuple(fc.constantFrom("a", "b", "c"), fc.nat(12), fc.nat(100));
    fc.assert(
      fc.property(fc.array(pointer, { minLength: 1, maxLength: 30 }), (given) => {
        const pointers = pointersOf(given.map(([id, seq, ms], at): Pointer => [at + 1, id, seq, ms]));
        const [ids, first, last, numbers] = rangesOf(pointers) as [string[], number[], number[], number[]];
        const asked: string[] = [];
        ids.forEach((id, range) => {
          for (let seq = first[range] ?? 0; seq <= (last[range] ?? -1); seq++) {
            const position = pointers.positions[(numbers[range] ?? 0) + seq - (first[range] ?? 0)] ?? -1;
            assert.deepEqual([pointers.conversations[position]?.id, pointers.convSeqs[position]], [id, seq]);
            asked.push(`${position}`);
          }
        });
        assert.deepEqual(new Set(asked).size, given.length);
        assert.equal(asked.length, given.length);
      }),
      { numRuns: 300 },
    );
  });
});
