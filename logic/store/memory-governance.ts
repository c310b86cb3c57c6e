// SPDX-License-Identifier: Apache-2.0
import { baseType, CARD_TYPE } from "./changes.ts";
import {
  type Erasure,
  type ErasureClaim,
  type ErasureProgress,
  type ErasureStage,
  type ErasureStep,
  type GovernanceStore,
  HELD_PAUSE_MS,
  type HeldThing,
  type LegalHold,
  type NewLegalHold,
} from "./governance.ts";
import type { StoredEvent } from "./store.ts";

/** Is a conversation held, or one of these users? */
export type HeldTest = (conversationId: string, userIds: readonly string[]) => boolean;

/** What a memory store lends. */
export interface GovernedMaps {
  /** Oldest first. */
  inbox(userId: string): readonly StoredEvent[];
  dropFromInbox(userId: string, inboxSeqs: ReadonlySet<number>): void;
  conversation(id: string):
    | {
        readonly lastSeq: number;
        readonly members: Map<string, number>;
        readonly pair?: readonly [string, string] | undefined;
      }
    | undefined;
  /** Removes the user from all conversations that are no one-to-one ones. */
  leaveAll(userId: string): void;
  /** Makes the message what is left of a recalled one. */
  eraseMessage(event: StoredEvent): void;
  /** Devices and what else reaches the user. */
  forgetAccount(userId: string): void;
  /** Keeps what was read and deleted in one-to-one conversations, and nothing else. */
  forgetStates(userId: string): void;
  /** From now on the user reads nothing of what is in the conversation now. */
  deleteTo(userId: string, conversationId: string): void;
  /** Resends of the user's are known no more. */
  forgetKeys(userId: string): void;
  /** No token of the user is good. */
  ban(userId: string): void;
  /** What is left of the user outside of messages, but for what is held. False: something is. */
  forgetLeftovers(userId: string): boolean;
  /** Tokens issued from now on are. */
  lift(userId: string): void;
}

type Job = { -readonly [K in keyof Erasure]: Erasure[K] } & {
  stage: ErasureStage;
  reachedSeq: number;
  /** 0: not known yet. */
  untilSeq: number;
  held: number;
  dueMs: number;
  lease: number;
};

/** {@link GovernanceStore} in maps, the reference model. */
export class MemoryGovernance implements GovernanceStore {
  readonly #maps: GovernedMaps;
  readonly #wallMs: () => number;
  readonly #jobs = new Map<string, Job>();
  readonly #holds = new Map<string, LegalHold>();
  #leases = 0;
  #holdId = 0;

  constructor(maps: GovernedMaps, wallMs: () => number) {
    this.#maps = maps;
    this.#wallMs = wallMs;
  }

  async requestErasure(userId: string, keepMessages: boolean): Promise<Erasure> {
    const nowMs = this.#wallMs();
    const known = this.#jobs.get(userId);
    if (!known || known.state === "returning" || (known.keepMessages && !keepMessages)) {
      this.#jobs.set(userId, {
        ...{ userId, state: "erasing", stage: "groups", keepMessages, erasedMessages: known?.erasedMessages ?? 0 },
        ...{
          requestedMs: nowMs,
          finishedMs: 0,
          reachedSeq: 0,
          untilSeq: 0,
          held: 0,
          dueMs: nowMs,
          lease: ++this.#leases,
        },
      });
    }
    this.#maps.ban(userId);
    return shown(this.#jobs.get(userId) ?? known) as Erasure;
  }

  async requestReturn(userId: string): Promise<Erasure | undefined> {
    const job = this.#jobs.get(userId);
    if (job?.state === "erased")
      Object.assign(job, {
        state: "returning",
        stage: "inbox",
        reachedSeq: 0,
        untilSeq: 0,
        held: 0,
        dueMs: this.#wallMs(),
      });
    return shown(job);
  }

  async findErasure(userId: string): Promise<Erasure | undefined> {
    return shown(this.#jobs.get(userId));
  }

  async claimErasure(leaseMs: number): Promise<ErasureClaim | undefined> {
    const nowMs = this.#wallMs();
    const due = [...this.#jobs.values()].filter(({ state, dueMs }) => state !== "erased" && dueMs <= nowMs);
    const [job] = due.sort((a, b) => a.dueMs - b.dueMs);
    if (!job) return undefined;
    job.dueMs = nowMs + leaseMs;
    job.lease = ++this.#leases;
    return { userId: job.userId, lease: job.lease, stage: job.stage };
  }

  async stepErasure({ userId, lease, stage }: ErasureClaim, step: ErasureStep): Promise<ErasureProgress> {
    const job = this.#jobs.get(userId);
    if (!job || job.lease !== lease || job.state === "erased") return { kind: "lost" };
    if (stage === "groups") {
      if (job.stage !== "groups") return { kind: "lost" };
      job.stage = "account";
      return { kind: "more", stage: "account" };
    }
    job.dueMs = this.#wallMs() + step.leaseMs;
    return this.#step(job, step);
  }

  #step(job: Job, { rows, settleMs }: ErasureStep): ErasureProgress {
    const { userId } = job;
    switch (job.stage) {
      case "groups":
      case "account":
        this.#maps.forgetAccount(userId);
        this.#maps.leaveAll(userId);
        job.stage = "states";
        break;
      case "states":
        this.#maps.forgetStates(userId);
        job.stage = "inbox";
        if (job.requestedMs + settleMs > this.#wallMs()) {
          job.dueMs = job.requestedMs + settleMs;
          return { kind: "rest" };
        }
        break;
      case "inbox":
        if (!this.#goThrough(job, rows)) job.stage = "keys";
        break;
      case "keys":
        this.#maps.forgetKeys(userId);
        if (!this.#maps.forgetLeftovers(userId)) job.held++;
        this.#end(job);
        return { kind: "rest" };
    }
    return { kind: "more", stage: job.stage };
  }

  /** A portion of the inbox; false: there is none. */
  #goThrough(job: Job, rows: number): boolean {
    const { userId, keepMessages } = job;
    const inbox = this.#maps.inbox(userId);
    job.untilSeq ||= inbox.at(-1)?.inboxSeq ?? 0;
    const portion = inbox
      .filter(({ inboxSeq }) => inboxSeq > job.reachedSeq && inboxSeq <= job.untilSeq)
      .slice(0, rows);
    const free = portion.filter(({ conversationId }) => !this.isHeld(conversationId, [userId]));
    for (const event of free) if (!keepMessages && isContent(event, userId)) this.#erase(job, event);
    for (const { conversationId } of portion)
      if (this.#maps.conversation(conversationId)?.pair) this.#maps.deleteTo(userId, conversationId);
    this.#maps.dropFromInbox(userId, new Set(free.map(({ inboxSeq }) => inboxSeq)));
    job.held += portion.length - free.length;
    job.reachedSeq = portion.at(-1)?.inboxSeq ?? job.reachedSeq;
    return portion.length > 0;
  }

  #erase(job: Job, event: StoredEvent): void {
    this.#maps.eraseMessage(event);
    job.erasedMessages++;
  }

  #end(job: Job): void {
    const nowMs = this.#wallMs();
    if (job.held > 0) {
      Object.assign(job, {
        state: "held",
        stage: "inbox",
        reachedSeq: 0,
        untilSeq: 0,
        held: 0,
        dueMs: nowMs + HELD_PAUSE_MS,
      });
    } else if (job.state === "returning") {
      this.#maps.lift(job.userId);
      this.#jobs.delete(job.userId);
    } else {
      Object.assign(job, { state: "erased", finishedMs: nowMs });
    }
  }

  async releaseErasure({ userId, lease }: ErasureClaim, pauseMs: number): Promise<void> {
    const job = this.#jobs.get(userId);
    if (job?.lease === lease) Object.assign(job, { dueMs: this.#wallMs() + pauseMs, lease: ++this.#leases });
  }

  async hold(hold: NewLegalHold): Promise<LegalHold> {
    const held = this.#holds.get(nameOf(hold)) ?? { ...hold, createdMs: this.#wallMs(), holdId: ++this.#holdId };
    this.#holds.set(nameOf(hold), held);
    return held;
  }

  async release(tenant: string, thing: HeldThing): Promise<boolean> {
    if (this.#holds.get(nameOf(thing))?.tenant !== tenant) return false;
    this.#holds.delete(nameOf(thing));
    for (const job of this.#jobs.values()) if (job.state === "held") job.dueMs = this.#wallMs();
    return true;
  }

  async listHolds(tenant: string, { after, limit }: { after: number; limit: number }): Promise<LegalHold[]> {
    const own = [...this.#holds.values()].filter((hold) => hold.tenant === tenant && hold.holdId > after);
    return own.slice(0, limit);
  }

  /** Is what these users have to do with the conversation to be kept? */
  isHeld(conversationId: string, userIds: readonly string[]): boolean {
    const members = this.#maps.conversation(conversationId)?.members.keys() ?? [];
    return [
      { kind: "conversation", id: conversationId } as const,
      ...[...userIds, ...members].map((id) => ({ kind: "user", id }) as const),
    ].some((thing) => this.#holds.has(nameOf(thing)));
  }
}

/** Was it the user who wrote it, and not the server about the user? */
function isContent({ sender, contentType }: StoredEvent, userId: string): boolean {
  const type = baseType(contentType);
  return sender === userId && (!type.startsWith("im/") || type === CARD_TYPE);
}

function nameOf({ kind, id }: HeldThing): string {
  return `${kind}\0${id}`;
}

function shown(job: Job | undefined): Erasure | undefined {
  if (!job) return undefined;
  const { userId, state, keepMessages, erasedMessages, requestedMs, finishedMs } = job;
  return { userId, state, keepMessages, erasedMessages, requestedMs, finishedMs };
}
