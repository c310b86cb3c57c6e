// SPDX-License-Identifier: Apache-2.0
import type { AppendedMessage, AppendInput } from "./store.ts";

const MAX_GENERATION = 8192;

interface Recent {
  sender: string;
  payloadHash: Uint8Array;
  message: AppendedMessage;
}

/**
 * What this process has committed lately, so that a resend, which comes soon after its first send mostly, costs no SQL.
 * Only a help: what is not here is found by its key in the database. Two generations bound it, about 5 MB.
 */
export class RecentAppends {
  #young = new Map<string, Recent>();
  #old = new Map<string, Recent>();

  /** The answer to a resend of the same content; undefined when nothing is known, or the content differs. */
  find(input: AppendInput, key = keyOf(input)): AppendedMessage | undefined {
    const known = this.#young.get(key) ?? this.#old.get(key);
    if (!known || Buffer.compare(known.payloadHash, input.payloadHash) !== 0) return undefined;
    return { ...known.message, kind: "duplicate", recipients: senderOf(known) };
  }

  /** The message was committed. */
  add(input: AppendInput, message: AppendedMessage, key = keyOf(input)): void {
    if (this.#young.size >= MAX_GENERATION) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    const { sender, payloadHash } = input;
    const recent = { sender, payloadHash, message };
    // The many recipients of a group are not kept.
    if (message.recipients.length > 2) recent.message = { ...message, recipients: senderOf(recent) };
    this.#young.set(key, recent);
  }

  /** The database may be another one now. */
  clear(): void {
    this.#young.clear();
    this.#old.clear();
  }
}

function senderOf({ sender, message }: Recent): AppendedMessage["recipients"] {
  return message.recipients.filter(({ userId }) => userId === sender);
}

/** What names a message before it is stored. Ids contain no NUL. */
export function keyOf({ sender, clientMessageId }: AppendInput): string {
  return `${sender}\0${clientMessageId}`;
}
