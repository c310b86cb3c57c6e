// SPDX-License-Identifier: Apache-2.0
import { ErrorCode } from "#lib/errors.ts";
import { tenantOf } from "#lib/tenant.ts";
import { Command } from "#proto/commands.ts";
import { Reported } from "#proto/gen/messages.ts";
import { DENIED } from "../conversations/answers.ts";
import type { Refusal, Session } from "../session/session.ts";
import { MAX_OPEN_REPORTS, type NewReport, type PolicyStore } from "../store/policy-store.ts";
import type { Store, StoredEvent } from "../store/store.ts";
import { PacedCommand, type PacedCommandPorts } from "./paced-command.ts";
import { parseReport, type ReportRequest } from "./report-request.ts";

/** Messages up to the reported one, or the last ones, that go with a report. */
const CONTEXT_MESSAGES = 20;
const CONTEXT_BYTES = 32 * 1024;
const CONTEXT_CHARS = 2000;
const PACE = { perSecond: 0.1, burst: 10 };

/** What {@link ReportHandler} needs. */
export interface ReportPorts extends PacedCommandPorts {
  policy: Pick<PolicyStore, "report">;
  store: Pick<Store, "readHistory">;
}

/** What a report is about, as the reporter sees it. */
interface Evidence {
  readonly reported: string;
  readonly context: string;
}

/** REPORT: keeps what users report, with the messages around it as they are now, for whoever decides. */
export class ReportHandler {
  readonly #ports: ReportPorts;
  readonly #command: PacedCommand;

  constructor(ports: ReportPorts) {
    this.#ports = ports;
    this.#command = new PacedCommand(ports, { name: "report", title: "Report", pace: PACE });
  }

  handle(session: Session, rid: number, body: Uint8Array): void {
    const { userId } = session;
    const asked = { session, rid, cmd: Command.REPORT };
    this.#command.handle(asked, parseReport(userId, body), (request) => this.#run(userId, request));
  }

  async #run(userId: string, request: ReportRequest): Promise<Uint8Array | Refusal> {
    const { policy, clock } = this.#ports;
    const evidence = await this.#evidence(userId, request);
    if ("code" in evidence) return evidence;
    const result = await policy.report(reportOf(userId, request, evidence, clock.wallMs()));
    if (result === "full") return FULL;
    return Reported.encode({ reportId: request.reportId, duplicate: result === "duplicate" });
  }

  async #evidence(userId: string, request: ReportRequest): Promise<Evidence | Refusal> {
    const { kind, conversationId, convSeq, messageId } = request;
    if (kind === "appeal") return { reported: "", context: JSON.stringify([appealed(request)]) };
    if (conversationId === "") return { reported: request.userId, context: "[]" };
    const page = await this.#ports.store.readHistory({
      ...{ userId, conversationId, direction: "backward", from: kind === "message" ? convSeq + 1 : 0 },
      ...{ limit: CONTEXT_MESSAGES, limitBytes: CONTEXT_BYTES },
    });
    if (!page) return DENIED;
    const context = JSON.stringify(page.events.map(evidenceOf));
    if (kind === "user") return { reported: request.userId, context };
    const message = page.events.find((event) => event.convSeq === convSeq && event.messageId === messageId);
    return message ? { reported: message.sender, context } : NO_MESSAGE;
  }
}

const FULL: Refusal = {
  code: ErrorCode.RATE_LIMITED,
  reason: `${MAX_OPEN_REPORTS} reports of yours are not decided yet: wait for them`,
};

const NO_MESSAGE: Refusal = {
  code: ErrorCode.NOT_FOUND,
  reason: "no such message there: check conv_seq and message_id",
};

function reportOf(reporter: string, request: ReportRequest, evidence: Evidence, atMs: number): NewReport {
  const { kind, reportId, conversationId, convSeq, messageId, reason, text, rule } = request;
  const where = { conversationId, convSeq: kind === "message" ? convSeq : 0, messageId };
  return { tenant: tenantOf(reporter), reporter, reportId, kind, ...where, reason, text, rule, ...evidence, atMs };
}

function evidenceOf({ convSeq, messageId, sender, sentAtMs, contentType, content }: StoredEvent): object {
  return { convSeq, messageId, sender, sentAtMs, contentType, content: textOf(content) };
}

function appealed({ userId: to, contentType, content }: ReportRequest): object {
  return { to, contentType, content: textOf(content) };
}

function textOf(content: Uint8Array): string {
  return Buffer.from(content).toString("utf8").slice(0, CONTEXT_CHARS);
}
