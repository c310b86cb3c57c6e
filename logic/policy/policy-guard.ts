// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { Gathered } from "../gathered.ts";
import type { LogicMetrics } from "../metrics.ts";
import { type BeforeSend, PASS, type Passage } from "../send/before-send.ts";
import { pairIdOf } from "../send/conversation.ts";
import { type FactsAsk, MAX_FACTS, type PolicyStore } from "../store/policy-store.ts";
import type { AppendInput } from "../store/store.ts";
import type { Defer } from "../tick-batch.ts";
import { BoundedMap } from "./bounded-map.ts";
import type { ConversationFacts, Judgement, PolicyEngine, ReadMessage } from "./engine.ts";

/** Facts that come later count as unreadable: each rule then fails open or closed, as it says. */
export const FACTS_BUDGET_MS = 50;
/** That a conversation is answered stays so; that it has an order may be news. */
const FACTS_AGE_MS = 60_000;
const MAX_REMEMBERED = 50_000;
const MAX_WAITING = 2000;
/** The guard's own budget never runs out before that of the facts. */
const GUARD_BUDGET_MS = 4 * FACTS_BUDGET_MS;

/** What {@link PolicyGuard} needs. */
export interface PolicyGuardPorts {
  /** The rules as they are now. */
  engine: () => PolicyEngine;
  store: Pick<PolicyStore, "facts">;
  clock: Clock;
  defer: Defer;
  onFault: (op: string, error: unknown) => void;
  metrics: Pick<LogicMetrics, "policyFacts">;
}

interface Remembered {
  readonly facts: ConversationFacts;
  readonly atMs: number;
}

/**
 * The rules on the way of a message. Nearly all are judged at once: by their text, by counts in memory, and by facts that are
 * remembered; only of conversations that nobody has answered, or not lately, the facts are asked for, all of a tick together.
 */
export class PolicyGuard implements BeforeSend {
  readonly name = "policy";
  readonly budgetMs = GUARD_BUDGET_MS;
  readonly late: Passage = PASS;
  readonly #ports: PolicyGuardPorts;
  readonly #asked: Gathered<FactsAsk, ConversationFacts>;
  /** By sender and conversation: answered ones. */
  readonly #known = new BoundedMap<Remembered>(MAX_REMEMBERED);
  /** By sender and conversation, of those that are not answered: what was let through, also what is not committed yet. */
  readonly #forward = new BoundedMap<number>(MAX_REMEMBERED);

  constructor(ports: PolicyGuardPorts) {
    this.#ports = ports;
    this.#asked = new Gathered({
      defer: ports.defer,
      run: (asks) => ports.store.facts(asks),
      maxBatch: MAX_FACTS,
      maxWaiting: MAX_WAITING,
    });
  }

  judge(message: AppendInput): Passage | Promise<Passage> {
    const engine = this.#ports.engine();
    if (!engine.wants(message.contentType === "" ? "text/plain" : message.contentType)) return PASS;
    const { sender, content } = message;
    // Two people who talk about many things are no less strangers for it, and may write no more.
    const conversationId = pairIdOf(message.conversationId);
    const nowMs = this.#ports.clock.nowMs();
    const read = engine.read({ sender, conversationId, text: Buffer.from(content).toString("utf8"), nowMs });
    const judgement = engine.judge(read, this.#remembered(read));
    return judgement ? this.#passage(engine, read, judgement) : this.#ask(engine, read);
  }

  #remembered({ pair, nowMs }: ReadMessage): ConversationFacts | undefined {
    const known = this.#known.get(pair);
    return known && nowMs - known.atMs < FACTS_AGE_MS ? known.facts : undefined;
  }

  async #ask(engine: PolicyEngine, read: ReadMessage): Promise<Passage> {
    const facts = await this.#facts(read);
    const judgement = engine.judge(read, facts === "unreadable" ? facts : this.#withForward(read, facts));
    // With facts, or without them for good, there always is one.
    return judgement ? this.#passage(engine, read, judgement) : PASS;
  }

  /** Within the budget. Does not reject. */
  #facts({ sender, conversationId, pair, nowMs }: ReadMessage): Promise<ConversationFacts | "unreadable"> {
    const { clock, onFault, metrics } = this.#ports;
    return new Promise((resolve) => {
      const end = (result: string, facts: ConversationFacts | "unreadable"): void => {
        cancel();
        metrics.policyFacts.inc({ result });
        resolve(facts);
      };
      const cancel = clock.after(FACTS_BUDGET_MS, () => end("late", "unreadable"));
      this.#asked.call({ userId: sender, conversationId }).then(
        (facts) => {
          if (facts.isAnswered) this.#known.set(pair, { facts, atMs: nowMs });
          end("ok", facts);
        },
        (error: unknown) => {
          onFault("policy facts", error);
          end("failed", "unreadable");
        },
      );
    });
  }

  /** Several messages on their way count before they are committed. */
  #withForward({ pair }: ReadMessage, facts: ConversationFacts): ConversationFacts {
    if (facts.isAnswered) {
      this.#forward.delete(pair);
      return facts;
    }
    const ownMessages = Math.max(facts.ownMessages, this.#forward.get(pair) ?? 0);
    this.#forward.set(pair, ownMessages);
    return { ...facts, ownMessages };
  }

  #passage(engine: PolicyEngine, read: ReadMessage, { verdict, rule, retryAfterMs }: Judgement): Passage {
    if (verdict !== "bounce" && verdict !== "block") {
      engine.note(read);
      const forward = this.#forward.get(read.pair);
      if (forward !== undefined) this.#forward.set(read.pair, forward + 1);
    }
    if (!rule) return PASS;
    return { verdict, by: rule.id, explanation: rule.explanation ?? "", retryAfterMs };
  }
}
