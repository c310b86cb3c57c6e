// SPDX-License-Identifier: Apache-2.0
import type { ConversationFacts } from "../policy/engine.ts";
import type { MemoryConversation } from "./memory-conversations.ts";
import {
  FACT_MESSAGES,
  type FactsAsk,
  MAX_OPEN_REPORTS,
  type NewReport,
  type PolicyStore,
  type ReportPage,
  type ReportResult,
  type StoredReport,
} from "./policy-store.ts";

/** {@link PolicyStore} in maps. */
export class MemoryPolicy implements PolicyStore {
  readonly #find: (conversationId: string) => MemoryConversation | undefined;
  readonly #orders = new Map<string, number>();
  readonly #reports: StoredReport[] = [];
  #numbers = 0;

  constructor(find: (conversationId: string) => MemoryConversation | undefined) {
    this.#find = find;
  }

  async facts(asks: readonly FactsAsk[]): Promise<ConversationFacts[]> {
    return asks.map(({ userId, conversationId }) => {
      const conversation = this.#find(conversationId);
      const newest = conversation?.messages.slice(-FACT_MESSAGES) ?? [];
      const isGroup = conversation !== undefined && conversation.pair === undefined;
      const isOther = ({ sender, convSeq }: { sender: string; convSeq: number }): boolean =>
        sender !== userId && !conversation?.onlyFor.has(convSeq);
      return {
        isAnswered: isGroup || newest.some(isOther),
        ownMessages: newest.filter(({ sender }) => sender === userId).length,
        hasOrder: [...this.#orders.keys()].some((key) => key.startsWith(`${conversationId}\0`)),
      };
    });
  }

  async setOrder(order: { conversationId: string; orderRef: string; isOpen: boolean; atMs: number }): Promise<void> {
    const key = `${order.conversationId}\0${order.orderRef}`;
    if (!order.isOpen) this.#orders.delete(key);
    else if (!this.#orders.has(key)) this.#orders.set(key, order.atMs);
  }

  async report(report: NewReport): Promise<ReportResult> {
    const mine = this.#reports.filter(({ reporter }) => reporter === report.reporter);
    if (mine.some(({ reportId }) => reportId === report.reportId)) return "duplicate";
    if (mine.filter(({ resolvedMs }) => resolvedMs === 0).length >= MAX_OPEN_REPORTS) return "full";
    this.#reports.push({ ...report, number: ++this.#numbers, resolvedMs: 0, resolution: "", note: "" });
    return "stored";
  }

  async reports({ tenant, after, limit, isOpen }: ReportPage): Promise<StoredReport[]> {
    const wanted = this.#reports.filter((one) => one.tenant === tenant && one.number > after);
    return wanted.filter(({ resolvedMs }) => !isOpen || resolvedMs === 0).slice(0, limit);
  }

  async resolveReport(resolved: {
    tenant: string;
    number: number;
    resolution: string;
    note: string;
    atMs: number;
  }): Promise<StoredReport | undefined> {
    const { tenant, number, resolution, note, atMs } = resolved;
    const at = this.#reports.findIndex((one) => one.tenant === tenant && one.number === number);
    const report = this.#reports[at];
    if (!report || report.resolvedMs > 0) return report;
    const after = { ...report, resolution, note, resolvedMs: atMs };
    this.#reports[at] = after;
    return after;
  }

  async prune(cutoffMs: number, maxRows: number): Promise<number> {
    const orders = [...this.#orders].filter(([, atMs]) => atMs < cutoffMs).slice(0, maxRows);
    for (const [key] of orders) this.#orders.delete(key);
    const old = this.#reports.filter(({ atMs }) => atMs < cutoffMs).slice(0, maxRows);
    for (const report of old) this.#reports.splice(this.#reports.indexOf(report), 1);
    return orders.length + old.length;
  }
}
