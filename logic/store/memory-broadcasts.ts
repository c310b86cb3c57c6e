// SPDX-License-Identifier: Apache-2.0
import { tenantOf } from "#lib/tenant.ts";
import {
  countNumbers,
  hasNumber,
  joinNumbers,
  NO_NUMBERS,
  packNumbers,
  type UserNumbers,
} from "../broadcasts/user-numbers.ts";
import {
  type BroadcastCreated,
  type BroadcastHeads,
  type BroadcastReader,
  type BroadcastStore,
  type DeviceTraits,
  MAX_LIST_PARTS,
  MAX_LISTED_USERS,
  MAX_OPEN_BROADCASTS,
  type NewBroadcast,
  type OpenBroadcasts,
  type OpenPart,
  type StoredBroadcast,
  type UsersAdded,
  type Watermark,
} from "./broadcast-store.ts";

interface Part {
  users: UserNumbers;
  /** 0 = it is not in force yet. */
  seq: number;
}

interface Kept extends NewBroadcast {
  number: number;
  createdMs: number;
  retractedMs: number;
  parts: Part[];
}

interface Reader {
  number: number;
  floor: number | undefined;
  watermark: number;
  registeredMs: number;
  mutedTopics: readonly string[];
}

/** What {@link MemoryBroadcasts} needs of the rest of the store. */
export interface BroadcastFacts {
  epoch: () => string;
  wallMs: () => number;
  devicesOf: (userId: string) => readonly { platform: string; locale: string }[];
}

/** {@link BroadcastStore} in maps: the model of the functions in migrations/0015_broadcasts.sql. */
export class MemoryBroadcasts implements BroadcastStore {
  readonly #facts: BroadcastFacts;
  readonly #broadcasts = new Map<string, Kept>();
  readonly #heads = new Map<string, { head: number; version: number }>();
  readonly #readers = new Map<string, Reader>();
  #numbers = 0;
  #readerNumbers = 0;

  constructor(facts: BroadcastFacts) {
    this.#facts = facts;
  }

  /** The user has logged in for the first time. */
  registered(userId: string): void {
    const head = this.#heads.get(tenantOf(userId))?.head ?? 0;
    const known = this.#readers.get(userId);
    if (known && known.floor !== undefined) return;
    const registeredMs = this.#facts.wallMs();
    const number = known?.number ?? ++this.#readerNumbers;
    const fresh = { number, floor: head, watermark: head, registeredMs };
    this.#readers.set(userId, { ...fresh, mutedTopics: known?.mutedTopics ?? [] });
  }

  /** The user is on no list any more. */
  forget(userId: string): void {
    this.#readers.delete(userId);
  }

  async create(broadcast: NewBroadcast): Promise<BroadcastCreated> {
    const { broadcastId, tenant, digest, userIds } = broadcast;
    const known = this.#broadcasts.get(broadcastId);
    if (known) return Buffer.compare(known.digest, digest) === 0 ? "same" : "conflict";
    if (this.#openParts(tenant, () => true).length >= MAX_OPEN_BROADCASTS) return "full";
    if (!this.#heads.has(tenant)) this.#heads.set(tenant, { head: 0, version: 0 });
    const parts = [{ users: packNumbers(this.#numbersOf(userIds)), seq: 0 }];
    const createdMs = this.#facts.wallMs();
    const number = ++this.#numbers;
    this.#broadcasts.set(broadcastId, { ...broadcast, number, createdMs, retractedMs: 0, parts });
    return "created";
  }

  async find(tenant: string, broadcastId: string): Promise<StoredBroadcast | undefined> {
    const kept = this.#find(tenant, broadcastId);
    return kept && toStored(kept);
  }

  async list(tenant: string, { before, limit }: { before: number; limit: number }): Promise<StoredBroadcast[]> {
    const own = [...this.#broadcasts.values()].filter(
      (kept) => kept.tenant === tenant && (before === 0 || kept.number < before),
    );
    return own.reverse().slice(0, limit).map(toStored);
  }

  async addUsers(tenant: string, broadcastId: string, userIds: readonly string[]): Promise<UsersAdded> {
    const kept = this.#find(tenant, broadcastId);
    if (!kept) return { kind: "missing" };
    if (kept.audience !== "users") return { kind: "no-list" };
    if (kept.retractedMs > 0 || kept.notAfterMs <= this.#facts.wallMs()) return { kind: "over" };
    const fresh = this.#numbersOf(userIds).filter(
      (number) => !kept.parts.some(({ users }) => hasNumber(users, number)),
    );
    const users = countUsers(kept);
    if (fresh.length === 0) return { kind: "added", added: 0, users };
    if (users + fresh.length > MAX_LISTED_USERS) return { kind: "too-many-users" };
    const last = kept.parts.at(-1);
    if (last?.seq === 0) last.users = joinNumbers(last.users, packNumbers(fresh));
    else if (kept.parts.length >= MAX_LIST_PARTS) return { kind: "too-many-parts" };
    else kept.parts.push({ users: packNumbers(fresh), seq: 0 });
    return { kind: "added", added: fresh.length, users: users + fresh.length };
  }

  async retract(tenant: string, broadcastId: string): Promise<boolean> {
    const kept = this.#find(tenant, broadcastId);
    if (!kept) return false;
    if (kept.retractedMs > 0) return true;
    kept.retractedMs = this.#facts.wallMs();
    const head = this.#heads.get(tenant);
    if (head) head.version++;
    return true;
  }

  async activate(): Promise<BroadcastHeads> {
    const nowMs = this.#facts.wallMs();
    const waiting = [...this.#broadcasts.values()].flatMap((kept) =>
      kept.parts.filter(({ seq }) => seq === 0).map((part) => ({ kept, part })),
    );
    waiting.sort((a, b) => a.kept.notBeforeMs - b.kept.notBeforeMs || a.kept.number - b.kept.number);
    const changed = new Set<string>();
    for (const { kept, part } of waiting) {
      const head = this.#heads.get(kept.tenant);
      if (!head || kept.notBeforeMs > nowMs) continue;
      part.seq = ++head.head;
      changed.add(kept.tenant);
    }
    for (const tenant of changed) {
      const head = this.#heads.get(tenant);
      if (head) head.version++;
    }
    const later = waiting.filter(({ part }) => part.seq === 0).map(({ kept }) => kept.notBeforeMs);
    return {
      nowMs,
      epoch: this.#facts.epoch(),
      nextDueMs: later.length === 0 ? undefined : Math.min(...later),
      heads: [...this.#heads]
        .map(([tenant, head]) => ({ tenant, ...head }))
        .sort((a, b) => (a.tenant < b.tenant ? -1 : 1)),
    };
  }

  async open(tenant: string): Promise<OpenBroadcasts> {
    const { head, version } = this.#heads.get(tenant) ?? { head: 0, version: 0 };
    const parts = this.#openParts(tenant, ({ seq }) => seq > 0);
    return { head, version, parts: parts.sort((a, b) => a.activationSeq - b.activationSeq) };
  }

  async content(broadcastId: string): Promise<Uint8Array | undefined> {
    return this.#broadcasts.get(broadcastId)?.content;
  }

  async usersOf(broadcastId: string, part: number): Promise<UserNumbers> {
    return this.#broadcasts.get(broadcastId)?.parts[part - 1]?.users ?? NO_NUMBERS;
  }

  async readers(userIds: readonly string[]): Promise<Map<string, BroadcastReader>> {
    return new Map(
      userIds.flatMap((userId) => {
        const reader = this.#readers.get(userId);
        return reader ? [[userId, { ...reader, floor: reader.floor ?? 0 }]] : [];
      }),
    );
  }

  async muteTopics(userId: string, topics: readonly string[]): Promise<void> {
    this.#numbersOf([userId]);
    const reader = this.#readers.get(userId);
    if (reader) reader.mutedTopics = [...new Set(topics)];
  }

  async traits(userIds: readonly string[]): Promise<DeviceTraits[]> {
    return userIds.flatMap((userId) =>
      this.#facts.devicesOf(userId).map(({ platform, locale }) => ({ userId, platform, locale })),
    );
  }

  async advance(marks: readonly Watermark[], epoch: string): Promise<void> {
    if (epoch !== this.#facts.epoch()) return;
    for (const { userId, seq } of marks) {
      const head = this.#heads.get(tenantOf(userId))?.head;
      if (head === undefined) continue;
      const reader = this.#readers.get(userId) ?? this.#numbered(userId, 0);
      reader.watermark = Math.max(reader.watermark, Math.min(seq, head));
    }
  }

  async prune(cutoffMs: number, maxRows: number): Promise<number> {
    const overMs = ({ notAfterMs, retractedMs }: Kept): number =>
      retractedMs > 0 ? Math.min(notAfterMs, retractedMs) : notAfterMs;
    const over = [...this.#broadcasts.values()].filter((kept) => overMs(kept) < cutoffMs);
    const gone = over.sort((a, b) => overMs(a) - overMs(b)).slice(0, maxRows);
    for (const { broadcastId } of gone) this.#broadcasts.delete(broadcastId);
    return gone.length;
  }

  #find(tenant: string, broadcastId: string): Kept | undefined {
    const kept = this.#broadcasts.get(broadcastId);
    return kept?.tenant === tenant ? kept : undefined;
  }

  #openParts(tenant: string, wanted: (part: Part) => boolean): OpenPart[] {
    const nowMs = this.#facts.wallMs();
    return [...this.#broadcasts.values()].flatMap((kept) => {
      if (kept.tenant !== tenant || kept.retractedMs > 0 || kept.notAfterMs <= nowMs) return [];
      return kept.parts.flatMap((part, at) => (wanted(part) ? [toOpen(kept, part, at + 1)] : []));
    });
  }

  #numbersOf(userIds: readonly string[]): number[] {
    return userIds.map((userId) => {
      const isRegistered = this.#facts.devicesOf(userId).length > 0;
      return (this.#readers.get(userId) ?? this.#numbered(userId, isRegistered ? 0 : undefined)).number;
    });
  }

  #numbered(userId: string, floor: number | undefined): Reader {
    const reader: Reader = { number: ++this.#readerNumbers, floor, watermark: 0, registeredMs: 0, mutedTopics: [] };
    this.#readers.set(userId, reader);
    return reader;
  }
}

function countUsers({ parts }: Kept): number {
  return parts.reduce((sum, { users }) => sum + countNumbers(users), 0);
}

function toStored(kept: Kept): StoredBroadcast {
  const { broadcastId, number, contentType, content, audience, segment, createdMs, retractedMs, parts } = kept;
  const { notBeforeMs, notAfterMs, urgent, topic, maxPerDay } = kept;
  const window = { notBeforeMs, notAfterMs, urgent, topic, maxPerDay };
  const what = { broadcastId, number, contentType, content, audience, segment };
  return { ...what, ...window, createdMs, retractedMs, users: countUsers(kept), activationSeq: parts[0]?.seq ?? 0 };
}

function toOpen(kept: Kept, { seq: activationSeq }: Part, part: number): OpenPart {
  const { broadcastId, contentType, content, audience, segment } = kept;
  const { notBeforeMs, notAfterMs, urgent, topic, maxPerDay } = kept;
  const what = { activationSeq, broadcastId, part, contentType, contentBytes: content.length, audience, segment };
  return { ...what, notBeforeMs, notAfterMs, urgent, topic, maxPerDay };
}
