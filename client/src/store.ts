// SPDX-License-Identifier: Apache-2.0

/** How far a device has read its user's inbox. */
export interface StoredCursor {
  readonly userId: string;
  /** Names the database the sequence belongs to; another epoch makes the cursor meaningless. */
  readonly epoch: string;
  /** Everything up to and including this inbox seq was handed to the application. */
  readonly cursor: number;
}

/**
 * Where a client keeps its cursor. Saved before it is acknowledged to the server, so a crash makes messages come
 * again rather than vanish. Calls never overlap.
 */
export interface Store {
  load(): StoredCursor | undefined | Promise<StoredCursor | undefined>;
  save(cursor: StoredCursor): void | Promise<void>;
}

/** Forgets with the process: the next start gets the whole retained inbox again. */
export class MemoryStore implements Store {
  #cursor: StoredCursor | undefined;

  load(): StoredCursor | undefined {
    return this.#cursor;
  }

  save(cursor: StoredCursor): void {
    this.#cursor = cursor;
  }
}
