// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, ImError } from "#lib/errors.ts";
import { countNumbers, hasNumber, joinNumbers, packNumbers, type UserNumbers } from "../broadcasts/user-numbers.ts";
import { bigintArray, textArray } from "./binary-array.ts";
import * as sql from "./broadcast-statements.ts";
import {
  type Audience,
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
import type { PostgresPool, Row } from "./postgres-pool.ts";
import { number, text } from "./rows.ts";

/** Times that a list is looked at anew because somebody else has added to it, or put it into force, meanwhile. */
const ADD_TRIES = 8;

/** {@link BroadcastStore} on PostgreSQL; see migrations/0015_broadcasts.sql. */
export class PostgresBroadcasts implements BroadcastStore {
  readonly #pool: Pick<PostgresPool, "run">;

  constructor(pool: Pick<PostgresPool, "run">) {
    this.#pool = pool;
  }

  async create(broadcast: NewBroadcast): Promise<BroadcastCreated> {
    const { broadcastId, tenant, digest, contentType, content, audience, segment, userIds } = broadcast;
    const numbers = audience === "users" ? packNumbers(await this.#numbersOf(userIds)) : undefined;
    const [row] = await this.#pool.run(sql.CREATE_BROADCAST, [
      ...[broadcastId, tenant, Buffer.from(digest), contentType, Buffer.from(content), audience, segment],
      ...[broadcast.notBeforeMs, broadcast.notAfterMs, String(broadcast.urgent)],
      numbers ? Buffer.from(numbers) : null,
      numbers ? countNumbers(numbers) : 0,
      ...[MAX_OPEN_BROADCASTS, broadcast.topic, broadcast.maxPerDay],
    ]);
    return text(row, 0) as BroadcastCreated;
  }

  async find(tenant: string, broadcastId: string): Promise<StoredBroadcast | undefined> {
    const [row] = await this.#pool.run(sql.FIND_BROADCAST, [tenant, broadcastId]);
    return row && toStored(row);
  }

  async list(tenant: string, { before, limit }: { before: number; limit: number }): Promise<StoredBroadcast[]> {
    return (await this.#pool.run(sql.LIST_BROADCASTS, [tenant, before || Number.MAX_SAFE_INTEGER, limit])).map(
      toStored,
    );
  }

  async addUsers(tenant: string, broadcastId: string, userIds: readonly string[]): Promise<UsersAdded> {
    const numbers = await this.#numbersOf(userIds);
    for (let tries = 0; tries < ADD_TRIES; tries++) {
      const added = await this.#tryToAdd(tenant, broadcastId, numbers);
      if (added) return added;
    }
    throw new ImError(ErrorCode.RETRYABLE, "others add to the same list all the time");
  }

  /** Undefined: somebody was faster. */
  async #tryToAdd(tenant: string, broadcastId: string, numbers: readonly number[]): Promise<UsersAdded | undefined> {
    const rows = await this.#pool.run(sql.LIST_OF_BROADCAST, [tenant, broadcastId]);
    const [first] = rows;
    if (!first) return { kind: "missing" };
    if (text(first, 0) !== "users") return { kind: "no-list" };
    if (text(first, 1) === "t") return { kind: "over" };
    const [version, users] = [number(first, 2), number(first, 3)];
    const parts = rows.map((row) => ({ part: number(row, 4), isPending: row[5] === "t", numbers: bytes(row, 6) }));
    const fresh = packNumbers(numbers.filter((one) => !parts.some((part) => hasNumber(part.numbers, one))));
    const added = countNumbers(fresh);
    if (added === 0) return { kind: "added", added, users };
    if (users + added > MAX_LISTED_USERS) return { kind: "too-many-users" };
    const last = parts.at(-1);
    const isPending = last?.isPending === true;
    if (!isPending && parts.length >= MAX_LIST_PARTS) return { kind: "too-many-parts" };
    const part = (last?.part ?? 0) + (isPending ? 0 : 1);
    const all = last && isPending ? joinNumbers(last.numbers, fresh) : fresh;
    const [row] = await this.#pool.run(sql.ADD_USERS, [broadcastId, version, part, Buffer.from(all), added]);
    return row?.[0] === "t" ? { kind: "added", added, users: users + added } : undefined;
  }

  async retract(tenant: string, broadcastId: string): Promise<boolean> {
    const [row] = await this.#pool.run(sql.RETRACT_BROADCAST, [tenant, broadcastId]);
    return row?.[0] === "t";
  }

  async activate(): Promise<BroadcastHeads> {
    const [first, ...rows] = await this.#pool.run(sql.BROADCAST_HEADS, []);
    if (number(first, 3) > 0) {
      await this.#pool.run(sql.ACTIVATE_BROADCASTS, [MAX_OPEN_BROADCASTS]);
      return this.#heads(await this.#pool.run(sql.BROADCAST_HEADS, []));
    }
    return this.#heads([first ?? [], ...rows]);
  }

  #heads([first, ...rows]: readonly Row[]): BroadcastHeads {
    return {
      nowMs: number(first, 0),
      epoch: text(first, 1),
      nextDueMs: first?.[2] == null ? undefined : number(first, 2),
      heads: rows.map((row) => ({ tenant: text(row, 1), head: number(row, 2), version: number(row, 3) })),
    };
  }

  async open(tenant: string): Promise<OpenBroadcasts> {
    const [first, ...rows] = await this.#pool.run(sql.OPEN_BROADCASTS, [tenant]);
    return { head: number(first, 0), version: number(first, 1), parts: rows.map(toOpen) };
  }

  async content(broadcastId: string): Promise<Uint8Array | undefined> {
    const [row] = await this.#pool.run(sql.BROADCAST_CONTENT, [broadcastId]);
    return row && bytes(row, 0);
  }

  async usersOf(broadcastId: string, part: number): Promise<UserNumbers> {
    const [row] = await this.#pool.run(sql.USERS_OF_PART, [broadcastId, part]);
    return row ? bytes(row, 0) : packNumbers([]);
  }

  async readers(userIds: readonly string[]): Promise<Map<string, BroadcastReader>> {
    if (userIds.length === 0) return new Map();
    const rows = await this.#pool.run(sql.BROADCAST_READERS, [textArray(userIds)]);
    return new Map(
      rows.map((row) => [
        text(row, 0),
        {
          ...{ number: number(row, 1), floor: number(row, 2), watermark: number(row, 3) },
          ...{ registeredMs: number(row, 4), mutedTopics: wordsOf(text(row, 5)) },
        },
      ]),
    );
  }

  async muteTopics(userId: string, topics: readonly string[]): Promise<void> {
    await this.#pool.run(sql.MUTE_TOPICS, [userId, textArray([...new Set(topics)])]);
  }

  async traits(userIds: readonly string[]): Promise<DeviceTraits[]> {
    if (userIds.length === 0) return [];
    const rows = await this.#pool.run(sql.DEVICE_TRAITS, [textArray(userIds)]);
    return rows.map((row) => ({ userId: text(row, 0), platform: text(row, 1), locale: text(row, 2) }));
  }

  async prune(cutoffMs: number, maxRows: number): Promise<number> {
    const [row] = await this.#pool.run(sql.PRUNE_BROADCASTS, [cutoffMs, maxRows]);
    return number(row, 0);
  }

  async advance(marks: readonly Watermark[], epoch: string): Promise<void> {
    if (marks.length === 0) return;
    const highest = new Map<string, number>();
    for (const { userId, seq } of marks) highest.set(userId, Math.max(seq, highest.get(userId) ?? 0));
    await this.#pool.run(sql.ADVANCE_WATERMARKS, [
      textArray([...highest.keys()]),
      bigintArray([...highest.values()].map((seq) => Math.min(seq, Number.MAX_SAFE_INTEGER))),
      epoch,
    ]);
  }

  async #numbersOf(userIds: readonly string[]): Promise<number[]> {
    if (userIds.length === 0) return [];
    const rows = await this.#pool.run(sql.NUMBER_USERS, [textArray([...new Set(userIds)])]);
    return rows.map((row) => number(row, 0));
  }
}

const wordsOf = (words: string): string[] => words.split(" ").filter((word) => word !== "");

/** A column that was encoded in hex. */
function bytes(row: Row, column: number): Uint8Array {
  return Buffer.from(text(row, column), "hex");
}

function toStored(row: Row): StoredBroadcast {
  return {
    broadcastId: text(row, 0),
    number: number(row, 1),
    contentType: text(row, 2),
    content: bytes(row, 3),
    audience: text(row, 4) as Audience,
    segment: text(row, 5),
    notBeforeMs: number(row, 6),
    notAfterMs: number(row, 7),
    urgent: text(row, 8) === "t",
    createdMs: number(row, 9),
    retractedMs: number(row, 10),
    users: number(row, 11),
    activationSeq: number(row, 12),
    topic: text(row, 13),
    maxPerDay: number(row, 14),
  };
}

function toOpen(row: Row): OpenPart {
  return {
    activationSeq: number(row, 0),
    broadcastId: text(row, 1),
    part: number(row, 2),
    contentType: text(row, 3),
    contentBytes: number(row, 4),
    audience: text(row, 5) as Audience,
    segment: text(row, 6),
    notBeforeMs: number(row, 7),
    notAfterMs: number(row, 8),
    urgent: text(row, 9) === "t",
    topic: text(row, 11),
    maxPerDay: number(row, 12),
  };
}
