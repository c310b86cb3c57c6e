// SPDX-License-Identifier: Apache-2.0
// What the server API answers, as far as the page shows it; `docs/openapi.json` describes it.

export interface Drain {
  readonly initial: number;
  readonly asked: number;
  readonly waiting: number;
  readonly forced: number;
}

export interface Entry {
  readonly name: string;
  readonly incarnation: string;
  readonly version: string;
  readonly state: "serving" | "cordoned" | "draining" | "silent" | "unknown";
  readonly connections: number;
  readonly sessions: number;
  readonly logics: number;
  readonly logins: number;
  readonly answerP99Ms: number;
  readonly reportedAtMs: number;
  readonly drain?: Drain;
}

export interface FleetPage {
  readonly logic: string;
  readonly entries: readonly Entry[];
  readonly total: { readonly entries: number; readonly connections: number; readonly sessions: number };
  readonly nextCursor?: string;
}

export interface Device {
  readonly deviceId: string;
  readonly deviceName: string;
  readonly platform: string;
  readonly online: boolean;
  readonly background: boolean;
  readonly slot: string;
  readonly entry: string;
  readonly lastSeenMs: number;
  readonly ackedSeq: number;
}

export interface User {
  readonly userId: string;
  readonly online: boolean;
  readonly devices: readonly Device[];
}

export interface Mute {
  readonly muted: boolean;
  readonly untilMs: number;
  readonly reason: string;
}

export interface Receiver {
  readonly userId: string;
  readonly state: "acknowledged" | "pushed" | "push-waiting" | "online" | "stored";
  readonly inboxSeq: number;
  readonly inboxHead: number;
  readonly pushes: readonly { readonly channel: string; readonly attempts: number; readonly dueMs: number }[];
}

export interface Ledger {
  readonly messageId: string;
  readonly conversationId: string;
  readonly conversationSeq: number;
  readonly sentAtMs: number;
  readonly expired: boolean;
  readonly from: string;
  readonly contentType: string;
  readonly contentBytes: number;
  readonly receivers: readonly Receiver[];
  readonly moreReceivers: boolean;
}

export interface Broadcast {
  readonly broadcastId: string;
  readonly contentType: string;
  readonly content: string;
  readonly encoding: "utf8" | "base64";
  readonly audience: "all" | "segment" | "users";
  readonly users: number;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly urgent: boolean;
  readonly topic?: string;
  readonly state: "planned" | "active" | "ended" | "retracted";
  readonly activationSeq: number;
  readonly createdAtMs: number;
}

export interface BroadcastsPage {
  readonly broadcasts: readonly Broadcast[];
  readonly nextCursor?: string;
}

export interface DeadLetters {
  readonly letters: number;
  readonly oldest: readonly {
    readonly userId: string;
    readonly inboxSeq: number;
    readonly reason: string;
    readonly atMs: number;
  }[];
}

/** Of `application/problem+json`. */
export interface Problem {
  readonly kind: "problem";
  readonly status: number;
  /** `away`: there was no answer. */
  readonly code: string;
  readonly detail: string;
  readonly retryAfterMs: number;
}

/** What became of a call. */
export type Answer<T> = { readonly kind: "ok"; readonly body: T } | Problem;
