// SPDX-License-Identifier: Apache-2.0
import type { ConversationFacts } from "../policy/engine.ts";

/** Newest messages of a conversation that are looked at for its facts. */
export const FACT_MESSAGES = 100;
/** Conversations in one {@link PolicyStore.facts}. */
export const MAX_FACTS = 200;
/** Reports of one user that may be open. */
export const MAX_OPEN_REPORTS = 50;

/** Conversations of a pair about single things that are looked at together with the pair's own. */
export const FACT_CONVERSATIONS = 100;

/** Whose view of which conversation: of a group, or of a pair, with those that it has about single things. */
export interface FactsAsk {
  readonly userId: string;
  readonly conversationId: string;
}

export const REPORT_KINDS = ["message", "user", "appeal"] as const;
export type ReportKind = (typeof REPORT_KINDS)[number];

/** What a user reports. */
export interface NewReport {
  readonly tenant: string;
  /** "" once it was deleted. */
  readonly reporter: string;
  /** With the reporter the key that makes a repetition free. */
  readonly reportId: string;
  readonly kind: ReportKind;
  /** Internal id of whom it is about; "" of an appeal, and once it was deleted. */
  readonly reported: string;
  /** "" of a user outside of any conversation. */
  readonly conversationId: string;
  /** Of a message; else 0 and "". */
  readonly convSeq: number;
  readonly messageId: string;
  readonly reason: string;
  readonly text: string;
  /** Of an appeal. */
  readonly rule: string;
  /** JSON. */
  readonly context: string;
  readonly atMs: number;
}

/** A report as it is kept. */
export interface StoredReport extends NewReport {
  /** Grows with time, within all tenants. */
  readonly number: number;
  /** 0 = it is open. */
  readonly resolvedMs: number;
  readonly resolution: string;
  readonly note: string;
}

export interface ReportPage {
  readonly tenant: string;
  /** Only those with a higher number. */
  readonly after: number;
  readonly limit: number;
  readonly isOpen: boolean;
}

/** Two users have an order, as the shop says, or have it no more. */
export interface OrderChange {
  readonly conversationId: string;
  /** Of the conversation. */
  readonly users: readonly [string, string];
  readonly orderRef: string;
  readonly isOpen: boolean;
  readonly atMs: number;
}

/** `full`: the reporter has {@link MAX_OPEN_REPORTS} open ones. */
export type ReportResult = "stored" | "duplicate" | "full";

/** What rules go by, and what users say about them. */
export interface PolicyStore {
  /** By index. Of a conversation that is not there: nobody has answered, and nothing was written. At most {@link MAX_FACTS}. */
  facts(asks: readonly FactsAsk[]): Promise<ConversationFacts[]>;
  /** The two users have this order, or have it no more. May be repeated. */
  setOrder(order: OrderChange): Promise<void>;
  /** From now on reports of this process leave an event for hooks, in their own transaction, or do not. */
  wantReports(isWanted: boolean): void;
  report(report: NewReport): Promise<ReportResult>;
  /** By number. */
  reports(page: ReportPage): Promise<StoredReport[]>;
  /** The report as it is now; undefined: there is none. A report is resolved once: the first resolution stays. */
  resolveReport(resolved: {
    tenant: string;
    number: number;
    resolution: string;
    note: string;
    atMs: number;
  }): Promise<StoredReport | undefined>;
  /** Forgets orders and reports from before `cutoffMs` that are not held, up to `maxRows` of each. How many it was. */
  prune(cutoffMs: number, maxRows: number): Promise<number>;
}
