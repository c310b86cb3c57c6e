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
 * anew when it has grown. A last line that a crash cut off or garbled is dropped. One process at a time.
 */
export class FileStore implements Store {
  /** Where the file is. */
  readonly path: string;
  #cursor: StoredCursor | undefined;
  readonly #outbox = new Map<string, PendingMessage>();
  #isRead = false;
  #bytes = 0;
  #compactedBytes = 0;
  /** A write failed: behind `#bytes` there may be a part of its line. */
  #isTorn = false;
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
   * @throws ImClientError STORE_FAILED when it cannot be written
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
    let end = text.lastIndexOf("\n") + 1;
    const lines = text.slice(0, end).split("\n").slice(0, -1);
    for (const [at, line] of lines.entries()) {
      try {
        this.#take(JSON.parse(line) as Line);
      } catch (error) {
        // A crash may leave the end of a line on disk and not its middle. The first line holds everything before it.
        if (at === 0 || at < lines.length - 1)
          throw failed(`${this.path} is damaged in line ${at + 1}: remove it to begin anew`, error);
        end -= line.length + 1;
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
    try {
      await this.#write(text);
    } catch (error) {
      throw failed(`${this.path}: ${messageOf(error)}`, error);
    }
    this.#bytes += Buffer.byteLength(text);
    this.#take(line);
    if (this.#bytes > Math.max(COMPACT_BYTES, COMPACT_FACTOR * this.#compactedBytes)) await this.#tryToCompact();
  }

  async #write(text: string): Promise<void> {
    await mkdir(dirname(this.path), { recursive: true });
    const file = await open(this.path, "a", 0o600);
    try {
      // What a write that failed has left must not stay in front of this line.
      if (this.#isTorn) await file.truncate(this.#bytes);
      this.#isTorn = true;
      await file.appendFile(text);
      await file.datasync();
      this.#isTorn = false;
    } finally {
      await file.close();
    }
    if (this.#bytes === 0) await syncFolder(this.path);
  }

  /** The change is in the file already: when this fails, the file only stays larger until it has doubled. */
  async #tryToCompact(): Promise<void> {
    try {
      await this.#compact();
    } catch {
      this.#compactedBytes = (2 * this.#bytes) / COMPACT_FACTOR;
    }
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
    await syncFolder(this.path);
    this.#bytes = Buffer.byteLength(text);
    this.#compactedBytes = this.#bytes;
  }
}

/** A new name of a file survives a power failure only with its folder. Not every system can do this. */
async function syncFolder(path: string): Promise<void> {
  try {
    const folder = await open(dirname(path), "r");
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch {
    // Windows opens no folders; there the name is written with the file.
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
