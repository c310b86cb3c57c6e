// SPDX-License-Identifier: Apache-2.0
import { RecordKind } from "#proto/uplink/record.ts";
import type { EntryDirectory, Session } from "../session/session.ts";
import type { EntryStream } from "./entry-stream.ts";

/**
 * The entry streams of this process, by incarnation. An entry that attaches again replaces its older stream, in whatever
 * order the two are done with attaching: a process that was frozen finds several attempts of one entry at once, the older
 * ones given up by then.
 */
export class Entries implements EntryDirectory {
  readonly #byIncarnation = new Map<string, EntryStream>();
  readonly #all = new Set<EntryStream>();

  find(incarnation: string): EntryStream | undefined {
    return this.#byIncarnation.get(incarnation);
  }

  get size(): number {
    return this.#byIncarnation.size;
  }

  get sessions(): number {
    let sessions = 0;
    for (const stream of this.#all) sessions += stream.sessions.size;
    return sessions;
  }

  /** Every session bound here. */
  *boundSessions(): Generator<Session> {
    for (const stream of this.#all) yield* stream.sessions.values();
  }

  [Symbol.iterator](): Iterator<EntryStream> {
    return this.#all.values();
  }

  /** A stream opened; it is not attached yet. */
  open(stream: EntryStream): void {
    this.#all.add(stream);
  }

  attach(stream: EntryStream): void {
    this.#choose(stream.incarnation);
  }

  remove(stream: EntryStream): void {
    this.#all.delete(stream);
    this.#choose(stream.incarnation);
  }

  /** The stream of an incarnation that was opened last. */
  #choose(incarnation: string): void {
    if (incarnation === "") return;
    let newest: EntryStream | undefined;
    for (const stream of this.#all) if (stream.incarnation === incarnation && !stream.isClosed) newest = stream;
    if (newest) this.#byIncarnation.set(incarnation, newest);
    else this.#byIncarnation.delete(incarnation);
  }

  /** Asks every attached entry to send its sessions again. */
  reannounce(): void {
    for (const stream of this.#byIncarnation.values()) stream.send({ kind: RecordKind.REANNOUNCE });
  }

  /** Tells every attached entry to choose another logic for new commands. */
  leaving(): void {
    for (const stream of this.#byIncarnation.values()) stream.send({ kind: RecordKind.LEAVING });
  }

  /** Ends all streams, after writing what waits on them. */
  close(): void {
    for (const stream of [...this.#all]) stream.close("shutdown");
  }
}
