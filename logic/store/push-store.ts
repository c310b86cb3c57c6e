// SPDX-License-Identifier: Apache-2.0
import type { Subject } from "./store.ts";

/**
 * What push needs to keep: addresses that are no devices, steps that wait, and how much was sent today. Every method
 * throws only {@link ImError}, as {@link Store} does. All times are the store's, ms since the epoch: what one replica
 * writes down another one reads, and their own clocks may differ by hours (see {@link StoreClock}).
 */
export interface PushStore {
  /** Adds or replaces contacts; at most 1,000. */
  saveContacts(contacts: readonly PushContact[]): Promise<void>;
  /** Those of the users that have any. */
  readContacts(userIds: readonly string[]): Promise<PushContact[]>;
  /** The messages at these positions of inboxes, as far as they exist; at most 1,000, distinct. */
  readSubjects(positions: readonly InboxPosition[]): Promise<PushSubject[]>;

  /**
   * Adds steps, or merges them into the same user's, conversation's, channel's and device's: the wider range of
   * messages, the earlier time. A step in somebody's hand keeps its time.
   */
  saveSteps(steps: readonly PushStepRow[]): Promise<void>;
  /** Takes up to `limit` steps whose time has come; nobody else gets them for `leaseMs`. */
  claimSteps(claim: { leaseMs: number; limit: number }): Promise<ClaimedSteps>;
  /**
   * Moves the ends of leases to `untilMs`; per lease, in order, whether it was still the caller's. Distinct steps; what
   * somebody else took in hand meanwhile stays with them.
   */
  renewSteps(renewal: { leases: readonly StepLease[]; untilMs: number }): Promise<boolean[]>;
  /**
   * Ends steps that this caller had in hand; distinct ones. What was added meanwhile is due at once. A step that is in
   * somebody else's hand by now stays there, unless it is over: then it is over for them too.
   */
  settleSteps(settled: readonly SettledStep[]): Promise<void>;
  stepBacklog(): Promise<StepBacklog>;

  /** Forgets device tokens that are dead; a token registered meanwhile stays. Returns how many were forgotten. */
  forgetTokens(dead: readonly { userId: string; deviceId: string; pushToken: string }[]): Promise<number>;
  /** Forgets a contact's phone number or open id that is dead, if it is still this one. Returns how many. */
  forgetContacts(dead: readonly { userId: string; kind: ContactKind; address: string }[]): Promise<number>;

  /** Takes from the day's allowance; per request, in order, how many of `want` are granted. Distinct (user, channel). */
  takeQuota(requests: readonly QuotaRequest[]): Promise<number[]>;
  /** True when the device had no background push for `intervalMs`, and counts this one. */
  takeBackgroundTurn(turn: BackgroundTurn): Promise<boolean>;
}

export interface InboxPosition {
  userId: string;
  inboxSeq: number;
}

/** What a push is about: a message in a user's inbox, without its content. */
export interface PushSubject extends InboxPosition {
  conversationId: string;
  messageId: string;
  sender: string;
  contentType: string;
  sentAtMs: number;
  /** How many messages the user's inbox has. */
  head: number;
  /** The user muted the conversation, and its time is not over. */
  isMuted: boolean;
  /** What the user sees the conversation to be about; undefined: nothing was named. */
  subject: Subject | undefined;
}

/** Steps that the caller has in hand now; `nowMs`: the store's time. */
export interface ClaimedSteps {
  nowMs: number;
  steps: PushStepRow[];
}

/** Steps that wait, the age of the oldest that is overdue, and the store's time. */
export interface StepBacklog {
  waiting: number;
  overdueMs: number;
  nowMs: number;
}

export interface BackgroundTurn {
  userId: string;
  deviceId: string;
  intervalMs: number;
}

export type ContactKind = "phone" | "wechat";

/** Written by the business, never by clients: a client could name somebody else's number. */
export interface PushContact {
  userId: string;
  /** E.164, "" = none. */
  phone: string;
  /** Open id, "" = none. */
  wechat: string;
  /** IANA name, "" = unknown. */
  timeZone: string;
}

/** A push that is to be tried at `dueMs` if the user has not read it by then. */
export interface PushStepRow {
  userId: string;
  conversationId: string;
  channel: string;
  /** One device only, "" = all addresses of the channel. */
  deviceId: string;
  /** 0 = newer messages of the conversation join this step; else the inbox seq of the only message it is about. */
  aloneSeq: number;
  /** Oldest and newest inbox seq it is about. */
  firstSeq: number;
  lastSeq: number;
  /** Tries that the provider failed. */
  attempts: number;
  /** Has an earlier step reached the user? */
  reached: boolean;
  /** When the first message was taken up, ms since the epoch. */
  createdMs: number;
  dueMs: number;
  /** Somebody has it in hand until `dueMs`. */
  leased: boolean;
}

/** A step in hand, as whoever has it knows it. */
export interface StepLease {
  /** As it was claimed or saved. */
  step: PushStepRow;
  /**
   * When the lease may end: what was written last, and what renewals without an answer may have written. A row whose
   * lease ends at another time is in somebody else's hand.
   */
  endsMs: readonly number[];
}

export interface SettledStep extends StepLease {
  /** Try again like this; undefined = it is over. */
  again: Pick<PushStepRow, "dueMs" | "attempts" | "firstSeq" | "reached"> | undefined;
}

export interface QuotaRequest {
  userId: string;
  channel: string;
  /** Calendar day as a number, 20261125. */
  day: number;
  want: number;
  cap: number;
}

/** Identity of a step. Ids contain no NUL. */
export function stepKey(step: PushStepRow): string {
  return [step.userId, step.conversationId, step.channel, step.deviceId, step.aloneSeq].join("\0");
}

/** The same identity once each, merged as {@link PushStore.saveSteps} merges. */
export function mergeSteps(steps: readonly PushStepRow[]): PushStepRow[] {
  const merged = new Map<string, PushStepRow>();
  for (const step of steps) {
    const known = merged.get(stepKey(step));
    merged.set(stepKey(step), known ? mergeStep(known, step) : step);
  }
  return [...merged.values()];
}

/** `next` joins `known`, which exists already. */
export function mergeStep(known: PushStepRow, next: PushStepRow): PushStepRow {
  return {
    ...known,
    firstSeq: Math.min(known.firstSeq, next.firstSeq),
    lastSeq: Math.max(known.lastSeq, next.lastSeq),
    reached: known.reached || next.reached,
    createdMs: Math.min(known.createdMs, next.createdMs),
    dueMs: known.leased ? known.dueMs : next.leased ? next.dueMs : Math.min(known.dueMs, next.dueMs),
    leased: known.leased || next.leased,
  };
}
