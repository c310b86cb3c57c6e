// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { Logger } from "#lib/logger.ts";
import type { Counter } from "#lib/metrics.ts";
import type { ChangeDesk } from "../changes/change-desk.ts";
import { orderOf } from "../changes/change-event.ts";
import { Rounds } from "../rounds.ts";
import { type Infer, object } from "../server-api/schema.ts";
import { fits } from "../server-api/validate.ts";
import { RECALLED_VERSION } from "../store/changes.ts";
import {
  type ClaimedVerdict,
  type HookEvent,
  type HookStore,
  LATE_VERDICTS,
  type LateVerdict,
} from "../store/hooks.ts";

const EVERY_MS = 1000;
const HOLD_MS = 30_000;
const MAX_IN_HAND = 20;
const MAX_TRIES = 10;
const MAX_REASON_CHARS = 200;

const VERDICT = object(
  {
    id: { type: "string", maxLength: 36 },
    verdict: { type: "string", enum: ["allow", ...LATE_VERDICTS] },
    reason: { type: "string", maxLength: MAX_REASON_CHARS },
  },
  ["reason"],
);
const ANSWER = object({ verdicts: { type: "array", maxItems: 100, items: VERDICT } }, ["verdicts"]);
type Answer = Infer<typeof ANSWER>;

/**
 * Verdicts in the answer of a classifier, on the messages of the call. An empty answer has none. Undefined: it is none that can be
 * read, or is about something else.
 */
export function readVerdicts(hook: string, events: readonly HookEvent[], body: Buffer): LateVerdict[] | undefined {
  const answer = parse(body);
  if (!answer) return undefined;
  const byId = new Map(events.map((event) => [event.id, event]));
  const verdicts: LateVerdict[] = [];
  for (const { id, verdict, reason = "" } of answer.verdicts ?? []) {
    const event = byId.get(id);
    if (!event) return undefined;
    const { message } = event;
    if (verdict === "allow" || !message?.stored) continue;
    const { conversationId, convSeq, stored } = message;
    verdicts.push({ messageId: id, conversationId, convSeq, sender: stored.sender, verdict, reason, hook });
  }
  return verdicts;
}

function parse(body: Buffer): Answer | undefined {
  if (body.length === 0) return {};
  try {
    const answer: unknown = JSON.parse(body.toString());
    return fits(ANSWER, answer) ? answer : undefined;
  } catch {
    return undefined;
  }
}

/** What {@link VerdictDesk} needs. */
export interface VerdictDeskPorts {
  store: Pick<HookStore, "claimVerdicts" | "endVerdicts">;
  desk: Pick<ChangeDesk, "carryOut">;
  /** Does a hook give verdicts now? */
  isWanted: () => boolean;
  messageId: () => string;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  onFault: (op: string, error: unknown) => void;
  log: Logger;
  metrics: { hookVerdicts: Counter };
}

/**
 * Carries out what classifiers thought late: a message that was delivered already is recalled, as if its sender had, and
 * everybody who is online hears of it. Logics share the verdicts; one that dies leaves them to the others.
 */
export class VerdictDesk {
  readonly #ports: VerdictDeskPorts;
  readonly #rounds: Rounds;

  constructor(ports: VerdictDeskPorts) {
    this.#ports = ports;
    const { clock, random, onFault } = ports;
    const round = async (): Promise<void> =>
      await this.round().catch((error: unknown) => onFault("late verdicts", error));
    this.#rounds = new Rounds({ everyMs: EVERY_MS, round, clock, random });
  }

  start(): void {
    this.#rounds.start();
  }

  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  /** Carries out what is there. @throws {ImError} when the store is away */
  async round(): Promise<void> {
    const { store, isWanted } = this.#ports;
    if (!isWanted()) return;
    for (;;) {
      const claimed = await store.claimVerdicts({ holdMs: HOLD_MS, limit: MAX_IN_HAND });
      const isDone = await Promise.all(claimed.map(async (verdict) => await this.#carryOut(verdict)));
      await store.endVerdicts(claimed.filter((_, at) => isDone[at]).map(({ messageId }) => messageId));
      if (claimed.length < MAX_IN_HAND || this.#rounds.isStopped) return;
    }
  }

  /** False: it is to be tried again. */
  async #carryOut(verdict: ClaimedVerdict): Promise<boolean> {
    const { log, onFault } = this.#ports;
    const { messageId, conversationId, hook, tries } = verdict;
    let result: string = verdict.verdict;
    if (verdict.verdict === "recall") {
      try {
        result = await this.#recall(verdict);
      } catch (error) {
        onFault("late recall", error);
        if (tries < MAX_TRIES) return false;
        result = "failed";
      }
    }
    this.#ports.metrics.hookVerdicts.inc({ hook, result });
    // Without the reason: its words are the backend's, and may be those of the message.
    log.info({ messageId, conversationId, hook, result }, "a late verdict on a message");
    return true;
  }

  async #recall({ messageId, conversationId, convSeq, sender }: LateVerdict): Promise<string> {
    const { desk, clock } = this.#ports;
    const order = orderOf({
      ...{ kind: "recall", sender, clientMessageId: `im-verdict:${messageId}`, conversationId, convSeq, messageId },
      ...{ baseVersion: 0, version: RECALLED_VERSION, ref: "", content: new Uint8Array(0), oldestMs: 0 },
      ...{ eventId: this.#ports.messageId(), atMs: clock.wallMs() },
    });
    const { result } = await desk.carryOut(order);
    return result.kind === "refused" ? `refused ${result.why}` : "recall";
  }
}
