// SPDX-License-Identifier: Apache-2.0
import { type RedisClient, runPipeline } from "#lib/redis.ts";
import type { IntentSink } from "../deliver/offline.ts";
import { type DeadLetter, readLetters } from "../push/dead-letters.ts";
import { DEAD_LETTER_STREAM } from "../push/intent.ts";
import { externalId } from "../tenant/tenant-ids.ts";

/** What {@link RedisDeadLetters} needs. */
export interface DeadLetterPorts {
  redis: RedisClient;
  intents: IntentSink;
}

export interface ShownLetter {
  readonly userId: string;
  readonly inboxSeq: number;
  readonly reason: string;
  readonly atMs: number;
}

export interface ShownLetters {
  readonly letters: number;
  readonly oldest: readonly ShownLetter[];
}

/** Pushes that were given up, of one tenant. Both throw {@link ImError} RETRYABLE when Redis is away. */
export interface DeadLetterDesk {
  list(tenant: string, limit: number): Promise<ShownLetters>;
  /** Takes them up again; resolves with how many. */
  replay(tenant: string): Promise<number>;
}

/**
 * {@link DeadLetterDesk} on the stream of dead letters. To replay one is to queue its intent again: extlogic pushes what is
 * still unread, by its policy. A letter leaves after its intent is queued; killed in between, it is replayed twice.
 */
export class RedisDeadLetters implements DeadLetterDesk {
  readonly #ports: DeadLetterPorts;

  constructor(ports: DeadLetterPorts) {
    this.#ports = ports;
  }

  async list(tenant: string, limit: number): Promise<ShownLetters> {
    const oldest: ShownLetter[] = [];
    let letters = 0;
    for await (const page of readLetters(this.#ports.redis)) {
      for (const letter of page) {
        const userId = ownerOf(tenant, letter);
        if (userId === undefined) continue;
        letters++;
        const { inboxSeq, reason, atMs } = letter;
        if (oldest.length < limit) oldest.push({ userId, inboxSeq, reason, atMs });
      }
    }
    return { letters, oldest };
  }

  async replay(tenant: string): Promise<number> {
    const { redis, intents } = this.#ports;
    let replayed = 0;
    for await (const page of readLetters(redis)) {
      const own = page.filter((letter) => ownerOf(tenant, letter) !== undefined);
      if (own.length === 0) continue;
      const taken = await intents.append(
        own.map(({ userId, inboxSeq }) => ({ userId, inboxSeq, cause: "reconciled" as const })),
      );
      // The queue is full: which of them were taken is not told, and to push twice is better than not at all.
      if (taken < own.length) break;
      await runPipeline(redis, [["XDEL", DEAD_LETTER_STREAM, ...own.map(({ id }) => id)]]);
      replayed += taken;
    }
    return replayed;
  }
}

/** Whose it is, as the tenant knows it; undefined: another tenant's, or nobody can read it. */
function ownerOf(tenant: string, { userId }: DeadLetter): string | undefined {
  return userId === "" ? undefined : externalId(tenant, userId);
}
