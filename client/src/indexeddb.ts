// SPDX-License-Identifier: Apache-2.0
/// <reference lib="dom" />
// A store for browsers: `import { IndexedDbStore } from "@imcluster/client/indexeddb"`.
import type { OutboxChange, PendingMessage, Store, StoredCursor } from "./store.ts";

const VERSION = 1;
const CURSORS = "cursors";
const OUTBOX = "outbox";
const CURSOR_KEY = 0;

/**
 * Cursor and outbox in the browser's IndexedDB: a reload, a crash or a closed tab loses neither. One name per user, and
 * one client per name: tabs of one application share a client, or have names of their own.
 */
export class IndexedDbStore implements Store {
  readonly #name: string;
  #database: Promise<IDBDatabase> | undefined;

  /**
   * Opens nothing yet.
   * @param name - of the database, e.g. `im-alice`
   */
  constructor(name: string) {
    this.#name = name;
  }

  /** The cursor saved last. @throws DOMException or Error when the browser refuses the database or the transaction */
  load(): Promise<StoredCursor | undefined> {
    return this.#run([CURSORS], "readonly", (tx) => tx.objectStore(CURSORS).get(CURSOR_KEY));
  }

  /** Resolves when it is on disk. @throws DOMException or Error, e.g. when the quota is used up */
  async save(cursor: StoredCursor): Promise<void> {
    await this.#run([CURSORS], "readwrite", (tx) => tx.objectStore(CURSORS).put(cursor, CURSOR_KEY));
  }

  /** Messages without an answer, oldest first. @throws DOMException or Error as `load` does */
  loadOutbox(): Promise<readonly PendingMessage[]> {
    return this.#run<PendingMessage[]>([OUTBOX], "readonly", (tx) => tx.objectStore(OUTBOX).getAll());
  }

  /** All of it or nothing, in one transaction. @throws DOMException or Error as `save` does */
  async saveOutbox({ add, remove }: OutboxChange): Promise<void> {
    await this.#run([OUTBOX], "readwrite", (tx) => {
      const outbox = tx.objectStore(OUTBOX);
      const byId = outbox.index("id");
      // Requests of one transaction run in the order in which they were made; keys are looked up in between.
      for (const id of [...remove, ...add.map((message) => message.id)]) {
        const found = byId.getKey(id);
        found.onsuccess = () => found.result !== undefined && outbox.delete(found.result);
      }
      const last = byId.count();
      last.onsuccess = () => {
        for (const message of add) outbox.add(message);
      };
      return last;
    });
  }

  /** Lets go of the database, for example to delete it. The next call opens it again. */
  async close(): Promise<void> {
    const database = this.#database;
    this.#database = undefined;
    (await database)?.close();
  }

  /** Resolves with the request's result when the transaction is on disk. */
  async #run<T>(
    stores: string[],
    mode: IDBTransactionMode,
    request: (tx: IDBTransaction) => IDBRequest<T>,
  ): Promise<T> {
    const database = await this.#open();
    return await new Promise<T>((resolve, reject) => {
      const tx = database.transaction(stores, mode, { durability: "strict" });
      const asked = request(tx);
      tx.oncomplete = () => resolve(asked.result);
      tx.onabort = () => reject(tx.error ?? new Error("the transaction was aborted"));
    });
  }

  #open(): Promise<IDBDatabase> {
    this.#database ??= this.#openAnew().catch((error: unknown) => {
      this.#database = undefined;
      throw error;
    });
    return this.#database;
  }

  #openAnew(): Promise<IDBDatabase> {
    return new Promise((resolve, reject) => {
      const opening = indexedDB.open(this.#name, VERSION);
      opening.onupgradeneeded = () => {
        opening.result.createObjectStore(CURSORS);
        opening.result.createObjectStore(OUTBOX, { autoIncrement: true }).createIndex("id", "id", { unique: true });
      };
      opening.onsuccess = () => {
        const database = opening.result;
        const forget = (): void => {
          this.#database = undefined;
        };
        // Another tab deletes or upgrades it, or the browser closed it: the next call opens it again.
        database.onversionchange = () => {
          database.close();
          forget();
        };
        database.onclose = forget;
        resolve(database);
      };
      opening.onerror = () => reject(opening.error ?? new Error("IndexedDB cannot be opened"));
      opening.onblocked = () => reject(new Error(`another tab keeps ${this.#name} in an older version`));
    });
  }
}
