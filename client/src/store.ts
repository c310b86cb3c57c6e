// SPDX-License-Identifier: Apache-2.0

/** How far a device has read its user's inbox. */
export interface StoredCursor {
  /** Whose inbox it is. */
  readonly userId: string;
  /** Names the database the sequence belongs to; another epoch makes the cursor meaningless. */
  readonly epoch: string;
  /** Everything up to and including this inbox seq was handed to the application. */
  readonly cursor: number;
}

/** A message that the server has not acknowledged yet. */
export interface PendingMessage {
  /** Client message id. */
  readonly id: string;
  /** Whose message it is; empty when it was written before the first login. */
  readonly userId: string;
  /** User id; empty when there is a `conversationId`. */
  readonly to: string;
  /** Empty when there is a `to`. */
  readonly conversationId: string;
  /** Empty means `text/plain`. */
  readonly contentType: string;
  /** What it is about; only with `to`. */
  readonly subjectType?: string;
  /** Which one. */
  readonly subjectId?: string;
  /** At most 64 KiB. */
  readonly content: Uint8Array;
}

/** What happened to the outbox: first `remove`, then `add`, behind what is there and in this order; an id that is there already is replaced. */
export interface OutboxChange {
  /** Oldest first. */
  readonly add: readonly PendingMessage[];
  /** Ids; of messages that are not there, too. */
  readonly remove: readonly string[];
}

/**
 * Where a client keeps its cursor and, if it can, the messages on their way out. The cursor is saved before it is
 * acknowledged to the server, so a crash makes messages come again rather than vanish. A store belongs to one client.
 */
export interface Store {
  /** What was saved last; undefined when nothing was. Called by the first `connect()`. When it fails the client closes with STORE_FAILED. */
  load(): StoredCursor | undefined | Promise<StoredCursor | undefined>;
  /** Resolves when a crash cannot undo it. Calls never overlap; one that fails is repeated (event `error`). */
  save(cursor: StoredCursor): void | Promise<void>;
  /** What was not acknowledged when the application ended, oldest first. Without it the outbox ends with the client. */
  loadOutbox?(): readonly PendingMessage[] | Promise<readonly PendingMessage[]>;
  /** All of the change or nothing of it. Calls never overlap each other, but may overlap `save`. */
  saveOutbox?(change: OutboxChange): void | Promise<void>;
}

/** Forgets with the process: the next start gets the whole retained inbox again. */
export class MemoryStore implements Store {
  #cursor: StoredCursor | undefined;

  /** What was saved by this process. */
  load(): StoredCursor | undefined {
    return this.#cursor;
  }

  /** Takes effect at once. */
  save(cursor: StoredCursor): void {
    this.#cursor = cursor;
  }
}
