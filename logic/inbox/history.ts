// SPDX-License-Identifier: Apache-2.0
import { ErrorCode } from "#lib/errors.ts";
import { Command, MAX_ID_CHARS } from "#proto/commands.ts";
import { History, HistoryPage } from "#proto/gen/messages.ts";
import { NO_SUCH_CONVERSATION, type Refusal, type Session, sendReply } from "../session/session.ts";
import type { Store } from "../store/store.ts";
import { bounded, PAGE_BYTES, PAGE_EVENTS } from "./page-limits.ts";
import type { ReadDesk } from "./read-desk.ts";

/** What {@link HistoryHandler} needs. */
export interface HistoryPorts {
  store: Pick<Store, "readHistory">;
  desk: ReadDesk;
}

/** HISTORY: messages of one conversation by their seq, for its members. Acknowledges nothing. */
export class HistoryHandler {
  readonly #ports: HistoryPorts;

  constructor(ports: HistoryPorts) {
    this.#ports = ports;
  }

  handle(session: Session, rid: number, body: Uint8Array): void {
    const { desk } = this.#ports;
    const request = { session, rid, kind: "history" } as const;
    const history = desk.parse(request, body, History, "History");
    if (!history) return;
    const problem = historyProblem(history);
    if (problem) desk.refuse(request, problem, "refused");
    else desk.enter(request, () => this.#read(session, rid, history));
  }

  async #read(session: Session, rid: number, history: History): Promise<Refusal | undefined> {
    const { conversationId, forward, from, limit, limitBytes } = history;
    const page = await this.#ports.store.readHistory({
      userId: session.userId,
      conversationId,
      direction: forward ? "forward" : "backward",
      from,
      limit: bounded(limit, PAGE_EVENTS),
      limitBytes: bounded(limitBytes, PAGE_BYTES),
    });
    if (!page) return { code: ErrorCode.PERMISSION_DENIED, reason: NO_SUCH_CONVERSATION };
    sendReply(session, rid, Command.HISTORY_PAGE, HistoryPage.encode({ conversationId, ...page }));
    return undefined;
  }
}

function historyProblem({ conversationId, from }: History): Refusal | undefined {
  const bad = (reason: string): Refusal => ({ code: ErrorCode.BAD_REQUEST, reason });
  if (conversationId === "" || conversationId.length > MAX_ID_CHARS || conversationId.includes("\0"))
    return bad(`conversation_id must have 1 to ${MAX_ID_CHARS} characters: use one the server gave you`);
  if (!Number.isSafeInteger(from) || from < 0) return bad("from is no conv_seq: use one of an event, or 0");
  return undefined;
}
