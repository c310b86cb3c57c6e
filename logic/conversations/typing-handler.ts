// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { Command } from "#proto/commands.ts";
import { Typing, TypingState } from "#proto/gen/messages.ts";
import type { EphemeralFrames } from "../deliver/ephemeral.ts";
import { Gathered } from "../gathered.ts";
import type { LogicMetrics } from "../metrics.ts";
import type { Session } from "../session/session.ts";
import { SessionPace } from "../session/session-pace.ts";
import type { ConversationStore, MembersAsk } from "../store/conversation-store.ts";
import type { Defer } from "../tick-batch.ts";
import { type Asked, answer, badRequest, DENIED, idProblem, refusalOf, refuse, tooFast } from "./answers.ts";

/** In a larger group nobody is told who writes. */
export const TYPING_MEMBERS = 200;
const MAX_BATCH = 100;
const MAX_WAITING = 2000;
/** A client says so every few seconds while somebody writes. */
const PACE = { perSecond: 1, burst: 5 };

/** What {@link TypingHandler} needs. */
export interface TypingPorts {
  states: Pick<ConversationStore, "members">;
  ephemeral: Pick<EphemeralFrames, "send">;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  defer: Defer;
  onFault: (op: string, error: unknown) => void;
  metrics: Pick<LogicMetrics, "chatCommands">;
}

/** TYPING: told to the other members who are connected; stored nowhere, pushed to nobody. What comes too often is dropped. */
export class TypingHandler {
  readonly #ports: TypingPorts;
  readonly #pace: SessionPace;
  readonly #members: Gathered<MembersAsk, readonly string[] | undefined>;
  #running = 0;

  constructor(ports: TypingPorts) {
    this.#ports = ports;
    this.#pace = new SessionPace({ ...PACE, clock: ports.clock });
    this.#members = new Gathered({
      defer: ports.defer,
      run: (batch) => ports.states.members(batch, TYPING_MEMBERS + 1),
      maxBatch: MAX_BATCH,
      maxWaiting: MAX_WAITING,
    });
  }

  /** Nothing taken is unanswered. */
  get isIdle(): boolean {
    return this.#running === 0;
  }

  handle(session: Session, rid: number, body: Uint8Array): void {
    const asked = { session, rid, cmd: Command.TYPING };
    let typing: Typing;
    try {
      typing = Typing.decode(body);
    } catch {
      // The decoder's own message means nothing to the author of a client.
      this.#count("refused");
      refuse(asked, badRequest("the body is not a Typing message: encode it as in conversations.proto"));
      return;
    }
    const waitMs = this.#pace.take(session);
    const problem = idProblem(typing.conversationId) ?? (waitMs > 0 ? tooFast("Typing", waitMs) : undefined);
    if (problem) {
      this.#count("refused");
      refuse(asked, problem);
    } else void this.#tell(asked, typing);
  }

  async #tell(asked: Asked, { conversationId, stopped }: Typing): Promise<void> {
    const { entry, conn, userId } = asked.session;
    this.#running++;
    try {
      const members = await this.#members.call({ userId, conversationId });
      this.#count(members ? "ok" : "refused");
      if (!members) {
        refuse(asked, DENIED);
        return;
      }
      const body = TypingState.encode({ conversationId, userId, stopped });
      answer(asked, body);
      const userIds = members.length > TYPING_MEMBERS ? [] : members.filter((memberId) => memberId !== userId);
      this.#ports.ephemeral.send({
        userIds,
        cmd: Command.TYPING,
        body,
        except: { incarnation: entry.incarnation, conn },
      });
    } catch (error) {
      this.#count("failed");
      this.#ports.onFault("typing", error);
      refuse(asked, refusalOf(error, this.#ports.random));
    } finally {
      this.#running--;
    }
  }

  #count(result: string): void {
    this.#ports.metrics.chatCommands.inc({ command: "typing", result });
  }
}
