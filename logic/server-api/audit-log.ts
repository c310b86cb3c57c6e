// SPDX-License-Identifier: Apache-2.0
import type { NewApiAudit, ServerApiStore } from "../store/server-api-store.ts";
import { type Defer, TickBatch } from "../tick-batch.ts";

const MAX_BATCH = 500;
const MAX_WAITING = 5000;
const MAX_TARGET_CHARS = 200;

/** What {@link AuditLog} needs. */
export interface AuditLogPorts {
  store: Pick<ServerApiStore, "appendAudit">;
  defer: Defer;
  onFault: (op: string, error: unknown) => void;
  /** So many entries were not written. */
  onLost: (entries: number) => void;
}

interface Entry {
  readonly row: NewApiAudit;
  readonly done: () => void;
}

/** Writes down who did what: entries of one tick in one statement, one statement at a time. */
export class AuditLog {
  readonly #batch: TickBatch<Entry>;

  constructor({ store, defer, onFault, onLost }: AuditLogPorts) {
    const end = (entries: readonly Entry[]): void => {
      for (const { done } of entries) done();
    };
    this.#batch = new TickBatch<Entry>({
      ...{ defer, maxBatch: MAX_BATCH, maxWaiting: MAX_WAITING },
      run: async (entries) => {
        await store.appendAudit(entries.map(({ row }) => row));
        end(entries);
      },
      onFailed: (error, entries) => {
        onFault("api audit", error);
        onLost(entries.length);
        end(entries);
      },
      onRefused: (entry) => {
        onLost(1);
        end([entry]);
      },
    });
  }

  /** Everything is written, or counted as lost. */
  get isIdle(): boolean {
    return this.#batch.isIdle;
  }

  /** Resolves when the entry is committed; also when it could not be written: what it is about has happened already. */
  add(row: NewApiAudit): Promise<void> {
    const target = row.target.slice(0, MAX_TARGET_CHARS).replaceAll("\0", "").toWellFormed();
    return new Promise((done) => void this.#batch.add({ row: { ...row, target }, done }));
  }
}
