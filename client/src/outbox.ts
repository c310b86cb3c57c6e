// SPDX-License-Identifier: Apache-2.0
import { retryMs } from "./backoff.ts";
import { Timer } from "./clock.ts";
import { ClientCode, ErrorCode } from "./codes.ts";
import { ImClientError } from "./errors.ts";
import type { Settings } from "./options.ts";

/** What the server stored for a message. */
export interface SendResult {
  /** Client message id, given or generated. */
  readonly id: string;
  /** The server's id of it, a UUIDv7: the same for everybody. */
  readonly messageId: string;
  /** Where it is; with `to`, the one-to-one conversation with that user. */
  readonly conversationId: string;
  /** Its position in the conversation, gapless. */
  readonly convSeq: number;
  /** Server time, ms since 1970. */
  readonly sentAtMs: number;
  /** The message had been stored by an earlier attempt. */
  readonly duplicate: boolean;
}

/** A message on its way out. */
export interface Outgoing {
  readonly id: string;
  /** Messages with the same lane keep their order. */
  readonly lane: string;
  /** The encoded SEND body. */
  readonly body: Uint8Array;
}

/** What {@link Outbox} asks of its owner. */
export interface OutboxOwner {
  /** Writes a SEND and returns its request id; undefined when there is no connection. */
  write(body: Uint8Array): number | undefined;
  /** The message need not be kept any longer: stored, refused, or given up by the application. */
  onDone(id: string): void;
}

/** The part of the settings that {@link Outbox} looks at. */
export type OutboxSettings = Pick<
  Settings,
  "clock" | "random" | "timing" | "outboxLimit" | "window" | "conversationWindow"
>;

interface Entry extends Outgoing {
  readonly result: Promise<SendResult>;
  readonly resolve: (result: SendResult) => void;
  readonly reject: (error: ImClientError) => void;
  readonly timer: Timer;
  /** queued: may be written; flying: written; resting: refused for now, waits for its timer. */
  phase: "queued" | "flying" | "resting";
  rid: number;
  failures: number;
}

interface Lane {
  readonly name: string;
  readonly entries: Entry[];
  flying: number;
}

/** Messages until the server acknowledged them: bounded, in order per conversation, sent again with the same id. */
export class Outbox {
  readonly #owner: OutboxOwner;
  readonly #settings: OutboxSettings;
  readonly #byId = new Map<string, Entry>();
  readonly #byRid = new Map<number, Entry>();
  readonly #lanes = new Map<string, Lane>();
  /** Lanes that may have something to write, in turn. */
  readonly #ready = new Set<Lane>();
  #flying = 0;
  #resent = 0;

  constructor(owner: OutboxOwner, settings: OutboxSettings) {
    this.#owner = owner;
    this.#settings = settings;
  }

  get size(): number {
    return this.#byId.size;
  }

  /** Writes after the first, over all messages. */
  get resent(): number {
    return this.#resent;
  }

  has(id: string): boolean {
    return this.#byId.has(id);
  }

  /** Takes a message; the promise settles with the server's answer. The same id and body again: the same promise. */
  add(outgoing: Outgoing): Promise<SendResult> {
    const known = this.#byId.get(outgoing.id);
    if (known !== undefined) return isEqual(known.body, outgoing.body) ? known.result : rejected(conflict(outgoing.id));
    if (this.#byId.size >= this.#settings.outboxLimit) return rejected(full(this.#settings.outboxLimit));
    const entry = this.#entryOf(outgoing);
    this.#laneOf(entry).entries.push(entry);
    this.pump();
    return entry.result;
  }

  /** Puts messages of an earlier run, oldest first, before those of this one; whatever their number. Writes nothing yet. */
  restore(messages: readonly Outgoing[]): Promise<SendResult>[] {
    const entries = messages.map((message) => this.#entryOf(message));
    for (const entry of entries.toReversed()) this.#laneOf(entry).entries.unshift(entry);
    return entries.map(({ result }) => result);
  }

  /** Writes what may be written now: lanes take turns. */
  pump(): void {
    for (const lane of this.#ready) {
      if (this.#flying >= this.#settings.window) return;
      const entry = this.#next(lane);
      this.#ready.delete(lane);
      if (entry === undefined) continue;
      if (!this.#write(lane, entry)) {
        this.#ready.add(lane);
        return;
      }
      this.#ready.add(lane);
    }
  }

  #entryOf(outgoing: Outgoing): Entry {
    const { promise: result, resolve, reject } = Promise.withResolvers<SendResult>();
    const timer = new Timer(this.#settings.clock);
    const entry: Entry = { ...outgoing, result, resolve, reject, timer, phase: "queued", rid: 0, failures: 0 };
    this.#byId.set(entry.id, entry);
    return entry;
  }

  #laneOf({ lane: name }: Entry): Lane {
    const lane = this.#lanes.get(name) ?? { name, entries: [], flying: 0 };
    this.#lanes.set(name, lane);
    this.#ready.add(lane);
    return lane;
  }

  /** The message is stored. Unknown ids are ignored: aborted, or acknowledged before. */
  acknowledged(id: string, result: SendResult): boolean {
    const entry = this.#byId.get(id);
    if (entry === undefined) return false;
    this.#remove(entry);
    this.#owner.onDone(id);
    entry.resolve(result);
    this.pump();
    return true;
  }

  /** The server refused request `rid`. False when it is no SEND of this outbox. */
  refused(rid: number, error: ImClientError): boolean {
    const entry = this.#byRid.get(rid);
    if (entry === undefined) return false;
    if (error.retryable) this.#rest(entry, error.retryAfterMs);
    else this.#drop(entry, error);
    this.pump();
    return true;
  }

  /** Gives up on a message. When it is in flight nobody knows whether it was stored. */
  abort(id: string, error: ImClientError): void {
    const entry = this.#byId.get(id);
    if (entry !== undefined) this.#drop(entry, error);
    this.pump();
  }

  /** The connection is gone: everything in flight is written again on the next one. */
  disconnected(): void {
    for (const entry of [...this.#byRid.values()]) this.#ground(entry);
  }

  /** The server lost track of what is in flight: it is written again after a pause. */
  retryFlying(retryAfterMs: number): void {
    for (const entry of [...this.#byRid.values()]) this.#rest(entry, retryAfterMs);
  }

  /** The client closes: every waiting message fails with `error`, and may be restored by a later run. */
  rejectAll(error: ImClientError): void {
    for (const entry of [...this.#byId.values()]) {
      this.#remove(entry);
      entry.reject(error);
    }
  }

  #next(lane: Lane): Entry | undefined {
    if (lane.flying >= this.#settings.conversationWindow) return undefined;
    const entry = lane.entries.find((candidate) => candidate.phase !== "flying");
    return entry?.phase === "queued" ? entry : undefined;
  }

  #write(lane: Lane, entry: Entry): boolean {
    const rid = this.#owner.write(entry.body);
    // What the write made fail may have made the application close the client.
    if (rid === undefined || !this.#byId.has(entry.id)) return false;
    if (entry.rid !== 0) this.#resent++;
    entry.rid = rid;
    entry.phase = "flying";
    lane.flying++;
    this.#flying++;
    this.#byRid.set(rid, entry);
    entry.timer.set(this.#settings.timing.ackTimeoutMs, () => {
      this.#ground(entry);
      this.pump();
    });
    return true;
  }

  /** From flying back to queued. */
  #ground(entry: Entry): void {
    entry.timer.clear();
    if (entry.phase === "flying") {
      this.#flying--;
      this.#byRid.delete(entry.rid);
    }
    const lane = this.#lanes.get(entry.lane);
    if (lane === undefined) return;
    if (entry.phase === "flying") lane.flying--;
    entry.phase = "queued";
    this.#ready.add(lane);
  }

  #rest(entry: Entry, retryAfterMs: number): void {
    this.#ground(entry);
    entry.phase = "resting";
    const delayMs = retryAfterMs + retryMs(entry.failures++, this.#settings.random);
    entry.timer.set(delayMs, () => {
      this.#ground(entry);
      this.pump();
    });
  }

  #drop(entry: Entry, error: ImClientError): void {
    this.#remove(entry);
    this.#owner.onDone(entry.id);
    entry.reject(error);
  }

  #remove(entry: Entry): void {
    this.#ground(entry);
    this.#byId.delete(entry.id);
    const lane = this.#lanes.get(entry.lane);
    if (lane === undefined) return;
    lane.entries.splice(lane.entries.indexOf(entry), 1);
    if (lane.entries.length > 0) return;
    this.#lanes.delete(lane.name);
    this.#ready.delete(lane);
  }
}

function rejected(error: ImClientError): Promise<never> {
  return Promise.reject(error);
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

function conflict(id: string): ImClientError {
  return new ImClientError(ErrorCode.CONFLICT, `another message with id ${id} waits already`);
}

function full(limit: number): ImClientError {
  return new ImClientError(ClientCode.OUTBOX_FULL, `${limit} messages wait already`, { retryable: true });
}
