// SPDX-License-Identifier: Apache-2.0
import { MAX_ID_CHARS } from "#proto/commands.ts";
import { Report } from "#proto/gen/messages.ts";
import { badRequest, isSeq } from "../conversations/answers.ts";
import type { Refusal } from "../session/session.ts";
import type { ReportKind } from "../store/policy-store.ts";
import { isPeerId } from "../tenant/peer-id.ts";

export const REPORT_REASONS = ["spam", "fraud", "contact", "harassment", "illegal", "other"] as const;
const MAX_TEXT_CHARS = 1000;
const MAX_RULE_CHARS = 64;
const MAX_TYPE_CHARS = 64;
const MAX_APPEAL_BYTES = 8 * 1024;

/** A report that says what it has to. */
export interface ReportRequest extends Report {
  readonly kind: ReportKind;
}

/** What a body asks for, or what is wrong with it. */
export function parseReport(userId: string, body: Uint8Array): ReportRequest | Refusal {
  let report: Report;
  try {
    report = Report.decode(body);
  } catch {
    // The decoder's own message means nothing to the author of a client.
    return badRequest("the body is not a Report message: encode it as in safety.proto");
  }
  const kind: ReportKind = report.rule !== "" ? "appeal" : report.messageId !== "" ? "message" : "user";
  return commonProblem(report) ?? kindProblem(userId, kind, report) ?? { ...report, kind };
}

function commonProblem(report: Report): Refusal | undefined {
  const { reportId, conversationId, messageId, text, rule, contentType } = report;
  if (reportId === "" || reportId.length > MAX_ID_CHARS)
    return badRequest(`report_id must have 1 to ${MAX_ID_CHARS} characters`);
  if (conversationId.length > MAX_ID_CHARS || messageId.length > MAX_ID_CHARS)
    return badRequest("conversation_id or message_id is too long: use those the server gave you");
  if (text.length > MAX_TEXT_CHARS) return badRequest(`text has more than ${MAX_TEXT_CHARS} characters: shorten it`);
  if (rule.length > MAX_RULE_CHARS || contentType.length > MAX_TYPE_CHARS)
    return badRequest("rule or content_type is too long: use that of the refused message");
  if ([reportId, conversationId, messageId, text, rule, contentType].some((value) => value.includes("\0")))
    return badRequest("a text holds NUL: leave it out");
  return undefined;
}

function kindProblem(userId: string, kind: ReportKind, report: Report): Refusal | undefined {
  const { conversationId, convSeq, reason, content } = report;
  if (report.userId !== "" && (!isPeerId(userId, report.userId) || report.userId === userId))
    return badRequest("user_id must be another user");
  if (kind === "appeal") {
    if (conversationId === "" && report.userId === "")
      return badRequest("an appeal needs conversation_id or user_id: whom the message was to");
    return content.length > MAX_APPEAL_BYTES ? badRequest(`content is over ${MAX_APPEAL_BYTES} bytes`) : undefined;
  }
  if (!(REPORT_REASONS as readonly string[]).includes(reason))
    return badRequest(`reason must be one of ${REPORT_REASONS.join(", ")}`);
  if (content.length > 0) return badRequest("only an appeal has content: leave it out");
  if (kind === "user")
    return report.userId === "" ? badRequest("nothing is reported: name a message or a user") : undefined;
  if (conversationId === "" || !isSeq(convSeq) || convSeq === 0)
    return badRequest("a message is named by conversation_id, conv_seq and message_id");
  return undefined;
}
