// SPDX-License-Identifier: Apache-2.0

import { randomUUID } from "node:crypto";
import type { Deaths } from "../router/purge-guard.ts";
import { appendRepeats, checkBatch } from "./append-repeats.ts";
import {
  classOf,
  type DeviceActivity,
  type DeviceLogout,
  type DeviceProfile,
  type DeviceRecord,
  type LoginInput,
  type LoginRecord,
  type RevocationPage,
  type TokenFacts,
} from "./identity.ts";
import { MemoryBlocks } from "./memory-blocks.ts";
import { MemoryBroadcasts } from "./memory-broadcasts.ts";
import { MemoryChanges } from "./memory-changes.ts";
import { lastSeqFor, MemoryConversations, seenBy } from "./memory-conversations.ts";
import { MemoryExports } from "./memory-exports.ts";
import { MemoryGovernance } from "./memory-governance.ts";
import { MemoryGroups } from "./memory-groups.ts";
import { MemoryHooks } from "./memory-hooks.ts";
import { MemoryIdentity } from "./memory-identity.ts";
import { MemoryMutes } from "./memory-mutes.ts";
import { MemoryPolicy } from "./memory-policy.ts";
import { MemoryPushStore } from "./memory-push.ts";
import { MemoryPushLedger } from "./memory-push-ledger.ts";
import { MemoryServerApi } from "./memory-server-api.ts";
import { MemoryTraces } from "./memory-traces.ts";
import type { InboxPosition, PushSubject } from "./push-store.ts";
import {
  type AppendedMessage,
  type AppendInput,
  type AppendResult,
  type BeginPage,
  type ConversationHead,
  type DeviceAck,
  type EntryStart,
  type EntryState,
  eventBytes,
  FORGOTTEN_MS,
  type HeadsPage,
  type HeadsRequest,
  type HistoryPage,
  type HistoryRequest,
  type InboxHeads,
  type InboxPage,
  type InboxRequest,
  OtherEpochError,
  type PageEnd,
  type PeerConversation,
  type PushTarget,
  SPOKEN_MESSAGES,
  type Store,
  type StoredEvent,
  type Subject,
} from "./store.ts";

interface Conversation {
  lastSeq: number;
  /** Members, and the last seq when they joined. */
  members: Map<string, number>;
  messages: StoredEvent[];
  /** Both users of a one-to-one conversation. */
  pair?: readonly [string, string];
  /** By seq: messages that are there for one user only. */
  onlyFor: Map<number, string>;
  /** What it is about, or was asked about last. */
  subject?: Subject;
  /** By user: what this one alone has asked about since. */
  subjectOnly: Map<string, Subject>;
}

/** What the conversation says it is about: of one subject it always has, of the pair what was asked about last, as each of them sees it. */
function nameSubject(conversation: Conversation, { sender, subject, pairId }: AppendInput, isHidden: boolean): void {
  if (!subject) return;
  if (isHidden && pairId === undefined) {
    conversation.subjectOnly.set(sender, subject);
    return;
  }
  conversation.subject = subject;
  conversation.subjectOnly.clear();
}

interface Key {
  payloadHash: Uint8Array;
  message: AppendedMessage;
  content: Uint8Array;
}

interface EntryRow {
  podUid: string;
  dead: boolean;
  fencedAtMs: number;
  registeredAtMs: number;
}

/**
 * {@link Store} in maps: the reference model that the tests compare PostgreSQL with, and a stand-in for tests of code
 * above the store. Nothing survives the process.
 */
export class MemoryStore implements Store {
  readonly pushes: MemoryPushLedger;
  #epoch: string = randomUUID();
  readonly #entries = new Map<string, EntryRow>();
  readonly #nowMs: () => number;
  readonly #wallMs: () => number;
  readonly #conversations = new Map<string, Conversation>();
  readonly #inboxes = new Map<string, StoredEvent[]>();
  readonly #heads = new Map<string, number>();
  readonly #keys = new Map<string, Key>();
  #loginFloor = 0;
  readonly #identity = new MemoryIdentity({
    headOf: (userId) => this.#head(userId),
    epoch: () => this.#epoch,
    floor: () => this.#loginFloor,
    onFirstLogin: (userId) => this.broadcasts.registered(userId),
  });
  readonly pushStore: MemoryPushStore;
  readonly serverApi: MemoryServerApi;
  readonly blocks: MemoryBlocks = new MemoryBlocks();
  readonly broadcasts: MemoryBroadcasts;
  readonly policy: MemoryPolicy = new MemoryPolicy(
    (conversationId) => this.#conversations.get(conversationId),
    (conversationId, userIds) => this.governance.isHeld(conversationId, userIds),
    (facts) => this.hooks.record(facts),
    (pairId) => this.#about(pairId),
  );
  readonly conversations: MemoryConversations = new MemoryConversations({
    conversation: (conversationId) => this.#conversations.get(conversationId),
    inbox: (userId) => this.#inboxes.get(userId) ?? [],
    head: (userId) => this.#head(userId),
    epoch: () => this.#epoch,
    isBlocked: (pair) => this.blocks.isBetween(pair),
    largeGroups: (userId) => this.#largeGroups(userId),
  });
  readonly groups: MemoryGroups = new MemoryGroups({
    find: (conversationId) => this.#conversations.get(conversationId),
    make: (conversationId) => this.#conversation(conversationId),
    known: (sender, clientMessageId) => this.#keys.get(pair(sender, clientMessageId)),
    note: (event) =>
      this.#note({ ...event, content: Buffer.alloc(0) }, { ...event, kind: "stored", convSeq: 0, recipients: [] }),
    store: (event, userIds) => this.#store(event, userIds),
    isCurrent: (epoch) => epoch === this.#epoch,
  });
  readonly traces: MemoryTraces = new MemoryTraces({
    inbox: (userId) => this.#inboxes.get(userId) ?? [],
    head: (userId) => this.#head(userId),
    members: (conversationId) => this.#conversations.get(conversationId)?.members ?? new Map(),
    pushedSeqs: (userIds) => this.pushes.pushedSeqs(userIds),
    steps: () => this.pushStore.steps,
  });

  readonly exports: MemoryExports = new MemoryExports({
    conversation: (conversationId) => this.#conversations.get(conversationId),
    isHeld: (conversationId) => this.governance.isHeld(conversationId, []),
    policy: this.policy,
  });
  readonly changes: MemoryChanges;
  readonly governance: MemoryGovernance;
  readonly hooks: MemoryHooks = new MemoryHooks({
    conversation: (conversationId) => this.#conversations.get(conversationId),
    wallMs: () => this.#wallMs(),
  });
  readonly mutes: MemoryMutes;

  /**
   * @param nowMs tells the age of appends, for {@link MemoryStore.pushes}
   * @param wallMs the store's time, for {@link MemoryStore.pushStore} and {@link MemoryStore.changeEpoch}
   */
  constructor(nowMs: () => number = () => performance.now(), wallMs: () => number = () => Date.now()) {
    this.#nowMs = nowMs;
    this.#wallMs = wallMs;
    const devices = (userId: string) => [...this.#identity.devices.values()].filter((one) => one.userId === userId);
    this.serverApi = new MemoryServerApi(wallMs);
    this.broadcasts = new MemoryBroadcasts({
      epoch: () => this.#epoch,
      wallMs,
      devicesOf: (userId) => devices(userId),
    });
    this.mutes = new MemoryMutes(wallMs);
    this.pushStore = new MemoryPushStore(
      (userId, deviceId) => this.#identity.devices.get(pair(userId, deviceId)),
      (position) => this.pushSubject(position),
      wallMs,
    );
    const isMuted = (position: InboxPosition) => this.pushSubject(position)?.isMuted ?? false;
    this.pushes = new MemoryPushLedger(devices, (userId) => this.#head(userId), isMuted, nowMs);
    this.changes = new MemoryChanges(
      {
        epoch: () => this.#epoch,
        conversation: (id) => this.#conversations.get(id),
        inboxes: () => this.#inboxes.values(),
        key: (sender, clientMessageId) => this.#keys.get(pair(sender, clientMessageId)),
        append: (input, onlyFor, author) => this.#storeChange(input, onlyFor, author),
        isBlocked: (userId, by) => this.blocks.has(by, userId),
      },
      nowMs,
    );
    this.governance = new MemoryGovernance(
      {
        inbox: (userId) => this.#inboxes.get(userId) ?? [],
        dropFromInbox: (userId, seqs) => this.#dropFromInbox(userId, seqs),
        conversation: (id) => this.#conversations.get(id),
        leaveAll: (userId) => this.#leaveAll(userId),
        eraseMessage: (event) => this.changes.erase(event),
        forgetAccount: (userId) => {
          this.#identity.forgetDevices(userId);
          this.pushStore.forget(userId);
        },
        forgetStates: (userId) => this.conversations.forget(userId),
        deleteTo: (userId, conversationId) => this.conversations.deleteTo(userId, conversationId),
        forgetKeys: (userId) => this.#forgetKeys(userId),
        ban: (userId) => this.#identity.ban(userId),
        lift: (userId) => {
          this.#identity.lift(userId, this.#wallMs());
          if (this.#identity.hasLoggedIn(userId)) this.broadcasts.registered(userId);
        },
        forgetLeftovers: (userId) => {
          for (const part of [this.blocks, this.mutes, this.broadcasts, this.hooks]) part.forget(userId);
          return this.policy.forget(userId);
        },
      },
      wallMs,
    );
  }

  #dropFromInbox(userId: string, seqs: ReadonlySet<number>): void {
    const kept = (this.#inboxes.get(userId) ?? []).filter(({ inboxSeq }) => !seqs.has(inboxSeq));
    this.#inboxes.set(userId, kept);
  }

  #leaveAll(userId: string): void {
    for (const { members, pair: users } of this.#conversations.values()) if (!users) members.delete(userId);
  }

  #largeGroups(userId: string): string[] {
    const own = [...this.#conversations].filter(([id, { members }]) => members.has(userId) && this.groups.isLarge(id));
    return own.map(([id]) => id).reverse();
  }

  /** Conversations of a pair about single things. */
  #about(pairId: string): Conversation[] {
    return [...this.#conversations].filter(([id]) => id.startsWith(`${pairId}_`)).map(([, one]) => one);
  }

  #forgetKeys(userId: string): void {
    for (const key of this.#keys.keys()) if (key.startsWith(pair(userId, ""))) this.#keys.delete(key);
  }

  /** As it is now. */
  get epoch(): string {
    return this.#epoch;
  }

  /** What an operator does who has restored an older state. */
  async changeEpoch(epoch: string = randomUUID()): Promise<void> {
    this.#epoch = epoch;
    // Logins that were forgotten had numbers below it.
    this.#loginFloor = Math.max(this.#loginFloor, this.#wallMs());
  }

  async registerEntry(entry: { podUid: string; podName: string; version: string }): Promise<{ incarnation: string }> {
    const incarnation = `${entry.podUid}.${this.#entries.size + 1}`;
    this.#entries.set(incarnation, {
      ...{ podUid: entry.podUid, dead: false },
      ...{ fencedAtMs: 0, registeredAtMs: this.#nowMs() },
    });
    return { incarnation };
  }

  async entryState(incarnation: string): Promise<EntryState> {
    const entry = this.#entries.get(incarnation);
    if (!entry) return "unknown";
    return entry.dead ? "dead" : "live";
  }

  async entryDeaths(podUid: string, windowMs: number): Promise<Deaths> {
    const all = [...this.#entries.values()];
    const pods = [...new Set(all.map((entry) => entry.podUid))].map((uid) => {
      const starts = all.filter((entry) => entry.podUid === uid);
      const isDead = starts.every(({ dead }) => dead);
      const fencedAtMs = Math.max(...starts.filter(({ dead }) => dead).map((entry) => entry.fencedAtMs));
      return { uid, isDead, isRecent: this.#nowMs() - fencedAtMs < windowMs };
    });
    return {
      known: pods.filter(({ isDead, isRecent }) => !isDead || isRecent).length,
      recent: pods.filter(({ uid, isDead, isRecent }) => isDead && isRecent && uid !== podUid).length,
      isDead: pods.some(({ uid, isDead }) => isDead && uid === podUid),
    };
  }

  async entryStarts(cursor: string, limit: number): Promise<EntryStart[]> {
    const nowMs = this.#nowMs();
    const rows = [...this.#entries].filter(
      ([incarnation, { dead, fencedAtMs }]) => incarnation > cursor && !(dead && nowMs - fencedAtMs >= FORGOTTEN_MS),
    );
    return rows
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .slice(0, limit)
      .map(([incarnation, entry]) => ({
        ...{ incarnation, podUid: entry.podUid, isDead: entry.dead },
        ageMs: nowMs - entry.registeredAtMs,
      }));
  }

  async fenceIncarnation(incarnation: string): Promise<void> {
    const entry = this.#entries.get(incarnation);
    if (!entry || entry.dead) return;
    entry.dead = true;
    entry.fencedAtMs = this.#nowMs();
  }

  async fenceEntries(podUid: string): Promise<string[]> {
    const fenced = [...this.#entries].filter(([, entry]) => entry.podUid === podUid);
    for (const [, entry] of fenced) {
      if (!entry.dead) entry.fencedAtMs = this.#nowMs();
      entry.dead = true;
    }
    return fenced.map(([incarnation]) => incarnation);
  }

  login(login: LoginInput): Promise<LoginRecord> {
    return this.#identity.login(login);
  }

  setDevice(profile: DeviceProfile): Promise<boolean> {
    return this.#identity.setDevice(profile);
  }

  logoutDevices(logouts: readonly DeviceLogout[]): Promise<void> {
    return this.#identity.logoutDevices(logouts);
  }

  noteActivity(notes: readonly DeviceActivity[]): Promise<void> {
    return this.#identity.noteActivity(notes);
  }

  devicesOf(userIds: readonly string[]): Promise<DeviceRecord[]> {
    return this.#identity.devicesOf(userIds);
  }

  revokeUser(userId: string, validAfterMs?: number): Promise<void> {
    return this.#identity.revokeUser(userId, validAfterMs);
  }

  revokeToken(tokenId: string, expiresAtMs: number): Promise<void> {
    return this.#identity.revokeToken(tokenId, expiresAtMs);
  }

  revocationVersion(): Promise<number> {
    return this.#identity.revocationVersion();
  }

  revocationsAfter(version: number, limit: number): Promise<RevocationPage> {
    return this.#identity.revocationsAfter(version, limit);
  }

  findRevoked(tokens: readonly TokenFacts[]): Promise<number[]> {
    return this.#identity.findRevoked(tokens);
  }

  pruneRevokedTokens(beforeMs: number): Promise<void> {
    return this.#identity.pruneRevokedTokens(beforeMs);
  }

  /** Makes a conversation, or adds members to it. */
  async createConversation(conversationId: string, memberIds: readonly string[]): Promise<void> {
    const conversation = this.#conversation(conversationId);
    for (const memberId of memberIds)
      if (!conversation.members.has(memberId)) conversation.members.set(memberId, conversation.lastSeq);
  }

  /** Ends a membership: what is sent from now on is not theirs, and they cannot send. */
  async removeMember(conversationId: string, memberId: string): Promise<void> {
    this.#conversations.get(conversationId)?.members.delete(memberId);
  }

  async append(batch: readonly AppendInput[], epoch: string = this.#epoch): Promise<AppendResult[]> {
    checkBatch(batch);
    if (epoch !== this.#epoch && batch.length > 0) throw new OtherEpochError("append");
    return appendRepeats(batch, async (distinct) => distinct.map((input) => this.#appendOne(input)));
  }

  #appendOne(input: AppendInput): AppendResult {
    const known = this.#keys.get(pair(input.sender, input.clientMessageId));
    if (known) return repeat(known, input);
    if (input.lookUpOnly) return { kind: "refused" };
    if (input.peer === "" && !this.#conversations.get(input.conversationId)?.members.has(input.sender)) {
      return { kind: "not-member" };
    }
    if (this.#isPairFull(input)) return { kind: "pair-full" };
    const conversation = this.#conversation(input.conversationId);
    if (input.peer !== "" && conversation.lastSeq === 0) {
      conversation.members.set(input.sender, 0).set(input.peer, 0);
      conversation.pair = [input.sender, input.peer];
    }
    const { sender } = input;
    const peer = input.peer === "" ? conversation.pair?.find((userId) => userId !== sender) : input.peer;
    if (peer !== undefined && this.blocks.has(sender, peer)) return { kind: "blocks-peer" };
    const isHidden = input.hidden === true || (peer !== undefined && this.blocks.has(peer, sender));
    const everybody = input.peer === "" ? conversation.members.keys() : new Set([sender, input.peer]);
    const largeVersion = isHidden ? undefined : this.groups.largeVersion(input.conversationId);
    nameSubject(conversation, input, isHidden);
    const isForSender = isHidden || largeVersion !== undefined;
    const message = this.#store(input, isForSender ? [sender] : everybody, isHidden ? sender : undefined);
    if (largeVersion !== undefined) message.largeVersion = largeVersion;
    this.pushes.appended(message.recipients.filter(({ userId }) => userId !== input.sender));
    return message;
  }

  #isPairFull({ conversationId, pairId, maxOfPair }: AppendInput): boolean {
    if (pairId === undefined || maxOfPair === undefined || this.#conversations.has(conversationId)) return false;
    return this.#about(pairId).length >= maxOfPair;
  }

  #storeChange(input: AppendInput, onlyFor: string | undefined, author: string): AppendedMessage {
    if (onlyFor !== undefined) return this.#store(input, [onlyFor], onlyFor);
    const { members } = this.#conversation(input.conversationId);
    const largeVersion = this.groups.largeVersion(input.conversationId);
    if (largeVersion === undefined) return this.#store(input, members.keys());
    const reader = [input.sender, author].find((userId) => members.has(userId)) ?? [...members.keys()].sort()[0];
    return { ...this.#store(input, reader === undefined ? [] : [reader]), largeVersion };
  }

  #store(input: AppendInput, userIds: Iterable<string>, onlyFor?: string): AppendedMessage {
    const conversation = this.#conversation(input.conversationId);
    const { messageId, conversationId, sentAtMs } = input;
    const convSeq = ++conversation.lastSeq;
    const stored = toStored(input, convSeq);
    conversation.messages.push(stored);
    if (onlyFor !== undefined) conversation.onlyFor.set(convSeq, onlyFor);
    this.hooks.appended(stored);
    const recipients = [...userIds].map((userId) => ({ userId, inboxSeq: this.#deliver(userId, stored) }));
    const message: AppendedMessage = { kind: "stored", messageId, conversationId, convSeq, sentAtMs, recipients };
    this.#note(input, message);
    if (input.card) this.changes.addCard(conversationId, input.card, stored);
    return message;
  }

  #note({ sender, clientMessageId, payloadHash, content }: AppendInput, message: AppendedMessage): void {
    this.#keys.set(pair(sender, clientMessageId), { payloadHash, message, content });
  }

  #deliver(userId: string, stored: StoredEvent): number {
    const inbox = this.#inboxes.get(userId) ?? [];
    this.#inboxes.set(userId, inbox);
    const inboxSeq = this.#head(userId) + 1;
    this.#heads.set(userId, inboxSeq);
    inbox.push({ ...stored, inboxSeq });
    return inboxSeq;
  }

  async readInbox({ userId, cursor, limit, limitBytes, gap }: InboxRequest): Promise<InboxPage> {
    const head = this.#head(userId);
    const behind = behindCursor(this.#inboxes.get(userId) ?? [], cursor);
    const isOld = gap !== undefined && (behind[0]?.sentAtMs ?? gap.oldestMs) < gap.oldestMs;
    const isGapTooLong =
      gap !== undefined && (behind.length > gap.maxEvents || (behind.length > gap.keepEvents && isOld));
    const events = isGapTooLong ? [] : within(behind.slice(0, Math.max(1, limit)), limitBytes);
    const isAll = events.length === behind.length && !isGapTooLong;
    const nextCursor = isAll ? Math.max(cursor, head) : (events.at(-1)?.inboxSeq ?? cursor);
    return { events, nextCursor, head, more: nextCursor < head, epoch: this.epoch, isGapTooLong };
  }

  async readInboxInto(request: InboxRequest, begin: BeginPage): Promise<PageEnd> {
    const { events, ...end } = await this.readInbox(request);
    const writer = begin(
      end.epoch,
      events.reduce((sum, event) => sum + eventBytes(event), 0),
    );
    for (const event of events) writer.add(event);
    return end;
  }

  async readHistory(request: HistoryRequest): Promise<HistoryPage | undefined> {
    const { userId, conversationId, direction, from, limit, limitBytes } = request;
    const conversation = this.#conversations.get(conversationId);
    const joinedSeq = conversation?.members.get(userId);
    if (!conversation || joinedSeq === undefined) return undefined;
    const isForward = direction === "forward";
    const hiddenSeq = Math.max(joinedSeq, this.conversations.deletedTo(userId, conversationId));
    const visible = seenBy(userId, conversation).filter(({ convSeq }) => convSeq > hiddenSeq);
    const asked = visible.filter(({ convSeq }) => (isForward ? convSeq > from : from === 0 || convSeq < from));
    if (!isForward) asked.reverse();
    const events = within(asked.slice(0, Math.max(1, limit)), limitBytes);
    const more = events.length < asked.length;
    if (!isForward) events.reverse();
    const lastSeq = lastSeqFor(userId, conversation);
    return { events, lastSeq, firstSeq: visible[0]?.convSeq ?? lastSeq + 1, more };
  }

  async readHeads({ userId, before, limit, limitBytes }: HeadsRequest): Promise<HeadsPage> {
    const below = (this.#inboxes.get(userId) ?? []).filter(({ inboxSeq }) => before === 0 || inboxSeq < before);
    const newest = new Map<string, StoredEvent>();
    for (const event of below.toReversed())
      if (!newest.has(event.conversationId)) newest.set(event.conversationId, event);
    for (const { conversationId, convSeq } of [...newest.values()])
      if (convSeq <= this.conversations.deletedTo(userId, conversationId)) newest.delete(conversationId);
    const kept: StoredEvent[] = [];
    let bytes = 0;
    for (const event of [...newest.values()].slice(0, Math.max(1, limit))) {
      bytes += eventBytes(event) + Buffer.byteLength(event.conversationId);
      if (kept.length > 0 && bytes > limitBytes) break;
      kept.push(event);
    }
    const nextBefore = kept.length < newest.size ? (kept.at(-1)?.inboxSeq ?? 0) : 0;
    const devices = [...this.#identity.devices.values()].filter((device) => device.userId === userId);
    const readSeq = Math.max(0, ...devices.map(({ ackedSeq }) => ackedSeq));
    const heads = kept.map((event): ConversationHead => {
      const { conversationId, convSeq, inboxSeq, sentAtMs } = event;
      const isUnread = (other: StoredEvent): boolean =>
        other.conversationId === conversationId && other.inboxSeq >= nextBefore && other.inboxSeq > readSeq;
      return { conversationId, convSeq, inboxSeq, sentAtMs, unread: below.filter(isUnread).length, event };
    });
    return { heads, head: this.#head(userId), epoch: this.epoch, nextBefore };
  }

  async inboxHeads(userIds: readonly string[]): Promise<InboxHeads> {
    return { epoch: this.epoch, heads: new Map(userIds.map((userId) => [userId, this.#head(userId)])) };
  }

  async advanceAcks(acks: readonly DeviceAck[], epoch: string = this.#epoch): Promise<void> {
    if (epoch !== this.#epoch && acks.length > 0) throw new OtherEpochError("acknowledgements");
    for (const ack of acks) {
      const device = this.#identity.devices.get(pair(ack.userId, ack.deviceId));
      const seq = Math.min(ack.inboxSeq, this.#head(ack.userId));
      if (!device || seq <= device.ackedSeq) continue;
      device.ackedSeq = seq;
      device.lastSeenMs = Math.max(device.lastSeenMs, Date.now());
    }
  }

  async visiblePeers(userId: string, peers: readonly PeerConversation[]): Promise<string[]> {
    const isVisible = ({ peerId, conversationId }: PeerConversation): boolean => {
      if (this.blocks.isBetween([userId, peerId])) return false;
      const hasSpoken = ({ messages, onlyFor }: Conversation): boolean =>
        messages.slice(-SPOKEN_MESSAGES).some(({ sender, convSeq }) => sender === peerId && !onlyFor.has(convSeq));
      const direct = this.#conversations.get(conversationId);
      if (direct && hasSpoken(direct)) return true;
      if (this.#about(conversationId).some(hasSpoken)) return true;
      const others = [...this.#conversations].filter(([, one]) => one.pair === undefined);
      return others.some(([id, group]) => {
        if (!group.members.has(userId) || !group.members.has(peerId)) return false;
        return !this.groups.has(id) || hasSpoken(group);
      });
    };
    return peers.filter(isVisible).map(({ peerId }) => peerId);
  }

  async pushTargets(userIds: readonly string[]): Promise<PushTarget[]> {
    const wanted = new Set(userIds);
    const devices = [...this.#identity.devices.values()].filter((device) => wanted.has(device.userId));
    return devices.map(({ userId, deviceId, slot, platform, ackedSeq, pushProvider, pushToken }) => ({
      ...{ userId, deviceId, slot: classOf(slot), platform, ackedSeq, pushProvider, pushToken },
    }));
  }

  /** What a push of this message would be about. */
  protected pushSubject({ userId, inboxSeq }: InboxPosition): PushSubject | undefined {
    const event = this.#inboxes.get(userId)?.[inboxSeq - 1];
    if (!event) return undefined;
    const { conversationId, messageId, sender, contentType, sentAtMs } = event;
    const isMuted = this.conversations.isMuted(userId, conversationId, this.#wallMs());
    const message = { conversationId, messageId, sender, contentType, sentAtMs };
    const subject = this.#subjectFor(userId, conversationId);
    return { userId, inboxSeq, ...message, head: this.#head(userId), isMuted, subject };
  }

  async ping(): Promise<string> {
    return this.#epoch;
  }

  async close(): Promise<void> {}

  #head(userId: string): number {
    return this.#heads.get(userId) ?? 0;
  }

  /** What the user sees the conversation to be about. */
  #subjectFor(userId: string, conversationId: string): Subject | undefined {
    const conversation = this.#conversations.get(conversationId);
    return conversation?.subjectOnly.get(userId) ?? conversation?.subject;
  }

  #conversation(conversationId: string): Conversation {
    const conversation = this.#conversations.get(conversationId) ?? {
      ...{ lastSeq: 0, members: new Map(), messages: [], onlyFor: new Map(), subjectOnly: new Map() },
    };
    this.#conversations.set(conversationId, conversation);
    return conversation;
  }
}

function toStored(input: AppendInput, convSeq: number): StoredEvent {
  const { conversationId, messageId, sender, clientMessageId, contentType, content, sentAtMs } = input;
  const what = { conversationId, convSeq, messageId, sender, clientMessageId, contentType, sentAtMs };
  return { inboxSeq: 0, ...what, content: Buffer.from(content) };
}

/** By bisection: inboxes of benchmarks are long. */
function behindCursor(inbox: readonly StoredEvent[], cursor: number): StoredEvent[] {
  let [low, high] = [0, inbox.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((inbox[middle]?.inboxSeq ?? 0) > cursor) high = middle;
    else low = middle + 1;
  }
  return inbox.slice(low);
}

/** As many as the limit in bytes allows, the first one in any case. */
function within(events: readonly StoredEvent[], limitBytes: number): StoredEvent[] {
  let bytes = 0;
  let count = 0;
  for (const event of events) {
    bytes += eventBytes(event);
    if (count > 0 && bytes > limitBytes) break;
    count++;
  }
  return events.slice(0, count);
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
