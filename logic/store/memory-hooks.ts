// SPDX-License-Identifier: Apache-2.0
import { randomUUID } from "node:crypto";
import {
  type ClaimedVerdict,
  type DeadHookEvent,
  HOOK_SHARDS,
  type HookBacklog,
  type HookClaim,
  type HookEvent,
  type HookFact,
  type HookKind,
  type HookSettlement,
  type HookStatus,
  type HookStore,
  type HookStoredMessage,
  type LateVerdict,
  type PresenceLook,
  type ReplayFrom,
} from "./hooks.ts";
import type { StoredEvent, Subject } from "./store.ts";

/** What a memory store lends. */
export interface HookedMaps {
  conversation(
    id: string,
  ): { messages: StoredEvent[]; pair?: readonly [string, string]; subject?: Subject } | undefined;
  wallMs(): number;
}

interface Row {
  readonly storedMs: number;
  readonly kind: HookKind;
  readonly onlyHook: string | undefined;
  readonly id: string;
  readonly key: string;
  readonly seq: number | undefined;
  readonly createdMs: number;
  readonly body: string;
}

interface Cursor {
  readonly hook: string;
  readonly shard: number;
  position: number;
  tries: number;
  lease: number;
  freeAtMs: number;
}

type Dead = DeadHookEvent & { readonly row: Row };
type Logged = Row & { readonly position: number; readonly shard: number };

/** {@link HookStore} in arrays, the reference model. Its store tells it about messages. */
export class MemoryHooks implements HookStore {
  readonly #maps: HookedMaps;
  readonly #cursors: Cursor[] = [];
  readonly #online = new Map<string, number>();
  readonly #verdicts = new Map<string, ClaimedVerdict & { freeAtMs: number }>();
  #outbox: Row[] = [];
  #log: Logged[] = [];
  #dead: Dead[] = [];
  #lastPosition = 0;
  #isWanted = false;

  constructor(maps: HookedMaps) {
    this.#maps = maps;
  }

  /** Nobody is told of the user any more. */
  forget(userId: string): void {
    const isOther = ({ key, seq }: Row): boolean => key !== userId || seq !== undefined;
    this.#outbox = this.#outbox.filter(isOther);
    this.#log = this.#log.filter(isOther);
    this.#dead = this.#dead.filter(({ row }) => isOther(row));
    this.#online.delete(userId);
    for (const { messageId, sender } of [...this.#verdicts.values()])
      if (sender === userId) this.#verdicts.delete(messageId);
  }

  /** A message was stored. */
  appended({ messageId, conversationId, convSeq, sentAtMs }: Omit<StoredEvent, "inboxSeq">): void {
    if (!this.#isWanted) return;
    this.#put({
      kind: "message.after",
      id: messageId,
      key: conversationId,
      seq: convSeq,
      createdMs: sentAtMs,
      body: "",
    });
  }

  wantMessages(isWanted: boolean): void {
    this.#isWanted = isWanted;
  }

  async record(facts: readonly HookFact[]): Promise<void> {
    for (const fact of facts) this.#put({ ...fact, seq: undefined, createdMs: 0 });
  }

  async tellPresence(looks: readonly PresenceLook[]): Promise<number> {
    const changed = looks.filter(({ userId, isOnline }) => this.#online.has(userId) !== isOnline);
    for (const { userId, isOnline } of changed) {
      if (isOnline) this.#online.set(userId, this.#maps.wallMs());
      else this.#online.delete(userId);
      const body = `{"online":${isOnline}}`;
      this.#put({ kind: "presence", id: randomUUID(), key: userId, seq: undefined, createdMs: 0, body });
    }
    return changed.length;
  }

  async onlineToCheck({ olderThanMs, limit }: { olderThanMs: number; limit: number }): Promise<string[]> {
    const nowMs = this.#maps.wallMs();
    const oldest = [...this.#online]
      .filter(([, sinceMs]) => sinceMs <= nowMs - olderThanMs)
      .sort(([, one], [, other]) => one - other)
      .slice(0, limit)
      .map(([userId]) => userId);
    for (const userId of oldest) this.#online.set(userId, nowMs);
    return oldest;
  }

  async addVerdicts(verdicts: readonly LateVerdict[]): Promise<void> {
    for (const verdict of verdicts)
      if (!this.#verdicts.has(verdict.messageId))
        this.#verdicts.set(verdict.messageId, { ...verdict, tries: 0, freeAtMs: this.#maps.wallMs() });
  }

  async claimVerdicts({ holdMs, limit }: { holdMs: number; limit: number }): Promise<ClaimedVerdict[]> {
    const nowMs = this.#maps.wallMs();
    const free = [...this.#verdicts.values()].filter(({ freeAtMs }) => freeAtMs <= nowMs).slice(0, limit);
    return free.map(({ freeAtMs: _, ...verdict }) => {
      const tries = verdict.tries + 1;
      this.#verdicts.set(verdict.messageId, { ...verdict, tries, freeAtMs: nowMs + holdMs });
      return { ...verdict, tries };
    });
  }

  async endVerdicts(messageIds: readonly string[]): Promise<void> {
    for (const messageId of messageIds) this.#verdicts.delete(messageId);
  }

  #put(row: Omit<Row, "storedMs" | "onlyHook">, onlyHook?: string): void {
    this.#outbox.push({ ...row, onlyHook, storedMs: this.#maps.wallMs() });
  }

  async collect(maxRows: number): Promise<number> {
    const taken = this.#outbox.slice(0, maxRows);
    this.#outbox = this.#outbox.slice(maxRows);
    for (const row of taken) this.#log.push({ ...row, position: ++this.#lastPosition, shard: shardOf(row.key) });
    return taken.length;
  }

  async register(hooks: readonly string[]): Promise<void> {
    for (const hook of hooks) {
      if (this.#of(hook).length > 0) continue;
      for (let shard = 0; shard < HOOK_SHARDS; shard++)
        this.#cursors.push({ hook, shard, position: this.#lastPosition, tries: 0, lease: 0, freeAtMs: 0 });
    }
  }

  async claim(request: { hooks: readonly string[]; leaseMs: number; limit: number }): Promise<HookClaim[]> {
    const nowMs = this.#maps.wallMs();
    const free = this.#cursors
      .filter(({ hook, freeAtMs }) => request.hooks.includes(hook) && freeAtMs <= nowMs)
      .filter((cursor) => this.#next(cursor) !== undefined)
      .toSorted((one, other) => one.freeAtMs - other.freeAtMs)
      .slice(0, request.limit);
    for (const cursor of free) {
      cursor.lease++;
      cursor.freeAtMs = nowMs + request.leaseMs;
    }
    return free.map(({ hook, shard, position, tries, lease }) => ({ hook, shard, position, tries, lease }));
  }

  async read(request: { shard: number; after: number; limit: number; withContent: boolean }): Promise<HookEvent[]> {
    return this.#log
      .filter(({ shard, position }) => shard === request.shard && position > request.after)
      .slice(0, request.limit)
      .map(({ position, id, kind, key, storedMs, onlyHook, seq, createdMs, body }) => ({
        ...{ position, id, kind, key, storedMs, onlyHook, body },
        message:
          seq === undefined
            ? undefined
            : {
                ...{ conversationId: key, convSeq: seq, sentAtMs: createdMs },
                stored: this.#message(key, id, request.withContent),
              },
      }));
  }

  #message(conversationId: string, id: string, withContent: boolean): HookStoredMessage | undefined {
    const conversation = this.#maps.conversation(conversationId);
    const found = conversation?.messages.find(({ messageId }) => messageId === id);
    if (!found) return undefined;
    const { sender, clientMessageId, contentType, content } = found;
    const { pair = [], subject } = conversation ?? {};
    const shown = { content: withContent ? content : Buffer.alloc(0), users: [...pair], subject };
    return { sender, clientMessageId, contentType, ...shown };
  }

  async settle(claim: HookClaim, { position, tries, pauseMs, dead }: HookSettlement): Promise<boolean> {
    const cursor = this.#cursors.find(({ hook, shard }) => hook === claim.hook && shard === claim.shard);
    if (cursor?.lease !== claim.lease) return false;
    const nowMs = this.#maps.wallMs();
    Object.assign(cursor, { position, tries, freeAtMs: nowMs + pauseMs });
    const row = dead && this.#log.find((logged) => logged.position === dead.position);
    if (row) {
      const { kind, id, key, storedMs } = row;
      this.#dead.push({ hook: claim.hook, ...dead, ...{ kind, id, key, storedMs, diedMs: nowMs, row } });
    }
    return true;
  }

  async backlog(hooks: readonly string[]): Promise<HookBacklog> {
    const nowMs = this.#maps.wallMs();
    const known = [...new Set(this.#cursors.map(({ hook }) => hook))].filter((hook) => hooks.includes(hook)).sort();
    const [first] = this.#outbox;
    return {
      outboxOldestMs: first ? nowMs - first.storedMs : 0,
      lastPosition: this.#lastPosition,
      hooks: known.map((hook): HookStatus => {
        const own = this.#of(hook);
        return {
          hook,
          position: Math.min(...own.map(({ position }) => position)),
          tries: Math.max(...own.map(({ tries }) => tries)),
          oldestMs: Math.max(...own.map((cursor) => nowMs - (this.#next(cursor)?.storedMs ?? nowMs))),
          dead: this.#dead.filter((one) => one.hook === hook).length,
        };
      }),
    };
  }

  async listDead(request: { hook: string; after: number; limit: number }): Promise<DeadHookEvent[]> {
    return this.#dead
      .filter(({ hook, position }) => hook === request.hook && position > request.after)
      .toSorted((one, other) => one.position - other.position)
      .slice(0, request.limit)
      .map(({ row: _, ...shown }) => shown);
  }

  async replayDead(request: { hook: string; positions?: readonly number[]; limit: number }): Promise<number> {
    const taken = this.#dead
      .filter(({ hook, position }) => hook === request.hook && (request.positions?.includes(position) ?? true))
      .toSorted((one, other) => one.position - other.position)
      .slice(0, request.limit);
    this.#dead = this.#dead.filter((one) => !taken.includes(one));
    for (const { hook, row } of taken) this.#put(row, hook);
    return taken.length;
  }

  async rewind(hook: string, from: ReplayFrom): Promise<boolean> {
    for (const cursor of this.#of(hook)) {
      const first = this.#log.find(
        ({ shard, storedMs }) => "timeMs" in from && shard === cursor.shard && storedMs >= from.timeMs,
      );
      const target = "position" in from ? from.position : (first?.position ?? Number.POSITIVE_INFINITY);
      const position = Math.min(cursor.position, target - 1);
      Object.assign(cursor, { position, tries: 0, lease: cursor.lease + 1, freeAtMs: 0 });
    }
    return this.#of(hook).length > 0;
  }

  async prune(request: {
    hooks: readonly string[];
    keepMs: number;
    maxRows: number;
  }): Promise<{ deleted: number; untold: number }> {
    const beforeMs = this.#maps.wallMs() - request.keepMs;
    const gone = new Set<Logged>();
    for (let shard = 0; shard < HOOK_SHARDS; shard++)
      for (const row of this.#log.filter((one) => one.shard === shard).slice(0, request.maxRows))
        if (row.storedMs < beforeMs) gone.add(row);
    this.#log = this.#log.filter((row) => !gone.has(row));
    this.#dead = this.#dead.filter(({ diedMs }) => diedMs >= beforeMs);
    const isUntold = (row: Logged): boolean =>
      this.#cursors.some(
        ({ hook, shard, position }) => request.hooks.includes(hook) && shard === row.shard && position < row.position,
      );
    return { deleted: gone.size, untold: [...gone].filter(isUntold).length };
  }

  #of(hook: string): Cursor[] {
    return this.#cursors.filter((cursor) => cursor.hook === hook);
  }

  #next(cursor: Cursor): Logged | undefined {
    return this.#log.find(({ shard, position }) => shard === cursor.shard && position > cursor.position);
  }
}

/** Any function of the key will do. */
function shardOf(key: string): number {
  let hash = 0;
  for (const char of key) hash = (hash * 31 + (char.codePointAt(0) ?? 0)) >>> 0;
  return hash % HOOK_SHARDS;
}
