// SPDX-License-Identifier: Apache-2.0
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

/** What is handed out to courts and to users who ask for their data: everything that is there. Faults as in Store. */
export interface ExportStore {
  /** Undefined: there is no such conversation, or nothing is left of it. */
  conversation(request: ExportRequest): Promise<ExportPage | undefined>;
}
