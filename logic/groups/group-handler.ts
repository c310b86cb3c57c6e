// SPDX-License-Identifier: Apache-2.0

import type { Clock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { tenantOf } from "#lib/tenant.ts";
import { Command } from "#proto/commands.ts";
import { GroupReply } from "#proto/gen/messages.ts";
import type { Gate } from "../gate.ts";
import type { EpochWatch } from "../inbox/epoch-watch.ts";
import type { LogicMetrics } from "../metrics.ts";
import { NO_SUCH_CONVERSATION, type Refusal, type Session, sendError, sendReply } from "../session/session.ts";
import { SessionPace } from "../session/session-pace.ts";
import type { GroupStore } from "../store/groups.ts";
import { OtherEpochError } from "../store/store.ts";
import type { GroupChanger } from "./group-changer.ts";
import { type GroupRequest, readGroupRequest } from "./group-request.ts";

/** Requests of one session. */
const PACE = { perSecond: 2, burst: 30 };
const RETRY_BASE_MS = 200;

/** What {@link GroupHandler} needs. */
export interface GroupHandlerPorts {
  store: Pick<GroupStore, "describe" | "groupsOf">;
  changer: GroupChanger;
  gate: Gate;
  epochs: Pick<EpochWatch, "doubt">;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  onFault: (op: string, error: unknown) => void;
  metrics: Pick<LogicMetrics, "groupRequests">;
}

/**
 * GROUP: makes and changes groups, and tells of them. An answer to a change leaves after its commit. Of a group that the user
 * is not in, there is the same answer as of none, by the same query.
 */
export class GroupHandler {
  readonly #ports: GroupHandlerPorts;
  readonly #pace: SessionPace;

  constructor(ports: GroupHandlerPorts) {
    this.#ports = ports;
    this.#pace = new SessionPace({ ...PACE, clock: ports.clock });
  }

  handle(session: Session, rid: number, body: Uint8Array): void {
    const request = readGroupRequest(session.userId, body);
    if ("code" in request) {
      this.#refuse(session, rid, request, "invalid");
      return;
    }
    const retryAfterMs = this.#pace.take(session);
    if (retryAfterMs > 0) {
      const reason = "groups are asked for too often: ask again after the delay";
      this.#refuse(session, rid, { code: ErrorCode.RATE_LIMITED, reason, retryable: true, retryAfterMs }, "limited");
      return;
    }
    this.#ports.gate.enter(
      () => this.#run(session, rid, request),
      () => this.#refuse(session, rid, this.#later(ErrorCode.BUSY, "the cluster is overloaded"), "busy"),
      tenantOf(session.userId),
    );
  }

  async #run(session: Session, rid: number, request: GroupRequest): Promise<void> {
    try {
      const answer = await this.#answer(session.userId, request);
      if ("code" in answer) this.#refuse(session, rid, answer, "refused");
      else {
        sendReply(session, rid, Command.GROUP, GroupReply.encode(answer));
        this.#ports.metrics.groupRequests.inc({ result: "ok" });
      }
    } catch (error) {
      if (error instanceof OtherEpochError) this.#ports.epochs.doubt();
      this.#ports.onFault("group", error);
      this.#refuse(session, rid, this.#refusalOf(error), "failed");
    }
  }

  async #answer(userId: string, request: GroupRequest): Promise<Partial<GroupReply> | Refusal> {
    const { store, changer } = this.#ports;
    switch (request.kind) {
      case "info": {
        const found = await store.describe({ userId, ...request });
        if (!found) return { code: ErrorCode.PERMISSION_DENIED, reason: NO_SUCH_CONVERSATION };
        const { group, members } = found;
        const next = members.length < request.limit ? "" : (members.at(-1)?.userId ?? "");
        return { conversationId: group.conversationId, version: group.version, group, members, next };
      }
      case "mine": {
        const groups = await store.groupsOf({ userId, ...request });
        const next = groups.length < request.limit ? "" : (groups.at(-1)?.conversationId ?? "");
        return { groups, next };
      }
      default:
        return changer.change(userId, request);
    }
  }

  #refusalOf(error: unknown): Refusal {
    if (error instanceof ImError && error.code === ErrorCode.BUSY)
      return this.#later(ErrorCode.BUSY, "the cluster is overloaded");
    if (error instanceof ImError && error.retryable)
      return this.#later(ErrorCode.RETRYABLE, "the outcome is not known, or the group changes all the time");
    return { code: ErrorCode.INTERNAL, reason: "the group could not be read or changed" };
  }

  #later(code: ErrorCode, what: string): Refusal {
    const retryAfterMs = Math.round(RETRY_BASE_MS * (1 + this.#ports.random()));
    return { code, reason: `${what}: send the same again after the delay`, retryable: true, retryAfterMs };
  }

  #refuse(session: Session, rid: number, refusal: Refusal, result: string): void {
    this.#ports.metrics.groupRequests.inc({ result });
    sendError(session, rid, refusal);
  }
}
