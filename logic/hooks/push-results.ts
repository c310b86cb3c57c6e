// SPDX-License-Identifier: Apache-2.0
import { randomUUID } from "node:crypto";
import { Gathered } from "../gathered.ts";
import type { PushRequest, PushResult } from "../push/provider.ts";
import { type HookFact, type HookStore, MAX_FACTS } from "../store/hooks.ts";
import type { Defer } from "../tick-batch.ts";

const MAX_WAITING = 5000;

/** What {@link PushResults} needs. */
export interface PushResultsPorts {
  store: Pick<HookStore, "record">;
  /** Does a hook want them now? */
  isWanted: () => boolean;
  defer: Defer;
  onFault: (op: string, error: unknown) => void;
}

/** Leaves the answers of push providers for webhooks, many in one statement. */
export class PushResults {
  readonly #ports: PushResultsPorts;
  readonly #facts: Gathered<HookFact, undefined>;

  constructor(ports: PushResultsPorts) {
    const { store, defer } = ports;
    this.#ports = ports;
    this.#facts = new Gathered({
      ...{ defer, maxBatch: MAX_FACTS, maxWaiting: MAX_WAITING },
      run: async (facts) => {
        await store.record(facts);
        return facts.map(() => undefined);
      },
    });
  }

  /**
   * Resolves when it is written: a push counts as done only then, so that one whose answer nobody wrote down is pushed, and told of,
   * again. A database that is away holds up no push beyond its own deadlines.
   */
  async tell(provider: string, { notification }: PushRequest, result: PushResult): Promise<void> {
    const { isWanted, onFault } = this.#ports;
    if (!isWanted()) return;
    const { userId, messageId, conversationId, inboxSeq, subjectType, subjectId } = notification;
    const { kind } = result;
    const reason = kind === "accepted" ? {} : { reason: result.reason };
    // What is undefined is left out.
    const about = { messageId, conversationId, inboxSeq, subjectType, subjectId };
    const body = JSON.stringify({ ...about, provider, result: kind, ...reason });
    try {
      await this.#facts.call({ kind: "push.result", id: randomUUID(), key: userId, body });
    } catch (error) {
      onFault("push results for webhooks", error);
    }
  }
}
