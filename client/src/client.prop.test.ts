// SPDX-License-Identifier: Apache-2.0
// A model server with a faulty network in front of it: whatever is dropped, repeated, delayed or cut, every send settles
// with one stored message, and every message of others is shown exactly once and in order.
import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { setup, turn } from "../test/fake-server.ts";
import { ModelServer } from "../test/model-server.ts";
import type { Event } from "./codec.ts";
import { ErrorCode } from "./codes.ts";
import { MemoryStore } from "./store.ts";

/** What happens next in a run. */
type Step =
  | { do: "receive"; push: "normal" | "lost" | "twice" | "held" }
  | { do: "release" }
  | { do: "send"; to: "bob" | "carol" }
  | { do: "fault"; kind: "drop" | "goaway" | "forget" | "busy" | "loseAck" | "stale head" | "restart" | "slow move" }
  | { do: "wait"; ms: number };

const record = <T extends object>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record<T>(model, { noNullPrototype: true });
const FAULTS = ["drop", "goaway", "forget", "busy", "loseAck", "stale head", "restart", "slow move"] as const;
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: record({
      do: fc.constant("receive" as const),
      push: fc.constantFrom("normal" as const, "lost" as const, "twice" as const, "held" as const),
    }),
  },
  { weight: 2, arbitrary: fc.constant<Step>({ do: "release" }) },
  {
    weight: 4,
    arbitrary: record({ do: fc.constant("send" as const), to: fc.constantFrom("bob" as const, "carol" as const) }),
  },
  { weight: 3, arbitrary: record({ do: fc.constant("fault" as const), kind: fc.constantFrom(...FAULTS) }) },
  { weight: 3, arbitrary: record({ do: fc.constant("wait" as const), ms: fc.constantFrom(1, 120, 600, 11_000) }) },
);

/** A client, its model server, and what became of everything. */
class Run {
  readonly store = new MemoryStore();
  readonly #all: ReturnType<typeof setup>;
  readonly #random: () => number;
  readonly #model: ModelServer;
  readonly #shown: number[] = [];
  readonly #settled = new Map<string, string>();
  #sent = 0;
  #resets = 0;

  constructor(random: () => number) {
    this.#random = random;
    this.#all = setup({ store: this.store, random, window: 3 });
    this.#model = new ModelServer(this.#all.server);
    this.#all.client.on("reset", () => this.#resets++);
    this.#all.client.on("message", ({ inboxSeq }) => this.#shown.push(inboxSeq));
    this.#all.client.connect();
  }

  async play(steps: Step[]): Promise<void> {
    await this.#settle();
    for (const step of steps) {
      if (step.do === "wait") await this.#advance(step.ms);
      else this.#do(step);
      if (this.#random() < 0.5) await this.#settle();
    }
  }

  /** The network is well again; every timer that can matter runs. */
  async heal(): Promise<void> {
    this.#model.mood = "well";
    this.#model.isLoginSlow = false;
    this.#model.release();
    for (let i = 0; i < 12; i++) await this.#advance(11_000);
    this.#model.online.at(-1)?.pong(0, this.#model.inbox.events.length);
    for (let i = 0; i < 4; i++) await this.#advance(11_000);
  }

  async check(): Promise<void> {
    const { events } = this.#model.inbox;
    const others = events.filter(({ sender }) => sender !== "alice").map(({ inboxSeq }) => inboxSeq);
    assert.deepEqual(this.#shown, others, "each message of others once and in order, own ones never");
    assert.equal(this.#resets, 0, "the inbox never begins anew");
    const own = events.filter(({ sender }) => sender === "alice");
    assert.equal(own.length, this.#sent, "one stored message a send");
    for (const { clientMessageId, messageId } of own) assert.equal(this.#settled.get(clientMessageId), messageId);
    for (const to of ["bob", "carol"]) {
      const order = own.filter(({ conversationId }) => conversationId === to).map((event) => keyOf(event));
      assert.deepEqual(order, order.toSorted(), `sends to ${to} keep their order`);
    }
    await this.#all.client.close();
    assert.deepEqual([this.store.load()?.cursor, this.#all.clock.pending], [events.length, 0]);
  }

  #do(step: Exclude<Step, { do: "wait" }>): void {
    if (step.do === "send") this.#send(step.to);
    else if (step.do === "receive") this.#receive(step.push);
    else if (step.do === "fault") fault(step.kind, this.#model);
    else this.#model.release();
  }

  #send(to: string): void {
    const id = `k${String(++this.#sent).padStart(4, "0")}`;
    const sending = this.#all.client.send({ to, content: id, id });
    void sending.then(({ messageId }) => this.#settled.set(id, messageId));
  }

  #receive(push: (Step & { do: "receive" })["push"]): void {
    const event = this.#model.inbox.append({});
    if (push === "held") this.#model.held.push(event);
    else if (push !== "lost") this.#model.push(event);
    if (push === "twice") this.#model.push(event);
  }

  async #settle(): Promise<void> {
    do await turn();
    while (this.#model.serve());
  }

  async #advance(ms: number): Promise<void> {
    this.#all.clock.advance(ms);
    await this.#settle();
  }
}

const keyOf = (event: Event): string => event.clientMessageId;

function fault(kind: (Step & { do: "fault" })["kind"], model: ModelServer): void {
  const connection = model.online.at(-1);
  if (kind === "drop") connection?.drop();
  else if (kind === "goaway") connection?.goaway(0, 500);
  else if (kind === "restart") connection?.error(0, ErrorCode.RETRYABLE, { retryable: true });
  else if (kind === "stale head") connection?.pong(0, model.inbox.events.length + 5);
  else if (kind === "slow move") {
    model.isLoginSlow = true;
    connection?.goaway(0, 0);
  } else model.mood = kind;
}

/** Deterministic from the seed, unlike Math.random. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

it("nothing lost, nothing twice, order kept, whatever the network does", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.nat(), async (steps, seed) => {
      const run = new Run(randomFrom(seed));
      await run.play(steps);
      await run.heal();
      await run.check();
    }),
    { numRuns: 150 },
  );
});
