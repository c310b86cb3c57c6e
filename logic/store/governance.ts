// SPDX-License-Identifier: Apache-2.0

/** Why a user's data go, and how far that is. */
export interface Erasure {
  readonly userId: string;
  /**
   * `erasing`: under way; `held`: all is gone but what a legal hold keeps; `erased`: done; `returning`: the id is being made usable
   * again.
   */
  readonly state: "erasing" | "held" | "erased" | "returning";
  /** What the user sent stays as it is. */
  readonly keepMessages: boolean;
  /** Messages whose content was erased. */
  readonly erasedMessages: number;
  readonly requestedMs: number;
  /** 0: not yet. */
  readonly finishedMs: number;
}

/** In which order a user's data go. `groups` is left for whoever can tell their members. */
export type ErasureStage = "groups" | "account" | "states" | "inbox" | "keys";

/** A deletion in somebody's hand. */
export interface ErasureClaim {
  readonly userId: string;
  /** Names the hold: of another number it is another one's. */
  readonly lease: number;
  readonly stage: ErasureStage;
}

/** How {@link GovernanceStore.stepErasure} goes on. */
export interface ErasureStep {
  /** Most rows of a portion. */
  readonly rows: number;
  /** From now on. */
  readonly leaseMs: number;
  /** So long after the request nobody writes any more in the user's name: its inbox waits for that. */
  readonly settleMs: number;
}

/** `more`: go on; `rest`: nothing to do for now; `lost`: it is in other hands. */
export type ErasureProgress =
  | { readonly kind: "more"; readonly stage: ErasureStage }
  | { readonly kind: "rest" }
  | { readonly kind: "lost" };

/** What may not be deleted while it is held. */
export interface HeldThing {
  readonly kind: "conversation" | "user";
  /** Of the conversation, or the user. */
  readonly id: string;
}

export interface LegalHold extends HeldThing {
  /** Of the API; "" = the default one. */
  readonly tenant: string;
  /** For people. */
  readonly reason: string;
  readonly createdMs: number;
  /** Grows with each hold. */
  readonly holdId: number;
}

/** A hold before it is placed. */
export type NewLegalHold = Omit<LegalHold, "createdMs" | "holdId">;

/**
 * What becomes of data in the end: users that are deleted, and what a court wants kept. Every method throws only
 * {@link ImError}, as Store does.
 */
export interface GovernanceStore {
  /**
   * Begins to delete a user, known or not: from now on no token of it is good. A deletion that is under way or done stays as it is,
   * but messages that were kept may be erased yet.
   */
  requestErasure(userId: string, keepMessages: boolean): Promise<Erasure>;
  /** Makes the id of an erased user usable again, for tokens issued from then on. Undefined: it was not deleted. Any state but `erased` stays. */
  requestReturn(userId: string): Promise<Erasure | undefined>;
  /** Undefined: it was not deleted, or is back. */
  findErasure(userId: string): Promise<Erasure | undefined>;
  /** Takes the deletion that has waited longest in hand. Undefined: none waits. */
  claimErasure(leaseMs: number): Promise<ErasureClaim | undefined>;
  /** One portion of a deletion, in one transaction. Of `groups` it ends the stage: its groups have been left. */
  stepErasure(claim: ErasureClaim, step: ErasureStep): Promise<ErasureProgress>;
  /** Puts it down: whoever comes next goes on after `pauseMs`. */
  releaseErasure(claim: ErasureClaim, pauseMs: number): Promise<void>;

  /** From the moment that it resolves. The first reason stays. */
  hold(hold: NewLegalHold): Promise<LegalHold>;
  /** False: the tenant holds no such thing. */
  release(tenant: string, thing: HeldThing): Promise<boolean>;
  /** Of the tenant, the oldest first, after `after`. */
  listHolds(tenant: string, page: { after: number; limit: number }): Promise<LegalHold[]>;
}

/** A deletion that ended with something held is looked at again after this. */
export const HELD_PAUSE_MS = 3_600_000;
