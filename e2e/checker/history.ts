// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, type WriteStream } from "node:fs";
import { createInterface } from "node:readline";

/** Fields of every event of a history. */
interface EventBase {
  /** Names the run: every event of one history carries the same seed. */
  seed: string;
  /** Who observed it, e.g. `client:alice/ios`, `nemesis`. */
  process: string;
  /** Monotonic milliseconds, comparable between processes of one host: {@link monotonicMs}. */
  atMs: number;
}

/**
 * A send as its sender saw it. `invoke` comes first and once per client message id; then any number of
 * `ok` (acknowledged), `fail` (the server promised that it does not exist) or `info` (outcome unknown).
 */
export interface SendEvent extends EventBase {
  op: "send";
  kind: "invoke" | "ok" | "fail" | "info";
  uid: string;
  device: string;
  cmid: string;
  /** The other member of the one-to-one conversation. */
  to: string;
  bodyHash: string;
  /** With `ok`: what the acknowledgement said. */
  conv?: string;
  seq?: number;
  messageId?: string;
  inboxSeq?: number;
}

/** One message shown to the application of one device, in the order in which it was shown. */
export interface ReceiveEvent extends EventBase {
  op: "receive";
  kind: "ok";
  uid: string;
  device: string;
  conv: string;
  seq: number;
  inboxSeq: number;
  messageId: string;
  sender: string;
  cmid: string;
  bodyHash: string;
}

/** Something that happened to the system or to a connection; no check reads it, people do. */
export interface NoteEvent extends EventBase {
  op: "fault" | "connection";
  kind: "info";
  what: string;
}

export type HistoryEvent = SendEvent | ReceiveEvent | NoteEvent;

/** A message row as the final read of the store found it. */
export interface StoredMessage {
  conv: string;
  seq: number;
  messageId: string;
  sender: string;
  cmid: string;
  bodyHash: string;
}

/** What was read after the run, when all faults were healed. */
export interface FinalState {
  /** Devices that pulled to the head of their inbox at the end: only these can be accused of missing a message. */
  devices: { uid: string; device: string }[];
  /** Message rows, when the run could read the store. */
  stored?: StoredMessage[];
}

/** Monotonic clock of the host (CLOCK_MONOTONIC) in milliseconds: the same for all processes of one machine. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

/** 128 bits of SHA-256 over the content, base64url. */
export function bodyHashOf(content: Uint8Array): string {
  return createHash("sha256").update(content).digest("base64url").slice(0, 22);
}

type WithoutBase<T> = T extends HistoryEvent ? Omit<T, "seed" | "atMs"> : never;

/** Collects the events of one run in memory and, when a path is given, as JSON lines in a file. */
export class HistoryRecorder {
  readonly events: HistoryEvent[] = [];
  readonly seed: string;
  readonly #file: WriteStream | undefined;

  constructor(seed: string, path?: string) {
    this.seed = seed;
    this.#file = path === undefined ? undefined : createWriteStream(path);
  }

  /** Stamps the event with the run and the time. */
  record(event: WithoutBase<HistoryEvent>): void {
    const stamped = { seed: this.seed, atMs: monotonicMs(), ...event } as HistoryEvent;
    this.events.push(stamped);
    this.#file?.write(`${JSON.stringify(stamped)}\n`);
  }

  /** Writes out what is left. The recorder must not be used afterwards. */
  async close(): Promise<void> {
    const file = this.#file;
    if (file) await new Promise<void>((resolve, reject) => file.once("error", reject).end(resolve));
  }
}

/** Reads a history of JSON lines. @throws SyntaxError naming the line that is not an event. */
export async function readHistory(path: string): Promise<HistoryEvent[]> {
  const events: HistoryEvent[] = [];
  let line = 0;
  for await (const text of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
    line++;
    if (text !== "") events.push(parseEvent(text, line));
  }
  return events;
}

const OPS: ReadonlySet<unknown> = new Set(["send", "receive", "fault", "connection"]);

function parseEvent(text: string, line: number): HistoryEvent {
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null || !("op" in value) || !OPS.has(value.op))
    throw new SyntaxError(`line ${line} is not a history event: ${text.slice(0, 120)}`);
  return value as HistoryEvent;
}
