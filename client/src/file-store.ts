// SPDX-License-Identifier: Apache-2.0
import { mkdir, open, readFile, rename, truncate } from "node:fs/promises";
import { dirname } from "node:path";
import { ClientCode } from "./codes.ts";
import { ImClientError, messageOf } from "./errors.ts";
import type { OutboxChange, PendingMessage, Store, StoredCursor } from "./store.ts";

/** What a line of the file may say; content in base64. */
interface Line {
  cursor?: StoredCursor;
  add?: (Omit<PendingMessage, "content"> & { content: string })[];
  remove?: string[];
}

/** A file that is smaller is left as it is. */
const COMPACT_BYTES = 64 * 1024;
/** Beyond so many times what it held when it was written anew. */
const COMPACT_FACTOR = 4;

/**
 * Cursor and outbox in one file (mode 600), for Node: a line of JSON per change, on disk before the call resolves, written
 * anew when it has grown. A last line that was cut off by a crash is dropped. One process at a time.
 */
export class FileStore implements Store {
  /** Where the file is. */
  readonly path: string;
  #cursor: StoredCursor | undefined;
  readonly #outbox = new Map<string, PendingMessage>();
  #isRead = false;
  #bytes = 0;
  #compactedBytes = 0;
  /** Calls run one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  /**
   * Opens nothing yet.
   * @param path - of the file; it and its folder are made by the first write
   */
  constructor(path: string) {
    this.path = path;
  }

  /**
   * The cursor saved last.
   * @throws ImClientError STORE_FAILED when the file cannot be read, or was damaged in the middle
   */
  load(): Promise<StoredCursor | undefined> {
    return this.#inTurn(async () => {
      await this.#read();
      return this.#cursor;
    });
  }

  /**
   * Resolves when it is on disk.
   * @throws ImClientError STORE_FAILED when it cannot be written; then nothing of it is in the file
   */
  save(cursor: StoredCursor): Promise<void> {
    return this.#inTurn(() => this.#append({ cursor }));
  }

  /**
   * Messages without an answer, oldest first.
   * @throws ImClientError STORE_FAILED as `load` does
   */
  loadOutbox(): Promise<readonly PendingMessage[]> {
    return this.#inTurn(async () => {
      await this.#read();
      return [...this.#outbox.values()];
    });
  }

  /**
   * Resolves when it is on disk.
   * @throws ImClientError STORE_FAILED as `save` does
   */
  saveOutbox({ add, remove }: OutboxChange): Promise<void> {
    return this.#inTurn(() => this.#append({ add: add.map(encode), remove: [...remove] }));
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }

  async #read(): Promise<void> {
    if (this.#isRead) return;
    let text = "";
    try {
      text = await readFile(this.path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw failed(`${this.path}: ${messageOf(error)}`, error);
    }
    const end = text.lastIndexOf("\n") + 1;
    const lines = text.slice(0, end).split("\n").slice(0, -1);
    for (const [at, line] of lines.entries()) {
      try {
        this.#take(JSON.parse(line) as Line);
      } catch (error) {
        throw failed(`${this.path} is damaged in line ${at + 1}: remove it to begin anew`, error);
      }
    }
    this.#bytes = Buffer.byteLength(text.slice(0, end));
    // A cut line would run into the next one.
    if (end < text.length) await truncate(this.path, this.#bytes);
    this.#isRead = true;
  }

  #take({ cursor, add = [], remove = [] }: Line): void {
    if (cursor) this.#cursor = cursor;
    for (const id of remove) this.#outbox.delete(id);
    for (const message of add) this.#outbox.set(message.id, { ...message, content: decode(message.content) });
  }

  async #append(line: Line): Promise<void> {
    await this.#read();
    const text = `${JSON.stringify(line)}\n`;
    await mkdir(dirname(this.path), { recursive: true });
    const file = await open(this.path, "a", 0o600);
    try {
      await file.appendFile(text);
      await file.datasync();
    } catch (error) {
      // Half a line must not stay in front of the next one.
      await file.truncate(this.#bytes);
      throw failed(`${this.path}: ${messageOf(error)}`, error);
    } finally {
      await file.close();
    }
    this.#bytes += Buffer.byteLength(text);
    this.#take(line);
    if (this.#bytes > Math.max(COMPACT_BYTES, COMPACT_FACTOR * this.#compactedBytes)) await this.#compact();
  }

  async #compact(): Promise<void> {
    const line: Line = { add: [...this.#outbox.values()].map(encode) };
    if (this.#cursor) line.cursor = this.#cursor;
    const text = `${JSON.stringify(line)}\n`;
    const next = `${this.path}.next`;
    const file = await open(next, "w", 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(next, this.path);
    this.#bytes = Buffer.byteLength(text);
    this.#compactedBytes = this.#bytes;
  }
}

function encode(message: PendingMessage) {
  return { ...message, content: Buffer.from(message.content).toString("base64") };
}

function decode(content: string): Uint8Array {
  return new Uint8Array(Buffer.from(content, "base64"));
}

function failed(text: string, cause: unknown): ImClientError {
  return new ImClientError(ClientCode.STORE_FAILED, text, { cause, retryable: true });
}
