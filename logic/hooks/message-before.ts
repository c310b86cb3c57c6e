// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";
import type { Clock } from "#lib/clock.ts";
import type { Metrics } from "#lib/metrics.ts";
import { VERDICTS, type Verdict } from "../policy/rules.ts";
import { Breaker } from "../push/breaker.ts";
import { type BeforeSend, PASS, type Passage } from "../send/before-send.ts";
import { pairIdOf } from "../send/conversation.ts";
import { subjectFields } from "../send/subject.ts";
import { writeContent } from "../server-api/content.ts";
import { object } from "../server-api/schema.ts";
import { fits } from "../server-api/validate.ts";
import type { AppendInput, Store } from "../store/store.ts";
import { externalId } from "../tenant/tenant-ids.ts";
import type { AllowedNetworks } from "../webhook/public-address.ts";
import { type WebhookResult, WebhookSender } from "../webhook/webhook-sender.ts";
import type { BeforeHook, HookSettings } from "./hook-settings.ts";

const BREAKER = { failures: 10, minOpenMs: 500, maxOpenMs: 10_000 };
const MAX_EXPLANATION_CHARS = 500;
/** The guard's own end of a question comes first, so that it is known why there was no answer. */
const SLACK_MS = 50;

const ANSWER = object(
  {
    verdict: { type: "string", enum: VERDICTS },
    explanation: { type: "string", maxLength: MAX_EXPLANATION_CHARS },
  },
  ["explanation"],
);

export type BeforeMetrics = ReturnType<typeof createBeforeMetrics>;

/** Registers what {@link MessageBefore} counts. */
export function createBeforeMetrics(metrics: Metrics) {
  return {
    answers: metrics.counter(
      "im_hook_before_total",
      "Messages that a webhook was to judge, by its verdict or why there is none.",
      ["hook", "result"],
    ),
    seconds: metrics.histogram("im_hook_before_duration_seconds", "One question to a webhook.", ["hook"]),
  };
}

/** What {@link MessageBefore} needs. */
export interface MessageBeforePorts {
  /** As the file of hooks has it now. */
  settings: () => HookSettings;
  store: Pick<Store, "visiblePeers">;
  allowed: AllowedNetworks;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  metrics: BeforeMetrics;
}

/** Calls of one hook, as long as its settings are the same. */
interface Line {
  readonly hook: BeforeHook;
  readonly sender: WebhookSender;
  readonly breaker: Breaker;
}

/**
 * Asks a backend of the shop about messages before they are stored: only about those that its filter lets through, so many at a
 * time, and for so long. Whatever goes wrong is its configured answer, at once or when the budget is over: a message is
 * never held up by a backend that is away.
 */
export class MessageBefore implements BeforeSend {
  readonly name = "message.before";
  readonly #ports: MessageBeforePorts;
  #line: Line | undefined;
  #running = 0;

  constructor(ports: MessageBeforePorts) {
    this.#ports = ports;
  }

  get budgetMs(): number {
    return (this.#hook()?.budgetMs ?? 0) + SLACK_MS;
  }

  get late(): Passage {
    const hook = this.#hook();
    return hook ? lateOf(hook) : PASS;
  }

  close(): void {
    this.#line?.sender.close();
  }

  judge(message: AppendInput): Passage | Promise<Passage> {
    const hook = this.#hook();
    if (!hook || !isFor(hook, message)) return PASS;
    const { clock } = this.#ports;
    if (this.#running >= hook.concurrency) return this.#without(hook, "full");
    const line = this.#lineOf(hook);
    if (line.breaker.ask(clock.nowMs()).kind === "wait") return this.#without(hook, "open");
    this.#running++;
    return this.#ask(line, message).finally(() => {
      this.#running--;
    });
  }

  async #ask({ hook, sender, breaker }: Line, message: AppendInput): Promise<Passage> {
    const { store, clock, metrics } = this.#ports;
    const startedMs = clock.nowMs();
    if (hook.strangersOnly) {
      let known: string[];
      try {
        const peer = { peerId: message.peer, conversationId: pairIdOf(message.conversationId) };
        known = await store.visiblePeers(message.sender, [peer]);
      } catch (error) {
        breaker.cancel(clock.nowMs());
        throw error;
      }
      if (known.length > 0) {
        breaker.cancel(clock.nowMs());
        return PASS;
      }
    }
    const result = await sender.post({
      ...{ url: hook.url, secret: hook.secret, body: questionOf(hook, message) },
      idempotencyKey: createHash("sha256").update(`${message.sender}\0${message.clientMessageId}`).digest("base64url"),
      trace: message.trace,
    });
    metrics.seconds.observe({ hook: hook.name }, (clock.nowMs() - startedMs) / 1000);
    if (result.kind === "failed") breaker.fail(clock.nowMs());
    else breaker.succeed();
    const passage = passageOf(hook, result);
    if (!passage) return this.#without(hook, result.kind === "answered" ? "unreadable" : result.kind);
    metrics.answers.inc({ hook: hook.name, result: passage.verdict });
    return passage;
  }

  #without(hook: BeforeHook, result: string): Passage {
    this.#ports.metrics.answers.inc({ hook: hook.name, result });
    return lateOf(hook);
  }

  #hook(): BeforeHook | undefined {
    return this.#ports.settings().before[0];
  }

  #lineOf(hook: BeforeHook): Line {
    if (this.#line?.hook === hook) return this.#line;
    this.#line?.sender.close();
    const { random } = this.#ports;
    const limits = { tries: 1, timeoutMs: hook.budgetMs, connections: hook.concurrency };
    this.#line = {
      hook,
      sender: new WebhookSender({ ...this.#ports, ...limits }),
      breaker: new Breaker({ random, ...BREAKER }),
    };
    return this.#line;
  }
}

function isFor(hook: BeforeHook, { sender, peer, contentType }: AppendInput): boolean {
  if (externalId(hook.tenant, sender) === undefined) return false;
  if (hook.strangersOnly && peer === "") return false;
  return hook.contentTypes.size === 0 || hook.contentTypes.has(contentType || "text/plain");
}

function questionOf(hook: BeforeHook, message: AppendInput): string {
  const { sender, peer, conversationId, clientMessageId, contentType, content, sentAtMs, subject } = message;
  const to = externalId(hook.tenant, peer);
  return JSON.stringify({
    ...{ hook: hook.name, tenant: hook.tenant, type: "message.before" },
    data: {
      ...{ conversationId, sender: externalId(hook.tenant, sender), ...(to ? { to } : {}), clientMessageId, sentAtMs },
      ...{ ...subjectFields(subject), contentType: contentType || "text/plain", ...writeContent(content) },
    },
  });
}

function passageOf({ name: by }: BeforeHook, result: WebhookResult): Passage | undefined {
  if (result.kind !== "answered" || result.status >= 300) return undefined;
  let answer: unknown;
  try {
    answer = JSON.parse(result.body.toString());
  } catch {
    return undefined;
  }
  if (!fits(ANSWER, answer)) return undefined;
  const { verdict, explanation = "" } = answer;
  return { verdict, by, explanation: explanation || explanationOf(verdict), retryAfterMs: 0 };
}

function explanationOf(verdict: Verdict): string {
  return verdict === "bounce" ? "this message cannot be sent" : "";
}

function lateOf({ name: by, onFailure: verdict }: BeforeHook): Passage {
  return { verdict, by, explanation: "", retryAfterMs: 0 };
}
