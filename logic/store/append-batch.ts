// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, ImError } from "#lib/errors.ts";
import { bigintArray, byteaArray, textArray, uuidArray } from "./binary-array.ts";
import type { Row } from "./postgres-pool.ts";
import {
  type AppendedMessage,
  type AppendInput,
  type AppendResult,
  MAX_BATCH,
  MAX_BATCH_BYTES,
  type Recipient,
} from "./store.ts";

/** @throws {ImError} BAD_REQUEST when a batch is over {@link MAX_BATCH} or {@link MAX_BATCH_BYTES} */
export function checkBatch(batch: readonly AppendInput[]): void {
  let bytes = 0;
  for (const input of batch) bytes += input.content.length;
  if (batch.length > MAX_BATCH || bytes > MAX_BATCH_BYTES) {
    throw new ImError(ErrorCode.BAD_REQUEST, `append of ${batch.length} messages, ${bytes} bytes is too large`);
  }
}

/** Parameters of the append statement. */
export function encodeBatch(batch: readonly AppendInput[]): Buffer[] {
  return [
    textArray(batch.map((input) => input.sender)),
    textArray(batch.map((input) => input.clientMessageId)),
    byteaArray(batch.map((input) => input.payloadHash)),
    textArray(batch.map((input) => input.conversationId)),
    textArray(batch.map((input) => input.peer)),
    uuidArray(batch.map((input) => input.messageId)),
    textArray(batch.map((input) => input.contentType)),
    byteaArray(batch.map((input) => input.content)),
    bigintArray(batch.map((input) => input.sentAtMs)),
  ];
}

/** [index from 1, same payload?, message id, conversation, conv seq, sent at ms, sender's inbox seq] */
type Known = [number, boolean, string, string, number, number, number];

/** Results of the append statement for `batch`, by index. */
export function decodeResults(batch: readonly AppendInput[], row: Row): AppendResult[] {
  const [known, stored, convSeqs, recipientOf, recipients, inboxSeqs] = row.map(parseJson) as [
    Known[] | null,
    number[] | null,
    number[] | null,
    number[] | null,
    string[] | null,
    number[] | null,
  ];
  const results = new Array<AppendResult>(batch.length).fill({ kind: "not-member" });
  for (const entry of known ?? []) {
    results[entry[0] - 1] = fromKnown(entry, batch[entry[0] - 1]?.sender ?? "");
  }
  const messages: AppendedMessage[] = [];
  for (const [position, convSeq] of (convSeqs ?? []).entries()) {
    const index = stored ? (stored[position] ?? 0) - 1 : position;
    const input = batch[index];
    if (!input) throw new ImError(ErrorCode.INTERNAL, `append answered for message ${index} of ${batch.length}`);
    const { messageId, conversationId, sentAtMs } = input;
    const message = { kind: "stored", messageId, conversationId, convSeq, sentAtMs, recipients: [] } as AppendedMessage;
    messages.push(message);
    results[index] = message;
  }
  for (const [rowIndex, userId] of (recipients ?? []).entries()) {
    const recipient: Recipient = { userId, inboxSeq: inboxSeqs?.[rowIndex] ?? 0 };
    messages[(recipientOf?.[rowIndex] ?? 0) - 1]?.recipients.push(recipient);
  }
  return results;
}

function parseJson(text: string | null): unknown {
  return text === null ? null : JSON.parse(text);
}

function fromKnown(known: Known, sender: string): AppendResult {
  const [, samePayload, messageId, conversationId, convSeq, sentAtMs, inboxSeq] = known;
  if (!samePayload) return { kind: "conflict", messageId };
  const recipients = [{ userId: sender, inboxSeq }];
  return { kind: "duplicate", messageId, conversationId, convSeq, sentAtMs, recipients };
}

/** A batch without repeated (sender, client message id), and what to do with the repetitions. */
export interface SplitBatch {
  /** Indexes of the first occurrence of each key. */
  first: number[];
  /** Index of a repetition -> index of the first occurrence of its key. */
  repeats: Map<number, number>;
}

/** Separates repetitions of a key inside one batch from first occurrences. */
export function splitRepeats(batch: readonly AppendInput[]): SplitBatch {
  const firstByKey = new Map<string, number>();
  const first: number[] = [];
  const repeats = new Map<number, number>();
  for (const [index, input] of batch.entries()) {
    const key = `${input.sender}\0${input.clientMessageId}`;
    const seen = firstByKey.get(key);
    if (seen === undefined) {
      firstByKey.set(key, index);
      first.push(index);
    } else {
      repeats.set(index, seen);
    }
  }
  return { first, repeats };
}

/**
 * Result of a repetition, derived from the first occurrence's; undefined when it must be looked up (the first was
 * refused, or conflicts with something stored that the repetition may agree with).
 */
export function resolveRepeat(input: AppendInput, first: AppendInput, result: AppendResult): AppendResult | undefined {
  if (result.kind === "not-member" || result.kind === "conflict") return undefined;
  if (Buffer.compare(input.payloadHash, first.payloadHash) !== 0) {
    return { kind: "conflict", messageId: result.messageId };
  }
  const recipients = result.recipients.filter((recipient) => recipient.userId === first.sender);
  return { ...result, kind: "duplicate", recipients };
}
