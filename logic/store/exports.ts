// SPDX-License-Identifier: Apache-2.0
import type { StoredReport } from "./policy-store.ts";
import type { StoredEvent } from "./store.ts";

/** A part of a conversation that is handed out. */
export interface ExportRequest {
  readonly conversationId: string;
  /** Only messages behind it. */
  readonly afterSeq: number;
  readonly limit: number;
  /** Of the contents; the first message comes in any case. */
  readonly limitBytes: number;
}

/** A message as it is now, whoever may see it. */
export interface ExportedMessage extends Omit<StoredEvent, "inboxSeq"> {
  /** It is there for this user alone; "" = for everybody. */
  readonly onlyFor: string;
}

export interface ExportPage {
  /** Somebody who is or was in it: whose tenant it is of. */
  readonly ownerId: string;
  /** Of a one-to-one conversation: both. */
  readonly pair: readonly string[];
  /** Something keeps it from being deleted. */
  readonly isHeld: boolean;
  readonly lastSeq: number;
  /** In the order of the conversation. */
  readonly messages: readonly ExportedMessage[];
}

/** A part of what a user has. */
export interface OwnRequest {
  readonly userId: string;
  readonly after: number;
  readonly limit: number;
}

export interface ExportedOrder {
  readonly orderRef: string;
  readonly peerId: string;
  readonly createdMs: number;
}

/** What is handed out to courts and to users who ask for their data: everything that is there. Faults as in Store. */
export interface ExportStore {
  /** Undefined: there is no such conversation, or nothing is left of it. */
  conversation(request: ExportRequest): Promise<ExportPage | undefined>;
  /** Orders of a user, the oldest first, behind `after` in ms; those of one ms come together, even if it is more than `limit`. */
  orders(request: OwnRequest): Promise<ExportedOrder[]>;
  /** What a user has reported and appealed, behind the number `after`. */
  reports(request: OwnRequest): Promise<StoredReport[]>;
}
