// SPDX-License-Identifier: Apache-2.0
import { type RedisClient, type RedisCommand, runPipeline } from "#lib/redis.ts";
import type { Store } from "../store/store.ts";
import { DEAD_LETTER_LENGTH, DEAD_LETTER_STREAM, parseIntent } from "./intent.ts";
import type { PushPolicy } from "./policy.ts";
import { stepAfter } from "./policy.ts";
import type { PushLetter } from "./step-schedule.ts";

const PAGE = 100;

/** A push that was given up. */
export interface DeadLetter extends PushLetter {
  readonly id: string;
  readonly atMs: number;
}

/** Keeps intents that nobody could push, each with its fields and the reason in field r. @throws {ImError} without Redis */
export async function writeDeadLetters(
  redis: RedisClient,
  letters: readonly (readonly (string | number)[])[],
  reason: string,
): Promise<void> {
  const commands: RedisCommand[] = letters.map((fields) => {
    const limit = ["MAXLEN", "~", DEAD_LETTER_LENGTH] as const;
    return ["XADD", DEAD_LETTER_STREAM, ...limit, "*", ...fields, "r", reason];
  });
  for (const reply of await runPipeline(redis, commands)) if (reply instanceof Error) throw reply;
}

/** Keeps pushes that the schedule gave up. @throws {ImError} when Redis is away */
export async function buryLetters(redis: RedisClient, letters: readonly PushLetter[]): Promise<void> {
  const byReason = Map.groupBy(letters, ({ reason }) => reason);
  for (const [reason, alike] of byReason) {
    const fields = alike.map(({ userId, inboxSeq }) => ["u", userId, "s", inboxSeq]);
    await writeDeadLetters(redis, fields, reason);
  }
}

/** All letters, oldest first, page by page. */
export async function* readLetters(redis: RedisClient): AsyncGenerator<DeadLetter[]> {
  for (let from = "-"; ; ) {
    const [reply] = await runPipeline(redis, [["XRANGE", DEAD_LETTER_STREAM, from, "+", "COUNT", PAGE]]);
    if (reply instanceof Error) throw reply;
    const entries = (reply ?? []) as [string, string[]][];
    yield entries.flatMap(([id, fields]) => {
      const intent = parseIntent(id, fields);
      const at = fields.findIndex((word, index) => index % 2 === 0 && word === "r");
      const reason = at < 0 ? "" : (fields[at + 1] ?? "");
      const { userId, inboxSeq } = intent ?? { userId: "", inboxSeq: 0 };
      return [{ id, atMs: Number(id.split("-")[0]), userId, inboxSeq, reason }];
    });
    if (entries.length < PAGE) return;
    from = `(${entries.at(-1)?.[0]}`;
  }
}

/** How many letters there are for each reason, and the oldest ones. */
export interface LetterList {
  readonly letters: number;
  readonly reasons: Readonly<Record<string, number>>;
  readonly oldest: readonly DeadLetter[];
}

/** @throws {ImError} when Redis is away */
export async function listLetters(redis: RedisClient, limit: number): Promise<LetterList> {
  const reasons: Record<string, number> = {};
  const oldest: DeadLetter[] = [];
  let letters = 0;
  for await (const page of readLetters(redis)) {
    for (const letter of page) {
      letters++;
      reasons[letter.reason] = (reasons[letter.reason] ?? 0) + 1;
      if (oldest.length < limit) oldest.push(letter);
    }
  }
  return { letters, reasons, oldest };
}

/** What {@link replayLetters} needs. */
export interface ReplayPorts {
  redis: RedisClient;
  store: Pick<Store, "readInbox" | "pushStore">;
  policy: Pick<PushPolicy, "steps">;
}

/** What became of the letters: taken up again, without a message any more, or no intent at all. */
export interface ReplayResult {
  readonly replayed: number;
  readonly gone: number;
  readonly malformed: number;
}

/**
 * Takes every dead letter up again from the first step, as a step that is due now: extlogic pushes what is still
 * unread. A letter leaves the stream after its step is in the database; killed in between, it is replayed twice.
 * @throws {ImError} when Redis or the store is away
 */
export async function replayLetters(ports: ReplayPorts): Promise<ReplayResult> {
  const { redis, store } = ports;
  const result = { replayed: 0, gone: 0, malformed: 0 };
  for await (const letters of readLetters(redis)) {
    if (letters.length === 0) continue;
    const { nowMs } = await store.pushStore.stepBacklog();
    const rows = [];
    for (const letter of letters) {
      if (letter.userId === "") result.malformed++;
      else {
        const row = await stepOf(ports, letter, nowMs);
        if (row) rows.push(row);
        else result.gone++;
      }
    }
    await store.pushStore.saveSteps(rows);
    result.replayed += rows.length;
    await runPipeline(redis, [["XDEL", DEAD_LETTER_STREAM, ...letters.map(({ id }) => id)]]);
  }
  return result;
}

async function stepOf({ store, policy }: ReplayPorts, { userId, inboxSeq }: DeadLetter, nowMs: number) {
  const first = stepAfter(policy, undefined, "unreached");
  const page = await store.readInbox({ userId, cursor: inboxSeq - 1, limit: 1, limitBytes: 1 });
  const event = page.events.find((candidate) => candidate.inboxSeq === inboxSeq);
  if (!first || !event) return undefined;
  return {
    userId,
    conversationId: event.conversationId,
    channel: first.channel,
    deviceId: "",
    aloneSeq: first.channel === "webhook" ? inboxSeq : 0,
    firstSeq: inboxSeq,
    lastSeq: inboxSeq,
    attempts: 0,
    reached: false,
    createdMs: nowMs,
    dueMs: nowMs,
    leased: false,
  };
}
