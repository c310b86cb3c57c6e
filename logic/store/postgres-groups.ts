// SPDX-License-Identifier: Apache-2.0
import { AppendPlan } from "./append-plan.ts";
import { textArray } from "./binary-array.ts";
import {
  AUDIENCE,
  CHANGE_AND_GROW,
  CHANGE_GROUP,
  DESCRIBE_GROUP,
  GROUPS_OF,
  LOOK_AT_GROUP,
  NOTE_UNCHANGED,
} from "./group-statements.ts";
import type {
  GroupAudience,
  GroupChange,
  GroupDescription,
  GroupLook,
  GroupMember,
  GroupPageRequest,
  GroupRole,
  GroupSight,
  GroupStore,
  GroupSummary,
  KnownRequest,
} from "./groups.ts";
import { APPENDED_FACTS } from "./hook-statements.ts";
import { isDuplicateKey } from "./postgres-errors.ts";
import type { PostgresHooks } from "./postgres-hooks.ts";
import type { PostgresPool, Row } from "./postgres-pool.ts";
import { number, text } from "./rows.ts";
import { OUTBOX } from "./statements.ts";
import { type AppendedMessage, type AppendInput, OtherEpochError } from "./store.ts";

/** {@link GroupStore} on PostgreSQL; see migrations/0014_groups.sql. */
export class PostgresGroups implements GroupStore {
  readonly #pool: PostgresPool;
  readonly #hooks: Pick<PostgresHooks, "withFacts">;

  constructor(pool: PostgresPool, hooks: Pick<PostgresHooks, "withFacts">) {
    this.#pool = pool;
    this.#hooks = hooks;
  }

  async look({ actor, requestId, payloadHash, groupId, userIds = [] }: GroupLook): Promise<GroupSight> {
    const values = [actor, requestId, Buffer.from(payloadHash), groupId, textArray(userIds)];
    const [row] = await this.#pool.run(LOOK_AT_GROUP, values);
    const known = row?.[0] ? toKnown(JSON.parse(row[0]) as Known) : undefined;
    if (!row?.[1]) return { known, group: undefined };
    const roles = new Map(JSON.parse(text(row, 3)) as [string, GroupRole][]);
    const group = { version: number(row, 1), name: text(row, 2), roles, size: number(row, 4), isLarge: row[5] === "t" };
    return { known, group };
  }

  async change(change: GroupChange, epoch: string): Promise<AppendedMessage | undefined> {
    const { event, version, name, fromStart = false, removed, put, recipients } = change;
    const plan = new AppendPlan([{ input: event, userIds: recipients }]);
    const values = [
      ...plan.encode(),
      epoch,
      event.conversationId,
      version,
      name ?? null,
      String(fromStart),
      event.sentAtMs,
      textArray(removed),
      textArray(put.map(({ userId }) => userId)),
      textArray(put.map(({ role }) => role)),
    ];
    try {
      const statement = change.grows ? CHANGE_AND_GROW : CHANGE_GROUP;
      const [row] = await this.#pool.run(this.#hooks.withFacts(statement, APPENDED_FACTS, OUTBOX), values);
      if (!row) throw new OtherEpochError("group");
      return row[2] === "t" ? plan.decode(row)[0] : undefined;
    } catch (error) {
      if (isDuplicateKey(error)) return undefined;
      throw error;
    }
  }

  async noteUnchanged(event: AppendInput): Promise<boolean> {
    const { sender, clientMessageId, payloadHash, messageId, conversationId, sentAtMs } = event;
    const key = [sender, clientMessageId, Buffer.from(payloadHash), messageId];
    return (await this.#pool.run(NOTE_UNCHANGED, [...key, conversationId, sentAtMs])).length > 0;
  }

  async describe(request: GroupPageRequest & { groupId: string }): Promise<GroupDescription | undefined> {
    const { userId, groupId, after, limit } = request;
    const [row] = await this.#pool.run(DESCRIBE_GROUP, [userId, groupId, after, limit]);
    if (!row) return undefined;
    const members = JSON.parse(text(row, 8)) as [string, GroupRole][];
    return { group: toSummary(row), members: members.map(([id, role]): GroupMember => ({ userId: id, role })) };
  }

  async audience(groupId: string): Promise<GroupAudience | undefined> {
    const [row] = await this.#pool.run(AUDIENCE, [groupId]);
    if (!row) return undefined;
    const members = row[1] ? (JSON.parse(row[1]) as [string, number][]) : [];
    return {
      version: number(row, 0),
      members: members.map(([userId]) => userId),
      joinedSeqs: members.map(([, joinedSeq]) => joinedSeq),
    };
  }

  async groupsOf({ userId, after, limit }: GroupPageRequest): Promise<GroupSummary[]> {
    return (await this.#pool.run(GROUPS_OF, [userId, after, limit])).map(toSummary);
  }
}

/** [same payload?, message id, conversation, conv seq, content of the event in hex, null when there is none] */
type Known = [boolean, string, string, number, string | null];

function toKnown([isSame, messageId, groupId, convSeq, content]: Known): KnownRequest {
  if (!isSame) return { kind: "conflict", messageId };
  return { kind: "same", groupId, convSeq: content === null ? 0 : convSeq, content: Buffer.from(content ?? "", "hex") };
}

function toSummary(row: Row): GroupSummary {
  return {
    conversationId: text(row, 0),
    name: text(row, 1),
    version: number(row, 2),
    memberCount: number(row, 3),
    role: text(row, 4) as GroupRole,
    fromStart: text(row, 5) === "t",
    lastSeq: number(row, 6),
    large: row[7] === "t",
  };
}
