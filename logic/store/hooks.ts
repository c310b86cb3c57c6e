// SPDX-License-Identifier: Apache-2.0
import type { Subject } from "./store.ts";

/** What a webhook can be about. */
export const HOOK_KINDS = ["message.after", "presence", "push.result", "report.created"] as const;
export type HookKind = (typeof HOOK_KINDS)[number];

/** Events with one key are in one shard, and are told of in their order. */
export const HOOK_SHARDS = 8;
/** Facts in one call of {@link HookStore.record}. */
export const MAX_FACTS = 500;

/** Something that happened besides messages, for whoever has a hook for it. */
export interface HookFact {
  readonly kind: Exclude<HookKind, "message.after">;
  /** UUID, the event's own for ever. */
  readonly id: string;
  /** Whose order matters: a user or a conversation. Its tenant is in front, as in all internal ids. */
  readonly key: string;
  /** JSON. */
  readonly body: string;
}

/** A message as it is now, changed since or not. */
export interface HookMessage {
  readonly conversationId: string;
  readonly convSeq: number;
  readonly sentAtMs: number;
  /** Undefined: it is gone, by retention or because its user was deleted. */
  readonly stored: HookStoredMessage | undefined;
}

export interface HookStoredMessage {
  readonly sender: string;
  readonly clientMessageId: string;
  readonly contentType: string;
  /** Empty where contents were not asked for. */
  readonly content: Uint8Array;
  /** Of a one-to-one conversation: both users. */
  readonly users: readonly string[];
  /** What both see the conversation to be about. */
  readonly subject: Subject | undefined;
}

/** One event of the log. */
export interface HookEvent {
  /** In the log: gapless, in the order of commits. */
  readonly position: number;
  /** UUID; of a message its own. */
  readonly id: string;
  readonly kind: HookKind;
  readonly key: string;
  readonly storedMs: number;
  /** For this hook alone: it was dead, and somebody replays it. */
  readonly onlyHook: string | undefined;
  readonly message: HookMessage | undefined;
  /** JSON; of a message "". */
  readonly body: string;
}

/** A shard of a hook in hand. */
export interface HookClaim {
  readonly hook: string;
  readonly shard: number;
  /** Up to where the hook was told. */
  readonly position: number;
  /** Tries of the next event that failed. */
  readonly tries: number;
  readonly lease: number;
}

/** What became of a claim. */
export interface HookSettlement {
  readonly position: number;
  readonly tries: number;
  /** Nobody takes the shard for so long, ms; 0 = it is free. */
  readonly pauseMs: number;
  /** The last event up to `position` is given up, for this reason. */
  readonly dead?: { readonly position: number; readonly reason: string; readonly tries: number };
}

export interface DeadHookEvent {
  readonly hook: string;
  readonly position: number;
  readonly id: string;
  readonly kind: HookKind;
  readonly key: string;
  readonly storedMs: number;
  readonly diedMs: number;
  readonly reason: string;
  readonly tries: number;
}

/** How far a hook is. */
export interface HookStatus {
  readonly hook: string;
  /** Lowest of its shards. */
  readonly position: number;
  /** Age of the oldest event that it was not told of, 0 when there is none. */
  readonly oldestMs: number;
  /** A shard fails at present: its tries, the most of all. */
  readonly tries: number;
  readonly dead: number;
}

export interface HookBacklog {
  readonly hooks: readonly HookStatus[];
  /** Age of the oldest row of the outbox, 0 when there is none. */
  readonly outboxOldestMs: number;
  readonly lastPosition: number;
}

/** Whether somebody is there, as the router has it. */
export interface PresenceLook {
  readonly userId: string;
  readonly isOnline: boolean;
}

/** What a classifier thinks of a message that is stored already. */
export interface LateVerdict {
  readonly messageId: string;
  readonly conversationId: string;
  readonly convSeq: number;
  readonly sender: string;
  /** `flag`: noted. `recall`: taken back from everybody. */
  readonly verdict: (typeof LATE_VERDICTS)[number];
  readonly reason: string;
  readonly hook: string;
}
export const LATE_VERDICTS = ["flag", "recall"] as const;

/** A verdict in hand. */
export interface ClaimedVerdict extends LateVerdict {
  /** How often it was taken, this time included. */
  readonly tries: number;
}

/** Where a hook begins anew. */
export type ReplayFrom = { readonly position: number } | { readonly timeMs: number };

/**
 * The outbox of webhooks, its log, and where each hook is in it. Faults as in Store. A hook is known by its name; times are
 * the store's.
 */
export interface HookStore {
  /** From now on appends of this process leave their messages in the outbox, in their own transaction, or do not. */
  wantMessages(isWanted: boolean): void;
  /** Writes up to {@link MAX_FACTS} facts to the outbox. */
  record(facts: readonly HookFact[]): Promise<void>;
  /** Compares with what hooks were told, and writes a fact for each user who came or went since. Resolves with how many. */
  tellPresence(looks: readonly PresenceLook[]): Promise<number>;
  /** Users whom hooks believe online and nobody has looked at for `olderThanMs`, the longest first; they count as looked at. */
  onlineToCheck(request: { olderThanMs: number; limit: number }): Promise<string[]>;
  /** Keeps verdicts until they are carried out; of several on one message the first. */
  addVerdicts(verdicts: readonly LateVerdict[]): Promise<void>;
  /** Takes verdicts that are free; nobody else gets them for `holdMs`. */
  claimVerdicts(request: { holdMs: number; limit: number }): Promise<ClaimedVerdict[]>;
  /** They are carried out, or cannot be. */
  endVerdicts(messageIds: readonly string[]): Promise<void>;
  /** Moves up to `maxRows` rows of the outbox to the log. Resolves with how many; -1: another process is at it. */
  collect(maxRows: number): Promise<number>;
  /** Hooks that are new begin at the end of the log. */
  register(hooks: readonly string[]): Promise<void>;
  /** Takes shards of these hooks in which there is something to tell; nobody else gets them for `leaseMs`. */
  claim(request: { hooks: readonly string[]; leaseMs: number; limit: number }): Promise<HookClaim[]>;
  /** Events of a shard behind a position, in their order. */
  read(request: { shard: number; after: number; limit: number; withContent: boolean }): Promise<HookEvent[]>;
  /** False: the claim is somebody else's by now, or the hook was set back, and nothing was done. */
  settle(claim: HookClaim, settlement: HookSettlement): Promise<boolean>;
  backlog(hooks: readonly string[]): Promise<HookBacklog>;
  /** Dead events of a hook behind a position, oldest first. */
  listDead(request: { hook: string; after: number; limit: number }): Promise<DeadHookEvent[]>;
  /** Puts up to `limit` dead events of the hook back, at the end of the log; those at `positions`, or the oldest. How many. */
  replayDead(request: { hook: string; positions?: readonly number[]; limit: number }): Promise<number>;
  /** The hook is told anew of everything from there on that the log still has. False: there is no such hook. */
  rewind(hook: string, from: ReplayFrom): Promise<boolean>;
  /** Deletes up to `maxRows` events older than `keepMs`, told or not, and as many dead ones. How many were not told to one of the hooks. */
  prune(request: {
    hooks: readonly string[];
    keepMs: number;
    maxRows: number;
  }): Promise<{ deleted: number; untold: number }>;
}
