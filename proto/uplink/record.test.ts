// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  HEADER_BYTES,
  MalformedBatchError,
  RecordBatch,
  type RecordInput,
  RecordKind,
  readRecords,
  type UplinkRecord,
} from "./record.ts";

const recordArb = fc.record(
  {
    kind: fc.constantFrom(...Object.values(RecordKind)),
    cmd: fc.nat(255),
    flags: fc.nat(0xffff),
    conn: fc.nat(0xffffffff),
    rid: fc.nat(0xffffffff),
    aux: fc.nat(Number.MAX_SAFE_INTEGER),
    body: fc.uint8Array({ maxLength: 9000 }),
  },
  { noNullPrototype: true },
);

function readAll(bytes: Uint8Array): UplinkRecord[] {
  const records: UplinkRecord[] = [];
  readRecords(bytes, (record) => records.push({ ...record, body: new Uint8Array(record.body) }));
  return records;
}

describe("uplink records", () => {
  it("round-trips any sequence of records", () => {
    fc.assert(
      fc.property(fc.array(recordArb, { maxLength: 30 }), (records) => {
        const batch = new RecordBatch(64);
        for (const record of records) batch.add(record);
        assert.equal(batch.count, records.length);
        assert.deepEqual(readAll(batch.take()), records);
        assert.equal(batch.byteLength, 0);
      }),
    );
  });

  it("fills absent fields with zero", () => {
    const batch = new RecordBatch();
    batch.add({ kind: RecordKind.LEASE });
    const bytes = batch.take();
    assert.equal(bytes.length, HEADER_BYTES);
    assert.deepEqual(readAll(bytes), [{ kind: 2, cmd: 0, flags: 0, conn: 0, rid: 0, aux: 0, body: new Uint8Array(0) }]);
  });

  it("keeps a taken buffer untouched by later records", () => {
    const batch = new RecordBatch();
    batch.add({ kind: RecordKind.COMMAND, body: Buffer.from("first") });
    const first = batch.take();
    batch.add({ kind: RecordKind.COMMAND, body: Buffer.from("later") });
    assert.equal(Buffer.from(readAll(first)[0]?.body ?? []).toString(), "first");
  });

  it("refuses every truncation of a batch", () => {
    const batch = new RecordBatch();
    const input: RecordInput = { kind: RecordKind.DELIVER, conn: 7, aux: 9, body: Buffer.from("body") };
    batch.add(input);
    const bytes = batch.take();
    for (let cut = 1; cut < bytes.length; cut++) {
      assert.throws(() => readAll(bytes.subarray(0, cut)), MalformedBatchError, `cut at ${cut}`);
    }
  });

  it("refuses a length that points beyond the batch", () => {
    const bytes = Buffer.alloc(HEADER_BYTES);
    bytes.writeUInt32LE(0xffffffff, 20);
    assert.throws(() => readAll(bytes), MalformedBatchError);
  });
});
