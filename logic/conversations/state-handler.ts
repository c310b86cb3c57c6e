// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { Command } from "#proto/commands.ts";
import { ConvSet, ConvState, Read, ReadState } from "#proto/gen/messages.ts";
import type { EphemeralFrames } from "../deliver/ephemeral.ts";
import { Gathered } from "../gathered.ts";
import type { LogicMetrics } from "../metrics.ts";
import type { Refusal, Session } from "../session/session.ts";
import { SessionPace } from "../session/session-pace.ts";
import {
  type ConversationState,
  type ConversationStore,
  FOREVER_MS,
  MAX_CHANGES,
  MAX_PINNED,
  type MemberRead,
  type StateChange,
  type StateResult,
} from "../store/conversation-store.ts";
import type { Defer } from "../tick-batch.ts";
import { type Asked, answer, badRequest, DENIED, idProblem, isSeq, refusalOf, refuse, tooFast } from "./answers.ts";

/** Members of a group that are told at once who has read: beyond it reading a message once by all would be a frame for each pair. */
export const TOLD_MEMBERS = 50;
/** Members of whom a reply to READ tells. */
export const MAX_RECEIPTS = 200;
const MAX_WAITING = 5000;
const PACE = { perSecond: 20, burst: 200 };

/** What {@link StateHandler} needs. */
export interface StatePorts {
  states: Pick<ConversationStore, "change" | "members" | "receipts">;
  ephemeral: Pick<EphemeralFrames, "send">;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  defer: Defer;
  onFault: (op: string, error: unknown) => void;
  metrics: Pick<LogicMetrics, "chatCommands">;
}

type Stored = Extract<StateResult, { kind: "changed" | "unchanged" }>;

/**
 * READ and CONV_SET: what users keep of their conversations. All of a tick is one transaction; who is connected hears of it at once, everybody
 * else by the version of its next CONTACTS.
 */
export class StateHandler {
  readonly #ports: StatePorts;
  readonly #pace: SessionPace;
  readonly #changes: Gathered<StateChange, StateResult>;
  #running = 0;

  constructor(ports: StatePorts) {
    this.#ports = ports;
    this.#pace = new SessionPace({ ...PACE, clock: ports.clock });
    this.#changes = new Gathered({
      defer: ports.defer,
      run: (batch) => ports.states.change(batch),
      maxBatch: MAX_CHANGES,
      maxWaiting: MAX_WAITING,
    });
  }

  /** Nothing taken is unanswered. */
  get isIdle(): boolean {
    return this.#running === 0;
  }

  read(session: Session, rid: number, body: Uint8Array): void {
    const asked = { session, rid, cmd: Command.READ };
    const read = this.#parse(asked, Read, "Read", body, (value) => seqProblem("conv_seq", value.convSeq));
    if (!read) return;
    const { conversationId, convSeq, withReceipts } = read;
    void this.#run(
      asked,
      { userId: session.userId, conversationId, readSeq: convSeq },
      async ({ kind, state, peer }) => {
        // It is stored: whatever fails from here on, the others hear of it.
        const told = kind === "changed" ? this.#tellRead(session, state, peer) : undefined;
        const receipts = withReceipts ? await this.#receipts(session.userId, conversationId) : [];
        answer(asked, readState(session.userId, state.readSeq, { conversationId, version: state.version, receipts }));
        await told;
      },
    );
  }

  set(session: Session, rid: number, body: Uint8Array): void {
    const asked = { session, rid, cmd: Command.CONV_SET };
    const set = this.#parse(asked, ConvSet, "ConvSet", body, setProblem);
    if (!set) return;
    const { userId } = session;
    void this.#run(asked, changeOf(userId, set), async ({ kind, state }) => {
      const reply = ConvState.encode(state);
      answer(asked, reply);
      if (kind === "changed") this.#tell([userId], Command.CONV_SET, reply, session);
    });
  }

  #parse<T extends { conversationId: string }>(
    asked: Asked,
    codec: { decode(bytes: Uint8Array): T },
    name: string,
    body: Uint8Array,
    problemOf: (value: T) => Refusal | undefined,
  ): T | undefined {
    let problem: Refusal | undefined;
    try {
      const value = codec.decode(body);
      problem = idProblem(value.conversationId) ?? problemOf(value);
      const waitMs = problem ? 0 : this.#pace.take(asked.session);
      if (waitMs > 0) problem = tooFast(name, waitMs);
      if (!problem) return value;
    } catch {
      // The decoder's own message means nothing to the author of a client.
      problem = badRequest(`the body is not a ${name} message: encode it as in conversations.proto`);
    }
    this.#count(asked, "refused");
    refuse(asked, problem);
    return undefined;
  }

  async #run(asked: Asked, change: StateChange, stored: (result: Stored) => Promise<void>): Promise<void> {
    this.#running++;
    try {
      const result = await this.#changes.call(change);
      if (result.kind === "changed" || result.kind === "unchanged") {
        await stored(result);
        this.#count(asked, "ok");
        return;
      }
      this.#count(asked, "refused");
      const full = badRequest(`more than ${MAX_PINNED} conversations are pinned: take one back first`);
      refuse(asked, result.kind === "denied" ? DENIED : full);
    } catch (error) {
      this.#count(asked, "failed");
      this.#ports.onFault("conversation state", error);
      refuse(asked, refusalOf(error, this.#ports.random));
    } finally {
      this.#running--;
    }
  }

  async #receipts(userId: string, conversationId: string): Promise<readonly MemberRead[]> {
    return (await this.#ports.states.receipts(userId, conversationId, MAX_RECEIPTS)) ?? [];
  }

  /** The user's other devices; the peer, or the members of a group that is small enough. Does not reject. */
  async #tellRead(session: Session, state: ConversationState, peer: Stored["peer"]): Promise<void> {
    const { conversationId, readSeq, version } = state;
    const { userId } = session;
    this.#tell([userId], Command.READ, readState(userId, readSeq, { conversationId, version }), session);
    if (peer) {
      this.#tell([peer.userId], Command.READ, readState(userId, readSeq, { conversationId, version: peer.version }));
      return;
    }
    try {
      const [members = []] = await this.#ports.states.members([{ userId, conversationId }], TOLD_MEMBERS + 1);
      const others = members.length > TOLD_MEMBERS ? [] : members.filter((memberId) => memberId !== userId);
      this.#tell(others, Command.READ, readState(userId, readSeq, { conversationId }));
    } catch (error) {
      this.#ports.onFault("members", error);
    }
  }

  #tell(userIds: readonly string[], cmd: Command, body: Uint8Array, origin?: Session): void {
    const except = origin && { incarnation: origin.entry.incarnation, conn: origin.conn };
    this.#ports.ephemeral.send({ userIds, cmd, body, except });
  }

  #count({ cmd }: Asked, result: string): void {
    this.#ports.metrics.chatCommands.inc({ command: cmd === Command.READ ? "read" : "conv_set", result });
  }
}

function readState(
  userId: string,
  readSeq: number,
  more: { conversationId: string; version?: number; receipts?: readonly MemberRead[] },
): Uint8Array {
  const { conversationId, version = 0, receipts = [] } = more;
  return ReadState.encode({ conversationId, userId, readSeq, version, receipts: [...receipts] });
}

function seqProblem(name: string, value: number): Refusal | undefined {
  return isSeq(value) ? undefined : badRequest(`${name} is no conv_seq: use one of an event, or 0`);
}

/** A switch of CONV_SET: 0 leave it, 1 on, 2 off. */
const SWITCH: readonly (boolean | undefined)[] = [undefined, true, false];

function setProblem({ pin, archive, mute, mutedUntilMs, deleteToSeq }: ConvSet): Refusal | undefined {
  for (const [name, value] of Object.entries({ pin, archive, mute }))
    if (value > 2) return badRequest(`${name} is ${value}: 1 is on, 2 is off, 0 leaves it`);
  if (!isSeq(mutedUntilMs)) return badRequest("muted_until_ms is no time: ms since 1970, or 0 for ever");
  return seqProblem("delete_to_seq", deleteToSeq);
}

function changeOf(userId: string, set: ConvSet): StateChange {
  const { conversationId, pin, archive, mute, deleteToSeq } = set;
  const isMuted = SWITCH[mute];
  const mutedUntilMs = isMuted === undefined ? undefined : isMuted ? set.mutedUntilMs || FOREVER_MS : 0;
  return {
    userId,
    conversationId,
    pinned: SWITCH[pin],
    archived: SWITCH[archive],
    mutedUntilMs,
    deletedToSeq: deleteToSeq,
  };
}
