// SPDX-License-Identifier: Apache-2.0
import { directConversationId } from "../../send/conversation.ts";
import { REPORT_KINDS, type StoredReport } from "../../store/policy-store.ts";
import { externalId, internalId } from "../../tenant/tenant-ids.ts";
import { cursorOf, positionOf } from "../cursor.ts";
import { CURSOR, count, limit, NEXT_CURSOR, text, timeMs, USER_ID } from "../fields.ts";
import { ok, operation } from "../operation.ts";
import { refuse } from "../problem.ts";
import { object } from "../schema.ts";

const MAX_PAGE = 50;
const REPORT_LIST = "reports";

export const REPORT = object(
  {
    number: count("Names the report; grows with time"),
    kind: { type: "string", enum: REPORT_KINDS, description: "What is reported; an appeal is against a rule" },
    reporter: { type: "string", description: "Who reports; empty once it was deleted" },
    reported: { type: "string", description: "Whom it is about; empty in an appeal, and once it was deleted" },
    conversationId: { type: "string", description: "Where; empty of a user outside of any conversation" },
    conversationSeq: count("Of the message; 0 of none"),
    messageId: { type: "string", description: "Of the message; empty of none" },
    reason: { type: "string", description: "spam, fraud, contact, harassment, illegal, other; empty in an appeal" },
    text: { type: "string", description: "In the reporter's words" },
    rule: { type: "string", description: "Of an appeal: the rule that refused the message" },
    context: {
      type: "string",
      description:
        "JSON: an array of the messages around it, as the reporter saw them then; of an appeal what was refused",
    },
    createdMs: timeMs("When it came"),
    resolvedMs: timeMs("When it was decided; 0: it is open"),
    resolution: { type: "string", description: "upheld or dismissed; empty while it is open" },
    note: { type: "string", description: "Of whoever decided" },
  },
  [],
  "Report",
);

export const listReports = operation({
  id: "listReports",
  method: "GET",
  path: "/v1/reports",
  summary: "Reports and appeals of users",
  description: "The oldest first; those that are not decided yet, unless state says all.",
  scope: "reports:read",
  queryFields: object(
    {
      state: { type: "string", enum: ["open", "all"], description: "Which ones; open by default" },
      cursor: CURSOR,
      limit: limit(MAX_PAGE),
    },
    ["state", "cursor", "limit"],
  ),
  reply: {
    status: 200,
    description: "A page of them",
    schema: object(
      { reports: { type: "array", items: REPORT, maxItems: MAX_PAGE }, nextCursor: NEXT_CURSOR },
      ["nextCursor"],
      "ReportPage",
    ),
  },
  target: () => "",
  async run({ tenant, query }, { store }) {
    const { state = "open", limit: size = MAX_PAGE } = query;
    const list = `${REPORT_LIST} ${state}`;
    const after = positionOf(list, query.cursor);
    if (typeof after !== "number") return after;
    const found = await store.policy.reports({ tenant, after, limit: size, isOpen: state === "open" });
    const last = found.length === size ? found.at(-1) : undefined;
    const reports = found.map((report) => shownReport(tenant, report));
    return ok({ reports, ...(last ? { nextCursor: cursorOf(list, last.number) } : {}) });
  },
});

export const resolveReport = operation({
  id: "resolveReport",
  method: "POST",
  path: "/v1/reports/resolve",
  summary: "Decide a report or an appeal",
  description:
    "The first decision stays. It does nothing else: what is to become of users and messages is said by other calls.",
  scope: "reports:manage",
  bodyFields: object(
    {
      number: count("The report"),
      resolution: { type: "string", enum: ["upheld", "dismissed"], description: "What was decided" },
      note: text("For people", 500),
    },
    ["note"],
    "ResolveReport",
  ),
  reply: { status: 200, description: "The report as it is now", schema: REPORT },
  problems: ["not_found"],
  target: ({ body: { number } }) => String(number),
  async run({ tenant, body: { number, resolution, note = "" } }, { store }) {
    const report = await store.policy.resolveReport({ tenant, number, resolution, note, atMs: Date.now() });
    return report ? ok(shownReport(tenant, report)) : refuse("not_found", "there is no report of this number");
  },
});

export const setOrder = operation({
  id: "setOrder",
  method: "POST",
  path: "/v1/orders",
  summary: "Say that two users have an order, or have it no more",
  description:
    "Rules with unlessOrder do not hold between them while there is one, within a minute. It may be said again.",
  scope: "orders:manage",
  bodyFields: object(
    {
      buyerId: USER_ID,
      sellerId: USER_ID,
      orderId: text("The order, as the shop names it", 128, 1),
      open: { type: "boolean", description: "false: it counts no more" },
    },
    [],
    "SetOrder",
  ),
  reply: { status: 204, description: "It is known" },
  target: ({ body: { orderId } }) => orderId,
  async run({ tenant, body: { buyerId, sellerId, orderId: orderRef, open: isOpen } }, { store }) {
    if (buyerId === sellerId) return refuse("invalid", "buyerId and sellerId are the same user");
    const users = [internalId(tenant, buyerId), internalId(tenant, sellerId)] as const;
    const conversationId = directConversationId(...users);
    await store.policy.setOrder({ conversationId, users, orderRef, isOpen, atMs: Date.now() });
    return ok();
  },
});

/** With ids as the tenant knows them. */
export function shownReport(tenant: string, report: StoredReport): object {
  const { number, kind, conversationId, convSeq, messageId, reason, text: words, rule, atMs } = report;
  const { resolvedMs, resolution, note } = report;
  const idOf = (id: string): string => (id === "" ? "" : (externalId(tenant, id) ?? ""));
  const context = (JSON.parse(report.context) as { sender?: string }[]).map((one) =>
    one.sender === undefined ? one : { ...one, sender: idOf(one.sender) },
  );
  return {
    ...{ number, kind, reporter: idOf(report.reporter), reported: idOf(report.reported), conversationId },
    ...{ conversationSeq: convSeq, messageId, reason, text: words, rule, context: JSON.stringify(context) },
    ...{ createdMs: atMs, resolvedMs, resolution, note },
  };
}
