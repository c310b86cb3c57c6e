// SPDX-License-Identifier: Apache-2.0
// For tests: the API over a logic in memory.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { FakeClock } from "#lib/clock.ts";
import { silentLogger } from "#lib/logger.ts";
import { Metrics } from "#lib/metrics.ts";
import { FakeTracer } from "#lib/tracing/fake-tracer.ts";
import type { CardKey } from "../changes/card-keys.ts";
import { composeLogic } from "../compose.ts";
import { MemoryAckWheel } from "../deliver/ack-wheel-memory.ts";
import type { PushIntent } from "../deliver/offline.ts";
import { type TestEntry, wireEntry } from "../entry-kit.ts";
import { createErasureSteps, ErasureJob } from "../erasure/erasure-job.ts";
import { GroupChanger } from "../groups/group-changer.ts";
import { type HookSettings, NO_HOOKS } from "../hooks/hook-settings.ts";
import { unreadMetrics } from "../metrics.ts";
import { MuteWatch } from "../mutes/mute-watch.ts";
import { MemoryRouter } from "../router/memory.ts";
import type { ConversationPolicy } from "../send/subject.ts";
import { MemoryStore } from "../store/memory.ts";
import type { NewApiKey } from "../store/server-api-store.ts";
import { externalId } from "../tenant/tenant-ids.ts";
import type { ApiDesk, ApiRequest, ApiResponse } from "./api-desk.ts";
import { hashOfSecret, makeKey, SCOPES } from "./api-key.ts";
import { composeApiDesk } from "./compose-server-api.ts";
import type { DeadLetterDesk, ShownLetter } from "./dead-letter-desk.ts";
import type { FileKeys } from "./key-file.ts";

/** A call as a test writes it. */
export interface TestCall {
  method: string;
  path: string;
  key?: string | undefined;
  body?: unknown;
  idempotencyKey?: string | undefined;
  contentType?: string;
  traceparent?: string;
}

export interface TestAnswer {
  status: number;
  headers: ApiResponse["headers"];
  body: Record<string, unknown>;
}

/** Letters in memory; `letters` may be changed by the test. */
class MemoryDeadLetters implements DeadLetterDesk {
  letters: ShownLetter[] = [];

  async list(tenant: string, limit: number) {
    const own = this.#own(tenant);
    return { letters: own.length, oldest: own.slice(0, limit) };
  }

  async replay(tenant: string): Promise<number> {
    const own = this.#own(tenant);
    this.letters = this.letters.filter(({ userId }) => externalId(tenant, userId) === undefined);
    return own.length;
  }

  #own(tenant: string): ShownLetter[] {
    return this.letters.flatMap((letter) => {
      const userId = externalId(tenant, letter.userId);
      return userId === undefined ? [] : [{ ...letter, userId }];
    });
  }
}

/** The API, what it stands on, and one entry with a stream to the logic; tokens are the user ids. */
export class TestApi {
  readonly clock = new FakeClock();
  readonly store = new MemoryStore(
    () => this.clock.nowMs(),
    () => this.clock.wallMs(),
  );
  readonly router = new MemoryRouter(this.clock, 1e9);
  readonly deadLetters = new MemoryDeadLetters();
  readonly intents: PushIntent[] = [];
  /** As in the file of card keys; may be changed by the test. */
  cardKeys: readonly CardKey[] = [{ id: "k1", secret: Buffer.alloc(32, 7) }];
  readonly faults: string[] = [];
  /** Chooses nothing, until the test says otherwise. */
  readonly tracer = new FakeTracer();
  readonly registry = new Metrics();
  hooks: HookSettings = NO_HOOKS;
  /** May be changed by the test. */
  policy: ConversationPolicy = "per_peer";
  readonly mutes = new MuteWatch({
    ...{ store: this.store.mutes, clock: this.clock },
    onFault: (op) => void this.faults.push(op),
  });
  readonly core = composeLogic({
    wheel: new MemoryAckWheel(this.clock, () => undefined),
    ackTimeoutMs: 5000,
    store: this.store,
    router: this.router,
    intents: {
      append: async (intents) => {
        this.intents.push(...intents);
        return intents.length;
      },
    },
    tokens: { verify: async (userId) => ({ kind: "ok", userId, tokenId: "", issuedAtMs: 0, expiresAtMs: 0 }) },
    name: "api-test",
    leaseTtlMs: 60_000,
    pingIntervalMs: 30_000,
    maxLingerMs: 0,
    policyOf: () => this.policy,
    maxItemConversations: 2,
    gap: { maxEvents: 2000, maxAgeMs: 30 * 86_400_000 },
    clock: this.clock,
    random: () => 0.5,
    defer: setImmediate,
    tracer: this.tracer,
    guards: { before: [this.mutes], after: [] },
    changes: { cardKeys: () => this.cardKeys, mutedMs: (userId) => this.mutes.leftMs(userId) },
    onFault: (op) => void this.faults.push(op),
    log: silentLogger,
    metrics: unreadMetrics(),
  });
  readonly desk: ApiDesk;
  readonly erasures: ErasureJob;
  readonly entry: TestEntry;

  constructor(ratePerSecond = 100_000, fileKeys: FileKeys = new Map()) {
    this.tracer.samples = false;
    const { core, store, router, mutes, deadLetters, clock, registry } = this;
    const onFault = (op: string): void => void this.faults.push(op);
    const random = (): number => 0.5;
    const hooks = (): HookSettings => this.hooks;
    const parts = {
      core,
      store,
      router,
      mutes,
      deadLetters,
      hooks,
      clock,
      random,
      registry,
      onFault,
    };
    this.desk = composeApiDesk(
      { IM_API_RATE_PER_SECOND: ratePerSecond, IM_POD_NAME: "api-test" },
      parts,
      () => fileKeys,
    );
    this.erasures = new ErasureJob({
      ...{ store: store.governance, groups: store.groups, clock, random, onFault, steps: createErasureSteps(registry) },
      changer: new GroupChanger({ ...core.sending, store: store.groups, random }),
    });
    this.entry = wireEntry("pod", (uplink) => core.server.accept(uplink));
  }

  async start(): Promise<this> {
    await this.core.start();
    assert.ok(await this.entry.attach());
    return this;
  }

  close(): void {
    this.core.close();
  }

  /** A new key, with every scope of the default tenant unless said otherwise. */
  async key(fields: Partial<Pick<NewApiKey, "scopes" | "tenant" | "expiresMs">> = {}): Promise<string> {
    const { keyId, secret, text } = makeKey();
    const facts = { scopes: [...SCOPES], tenant: "", expiresMs: 0, ...fields };
    await this.store.serverApi.addKey({ keyId, secretHash: hashOfSecret(secret), name: "test", ...facts });
    return text;
  }

  /** The number of a report that a user of the default tenant made of another one. */
  async report(reporter: string, reported: string): Promise<number> {
    const about = { kind: "user", reported, conversationId: "", convSeq: 0, messageId: "" } as const;
    const said = { reason: "fraud", text: "", rule: "", context: "[]", atMs: this.clock.wallMs() };
    const report = { tenant: "", reporter, reportId: randomUUID(), ...about, ...said };
    assert.equal(await this.store.policy.report(report), "stored");
    const reports = await this.store.policy.reports({ tenant: "", after: 0, limit: 100, isOpen: true });
    return reports.at(-1)?.number ?? 0;
  }

  /** A call; a POST gets a fresh idempotency key unless it has one. */
  async call({
    method,
    path,
    key,
    body,
    contentType = "application/json",
    traceparent,
    ...call
  }: TestCall): Promise<TestAnswer> {
    const url = new URL(path, "http://api");
    const idempotencyKey = "idempotencyKey" in call ? call.idempotencyKey : method === "GET" ? undefined : randomUUID();
    const bytes =
      body instanceof Uint8Array ? body : Buffer.from(typeof body === "string" ? body : JSON.stringify(body ?? {}));
    const request: ApiRequest = {
      ...{ id: randomUUID(), method, path: url.pathname, query: url.searchParams, contentType, idempotencyKey },
      authorization: key === undefined ? undefined : `Bearer ${key}`,
      traceparent,
      readBody: async () => bytes,
    };
    const { status, headers, body: text } = await this.desk.handle(request);
    return { status, headers, body: text === "" ? {} : (JSON.parse(text) as Record<string, unknown>) };
  }
}
