// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, ImError } from "#lib/errors.ts";
import type {
  CardAnswer,
  CardPlace,
  CardPress,
  ChangeOrder,
  ChangeRefusal,
  ChangeResult,
  ChangeStore,
  PressClaim,
} from "./changes.ts";
import { CHANGED_FACTS } from "./hook-statements.ts";
import { isDuplicateKey } from "./postgres-errors.ts";
import type { PostgresHooks } from "./postgres-hooks.ts";
import type { PostgresPool, Row, Statement } from "./postgres-pool.ts";
import { number, text } from "./rows.ts";
import { OtherEpochError } from "./store.ts";

/** The key came in another conversation at the same moment: the next try finds it. */
const MAX_ATTEMPTS = 3;

/** See change_v2 and large_version_v1 in migrations/; $17 the inbox epoch that the numbers are to be of, or null. No row: it is another one. */
const DONE = `done AS MATERIALIZED (
           SELECT change_v2($1, $2, $3, $4, $5, $6, $7::uuid, $8, $9, $10, $11, $12, $13::uuid, $14, $15, $16, true) AS r
             FROM store_meta WHERE inbox_epoch = coalesce($17::uuid, inbox_epoch)
         )`;
const CHANGE: Statement = {
  name: "change",
  text: `WITH ${DONE}
         SELECT (r).outcome, (r).version, (r).event_id, (r).event_seq, (r).event_ms, to_json((r).user_ids)::text,
                to_json((r).inbox_seqs)::text,
                CASE WHEN (r).outcome = 'changed' THEN large_version_v1($5, (r).event_seq, (r).event_ms) END FROM done`,
};

/** $1 conversation, $2 what it shows. */
const FIND_CARD: Statement = {
  name: "find_card",
  text: `SELECT r.seq, m.message_id, r.version, m.content, m.sender
           FROM card_ref r
           JOIN message m ON m.conversation_id = r.conversation_id AND m.seq = r.seq AND m.created_ms = r.created_ms
          WHERE r.conversation_id = $1 AND r.ref = $2`,
};

const PRESS = "user_id = $1 AND client_key = $2 AND conversation_id = $3 AND seq = $4 AND action = $5";

/**
 * $6 hash of the input, $7 lease, ms, $8 now, ms. A row: it is the caller's. Times are the database's: several processes
 * compare them.
 */
const CLAIM_PRESS: Statement = {
  name: "claim_press",
  text: `INSERT INTO card_action AS p (user_id, client_key, conversation_id, seq, action, input_hash, created_ms, leased_until)
         VALUES ($1, $2, $3, $4, $5, $6, $8, clock_timestamp() + $7::bigint * interval '1 millisecond')
         ON CONFLICT (user_id, client_key, conversation_id, seq, action) DO UPDATE SET leased_until = excluded.leased_until
          WHERE p.leased_until < clock_timestamp() AND p.input_hash = excluded.input_hash
         RETURNING 1`,
};

const READ_PRESS: Statement = {
  name: "read_press",
  text: `SELECT status, answer, input_hash FROM card_action WHERE ${PRESS}`,
};

/** $6 status, $7 body. */
const ANSWER_PRESS: Statement = {
  name: "answer_press",
  text: `UPDATE card_action SET status = $6, answer = $7, leased_until = NULL WHERE ${PRESS} AND status IS NULL RETURNING 1`,
};

const RELEASE_PRESS: Statement = {
  name: "release_press",
  text: `UPDATE card_action SET leased_until = clock_timestamp() - interval '1 second' WHERE ${PRESS} AND status IS NULL`,
};

const PRUNE: Statement = { name: "prune_changes", text: "SELECT retention_changes_v1($1, $2)" };

/** {@link ChangeStore} on PostgreSQL. */
export class PostgresChanges implements ChangeStore {
  readonly #changes: PostgresPool;
  readonly #rest: PostgresPool;
  readonly #hooks: Pick<PostgresHooks, "withFacts">;

  /** @param changes for what writes to inboxes, @param rest for everything else */
  constructor(changes: PostgresPool, rest: PostgresPool, hooks: Pick<PostgresHooks, "withFacts">) {
    this.#hooks = hooks;
    this.#changes = changes;
    this.#rest = rest;
  }

  async change(order: ChangeOrder, epoch?: string): Promise<ChangeResult> {
    let failure: unknown;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      try {
        return await this.#changeOnce(order, epoch);
      } catch (error) {
        if (!isDuplicateKey(error)) throw error;
        failure = error;
      }
    }
    throw new ImError(ErrorCode.RETRYABLE, "change: the same key is being stored elsewhere", { cause: failure });
  }

  async #changeOnce(order: ChangeOrder, epoch: string | undefined): Promise<ChangeResult> {
    const { kind, sender, clientMessageId, payloadHash, conversationId, convSeq, messageId } = order;
    const [row] = await this.#changes.run(this.#hooks.withFacts(CHANGE, CHANGED_FACTS, DONE), [
      ...[kind, sender, clientMessageId, Buffer.from(payloadHash), conversationId, convSeq, messageId],
      ...[order.baseVersion, order.version, order.ref, Buffer.from(order.content), order.oldestMs],
      ...[order.eventId, Buffer.from(order.eventBare), Buffer.from(order.eventTail), order.atMs],
      epoch ?? null,
    ]);
    if (!row) throw new OtherEpochError("change");
    return resultOf(row);
  }

  async findCard(conversationId: string, ref: string): Promise<CardPlace | undefined> {
    const [row] = await this.#rest.run(FIND_CARD, [conversationId, ref]);
    if (!row) return undefined;
    return {
      ...{ convSeq: number(row, 0), messageId: text(row, 1), version: number(row, 2), content: bytes(row, 3) },
      sender: text(row, 4),
    };
  }

  async claimPress(press: CardPress, inputHash: Uint8Array, leaseMs: number, atMs: number): Promise<PressClaim> {
    const hash = Buffer.from(inputHash);
    const [mine] = await this.#rest.run(CLAIM_PRESS, [...keyOf(press), hash, leaseMs, atMs]);
    if (mine) return { kind: "mine" };
    const [row] = await this.#rest.run(READ_PRESS, keyOf(press));
    // Retention took it in between.
    if (!row) return { kind: "busy" };
    if (text(row, 2) !== `\\x${hash.toString("hex")}`) return { kind: "key-taken" };
    return row[0] === null ? { kind: "busy" } : { kind: "answered", answer: answerOf(row) };
  }

  async answerPress(press: CardPress, answer: CardAnswer): Promise<CardAnswer> {
    const [mine] = await this.#rest.run(ANSWER_PRESS, [...keyOf(press), answer.status, Buffer.from(answer.body)]);
    if (mine) return answer;
    const [row] = await this.#rest.run(READ_PRESS, keyOf(press));
    return row && row[0] !== null ? answerOf(row) : answer;
  }

  async releasePress(press: CardPress): Promise<void> {
    await this.#rest.run(RELEASE_PRESS, keyOf(press));
  }

  async pruneChanges(cutoffMs: number, maxRows: number): Promise<number> {
    const [row] = await this.#rest.run(PRUNE, [cutoffMs, maxRows]);
    return number(row, 0);
  }
}

function keyOf({ userId, clientKey, conversationId, convSeq, action }: CardPress): (string | number)[] {
  return [userId, clientKey, conversationId, convSeq, action];
}

function answerOf(row: Row): CardAnswer {
  return { status: number(row, 0), body: bytes(row, 1) };
}

/** bytea comes as \x and hex digits. */
function bytes(row: Row, column: number): Buffer {
  return Buffer.from(text(row, column).slice(2), "hex");
}

function resultOf(row: Row): ChangeResult {
  const outcome = text(row, 0);
  switch (outcome) {
    case "changed": {
      const userIds = JSON.parse(text(row, 5)) as string[];
      const seqs = JSON.parse(text(row, 6)) as number[];
      const recipients = userIds.map((userId, index) => ({ userId, inboxSeq: seqs[index] ?? 0 }));
      const largeVersion = row[7] === null ? {} : { largeVersion: number(row, 7) };
      return { kind: "changed", eventSeq: number(row, 3), recipients, ...largeVersion };
    }
    case "duplicate":
      return { kind: "duplicate", eventId: text(row, 2), eventSeq: number(row, 3), atMs: number(row, 4) };
    case "recalled":
      return { kind: "recalled" };
    case "version":
      return { kind: "version", version: number(row, 1) };
    default:
      return { kind: "refused", why: outcome as ChangeRefusal };
  }
}
