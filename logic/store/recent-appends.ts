// SPDX-License-Identifier: Apache-2.0
import type { AppendedMessage, AppendInput } from "./store.ts";

const MAX_GENERATION = 8192;

interface Recent {
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
  find(input: AppendInput): AppendedMessage | undefined {
    const key = keyOf(input);
    const known = this.#young.get(key) ?? this.#old.get(key);
    if (!known || Buffer.compare(known.payloadHash, input.payloadHash) !== 0) return undefined;
    return known.message;
  }

  /** The message was committed. */
  add(input: AppendInput, stored: AppendedMessage): void {
    if (this.#young.size >= MAX_GENERATION) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    const recipients = stored.recipients.filter(({ userId }) => userId === input.sender);
    this.#young.set(keyOf(input), {
      payloadHash: input.payloadHash,
      message: { ...stored, kind: "duplicate", recipients },
    });
  }

  /** The database may be another one now. */
  clear(): void {
    this.#young.clear();
    this.#old.clear();
  }
}

/** Ids contain no NUL. */
function keyOf({ sender, clientMessageId }: AppendInput): string {
  return `${sender}\0${clientMessageId}`;
}
