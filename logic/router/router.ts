// SPDX-License-Identifier: Apache-2.0

/** One session as the router knows it: where the frames of (user, slot) go. */
export interface Route {
  readonly userId: string;
  /** Platform class; one session per user and slot. */
  readonly slot: string;
  readonly incarnation: string;
  readonly conn: number;
  /** Fencing token from SQL, growing per (user, slot). */
  readonly loginSeq: number;
  readonly deviceId: string;
}

/** Names one session; conn numbers are never reused within an incarnation. */
export interface SessionKey {
  readonly userId: string;
  readonly incarnation: string;
  readonly conn: number;
}

export type RouterLogin =
  /** The route is set; `replaced` lost the slot and must be kicked. */
  | { readonly kind: "ok"; readonly replaced?: Route }
  /** A newer login holds the slot; nothing was written. */
  | { readonly kind: "stale"; readonly holder: Route }
  /** The incarnation is tombstoned; nothing of it stays. `replaced` lost its slot to a third one meanwhile, and must be kicked. */
  | { readonly kind: "fenced"; readonly replaced?: Route }
  /** The part of the router that holds this user or incarnation did not answer: announce the session again. */
  | { readonly kind: "unknown"; readonly cause: Error };

export interface PurgeCount {
  /** Routes deleted by this call. */
  readonly deleted: number;
  /** Index entries of the incarnation that could not be processed: 0 when the purge is complete. */
  readonly remaining: number;
}

/** What the router holds of one incarnation. */
export interface Inspection {
  /** Members of its reverse index: at least as many as it has routes. */
  readonly routes: number;
  readonly isLeased: boolean;
}

export interface Generation {
  readonly id: string;
  /** There was none before: the router was empty. */
  readonly isNew: boolean;
}

/** What is known of a request for a lease. */
export interface RenewalRequest {
  /** For how long it has been on its way, ms. Default 0. */
  ageMs?: number;
  /** Asked just before the write: false, and nothing is written. */
  isWanted?: () => boolean;
}

/** `late`: no longer wanted, or it took longer than the lease is long; the next one counts. */
export type Renewal = "ok" | "fenced" | "late";

/**
 * Who is online where. A hint, rebuilt from the entries at any time: losing it loses no message.
 * Every method rejects with ImError RETRYABLE when the router cannot be reached ("router unknown"); all writes
 * are idempotent and compare before they delete.
 */
export interface Router {
  /** Sets routes, newest login wins per slot. Also re-announces: a route already stored answers ok. */
  login(routes: readonly Route[]): Promise<RouterLogin[]>;
  /** Deletes routes that still point at these sessions; tells which did and were reached. */
  logout(sessions: readonly SessionKey[]): Promise<boolean[]>;
  /**
   * Routes whose incarnation holds a lease, per user; users without one are absent. Leases are <= 1 s stale. While a
   * part of the router is away, its users count as offline (they get a push) and its incarnations as they did before.
   */
  lookup(userIds: readonly string[]): Promise<Map<string, Route[]>>;
  /**
   * Routes as they are stored, per user, whether or not their incarnation holds a lease. A user of whom there is no answer, because
   * a part of the router is away, is absent; one without a route has an empty list.
   */
  stored(userIds: readonly string[]): Promise<Map<string, readonly Route[]>>;
  /** Which of the incarnations hold a lease, asked for now; absent when there is no answer. */
  leased(incarnations: readonly string[]): Promise<Map<string, boolean>>;
  /**
   * Prolongs the lease of an incarnation, counted from when that was asked for, however long it takes; a tombstoned one is
   * refused for good.
   */
  renewLease(incarnation: string, request?: RenewalRequest): Promise<Renewal>;
  /** Tombstones an incarnation for 24 h and ends its lease; on a replica too where there is one within 100 ms. */
  fence(incarnation: string): Promise<void>;
  /** Deletes every route of a (fenced) incarnation; routes that moved elsewhere stay. */
  purge(incarnation: string): Promise<PurgeCount>;
  /** What there is of incarnations, in their order. */
  inspect(incarnations: readonly string[]): Promise<Inspection[]>;
  /** Deletes the routes of closed connections of an incarnation, whoever they belong to. Returns how many there were. */
  forget(incarnation: string, conns: ReadonlySet<number>): Promise<number>;
  /**
   * Names the router's memory, all parts of it: a new id, or one made by this very call, means that routes may be
   * forgotten.
   */
  generation(): Promise<Generation>;
}
