// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, ImError } from "#lib/errors.ts";
import { bigintArray, intArray, textArray, uuidArray } from "./binary-array.ts";
import * as sql from "./hook-statements.ts";
import {
  type ClaimedVerdict,
  type DeadHookEvent,
  type HookBacklog,
  type HookClaim,
  type HookEvent,
  type HookFact,
  type HookKind,
  type HookMessage,
  type HookSettlement,
  type HookStore,
  type LateVerdict,
  MAX_FACTS,
  type PresenceLook,
  type ReplayFrom,
} from "./hooks.ts";
import type { PostgresPool, Row, Statement } from "./postgres-pool.ts";
import { number, subjectIn, text } from "./rows.ts";

/** {@link HookStore} on PostgreSQL. Every statement is its own transaction. */
export class PostgresHooks implements HookStore {
  readonly #pool: PostgresPool;
  readonly #hooked = new Map<Statement, Statement>();
  #isWanted = false;

  constructor(pool: PostgresPool) {
    this.#pool = pool;
  }

  wantMessages(isWanted: boolean): void {
    this.#isWanted = isWanted;
  }

  /**
   * The statement, which also leaves its messages in the outbox if they are wanted. Where nobody has a hook it is the very same.
   * @param facts goes behind the first CTE that ends with `after`
   */
  withFacts(statement: Statement, facts: string, after: string): Statement {
    if (!this.#isWanted) return statement;
    let hooked = this.#hooked.get(statement);
    if (!hooked) {
      const parts = statement.text.split(after);
      if (parts.length !== 2) throw new ImError(ErrorCode.INTERNAL, `${statement.name}: no place for facts of hooks`);
      hooked = { name: `${statement.name}_hooked`, text: parts.join(`${after}, ${facts}`) };
      this.#hooked.set(statement, hooked);
    }
    return hooked;
  }

  async record(facts: readonly HookFact[]): Promise<void> {
    if (facts.length === 0) return;
    if (facts.length > MAX_FACTS) throw new ImError(ErrorCode.BAD_REQUEST, `over ${MAX_FACTS} facts at once`);
    await this.#pool.run(sql.RECORD, [
      textArray(facts.map(({ kind }) => kind)),
      uuidArray(facts.map(({ id }) => id)),
      textArray(facts.map(({ key }) => key)),
      textArray(facts.map(({ body }) => body)),
    ]);
  }

  async tellPresence(looks: readonly PresenceLook[]): Promise<number> {
    if (looks.length === 0) return 0;
    const users = textArray(looks.map(({ userId }) => userId));
    return (await this.#pool.run(sql.TELL_PRESENCE, [users, intArray(looks.map(({ isOnline }) => Number(isOnline)))]))
      .length;
  }

  async onlineToCheck({ olderThanMs, limit }: { olderThanMs: number; limit: number }): Promise<string[]> {
    return (await this.#pool.run(sql.ONLINE_TO_CHECK, [olderThanMs, limit])).map((row) => text(row, 0));
  }

  async addVerdicts(verdicts: readonly LateVerdict[]): Promise<void> {
    if (verdicts.length === 0) return;
    const texts = (of: (verdict: LateVerdict) => string): Buffer => textArray(verdicts.map(of));
    await this.#pool.run(sql.ADD_VERDICTS, [
      uuidArray(verdicts.map(({ messageId }) => messageId)),
      texts(({ conversationId }) => conversationId),
      bigintArray(verdicts.map(({ convSeq }) => convSeq)),
      ...[texts(({ sender }) => sender), texts(({ verdict }) => verdict)],
      ...[texts(({ reason }) => reason), texts(({ hook }) => hook)],
    ]);
  }

  async claimVerdicts({ holdMs, limit }: { holdMs: number; limit: number }): Promise<ClaimedVerdict[]> {
    return (await this.#pool.run(sql.CLAIM_VERDICTS, [holdMs, limit])).map((row) => ({
      ...{ messageId: text(row, 0), conversationId: text(row, 1), convSeq: number(row, 2), sender: text(row, 3) },
      ...{ verdict: text(row, 4) as LateVerdict["verdict"], reason: text(row, 5), hook: text(row, 6) },
      tries: number(row, 7),
    }));
  }

  async endVerdicts(messageIds: readonly string[]): Promise<void> {
    if (messageIds.length > 0) await this.#pool.run(sql.END_VERDICTS, [uuidArray(messageIds)]);
  }

  async collect(maxRows: number): Promise<number> {
    const [row] = await this.#pool.run(sql.COLLECT, [maxRows]);
    return number(row, 0);
  }

  async register(hooks: readonly string[]): Promise<void> {
    if (hooks.length > 0) await this.#pool.run(sql.REGISTER, [textArray(hooks)]);
  }

  async claim(request: { hooks: readonly string[]; leaseMs: number; limit: number }): Promise<HookClaim[]> {
    const rows = await this.#pool.run(sql.CLAIM, [textArray(request.hooks), request.leaseMs, request.limit]);
    return rows.map((row) => ({
      ...{ hook: text(row, 0), shard: number(row, 1), position: number(row, 2) },
      ...{ tries: number(row, 3), lease: number(row, 4) },
    }));
  }

  async read(request: { shard: number; after: number; limit: number; withContent: boolean }): Promise<HookEvent[]> {
    const { shard, after, limit, withContent } = request;
    return (await this.#pool.run(sql.READ, [shard, after, limit, String(withContent)])).map(eventOf);
  }

  async settle(claim: HookClaim, { position, tries, pauseMs, dead }: HookSettlement): Promise<boolean> {
    const { hook, shard, lease } = claim;
    const grave = [dead?.position ?? null, dead?.reason ?? "", dead?.tries ?? 0];
    return (await this.#pool.run(sql.SETTLE, [hook, shard, lease, position, tries, pauseMs, ...grave])).length > 0;
  }

  async backlog(hooks: readonly string[]): Promise<HookBacklog> {
    const [first, ...rows] = await this.#pool.run(sql.BACKLOG, [textArray(hooks)]);
    return {
      outboxOldestMs: number(first, 4),
      lastPosition: number(first, 1),
      hooks: rows.map((row) => ({
        ...{ hook: text(row, 0), position: number(row, 1), tries: number(row, 2) },
        ...{ dead: number(row, 3), oldestMs: number(row, 4) },
      })),
    };
  }

  async listDead(request: { hook: string; after: number; limit: number }): Promise<DeadHookEvent[]> {
    const { hook, after, limit } = request;
    return (await this.#pool.run(sql.LIST_DEAD, [hook, after, limit])).map((row) => ({
      ...{ hook, position: number(row, 0), id: text(row, 1), kind: text(row, 2) as HookKind, key: text(row, 3) },
      ...{ storedMs: number(row, 4), diedMs: number(row, 5), reason: text(row, 6), tries: number(row, 7) },
    }));
  }

  async replayDead(request: { hook: string; positions?: readonly number[]; limit: number }): Promise<number> {
    const { hook, positions, limit } = request;
    return (await this.#pool.run(sql.REPLAY_DEAD, [hook, positions ? bigintArray(positions) : null, limit])).length;
  }

  async rewind(hook: string, from: ReplayFrom): Promise<boolean> {
    const values = "position" in from ? [from.position - 1, 0] : [null, from.timeMs];
    return (await this.#pool.run(sql.REWIND, [hook, ...values])).length > 0;
  }

  async prune(request: {
    hooks: readonly string[];
    keepMs: number;
    maxRows: number;
  }): Promise<{ deleted: number; untold: number }> {
    const [row] = await this.#pool.run(sql.PRUNE, [textArray(request.hooks), request.keepMs, request.maxRows]);
    return { deleted: number(row, 0), untold: number(row, 1) };
  }
}

function eventOf(row: Row): HookEvent {
  return {
    ...{ position: number(row, 0), id: text(row, 1), kind: text(row, 2) as HookKind, key: text(row, 3) },
    ...{ storedMs: number(row, 4), onlyHook: row[5] ?? undefined, message: messageOf(row), body: row[8] ?? "" },
  };
}

function messageOf(row: Row): HookMessage | undefined {
  if (row[6] === null) return undefined;
  const users = JSON.parse(text(row, 13)) as (string | null)[];
  const isThere = row[9] !== null;
  return {
    ...{ conversationId: text(row, 3), convSeq: number(row, 6), sentAtMs: number(row, 7) },
    stored: isThere
      ? {
          ...{ sender: text(row, 9), clientMessageId: text(row, 10), contentType: text(row, 11) },
          // bytea comes as \x and hex digits.
          content: Buffer.from(text(row, 12).slice(2), "hex"),
          ...{ users: users.filter((user) => user !== null), subject: subjectIn(row, 14) },
        }
      : undefined,
  };
}
