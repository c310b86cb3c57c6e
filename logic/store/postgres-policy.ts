// SPDX-License-Identifier: Apache-2.0
import type { ConversationFacts } from "../policy/engine.ts";
import { textArray } from "./binary-array.ts";
import {
  FACT_MESSAGES,
  type FactsAsk,
  MAX_OPEN_REPORTS,
  type NewReport,
  type OrderChange,
  type PolicyStore,
  type ReportKind,
  type ReportPage,
  type ReportResult,
  type StoredReport,
} from "./policy-store.ts";
import type { PostgresPool, Row, Statement } from "./postgres-pool.ts";
import { ofPair } from "./read-statements.ts";
import { number, text } from "./rows.ts";

/** $1 users, $2 conversations: is it answered, own messages, is there an order. */
const FACTS: Statement = {
  name: "policy_facts",
  text: `SELECT coalesce((SELECT c.user_a IS NULL FROM conversation c WHERE c.conversation_id = a.conversation_id), false)
                  OR coalesce(s.is_answered, false), s.own,
                EXISTS (SELECT FROM conversation_order o WHERE o.conversation_id = a.conversation_id)
           FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS a(user_id, conversation_id, i)
          CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE m.sender = a.user_id) AS own,
                   bool_or(m.sender <> a.user_id AND m.only_for = '') AS is_answered
              FROM ${ofPair("a.conversation_id")} k
             CROSS JOIN LATERAL (SELECT m.sender, m.only_for FROM message m WHERE m.conversation_id = k.conversation_id
                                  ORDER BY m.seq DESC LIMIT ${FACT_MESSAGES}) m) s
          ORDER BY a.i`,
};

const ADD_ORDER: Statement = {
  name: "add_conversation_order",
  text: `INSERT INTO conversation_order AS o (conversation_id, order_ref, created_ms, user_a, user_b) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (conversation_id, order_ref) DO UPDATE SET user_a = excluded.user_a, user_b = excluded.user_b
          WHERE o.user_a IS NULL`,
};
const REMOVE_ORDER: Statement = {
  name: "remove_conversation_order",
  text: "DELETE FROM conversation_order WHERE conversation_id = $1 AND order_ref = $2",
};

/** The event says which report it is, and names nobody: whoever is told reads it as it is then. */
const REPORT_EVENT = `, hooked AS (
           INSERT INTO hook_outbox (kind, ids, keys, bodies)
           SELECT 'report.created', ARRAY[gen_random_uuid()], ARRAY[a.reporter],
                  ARRAY[json_build_object('number', a.number, 'kind', a.kind, 'reason', a.reason,
                                          'conversationId', a.conversation_id, 'messageId', a.message_id)::text]
             FROM added a)`;

const addReport = (name: string, event: string): Statement => ({
  name,
  text: `WITH added AS (
           INSERT INTO report (tenant, reporter, report_id, kind, reported, conversation_id, conv_seq, message_id, reason, body,
                               rule, context, created_ms)
           SELECT $1::text, $2::text, $3::text, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13
            WHERE (SELECT count(*) FROM report r WHERE r.tenant = $1 AND r.reporter = $2 AND r.resolved_ms = 0) < ${MAX_OPEN_REPORTS}
           ON CONFLICT DO NOTHING RETURNING *)${event}
         SELECT CASE WHEN EXISTS (SELECT FROM added) THEN 'stored'
                     WHEN EXISTS (SELECT FROM report r WHERE r.reporter = $2 AND r.report_id = $3) THEN 'duplicate'
                     ELSE 'full' END`,
});
const ADD_REPORT = addReport("add_report", "");
const ADD_TOLD_REPORT = addReport("add_report_hooked", REPORT_EVENT);

/** Columns of {@link toReport}. */
export const REPORT_COLUMNS = `number, tenant, reporter, report_id, kind, reported, conversation_id, conv_seq, message_id, reason, body, rule,
                 context, created_ms, resolved_ms, resolution, note`;

const reports = (name: string, where: string): Statement => ({
  name,
  text: `SELECT ${REPORT_COLUMNS} FROM report WHERE tenant = $1 AND number > $2 ${where} ORDER BY number LIMIT $3`,
});
const OPEN_REPORTS = reports("open_reports", "AND resolved_ms = 0");
const ALL_REPORTS = reports("all_reports", "");

const RESOLVE_REPORT: Statement = {
  name: "resolve_report",
  text: `UPDATE report SET resolution = CASE WHEN resolved_ms = 0 THEN $3 ELSE resolution END,
                note = CASE WHEN resolved_ms = 0 THEN $4 ELSE note END,
                resolved_ms = CASE WHEN resolved_ms = 0 THEN $5::bigint ELSE resolved_ms END
          WHERE tenant = $1 AND number = $2 RETURNING ${REPORT_COLUMNS}`,
};

const PRUNE: Statement = {
  name: "prune_policy",
  text: `WITH o AS (DELETE FROM conversation_order t WHERE t.ctid = ANY (ARRAY(
                      SELECT ctid FROM conversation_order
                       WHERE created_ms < $1 AND NOT is_order_held_v1(conversation_id, user_a, user_b)
                       ORDER BY created_ms LIMIT $2)) RETURNING 1),
              r AS (DELETE FROM report t WHERE t.ctid = ANY (ARRAY(
                      SELECT ctid FROM report WHERE created_ms < $1 AND NOT is_report_held_v1(reporter, reported, conversation_id)
                       ORDER BY created_ms LIMIT $2)) RETURNING 1)
         SELECT (SELECT count(*) FROM o) + (SELECT count(*) FROM r)`,
};

/** {@link PolicyStore} in PostgreSQL. */
export class PostgresPolicy implements PolicyStore {
  readonly #pool: PostgresPool;
  #isWanted = false;

  constructor(pool: PostgresPool) {
    this.#pool = pool;
  }

  async facts(asks: readonly FactsAsk[]): Promise<ConversationFacts[]> {
    if (asks.length === 0) return [];
    const users = textArray(asks.map(({ userId }) => userId));
    const rows = await this.#pool.run(FACTS, [users, textArray(asks.map(({ conversationId }) => conversationId))]);
    return rows.map((row) => ({
      isAnswered: text(row, 0) === "t",
      ownMessages: number(row, 1),
      hasOrder: text(row, 2) === "t",
    }));
  }

  async setOrder({ conversationId, users, orderRef, isOpen, atMs }: OrderChange): Promise<void> {
    if (isOpen) await this.#pool.run(ADD_ORDER, [conversationId, orderRef, atMs, ...users]);
    else await this.#pool.run(REMOVE_ORDER, [conversationId, orderRef]);
  }

  wantReports(isWanted: boolean): void {
    this.#isWanted = isWanted;
  }

  async report(report: NewReport): Promise<ReportResult> {
    const { tenant, reporter, reportId, kind, reported, conversationId, convSeq, messageId } = report;
    const about = [tenant, reporter, reportId, kind, reported, conversationId, convSeq, messageId];
    const [row] = await this.#pool.run(this.#isWanted ? ADD_TOLD_REPORT : ADD_REPORT, [
      ...about,
      ...[report.reason, report.text, report.rule, report.context, report.atMs],
    ]);
    return text(row, 0) as ReportResult;
  }

  async reports({ tenant, after, limit, isOpen }: ReportPage): Promise<StoredReport[]> {
    return (await this.#pool.run(isOpen ? OPEN_REPORTS : ALL_REPORTS, [tenant, after, limit])).map(toReport);
  }

  async resolveReport(resolved: {
    tenant: string;
    number: number;
    resolution: string;
    note: string;
    atMs: number;
  }): Promise<StoredReport | undefined> {
    const { tenant, resolution, note, atMs } = resolved;
    const [row] = await this.#pool.run(RESOLVE_REPORT, [tenant, resolved.number, resolution, note, atMs]);
    return row && toReport(row);
  }

  async prune(cutoffMs: number, maxRows: number): Promise<number> {
    const [row] = await this.#pool.run(PRUNE, [cutoffMs, maxRows]);
    return number(row, 0);
  }
}

/** A row of {@link REPORT_COLUMNS}. */
export function toReport(row: Row): StoredReport {
  return {
    ...{ number: number(row, 0), tenant: text(row, 1), reporter: text(row, 2), reportId: text(row, 3) },
    ...{ kind: text(row, 4) as ReportKind, reported: text(row, 5), conversationId: text(row, 6) },
    ...{ convSeq: number(row, 7), messageId: text(row, 8), reason: text(row, 9), text: text(row, 10) },
    ...{ rule: text(row, 11), context: text(row, 12), atMs: number(row, 13), resolvedMs: number(row, 14) },
    ...{ resolution: text(row, 15), note: text(row, 16) },
  };
}
