// SPDX-License-Identifier: Apache-2.0
import { randomUUID } from "node:crypto";
import { idInTenant, tenantOf } from "#lib/tenant.ts";
import type { ConversationFacts } from "../policy/engine.ts";
import type { HookStore } from "./hooks.ts";
import type { MemoryConversation } from "./memory-conversations.ts";
import type { HeldTest } from "./memory-governance.ts";
import {
  FACT_MESSAGES,
  type FactsAsk,
  MAX_OPEN_REPORTS,
  type NewReport,
  type OrderChange,
  type PolicyStore,
  type ReportPage,
  type ReportResult,
  type StoredReport,
} from "./policy-store.ts";

/** {@link PolicyStore} in maps. */
export class MemoryPolicy implements PolicyStore {
  readonly #find: (conversationId: string) => MemoryConversation | undefined;
  readonly #isHeld: HeldTest;
  readonly #record: HookStore["record"];
  #isWanted = false;
  readonly #about: (pairId: string) => readonly MemoryConversation[];
  readonly #orders = new Map<string, OrderChange>();
  readonly #reports: StoredReport[] = [];
  #numbers = 0;

  /** @param about those that a pair has about single things */
  constructor(
    find: (conversationId: string) => MemoryConversation | undefined,
    isHeld: HeldTest,
    record: HookStore["record"],
    about: (pairId: string) => readonly MemoryConversation[],
  ) {
    this.#find = find;
    this.#isHeld = isHeld;
    this.#record = record;
    this.#about = about;
  }

  async facts(asks: readonly FactsAsk[]): Promise<ConversationFacts[]> {
    return asks.map(({ userId, conversationId }) => {
      const conversation = this.#find(conversationId);
      const all = [...(conversation ? [conversation] : []), ...this.#about(conversationId)];
      const isGroup = conversation !== undefined && conversation.pair === undefined;
      const newest = all.flatMap(({ messages, onlyFor }) =>
        messages.slice(-FACT_MESSAGES).map(({ sender, convSeq }) => ({ sender, isHidden: onlyFor.has(convSeq) })),
      );
      return {
        isAnswered: isGroup || newest.some(({ sender, isHidden }) => sender !== userId && !isHidden),
        ownMessages: newest.filter(({ sender }) => sender === userId).length,
        hasOrder: [...this.#orders.keys()].some((key) => key.startsWith(`${conversationId}\0`)),
      };
    });
  }

  async setOrder(order: OrderChange): Promise<void> {
    const key = `${order.conversationId}\0${order.orderRef}`;
    if (!order.isOpen) this.#orders.delete(key);
    else if (!this.#orders.has(key)) this.#orders.set(key, order);
  }

  /** Orders of the user after this time, and reports that it made behind this number: all of them, the oldest first. */
  ordersOf(userId: string, afterMs: number): OrderChange[] {
    const own = [...this.#orders.values()].filter(({ users, atMs }) => users.includes(userId) && atMs > afterMs);
    return own.sort((one, other) => one.atMs - other.atMs);
  }

  reportsOf(userId: string, after: number): StoredReport[] {
    return this.#reports.filter(({ reporter, number }) => reporter === userId && number > after);
  }

  wantReports(isWanted: boolean): void {
    this.#isWanted = isWanted;
  }

  async report(report: NewReport): Promise<ReportResult> {
    const mine = this.#reports.filter(({ reporter }) => reporter === report.reporter);
    if (mine.some(({ reportId }) => reportId === report.reportId)) return "duplicate";
    if (mine.filter(({ resolvedMs }) => resolvedMs === 0).length >= MAX_OPEN_REPORTS) return "full";
    this.#reports.push({ ...report, number: ++this.#numbers, resolvedMs: 0, resolution: "", note: "" });
    if (this.#isWanted) await this.#tell(this.#numbers, report);
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

  /** Reports name the user no more and have none of its words; nobody has an order with it. False: something is held. */
  forget(userId: string): boolean {
    let isAllGone = true;
    for (const [key, { conversationId, users }] of [...this.#orders]) {
      if (!users.includes(userId)) continue;
      if (this.#isHeld(conversationId, users)) isAllGone = false;
      else this.#orders.delete(key);
    }
    for (const report of [...this.#reports]) {
      const after = withoutUser(report, userId);
      if (after === report) continue;
      if (this.#isReportHeld(report)) isAllGone = false;
      else this.#reports.splice(this.#reports.indexOf(report), 1, ...(after ? [after] : []));
    }
    return isAllGone;
  }

  async prune(cutoffMs: number, maxRows: number): Promise<number> {
    const orders = [...this.#orders]
      .filter(([, { conversationId, users, atMs }]) => atMs < cutoffMs && !this.#isHeld(conversationId, users))
      .slice(0, maxRows);
    for (const [key] of orders) this.#orders.delete(key);
    const isOld = (report: StoredReport): boolean => report.atMs < cutoffMs && !this.#isReportHeld(report);
    const old = this.#reports.filter(isOld).slice(0, maxRows);
    for (const report of old) this.#reports.splice(this.#reports.indexOf(report), 1);
    return orders.length + old.length;
  }

  #tell(number: number, { kind, reason, conversationId, messageId, reporter }: NewReport): Promise<void> {
    const body = JSON.stringify({ number, kind, reason, conversationId, messageId });
    return this.#record([{ kind: "report.created", id: randomUUID(), key: reporter, body }]);
  }

  #isReportHeld({ conversationId, reporter, reported }: StoredReport): boolean {
    return this.#isHeld(conversationId, [reporter, reported]);
  }
}

/** The same where it has nothing of the user; undefined: nothing is left of it. */
function withoutUser(report: StoredReport, userId: string): StoredReport | undefined {
  if (report.reporter === userId && report.kind === "appeal") return undefined;
  if (report.reporter === userId)
    return { ...report, reporter: "", reportId: `erased.${report.number}`, text: "", context: "[]" };
  if (report.reported === userId) return { ...report, reported: "", context: "[]" };
  const around = messagesIn(report.context);
  const to = idInTenant(userId);
  if (report.kind === "appeal" && report.tenant === tenantOf(userId) && around.some((one) => one.to === to))
    return { ...report, context: "[]" };
  const others = around.filter(({ sender }) => sender !== userId);
  return others.length === around.length ? report : { ...report, context: JSON.stringify(others) };
}

function messagesIn(context: string): { sender?: string; to?: string }[] {
  const found: unknown = JSON.parse(context);
  return Array.isArray(found) ? found : [];
}
