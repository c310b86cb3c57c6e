// SPDX-License-Identifier: Apache-2.0
import { hash } from "node:crypto";
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
  /** The other member of the one-to-one conversation; `#id` is a conversation of many, whose members are not checked. */
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
  /** Of its content, when it had been changed before it came; without it 1. */
  version?: number;
  /** Session in which it came: its `sid`, and slot; without them the single-session check does not see it. */
  sid?: string;
  slot?: string;
}

/** Version of a message that was recalled: the highest there is. Its content is empty, and so is its hash. */
export const RECALLED = Number.MAX_SAFE_INTEGER;

/**
 * A recall or an edit as whoever asked for it saw it; kinds as of a send. What is stored of it is a message of the conversation,
 * which takes a position, by the actor, with `cmid`.
 */
export interface ChangeEvent extends EventBase {
  op: "change";
  kind: "invoke" | "ok" | "fail" | "info";
  uid: string;
  device: string;
  cmid: string;
  /** As of the send whose message it changes. */
  to: string;
  /** The message. */
  conv: string;
  seq: number;
  messageId: string;
  /** That the message is to have, or {@link RECALLED}; and of what content. */
  version: number;
  contentHash: string;
  /** Of the message that tells of the change. */
  bodyHash: string;
  /** With `ok`: position of the message that tells of it; 0 when there was nothing left to change. */
  eventSeq?: number;
}

/** A device shows a message in another way than before: a change came. */
export interface ViewEvent extends EventBase {
  op: "view";
  kind: "ok";
  uid: string;
  device: string;
  conv: string;
  seq: number;
  messageId: string;
  version: number;
  bodyHash: string;
}

/** What a message says that tells of a change of its group. */
export interface GroupFact {
  kind: string;
  users: readonly string[];
  /** Of the group after the change. */
  version: number;
  /** Members after the change. */
  members: number;
  role?: string;
}

/**
 * Somebody asks for a change of a group; kinds as of a send. What is stored is a message of the conversation, which takes a
 * position, by the actor, with `cmid`. Who is a member when is told by these messages alone.
 */
export interface GroupEvent extends EventBase {
  op: "group";
  kind: "invoke" | "ok" | "fail" | "info";
  uid: string;
  device: string;
  cmid: string;
  action: string;
  users: readonly string[];
  /** Empty until it is made. */
  conv: string;
  /** With `ok`: position of the message that tells of it; 0 when there was nothing to change. */
  seq?: number;
}

/** Something that happened to a connection; no check reads it, people do. */
export interface NoteEvent extends EventBase {
  op: "connection";
  kind: "info";
  what: string;
}

/** How far a fault may delay a push: one component away, or all of Redis forgotten. `none` delays nothing. */
export type FaultClass = "none" | "component" | "redis-loss";

/** Something that was done to the system. */
export interface FaultEvent extends EventBase {
  op: "fault";
  kind: "info";
  what: string;
  /** Default `component`. */
  faultClass?: FaultClass;
  /** When it was over, on the clock of `atMs`. Default: at once. */
  untilMs?: number;
}

/** A device told the server how far it applied its inbox. */
export interface AckEvent extends EventBase {
  op: "ack";
  kind: "ok";
  uid: string;
  device: string;
  inboxSeq: number;
}

/**
 * A push provider was asked about a user's inbox up to `inboxSeq`: `ok` it took it, `fail` it did not (and will be asked
 * again).
 */
export interface PushEvent extends EventBase {
  op: "push";
  kind: "ok" | "fail";
  uid: string;
  inboxSeq: number;
  /** The message at that position, when the push names one. */
  messageId?: string;
}

/** A device began to log in, was logged in, or its session ended; as the device sees it. */
export interface SessionEvent extends EventBase {
  op: "session";
  kind: "invoke" | "open" | "close";
  uid: string;
  device: string;
  slot: string;
  /** Empty with `invoke`. */
  sid: string;
  /** With `close`: the code, when there was one. */
  code?: number;
  /** With `open`: when the token it used was issued, on the clock of `atMs`. */
  tokenIssuedAtMs?: number;
}

/**
 * What happens to a broadcast. `invoke`: somebody asks for it, or for further `targets`. `force`: it has come into force, for some of them or
 * all, as number `seq` of its tenant. `over`: it is no longer due. `ok`: it was shown to a device. `place`: a device keeps from now on
 * where it is, and everything behind `seq` is due to it.
 */
export interface BroadcastEvent extends EventBase {
  op: "broadcast";
  kind: "invoke" | "force" | "over" | "ok" | "place";
  /** Empty with `place`. */
  id: string;
  /** With `invoke`: to whom it is due. */
  targets?: string[];
  /** With `invoke`: to whom it may be shown as well. */
  others?: string[];
  /** With `invoke`: when it is in force, on the clock of `atMs`. Default: from now on, for ever. */
  fromMs?: number;
  untilMs?: number;
  /** With `invoke`: newest number in force at that time; those of these targets are higher. */
  afterSeq?: number;
  /** With `invoke`: the service has confirmed it. */
  isConfirmed?: boolean;
  /** With `force`, `ok` and `place`. */
  seq?: number;
  /** With `ok` and `place`. */
  uid?: string;
  device?: string;
  /** With `ok`: it may come before its turn. */
  isUrgent?: boolean;
  /** With `ok`, of a device that keeps no place: in which of its lives; each may be shown once more what nobody has acknowledged. */
  life?: number;
}

/** A user became a member of a conversation, or ceased to be one; recorded when the change was acknowledged. */
export interface MembershipEvent extends EventBase {
  op: "membership";
  kind: "add" | "remove";
  uid: string;
  conv: string;
}

/** Every token of the user issued up to now was revoked; recorded when that was acknowledged. */
export interface RevokeEvent extends EventBase {
  op: "revoke";
  kind: "ok";
  uid: string;
}

/** One operation on the router's register of (uid, slot): `invoke`, then `ok` with its result, or `info` when unknown. */
export interface RouterEvent extends EventBase {
  op: "router";
  kind: "invoke" | "ok" | "info";
  /** Pairs the events of one operation. */
  call: string;
  action: "login" | "logout" | "purge" | "lookup" | "flush";
  /** Empty with purge and flush, which concern every key. */
  uid: string;
  slot: string;
  /** Of login, logout and purge. */
  incarnation?: string;
  conn?: number;
  loginSeq?: number;
  /** With `ok`: login `ok`, `stale`, `fenced`; logout `deleted`, `kept`; lookup: the route, or `none`. */
  result?: string;
}

export type HistoryEvent =
  | SendEvent
  | ReceiveEvent
  | ChangeEvent
  | ViewEvent
  | GroupEvent
  | NoteEvent
  | FaultEvent
  | AckEvent
  | PushEvent
  | SessionEvent
  | BroadcastEvent
  | MembershipEvent
  | RevokeEvent
  | RouterEvent;

/** A message row as the final read of the store found it. */
export interface StoredMessage {
  conv: string;
  seq: number;
  messageId: string;
  sender: string;
  cmid: string;
  bodyHash: string;
  /** Of its content, when it was changed; without it 1. */
  version?: number;
  /** When it tells of a change of its group. */
  group?: GroupFact;
}

/** What was read after the run, when all faults were healed. */
export interface FinalState {
  /** Devices that pulled to the head of their inbox at the end: only these can be accused of missing a message. */
  devices: { uid: string; device: string }[];
  /** Message rows, when the run could read the store. */
  stored?: StoredMessage[];
  /** What was left some time after all faults were healed, when the run looked. */
  healed?: HealedState;
}

/** The state of the system when it had time to settle. */
export interface HealedState {
  /** When the last fault was healed, and when this was read; on the clock of the events. */
  healedAtMs: number;
  readAtMs: number;
  /** Lengths of queues and streams of work, by name, early and late after the heal. */
  backlog: { name: string; earlyLength: number; lateLength: number }[];
  /** Routes that count as online. */
  routes: { uid: string; slot: string; session: string }[];
  /** Sessions that are open at an entry. */
  sessions: { uid: string; slot: string; session: string }[];
}

/** Monotonic clock of the host (CLOCK_MONOTONIC) in milliseconds: the same for all processes of one machine. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

/** 128 bits of SHA-256 over the content, base64url. */
export function bodyHashOf(content: Uint8Array): string {
  return hash("sha256", content, "base64url").slice(0, 22);
}

/** An event before it is stamped with its run and time. */
export type WithoutBase<T = HistoryEvent> = T extends HistoryEvent ? Omit<T, "seed" | "atMs"> : never;

/** Collects the events of one run in memory and, when a path is given, as JSON lines in a file. */
export class HistoryRecorder {
  readonly events: HistoryEvent[] = [];
  readonly seed: string;
  readonly #file: WriteStream | undefined;

  constructor(seed: string, path?: string) {
    this.seed = seed;
    this.#file = path === undefined ? undefined : createWriteStream(path);
  }

  /** Stamps the event with the run and, unless it brings one, the time. */
  record(event: WithoutBase & { atMs?: number }): void {
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

const OPS: ReadonlySet<unknown> = new Set([
  "send",
  "receive",
  "change",
  "view",
  "group",
  "fault",
  "connection",
  "ack",
  "push",
  "session",
  "broadcast",
  "membership",
  "revoke",
  "router",
]);

function parseEvent(text: string, line: number): HistoryEvent {
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null || !("op" in value) || !OPS.has(value.op))
    throw new SyntaxError(`line ${line} is not a history event: ${text.slice(0, 120)}`);
  return value as HistoryEvent;
}
