// SPDX-License-Identifier: Apache-2.0
// Random sequences of calls give the same answers from PostgreSQL as from the model in memory.
import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { newStore } from "../../e2e/harness/database.ts";
import { type ContractStore, direct, normalised } from "./contract/fixture.ts";
import { MemoryStore } from "./memory.ts";
import type { PostgresStore } from "./postgres-store.ts";
import type { AppendInput, StoredEvent } from "./store.ts";

const USERS = 4;
const GROUPS = 2;
const TEXTS = ["", "a", "你好", "👋🏽 \\ \" ' {} \n", "z".repeat(3000)];

/** Indexes into small sets, so that sequences collide in senders, keys, contents and conversations. */
const messages = fc.array(
  fc.record(
    {
      sender: fc.nat(USERS - 1),
      to: fc.oneof(
        fc.record({ peer: fc.nat(USERS - 1) }, { noNullPrototype: true }),
        fc.record({ group: fc.nat(GROUPS) }, { noNullPrototype: true }),
        fc.record({ continued: fc.nat(USERS - 1) }, { noNullPrototype: true }),
      ),
      key: fc.nat(12),
      text: fc.nat(TEXTS.length - 1),
      dayOffset: fc.integer({ min: -800, max: 800 }),
    },
    { noNullPrototype: true },
  ),
  { maxLength: 12 },
);
const calls = fc.oneof(
  { weight: 6, arbitrary: fc.record({ append: messages }, { noNullPrototype: true }) },
  {
    weight: 2,
    arbitrary: fc.record(
      { read: fc.nat(USERS), cursor: fc.nat(30), limit: fc.integer({ min: 1, max: 20 }), limitBytes: fc.nat(9000) },
      { noNullPrototype: true },
    ),
  },
  {
    weight: 2,
    arbitrary: fc.record(
      {
        history: fc.nat(USERS - 1),
        group: fc.nat(GROUPS - 1),
        from: fc.nat(20),
        isForward: fc.boolean(),
        limit: fc.integer({ min: 1, max: 20 }),
        limitBytes: fc.nat(9000),
      },
      { noNullPrototype: true },
    ),
  },
  {
    weight: 2,
    arbitrary: fc.record(
      { heads: fc.nat(USERS), before: fc.nat(30), limit: fc.integer({ min: 1, max: 5 }), limitBytes: fc.nat(9000) },
      { noNullPrototype: true },
    ),
  },
  {
    weight: 1,
    arbitrary: fc.record({ login: fc.nat(USERS), slot: fc.nat(1), device: fc.nat(2) }, { noNullPrototype: true }),
  },
  {
    weight: 1,
    arbitrary: fc.record(
      {
        ack: fc.array(
          fc.record({ user: fc.nat(USERS), device: fc.nat(2), seq: fc.nat(40) }, { noNullPrototype: true }),
          { maxLength: 5 },
        ),
      },
      { noNullPrototype: true },
    ),
  },
  { weight: 1, arbitrary: fc.record({ join: fc.nat(GROUPS - 1), user: fc.nat(USERS - 1) }, { noNullPrototype: true }) },
);
type Call = typeof calls extends fc.Arbitrary<infer T> ? T : never;
type Message = (typeof messages extends fc.Arbitrary<infer T> ? T : never)[number];

const DAY_MS = 86_400_000;

/** One run: the same calls to a store, with names that no other run uses. */
class Run {
  readonly #tag: string;
  readonly #messageIds: string[];

  constructor(tag: string, messageIds: string[]) {
    this.#tag = tag;
    this.#messageIds = messageIds;
  }

  #user(index: number): string {
    return `user-${index}-${this.#tag}`;
  }

  #group(index: number): string {
    return `group-${index}-${this.#tag}`;
  }

  #input(message: Message, messageId: string): AppendInput {
    const { to } = message;
    const sender = this.#user(message.sender);
    const peer = "peer" in to ? this.#user(to.peer) : "";
    const conversationId =
      "group" in to ? this.#group(to.group) : direct(sender, "peer" in to ? peer : this.#user(to.continued));
    const content = Buffer.from(TEXTS[message.text] ?? "");
    return {
      sender,
      clientMessageId: `键-${message.key}`,
      payloadHash: createHash("sha256").update(`${conversationId}\0${message.text}`).digest(),
      conversationId,
      peer,
      messageId,
      contentType: message.text % 2 ? "text/plain" : "",
      content,
      sentAtMs: 1_780_000_000_000 + message.dayOffset * DAY_MS,
    };
  }

  async play(store: ContractStore, sequence: readonly Call[]): Promise<unknown[]> {
    const answers: unknown[] = [];
    let used = 0;
    const nextId = (): string => {
      this.#messageIds[used] ??= randomUUID();
      return this.#messageIds[used++] ?? "";
    };
    for (const call of sequence) answers.push(await this.#call(store, call, nextId));
    for (let index = 0; index < USERS; index++) answers.push(await this.#read(store, index, 0, 10_000, 1 << 30));
    return answers;
  }

  async #call(store: ContractStore, call: Call, nextId: () => string): Promise<unknown> {
    if ("append" in call) {
      const results = await store.append(call.append.map((message) => this.#input(message, nextId())));
      return results.map(normalised);
    }
    if ("read" in call) return this.#read(store, call.read, call.cursor, call.limit, call.limitBytes);
    if ("history" in call) {
      const { history, group, isForward, ...bounds } = call;
      const [userId, conversationId] = [this.#user(history), this.#group(group)];
      const page = await store.readHistory({
        userId,
        conversationId,
        direction: isForward ? "forward" : "backward",
        ...bounds,
      });
      return page && { ...page, events: page.events.map(withHex) };
    }
    if ("heads" in call) {
      const { heads, ...bounds } = call;
      const page = await store.readHeads({ userId: this.#user(heads), ...bounds });
      const plain = page.heads.map((head) => ({ ...head, event: head.event && withHex(head.event) }));
      return { ...page, heads: plain, epoch: "" };
    }
    if ("login" in call) {
      const who = { userId: this.#user(call.login), slot: `slot-${call.slot}`, deviceId: `device-${call.device}` };
      return { ...(await store.login({ ...who, deviceName: "", platform: "ios", appVersion: "" })), epoch: "" };
    }
    if ("join" in call) return store.createConversation(this.#group(call.join), [this.#user(call.user)]);
    await store.advanceAcks(
      call.ack.map((ack) => ({ userId: this.#user(ack.user), deviceId: `device-${ack.device}`, inboxSeq: ack.seq })),
    );
    const targets = await store.pushTargets(Array.from({ length: USERS }, (_, index) => this.#user(index)));
    return targets.map((target) => JSON.stringify(target)).sort();
  }

  async #read(
    store: ContractStore,
    index: number,
    cursor: number,
    limit: number,
    limitBytes: number,
  ): Promise<unknown> {
    const page = await store.readInbox({ userId: this.#user(index), cursor, limit, limitBytes });
    return { ...page, epoch: "", events: page.events.map(withHex) };
  }
}

function withHex(event: StoredEvent): object {
  return { ...event, content: Buffer.from(event.content).toString("hex") };
}

describe("PostgresStore against the model", () => {
  let store: PostgresStore;
  before(async () => {
    ({ store } = await newStore("model"));
  });
  after(() => store.close());

  it("gives the same answers to random sequences of calls", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(calls, { minLength: 1, maxLength: 25 }), async (sequence) => {
        const run = new Run(randomUUID(), []);
        const expected = await run.play(new MemoryStore(), sequence);
        assert.deepEqual(await run.play(store, sequence), expected);
      }),
      { numRuns: 150, interruptAfterTimeLimit: 150_000, markInterruptAsFailure: true },
    );
  });
});
