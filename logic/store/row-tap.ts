// SPDX-License-Identifier: Apache-2.0
import { EventEmitter } from "node:events";
import pg from "pg";

/** Type (1 byte) and length (4 bytes, itself included) in front of each message of the server. */
const HEADER_BYTES = 5;
const DATA_ROW = 68;
/** Besides its header: how many columns it has. */
const COLUMNS_BYTES = 2;

/** Rows as the server sent them, in binary format: for each one a buffer and where its first column begins. */
export class RawRows {
  readonly buffers: Buffer[] = [];
  readonly offsets: number[] = [];

  get length(): number {
    return this.offsets.length;
  }

  add(buffer: Buffer, offset: number): void {
    this.buffers.push(buffer);
    this.offsets.push(offset);
  }
}

/** Emits what it leaves to the driver, as a socket would: `data`, `end`. */
interface TapEvents {
  data: [Buffer];
  end: [];
}

/**
 * Stands between the socket and the driver and keeps the rows of a query that wants them raw. The driver makes a string of
 * every column, 0.1 µs each; a row of a page is read in place instead. Everything else passes through.
 */
export class RowTap extends EventEmitter<TapEvents> {
  /** Where the rows of the running query go; undefined = to the driver. */
  rows: RawRows | undefined;
  /** A message whose end has not arrived: its header, or memory for the whole of it. */
  #held: Buffer | undefined;
  #heldBytes = 0;

  /** Takes what the socket received, which is kept as long as a row in it is. */
  push(chunk: Buffer): void {
    let at = this.#complete(chunk);
    let from = at;
    while (at + HEADER_BYTES <= chunk.length) {
      const end = endOf(chunk, at);
      if (end > chunk.length) break;
      if (chunk[at] === DATA_ROW && this.rows) {
        this.#pass(chunk, from, at);
        this.rows.add(chunk, at + HEADER_BYTES + COLUMNS_BYTES);
        from = end;
      }
      at = end;
    }
    this.#pass(chunk, from, at);
    if (at < chunk.length) this.#hold(chunk, at);
  }

  /** Adds to the message that is held; returns where the next one begins. */
  #complete(chunk: Buffer): number {
    let at = 0;
    while (this.#held) {
      const bytes = Math.min(this.#held.length - this.#heldBytes, chunk.length - at);
      chunk.copy(this.#held, this.#heldBytes, at, at + bytes);
      this.#heldBytes += bytes;
      at += bytes;
      if (this.#heldBytes < this.#held.length) break;
      const held = this.#held;
      const end = endOf(held, 0);
      if (end > held.length) {
        this.#held = Buffer.allocUnsafe(end);
        held.copy(this.#held);
        continue;
      }
      this.#held = undefined;
      if (held[0] === DATA_ROW && this.rows) this.rows.add(held, HEADER_BYTES + COLUMNS_BYTES);
      else this.emit("data", held);
    }
    return at;
  }

  #hold(chunk: Buffer, at: number): void {
    const isLengthKnown = at + HEADER_BYTES <= chunk.length;
    this.#held = Buffer.allocUnsafe(isLengthKnown ? endOf(chunk, at) - at : HEADER_BYTES);
    this.#heldBytes = chunk.copy(this.#held, 0, at);
  }

  #pass(chunk: Buffer, from: number, to: number): void {
    if (from < to) this.emit("data", from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to));
  }
}

function endOf(buffer: Buffer, at: number): number {
  return at + 1 + buffer.readUInt32BE(at + 1);
}

/** What the driver's connection calls once it has its socket, or the TLS socket on it. Not in its type declarations. */
interface Attaching {
  attachListeners(stream: EventEmitter): void;
}

/** A connection that can give rows raw. */
export class TappedClient extends pg.Client {
  readonly tap = new RowTap();

  constructor(config?: string | pg.ClientConfig) {
    super(config);
    const connection = this.connection as unknown as Attaching;
    const attach = connection.attachListeners.bind(connection);
    connection.attachListeners = (stream) => {
      stream.on("data", (chunk: Buffer) => this.tap.push(chunk));
      stream.on("end", () => this.tap.emit("end"));
      attach(this.tap);
    };
  }
}

/** Reads the columns of one row after another: `at` and `bytes` of the last one that {@link RowCursor.next} found. */
export class RowCursor {
  buffer: Buffer = Buffer.alloc(0);
  at = 0;
  /** -1 for NULL. */
  bytes = 0;

  /** Goes to the front of a row. */
  open(rows: RawRows, index: number): void {
    this.seek(rows.buffers[index] as Buffer, rows.offsets[index] as number);
  }

  /** Goes to where a column begins. */
  seek(buffer: Buffer, offset: number): void {
    this.buffer = buffer;
    this.at = offset;
    this.bytes = 0;
  }

  /** Where the next column begins. */
  get end(): number {
    return this.bytes > 0 ? this.at + this.bytes : this.at;
  }

  /** Goes to the next column; returns its bytes, -1 for NULL. */
  next(): number {
    const at = this.end;
    this.bytes = this.buffer.readInt32BE(at);
    this.at = at + 4;
    return this.bytes;
  }

  /** The next column, an `int8` below 2^53; NULL is 0. */
  int8(): number {
    return this.next() < 0 ? 0 : this.lastInt8();
  }

  /** The column that was found last, an `int8` below 2^53. */
  lastInt8(): number {
    return this.buffer.readInt32BE(this.at) * 0x1_0000_0000 + this.buffer.readUInt32BE(this.at + 4);
  }

  /** The next column, an `int4`; NULL is 0. */
  int4(): number {
    return this.next() < 0 ? 0 : this.buffer.readInt32BE(this.at);
  }

  /** The next column, a text; NULL is "". */
  text(): string {
    const bytes = this.next();
    return bytes <= 0 ? "" : this.buffer.toString("utf8", this.at, this.at + bytes);
  }
}
