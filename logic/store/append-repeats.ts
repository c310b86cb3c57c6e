// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, ImError } from "#lib/errors.ts";
import { type AppendInput, type AppendResult, MAX_BATCH, MAX_BATCH_BYTES } from "./store.ts";

/** @throws {ImError} BAD_REQUEST when a batch is over {@link MAX_BATCH} or {@link MAX_BATCH_BYTES} */
export function checkBatch(batch: readonly AppendInput[]): void {
  let bytes = 0;
  for (const input of batch) bytes += input.content.length;
  if (batch.length > MAX_BATCH || bytes > MAX_BATCH_BYTES) {
    throw new ImError(ErrorCode.BAD_REQUEST, `append of ${batch.length} messages, ${bytes} bytes is too large`);
  }
}

type Append = (batch: readonly AppendInput[]) => Promise<AppendResult[]>;

/**
 * Appends a batch through `append`, which takes only batches without repeated (sender, client message id): repetitions
 * are answered from the result of the first occurrence, or appended after it where that does not tell.
 */
export async function appendRepeats(batch: readonly AppendInput[], append: Append): Promise<AppendResult[]> {
  const firstByKey = new Map<string, number>();
  const firstOf = batch.map((input, index) => {
    const key = keyOf(input);
    const first = firstByKey.get(key) ?? index;
    firstByKey.set(key, first);
    return first;
  });
  if (firstByKey.size === batch.length) return append(batch);

  const results = new Map<number, AppendResult>();
  const run = async (indexes: readonly number[], next: Append): Promise<void> => {
    const part = await next(batch.filter((_, index) => indexes.includes(index)));
    for (const [position, index] of indexes.entries()) results.set(index, at(part, position));
  };
  await run([...firstByKey.values()], append);
  const open: number[] = [];
  for (const [index, first] of firstOf.entries()) {
    if (index === first) continue;
    const result = repeatOf(at(batch, index), at(batch, first), results.get(first));
    if (result) results.set(index, result);
    else open.push(index);
  }
  if (open.length > 0) await run(open, (rest) => appendRepeats(rest, append));
  return batch.map((_, index) => at([results.get(index)], 0));
}

/**
 * Result of a repetition, from the first occurrence's; undefined when it must be looked up: the first was refused, or
 * conflicts with something stored that the repetition may agree with.
 */
function repeatOf(input: AppendInput, first: AppendInput, result: AppendResult | undefined): AppendResult | undefined {
  if (result?.kind !== "stored" && result?.kind !== "duplicate") return undefined;
  if (Buffer.compare(input.payloadHash, first.payloadHash) !== 0) {
    return { kind: "conflict", messageId: result.messageId };
  }
  const recipients = result.recipients.filter((recipient) => recipient.userId === first.sender);
  return { ...result, kind: "duplicate", recipients };
}

function at<T>(items: readonly (T | undefined)[], index: number): T {
  const item = items[index];
  if (item === undefined) throw new ImError(ErrorCode.INTERNAL, `append: no element ${index} of ${items.length}`);
  return item;
}

/** What names a message before it is stored. Ids contain no NUL. */
function keyOf({ sender, clientMessageId }: AppendInput): string {
  return `${sender}\0${clientMessageId}`;
}
