// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { sleep } from "#lib/sleep.ts";
import type { Breaker } from "../push/breaker.ts";
import { HOOK_SHARDS, type HookClaim, type HookEvent, type HookSettlement, type HookStore } from "../store/hooks.ts";
import type { WebhookResult, WebhookSender } from "../webhook/webhook-sender.ts";
import { callOf, type HookCall } from "./hook-body.ts";
import type { HookMetrics } from "./hook-metrics.ts";
import type { Hook } from "./hook-settings.ts";

/** How long an idle process waits before it looks again. */
const POLL_MS = 250;
const FAULT_PAUSE_MS = 2000;
/** Rows of the outbox that are moved in one transaction, and transactions before somebody is told. */
const COLLECT_ROWS = 200;
const MAX_COLLECTS = 20;
/** Events looked at for one call: those that are not for a hook are passed over. */
const READ_EVENTS = 100;
/** A claim outlives its call by so much. */
const LEASE_SLACK_MS = 15_000;
const RETRY = { baseMs: 1000, capMs: 300_000 };
/** From this try on an event goes alone: it may be what the backend does not take. */
const ALONE_FROM = 3;

/** A hook with what calls it. */
export interface HookLine {
  readonly hook: Hook;
  readonly sender: Pick<WebhookSender, "post">;
  readonly breaker: Breaker;
}

/** What {@link HookWorker} needs. */
export interface HookWorkerPorts {
  store: HookStore;
  /** As configured now. */
  lines: () => readonly HookLine[];
  /** Looks at what the backend of a hook with verdicts answered, before the events count as told. */
  onAnswer: (hook: Hook, call: HookCall, body: Buffer) => Promise<void>;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  onFault: (op: string, error: unknown) => void;
  metrics: HookMetrics;
  /** Default 250. */
  pollMs?: number;
}

/**
 * Tells webhooks what is in the log, at least once, in the order of each conversation or user: a shard of a hook is in one
 * process's hands at a time, and goes on when the backend took what it was told. Processes share the shards by leases; one that
 * dies loses nothing, its shards are taken over when its leases end. A hook that hangs holds up its own shards only.
 */
export class HookWorker {
  readonly #ports: HookWorkerPorts;
  readonly #abort = new AbortController();
  readonly #running = new Set<Promise<void>>();
  /** Events of the next call of a shard: fewer after a failure, to find the one that is not taken. */
  readonly #sizes = new Map<string, number>();
  #loop: Promise<void> | undefined;

  constructor(ports: HookWorkerPorts) {
    this.#ports = ports;
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  /** Aborts calls; what they carried is told again by whoever comes next. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#loop;
    await Promise.all(this.#running);
  }

  async #run(): Promise<void> {
    const { clock, random, onFault, metrics, pollMs = POLL_MS } = this.#ports;
    const { signal } = this.#abort;
    while (!signal.aborted) {
      let pauseMs = pollMs * (0.75 + random() * 0.5);
      try {
        if ((await this.round()) > 0) pauseMs = 0;
      } catch (error) {
        metrics.faults.inc();
        onFault("webhooks", error);
        pauseMs = FAULT_PAUSE_MS * (0.5 + random());
      }
      // Wakes up when a shard is done: there may be more of it.
      if (pauseMs > 0) await Promise.race([sleep(clock, pauseMs, signal), ...this.#running]);
    }
  }

  /** Looks once, and takes in hand what there is. Resolves with how many shards. @throws {ImError} when SQL is away */
  async round(): Promise<number> {
    const lines = this.#ports.lines();
    if (lines.length === 0) return 0;
    const { store } = this.#ports;
    for (let at = 0; at < MAX_COLLECTS && (await store.collect(COLLECT_ROWS)) === COLLECT_ROWS; at++);
    const room = HOOK_SHARDS * lines.length - this.#running.size;
    if (room <= 0) return 0;
    const timeoutMs = Math.max(...lines.map(({ hook }) => hook.timeoutMs));
    const names = lines.map(({ hook }) => hook.name);
    const claims = await store.claim({ hooks: names, leaseMs: timeoutMs + LEASE_SLACK_MS, limit: room });
    for (const claim of claims) {
      const line = lines.find(({ hook }) => hook.name === claim.hook);
      if (line) this.#take(line, claim);
    }
    return claims.length;
  }

  #take(line: HookLine, claim: HookClaim): void {
    const running = this.#tell(line, claim)
      .catch((error: unknown) => {
        this.#ports.metrics.faults.inc();
        this.#ports.onFault("webhook", error);
      })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #tell(line: HookLine, claim: HookClaim): Promise<void> {
    const { store, clock } = this.#ports;
    const { hook, breaker } = line;
    const { shard, position, tries } = claim;
    const events = await store.read({ shard, after: position, limit: READ_EVENTS, withContent: hook.content });
    const call = callOf(hook, events, this.#sizeOf(hook, claim));
    if (!call || call.events.length === 0) {
      // The log forgot them, or none is for this hook.
      await store.settle(claim, { position: call?.position ?? position, tries: 0, pauseMs: 0 });
      return;
    }
    const answer = breaker.ask(clock.nowMs());
    if (answer.kind === "wait") {
      this.#count(hook, "open");
      await store.settle(claim, { position, tries, pauseMs: Math.max(POLL_MS, answer.untilMs - clock.nowMs()) });
      return;
    }
    const result = await this.#post(line, call);
    if (result.kind === "answered" && isTaken(result)) await this.#took(line, claim, { call, body: result.body });
    else await this.#refused(line, claim, { call, events, result });
  }

  async #post({ hook, sender, breaker }: HookLine, call: HookCall): Promise<WebhookResult> {
    const { clock, metrics } = this.#ports;
    const [first] = call.events;
    const startedMs = clock.nowMs();
    const result = await sender.post({
      url: hook.url,
      secret: hook.secret,
      body: call.body,
      idempotencyKey: `${hook.name}-${first?.id}-${call.events.length}`,
      signal: this.#abort.signal,
    });
    metrics.seconds.observe({ hook: hook.name }, (clock.nowMs() - startedMs) / 1000);
    if (this.#abort.signal.aborted) breaker.cancel(clock.nowMs());
    else if (result.kind === "failed") breaker.fail(clock.nowMs());
    else breaker.succeed();
    return result;
  }

  async #took({ hook }: HookLine, claim: HookClaim, { call, body }: { call: HookCall; body: Buffer }): Promise<void> {
    this.#count(hook, "ok");
    if (hook.verdicts) await this.#ports.onAnswer(hook, call, body);
    this.#resize(hook, claim, true);
    const isOurs = await this.#ports.store.settle(claim, { position: call.position, tries: 0, pauseMs: 0 });
    this.#ports.metrics.events.inc({ hook: hook.name, result: isOurs ? "sent" : "again" }, call.events.length);
  }

  async #refused(
    { hook }: HookLine,
    claim: HookClaim,
    { call, events, result }: { call: HookCall; events: readonly HookEvent[]; result: WebhookResult },
  ): Promise<void> {
    const { store, metrics, random } = this.#ports;
    if (this.#abort.signal.aborted) {
      await store.settle(claim, { position: claim.position, tries: claim.tries, pauseMs: 0 });
      return;
    }
    this.#count(hook, result.kind === "answered" ? "refused" : result.kind);
    this.#resize(hook, claim, false);
    const tries = claim.tries + 1;
    const [first] = call.events;
    if (first && call.events.length === 1 && tries >= hook.tries) {
      const dead = { position: first.position, reason: reasonOf(result), tries };
      if (await store.settle(claim, { position: first.position, tries: 0, pauseMs: 0, dead }))
        metrics.events.inc({ hook: hook.name, result: "dead" });
      return;
    }
    const settlement: HookSettlement = {
      position: before(first, events, claim),
      tries,
      pauseMs: pauseOf(tries, random),
    };
    await store.settle(claim, settlement);
  }

  #sizeOf(hook: Hook, { shard, tries }: HookClaim): number {
    const size = this.#sizes.get(`${hook.name} ${shard}`) ?? hook.batchEvents;
    return tries >= Math.min(ALONE_FROM, hook.tries - 1) ? 1 : Math.min(size, hook.batchEvents);
  }

  #resize(hook: Hook, { shard }: HookClaim, isTaken: boolean): void {
    const key = `${hook.name} ${shard}`;
    const size = this.#sizes.get(key) ?? hook.batchEvents;
    const next = isTaken ? size * 2 : Math.ceil(size / 4);
    if (next >= hook.batchEvents) this.#sizes.delete(key);
    else this.#sizes.set(key, next);
  }

  #count({ name: hook }: Hook, result: string): void {
    this.#ports.metrics.calls.inc({ hook, result });
  }
}

function isTaken({ status }: { status: number }): boolean {
  return status >= 200 && status < 300;
}

/** What was passed over before the first event of the call is done with. */
function before(first: HookEvent | undefined, events: readonly HookEvent[], { position }: HookClaim): number {
  const passed = events.filter((event) => first && event.position < first.position);
  return passed.at(-1)?.position ?? position;
}

/** Exponential, from half to the whole of it. */
export function pauseOf(tries: number, random: () => number): number {
  const ceilingMs = Math.min(RETRY.capMs, RETRY.baseMs * 2 ** Math.min(tries - 1, 30));
  return Math.round(ceilingMs * (0.5 + random() / 2));
}

function reasonOf(result: WebhookResult): string {
  return result.kind === "answered" ? `the backend answered ${result.status}` : result.reason;
}
