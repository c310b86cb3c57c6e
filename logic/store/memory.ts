// SPDX-License-Identifier: Apache-2.0
import { randomUUID } from "node:crypto";
import { appendRepeats, checkBatch } from "./append-repeats.ts";
import { MemoryPushLedger } from "./memory-push-ledger.ts";
import type {
  AppendedMessage,
  AppendInput,
  AppendResult,
  DeviceAck,
  EntryState,
  InboxPage,
  InboxRequest,
  LoginInput,
  LoginRecord,
  PushTarget,
  Store,
  StoredEvent,
} from "./store.ts";

interface Conversation {
  lastSeq: number;
  members: Set<string>;
}

interface Key {
  payloadHash: Uint8Array;
  message: AppendedMessage;
}

/**
 * {@link Store} in maps: the reference model that the tests compare PostgreSQL with, and a stand-in for tests of code
 * above the store. Nothing survives the process.
 */
export class MemoryStore implements Store {
  readonly epoch = randomUUID();
  readonly pushes: MemoryPushLedger;
  readonly #entries = new Map<string, { podUid: string; dead: boolean }>();
  readonly #loginSeqs = new Map<string, number>();
  readonly #devices = new Map<string, PushTarget>();
  readonly #conversations = new Map<string, Conversation>();
  readonly #inboxes = new Map<string, StoredEvent[]>();
  readonly #keys = new Map<string, Key>();

  /** @param nowMs tells the age of appends, for {@link MemoryStore.pushes} */
  constructor(nowMs: () => number = () => performance.now()) {
    const ackedSeq = (userId: string): number =>
      [...this.#devices.values()].reduce((max, one) => (one.userId === userId ? Math.max(max, one.ackedSeq) : max), 0);
    this.pushes = new MemoryPushLedger(ackedSeq, nowMs);
  }

  async registerEntry(entry: { podUid: string; podName: string; version: string }): Promise<{ incarnation: string }> {
    const incarnation = `${entry.podUid}.${this.#entries.size + 1}`;
    this.#entries.set(incarnation, { podUid: entry.podUid, dead: false });
    return { incarnation };
  }

  async entryState(incarnation: string): Promise<EntryState> {
    const entry = this.#entries.get(incarnation);
    if (!entry) return "unknown";
    return entry.dead ? "dead" : "live";
  }

  async fenceEntries(podUid: string): Promise<string[]> {
    const fenced = [...this.#entries].filter(([, entry]) => entry.podUid === podUid);
    for (const [, entry] of fenced) entry.dead = true;
    return fenced.map(([incarnation]) => incarnation);
  }

  async login(login: LoginInput): Promise<LoginRecord> {
    const { userId, slot, deviceId, platform } = login;
    const loginSeq = (this.#loginSeqs.get(pair(userId, slot)) ?? 0) + 1;
    this.#loginSeqs.set(pair(userId, slot), loginSeq);
    const ackedSeq = this.#devices.get(pair(userId, deviceId))?.ackedSeq ?? 0;
    this.#devices.set(pair(userId, deviceId), { userId, deviceId, slot, platform, ackedSeq, pushToken: "" });
    return { loginSeq, ackedSeq, inboxHead: this.#head(userId) };
  }

  /** Makes a conversation, or adds members to it. */
  async createConversation(conversationId: string, memberIds: readonly string[]): Promise<void> {
    const conversation = this.#conversation(conversationId);
    for (const memberId of memberIds) conversation.members.add(memberId);
  }

  async append(batch: readonly AppendInput[]): Promise<AppendResult[]> {
    checkBatch(batch);
    return appendRepeats(batch, async (distinct) => distinct.map((input) => this.#appendOne(input)));
  }

  #appendOne(input: AppendInput): AppendResult {
    const known = this.#keys.get(pair(input.sender, input.clientMessageId));
    if (known) return repeat(known, input);
    if (input.peer === "" && !this.#conversations.get(input.conversationId)?.members.has(input.sender)) {
      return { kind: "not-member" };
    }
    const conversation = this.#conversation(input.conversationId);
    if (input.peer !== "" && conversation.lastSeq === 0) conversation.members.add(input.sender).add(input.peer);
    const userIds = input.peer === "" ? conversation.members : new Set([input.sender, input.peer]);
    const { messageId, conversationId, sentAtMs } = input;
    const convSeq = ++conversation.lastSeq;
    const recipients = [...userIds].map((userId) => ({ userId, inboxSeq: this.#deliver(userId, input, convSeq) }));
    const message: AppendedMessage = { kind: "stored", messageId, conversationId, convSeq, sentAtMs, recipients };
    this.#keys.set(pair(input.sender, input.clientMessageId), { payloadHash: input.payloadHash, message });
    this.pushes.appended(recipients.filter(({ userId }) => userId !== input.sender));
    return message;
  }

  #deliver(userId: string, input: AppendInput, convSeq: number): number {
    const inbox = this.#inboxes.get(userId) ?? [];
    this.#inboxes.set(userId, inbox);
    const { conversationId, messageId, sender, clientMessageId, contentType, content, sentAtMs } = input;
    const inboxSeq = inbox.length + 1;
    inbox.push({
      inboxSeq,
      conversationId,
      convSeq,
      messageId,
      sender,
      clientMessageId,
      contentType,
      content: Buffer.from(content),
      sentAtMs,
    });
    return inboxSeq;
  }

  async readInbox(request: InboxRequest): Promise<InboxPage> {
    const { userId, cursor, limit, limitBytes } = request;
    const events: StoredEvent[] = [];
    let bytes = 0;
    for (const event of (this.#inboxes.get(userId) ?? []).slice(cursor, cursor + Math.max(1, limit))) {
      bytes += event.content.length;
      if (events.length > 0 && bytes > limitBytes) break;
      events.push(event);
    }
    const head = this.#head(userId);
    const last = events.at(-1);
    return { events, nextCursor: last?.inboxSeq ?? cursor, head, more: last !== undefined && last.inboxSeq < head };
  }

  async inboxHeads(userIds: readonly string[]): Promise<Map<string, number>> {
    return new Map(userIds.map((userId) => [userId, this.#head(userId)]));
  }

  async advanceAcks(acks: readonly DeviceAck[]): Promise<void> {
    for (const ack of acks) {
      const device = this.#devices.get(pair(ack.userId, ack.deviceId));
      const seq = Math.min(ack.inboxSeq, this.#head(ack.userId));
      if (device && seq > device.ackedSeq) device.ackedSeq = seq;
    }
  }

  async pushTargets(userIds: readonly string[]): Promise<PushTarget[]> {
    const wanted = new Set(userIds);
    return [...this.#devices.values()].filter((device) => wanted.has(device.userId)).map((device) => ({ ...device }));
  }

  async ping(): Promise<void> {}

  async close(): Promise<void> {}

  #head(userId: string): number {
    return this.#inboxes.get(userId)?.length ?? 0;
  }

  #conversation(conversationId: string): Conversation {
    const conversation = this.#conversations.get(conversationId) ?? { lastSeq: 0, members: new Set<string>() };
    this.#conversations.set(conversationId, conversation);
    return conversation;
  }
}

/** Map key of two ids; ids contain no NUL. */
function pair(first: string, second: string): string {
  return `${first}\0${second}`;
}

function repeat(known: Key, input: AppendInput): AppendResult {
  const { message } = known;
  if (Buffer.compare(known.payloadHash, input.payloadHash) !== 0) {
    return { kind: "conflict", messageId: message.messageId };
  }
  const recipients = message.recipients.filter((recipient) => recipient.userId === input.sender);
  return { ...message, kind: "duplicate", recipients };
}
