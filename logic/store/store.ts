// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, ImError } from "#lib/errors.ts";
import type { TraceContext } from "#lib/tracing/trace-context.ts";
import type { Deaths } from "../router/purge-guard.ts";
import type { BlockStore } from "./blocks.ts";
import type { BroadcastStore } from "./broadcast-store.ts";
import type { ChangeStore } from "./changes.ts";
import type { ConversationStore } from "./conversation-store.ts";
import type { ExportStore } from "./exports.ts";
import type { GovernanceStore } from "./governance.ts";
import type { GroupStore } from "./groups.ts";
import type { HookStore } from "./hooks.ts";
import type { IdentityStore } from "./identity.ts";
import type { MessageTraces } from "./message-traces.ts";
import type { MuteStore } from "./mutes.ts";
import type { PolicyStore } from "./policy-store.ts";
import type { PushLedger } from "./push-ledger.ts";
import type { PushStore } from "./push-store.ts";
import type { ServerApiStore } from "./server-api-store.ts";

export type { LoginInput, LoginRecord } from "./identity.ts";

/** One start of an entry process. */
export interface EntryStart {
  readonly incarnation: string;
  readonly podUid: string;
  readonly isDead: boolean;
  /** Since it registered. */
  readonly ageMs: number;
}

/** The router has forgotten everything of an incarnation that has been dead for longer. */
export const FORGOTTEN_MS = 8 * 86_400_000;

/**
 * What the rest of logic sees of the database: the truth about messages, inboxes, cursors, devices and entries.
 * Every method but {@link Store.close} throws only {@link ImError}: RETRYABLE when the outcome is unknown or the
 * database is away, INTERNAL for a fault of ours. Ids are opaque strings without NUL.
 */
export interface Store extends IdentityStore {
  /**
   * Inbox epoch of this database (uuid) when this store was opened: cursors of another epoch are meaningless. It changes
   * when somebody restored the database to an older state and said so; {@link ping}, a login and every page of an inbox
   * tell which one holds.
   */
  readonly epoch: string;

  /** Records one start of one entry process; its incarnation is `<podUid>.<number from a SQL sequence>`. */
  registerEntry(entry: { podUid: string; podName: string; version: string }): Promise<{ incarnation: string }>;
  entryState(incarnation: string): Promise<EntryState>;
  /**
   * Starts of entries after `cursor` (an incarnation; empty: from the first) in the order of incarnations, without those that
   * have been dead for {@link FORGOTTEN_MS}.
   */
  entryStarts(cursor: string, limit: number): Promise<EntryStart[]>;
  /** Marks one incarnation dead, for ever. May be repeated. */
  fenceIncarnation(incarnation: string): Promise<void>;
  /** How many entry pods (all incarnations of them) died within `windowMs`, besides this one, of how many. */
  entryDeaths(podUid: string, windowMs: number): Promise<Deaths>;
  /** Marks every incarnation of the pod dead, for ever, and returns all of them. May be repeated. */
  fenceEntries(podUid: string): Promise<string[]>;

  /**
   * Stores up to {@link MAX_BATCH} messages in one transaction, numbered in their order; results by index. Resolved =
   * committed and durable. (More than 10 000 inbox rows are several transactions.) A repetition of a key whose first occurrence in the batch was refused comes after the rest.
   * On RETRYABLE nothing is known: append the same inputs again, what was stored comes back as `duplicate`.
   * @param epoch that the inbox seqs are to be of, compared in the transaction itself; left out, of whichever holds
   * @throws {OtherEpochError} the database is of another epoch; nothing was stored
   */
  append(batch: readonly AppendInput[], epoch?: string): Promise<AppendResult[]>;

  /** Events after `cursor` in ascending order, at least one (if there is any), bounded by count and bytes. */
  readInbox(request: InboxRequest): Promise<InboxPage>;
  /** The same, with the events given to the writer that `begin` makes: pages of thousands are written without objects. */
  readInboxInto(request: InboxRequest, begin: BeginPage): Promise<PageEnd>;
  /** Messages of a conversation by their seq, without those that the user deleted. Undefined: no such conversation, or the user is no member. */
  readHistory(request: HistoryRequest): Promise<HistoryPage | undefined>;
  /** The user's conversations by their last events, newest first, from pointers below `before`, without those that the user deleted up to there. */
  readHeads(request: HeadsRequest): Promise<HeadsPage>;
  /** Heads of the users' inboxes, 0 for a user without one, and the epoch that they are of. */
  inboxHeads(userIds: readonly string[]): Promise<InboxHeads>;
  /**
   * Moves devices' acknowledged positions forward, never back, never past the head, and with them when they were last
   * seen; unknown devices are ignored.
   * @param epoch that the positions are of, compared in the transaction itself; left out, of whichever holds
   * @throws {OtherEpochError} the database is of another epoch; nothing was moved
   */
  advanceAcks(acks: readonly DeviceAck[], epoch?: string): Promise<void>;
  /**
   * Those of the peers whose presence the user may see: who wrote one of the last {@link SPOKEN_MESSAGES} messages of their
   * one-to-one conversation, or is with the user in one of the {@link SHARED_GROUPS} groups that the user joined last; if users made that, who wrote
   * one of its last messages. To write to somebody, or to put somebody into a group, is not enough: else a stranger could watch anyone.
   */
  visiblePeers(userId: string, peers: readonly PeerConversation[]): Promise<string[]>;
  /** Devices of the users, for phone push. */
  pushTargets(userIds: readonly string[]): Promise<PushTarget[]>;
  /** Messages that change after they were sent. */
  readonly changes: ChangeStore;

  /** What push keeps: contacts, waiting steps, allowances. */
  readonly pushStore: PushStore;

  /** Which pushes are done and which are late. */
  readonly pushes: PushLedger;

  /** What rules go by, and what users report. */
  readonly policy: PolicyStore;

  /** Whom users have blocked. */
  readonly blocks: BlockStore;

  /** What users keep of their conversations. */
  readonly conversations: ConversationStore;

  /** Groups: their members, roles and names. */
  readonly groups: GroupStore;

  /** Users that are deleted, and what may not be deleted. */
  readonly governance: GovernanceStore;

  /** Who may not write for a while. */
  readonly mutes: MuteStore;

  /** What became of a message, for people. */
  readonly traces: MessageTraces;

  /** What webhooks tell, and how far they are. */
  readonly hooks: HookStore;

  /** Broadcasts, and how far users have come with them. */
  readonly broadcasts: BroadcastStore;
  /** What is handed out. */
  readonly exports: ExportStore;

  /** Keys, answers and the audit log of the API for the shop's backends. */
  readonly serverApi: ServerApiStore;

  /** Resolves with the inbox epoch that holds now, when the database answers and is writable. */
  ping(): Promise<string>;
  /** Ends all connections; running calls may fail with RETRYABLE. */
  close(): Promise<void>;
}

/** Positions of an epoch were given or wanted that does not hold any more: nothing was done, {@link Store.ping} tells which does. */
export class OtherEpochError extends ImError {
  constructor(what: string) {
    super(ErrorCode.RETRYABLE, `${what}: the database is of another inbox epoch`);
    this.name = "OtherEpochError";
  }
}

/** Most messages in one {@link Store.append}. */
export const MAX_BATCH = 500;
/** Most content bytes in one {@link Store.append}. */
export const MAX_BATCH_BYTES = 8 * 1024 * 1024;

/** `unknown`: never registered here (or forgotten long ago). */
export type EntryState = "live" | "dead" | "unknown";

/** What two people talk about: an item, an order. Types and ids have no NUL. */
export interface Subject {
  readonly type: string;
  readonly id: string;
}

export interface AppendInput {
  sender: string;
  clientMessageId: string;
  /** SHA-256 (32 bytes) of what makes two sends the same: conversation, type, content. */
  payloadHash: Uint8Array;
  conversationId: string;
  /** The other user of a one-to-one conversation; "" = the conversation must exist with the sender as a member. */
  peer: string;
  /** UUIDv7 made by the caller; used only when the message is new. */
  messageId: string;
  contentType: string;
  /** At most 64 KiB. */
  content: Uint8Array;
  /** Server's wall clock in ms since the epoch; used only when the message is new. */
  sentAtMs: number;
  /** What it is about: its conversation says so, see {@link pairId}. Only with `peer`. */
  subject?: Subject;
  /**
   * The conversation is of the subject alone, and of this pair's: `conversationId` begins with this id and `_`. Absent: the pair has one
   * conversation, which shows what was asked about last.
   */
  pairId?: string;
  /** With `pairId`: conversations about something that the pair may have, this one among them. Absent: as many as they like. */
  maxOfPair?: number;
  /** It is a card that shows this, in this state: see ChangeStore.findCard. */
  card?: { ref: string; version: number };
  /** Of a message that is traced: those who are asked about it are told. Not stored. */
  trace?: TraceContext;
  /** It is for its sender alone: nobody else ever gets or reads it. */
  hidden?: boolean;
  /** It is not to be stored: if its key is known, it is answered as a repetition, else as `refused`. */
  lookUpOnly?: boolean;
}

/**
 * `blocks-peer`: the sender has blocked the one whom it writes to. Who is blocked learns nothing: the message is hidden.
 * `pair-full`: it would have begun one conversation more than `maxOfPair`.
 */
export type AppendResult =
  | AppendedMessage
  | { kind: "conflict"; messageId: string }
  | { kind: "not-member" }
  | { kind: "blocks-peer" }
  | { kind: "pair-full" }
  | { kind: "refused" };

export interface AppendedMessage {
  /** `duplicate`: stored earlier with the same key and hash; everything here is of the first one. */
  kind: "stored" | "duplicate";
  messageId: string;
  conversationId: string;
  /** Gapless position in the conversation, from 1. */
  convSeq: number;
  sentAtMs: number;
  /** Who has it, the sender included; for a duplicate, and in a large group, the sender alone. */
  recipients: Recipient[];
  /** It is in a large group, and everybody who was in it at this version of the group reads it in the conversation. */
  largeVersion?: number;
}

export interface Recipient {
  userId: string;
  /** Gapless position in this user's inbox, from 1. */
  inboxSeq: number;
}

export interface InboxHeads {
  epoch: string;
  heads: Map<string, number>;
}

export interface InboxRequest {
  userId: string;
  /** Return events with a higher inbox seq; 0 = from the start. */
  cursor: number;
  /** Inbox epoch that the cursor is of. Given, a cursor of another one is never taken for a sign of a stale database. */
  epoch?: string;
  /** Most events, at least 1. */
  limit: number;
  /** Most bytes, see {@link eventBytes}; the first event is returned whatever its size. */
  limitBytes: number;
  /** Beyond it the page says so and is empty. Absent: no gap is too long. */
  gap?: GapPolicy | undefined;
}

/** When there is too much between a cursor and the head to be paged through. */
export interface GapPolicy {
  /** More events than this are. */
  maxEvents: number;
  /** So many never are. */
  keepEvents: number;
  /** Otherwise, when the oldest of them is from before this wall clock time (ms). */
  oldestMs: number;
}

export interface InboxPage {
  /** Ascending. A hole in their inbox seqs is retention's. */
  events: StoredEvent[];
  /** Everything up to here is in `events` or gone. */
  nextCursor: number;
  /** Highest inbox seq of the user when this page was read. */
  head: number;
  /** Is `head` above `nextCursor`? */
  more: boolean;
  /** Of the database that this page was read from. */
  epoch: string;
  isGapTooLong: boolean;
}

/** A page without its events. */
export type PageEnd = Omit<InboxPage, "events">;

/** Makes the writer of a page whose events count for `bytes`, see {@link eventBytes}. */
export type BeginPage = (epoch: string, bytes: number) => EventWriter;

/** Takes the events of one page in their order, each in the form that the store has it in. */
export interface EventWriter {
  add(event: StoredEvent): void;
  addRow(row: EventRow): void;
}

/** An event whose texts are UTF-8 within one buffer: positions there. One object, reused: copy what must last. */
export interface EventRow {
  inboxSeq: number;
  convSeq: number;
  sentAtMs: number;
  conversationId: Uint8Array;
  buffer: Buffer;
  /** 16 bytes: the UUID. */
  messageIdAt: number;
  senderAt: number;
  senderBytes: number;
  clientMessageIdAt: number;
  clientMessageIdBytes: number;
  contentTypeAt: number;
  contentTypeBytes: number;
  contentAt: number;
  contentBytes: number;
}

export interface HistoryRequest {
  userId: string;
  conversationId: string;
  /** `backward`: messages before `from`, 0 = the newest ones. `forward`: messages after `from`. */
  direction: "backward" | "forward";
  from: number;
  limit: number;
  limitBytes: number;
}

export interface HistoryPage {
  /** Ascending by conversation seq; their inbox seq is 0. */
  events: StoredEvent[];
  /** Highest conversation seq. */
  lastSeq: number;
  /** Lowest conversation seq that is still there and that the user may read; lastSeq + 1 when there is none. */
  firstSeq: number;
  /** Are there others in the direction that was asked for? */
  more: boolean;
}

export interface HeadsRequest {
  userId: string;
  /** Only pointers with a lower inbox seq; 0 = from the newest. */
  before: number;
  limit: number;
  limitBytes: number;
}

export interface HeadsPage {
  /** Newest first. One that was in a page before comes again when it has older events here: add up `unread`. */
  heads: ConversationHead[];
  /** Highest inbox seq of the user when this page was read. */
  head: number;
  epoch: string;
  /** `before` of the next page, 0 when there is none. */
  nextBefore: number;
}

export interface ConversationHead {
  conversationId: string;
  /** Conversation seq of the last event below `before`. */
  convSeq: number;
  inboxSeq: number;
  sentAtMs: number;
  /** Events here that no device of the user has acknowledged. */
  unread: number;
  /** Undefined when retention took it. Its inbox seq is set. */
  event: StoredEvent | undefined;
}

/** What an event counts for in limits besides its texts and its content. */
export const EVENT_OVERHEAD_BYTES = 88;

/** What an event counts for in limits: never less than its encoding in a page takes. */
export function eventBytes(event: StoredEvent): number {
  const { conversationId, sender, clientMessageId, contentType, content } = event;
  let bytes = EVENT_OVERHEAD_BYTES + content.length;
  for (const text of [conversationId, sender, clientMessageId, contentType]) bytes += Buffer.byteLength(text);
  return bytes;
}

export interface StoredEvent {
  inboxSeq: number;
  conversationId: string;
  convSeq: number;
  messageId: string;
  sender: string;
  clientMessageId: string;
  contentType: string;
  content: Uint8Array;
  sentAtMs: number;
}

export interface DeviceAck {
  userId: string;
  deviceId: string;
  inboxSeq: number;
}

/** Messages of a conversation that {@link Store.visiblePeers} looks at, newest first, until one is the peer's. */
export const SPOKEN_MESSAGES = 100;
export const SHARED_GROUPS = 50;

/** Another user, and the one-to-one conversation with it. */
export interface PeerConversation {
  peerId: string;
  conversationId: string;
}

export interface PushTarget {
  userId: string;
  deviceId: string;
  /** Platform class. */
  slot: string;
  platform: string;
  ackedSeq: number;
  /** apns, fcm, web-push or wechat; "" when the device has not told any. */
  pushProvider: string;
  /** "" when the device has not told any, or it is dead. */
  pushToken: string;
}
