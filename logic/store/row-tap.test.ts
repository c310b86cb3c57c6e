// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { describe, it } from "node:test";
import fc from "fast-check";
import { RawRows, RowCursor, RowTap, TappedClient } from "./row-tap.ts";

/** A message of the server. */
function message(type: string, body: Buffer): Buffer {
  const header = Buffer.from(`${type}\0\0\0\0`, "latin1");
  header.writeUInt32BE(4 + body.length, 1);
  return Buffer.concat([header, body]);
}

/** A row with these columns; undefined = NULL. */
function dataRow(...columns: (Buffer | undefined)[]): Buffer {
  const parts: Buffer[] = [Buffer.from([0, columns.length])];
  for (const column of columns) {
    const length = Buffer.alloc(4);
    length.writeInt32BE(column?.length ?? -1);
    parts.push(length, column ?? Buffer.alloc(0));
  }
  return message("D", Buffer.concat(parts));
}

function tapped(chunks: Iterable<Buffer>, rows?: RawRows): Buffer {
  const tap = new RowTap();
  tap.rows = rows;
  const passed: Buffer[] = [];
  tap.on("data", (chunk) => passed.push(chunk));
  for (const chunk of chunks) tap.push(chunk);
  return Buffer.concat(passed);
}

/** Cuts bytes at these positions. */
function cut(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [...new Set([0, ...cuts.map((one) => one % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b);
  return at.slice(1).map((end, index) => Buffer.from(bytes.subarray(at[index], end)));
}

function firstColumns(rows: RawRows): string[] {
  const cursor = new RowCursor();
  return Array.from({ length: rows.length }, (_, index) => {
    cursor.open(rows, index);
    return cursor.text();
  });
}

describe("row tap", () => {
  const body = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));
  const row = fc.string({ maxLength: 60 });
  const sent = fc.array(fc.oneof(fc.record({ row }), fc.record({ type: fc.constantFrom("T", "C", "Z", "N"), body })), {
    maxLength: 12,
  });
  const cuts = fc.array(fc.nat(2000), { maxLength: 20 });

  it("keeps the rows of a query and passes on everything else, however the bytes arrive", () => {
    fc.assert(
      fc.property(sent, cuts, (messages, where) => {
        const all = messages.map((one) =>
          "row" in one ? dataRow(Buffer.from(one.row), undefined) : message(one.type, one.body),
        );
        const rows = new RawRows();
        const passed = tapped(cut(Buffer.concat(all), where), rows);
        assert.deepEqual(passed, Buffer.concat(all.filter((_, at) => !("row" in (messages[at] ?? {})))));
        assert.deepEqual(
          firstColumns(rows),
          messages.flatMap((one) => ("row" in one ? [one.row] : [])),
        );
      }),
      { numRuns: 500 },
    );
  });

  it("leaves everything to the driver while no query wants its rows raw", () => {
    fc.assert(
      fc.property(sent, cuts, (messages, where) => {
        const all = Buffer.concat(
          messages.map((one) => ("row" in one ? dataRow(Buffer.from(one.row)) : message(one.type, one.body))),
        );
        assert.deepEqual(tapped(cut(all, where)), all);
      }),
      { numRuns: 500 },
    );
  });

  it("holds a row that comes in many pieces in memory of its own size", () => {
    const content = Buffer.alloc(200_000, "c");
    const bytes = dataRow(Buffer.from("1"), content);
    const rows = new RawRows();
    tapped(
      cut(
        bytes,
        Array.from({ length: 40 }, (_, at) => at * 5000),
      ),
      rows,
    );
    assert.equal(rows.buffers[0]?.length, bytes.length);
    const cursor = new RowCursor();
    cursor.open(rows, 0);
    assert.equal(cursor.text(), "1");
    assert.equal(cursor.next(), content.length);
    assert.ok(cursor.buffer.subarray(cursor.at, cursor.end).equals(content));
  });

  it("stands between the socket and the driver of each connection", () => {
    const client = new TappedClient({ connectionString: "postgres://nobody@127.0.0.1:1/none" });
    const socket = new EventEmitter();
    (client.connection as unknown as { attachListeners(stream: EventEmitter): void }).attachListeners(socket);
    const heard: string[] = [];
    for (const name of ["dataRow", "commandComplete"]) client.connection.on(name, () => heard.push(name));
    const rows = new RawRows();
    client.tap.rows = rows;
    socket.emit("data", Buffer.concat([dataRow(Buffer.from("raw")), message("C", Buffer.from("SELECT 1\0"))]));
    assert.deepEqual([firstColumns(rows), heard], [["raw"], ["commandComplete"]]);
    client.tap.rows = undefined;
    socket.emit("data", dataRow(Buffer.from("text")));
    assert.deepEqual([rows.length, heard], [1, ["commandComplete", "dataRow"]]);
  });
});

describe("row cursor", () => {
  it("reads numbers, texts and NULL", () => {
    const values = [0, 1, 255, 2 ** 31, 2 ** 32 + 7, Number.MAX_SAFE_INTEGER, -1, -(2 ** 40)];
    const int4 = Buffer.alloc(4);
    int4.writeInt32BE(-5);
    const int8s = values.map((value) => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigInt64BE(BigInt(value));
      return bytes;
    });
    const rows = new RawRows();
    tapped([dataRow(...int8s, undefined, int4, undefined, Buffer.from("grüße"), Buffer.alloc(0), undefined)], rows);
    const cursor = new RowCursor();
    cursor.open(rows, 0);
    assert.deepEqual(
      values.map(() => cursor.int8()),
      values,
    );
    assert.deepEqual([cursor.int8(), cursor.int4(), cursor.int4()], [0, -5, 0]);
    assert.deepEqual([cursor.text(), cursor.text(), cursor.text()], ["grüße", "", ""]);
    assert.equal(cursor.bytes, -1);
  });
});
