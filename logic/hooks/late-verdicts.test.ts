// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { silentLogger } from "#lib/logger.ts";
import { Metrics } from "#lib/metrics.ts";
import { appended, message } from "../store/contract/fixture.ts";
import type { HookEvent, LateVerdict } from "../store/hooks.ts";
import { MemoryStore } from "../store/memory.ts";
import { readVerdicts, VerdictDesk } from "./late-verdicts.ts";

const event = (id: string, isGone = false): HookEvent => ({
  ...{ position: 1, id, kind: "message.after", key: "c", storedMs: 1, onlyHook: undefined, body: "" },
  message: {
    ...{ conversationId: "c", convSeq: 3, sentAtMs: 1 },
    stored: isGone
      ? undefined
      : {
          sender: "alice",
          clientMessageId: "m",
          contentType: "",
          content: Buffer.alloc(0),
          users: [],
          subject: undefined,
        },
  },
});
const read = (body: string, events = [event("one"), event("two"), event("gone", true)]) =>
  readVerdicts("ml", events, Buffer.from(body));

describe("late verdicts", () => {
  it("are read from the answer of a classifier", () => {
    assert.deepEqual(read(""), []);
    assert.deepEqual(read("{}"), []);
    const verdicts = [
      { id: "one", verdict: "recall", reason: "spam" },
      { id: "two", verdict: "allow" },
      { id: "gone", verdict: "flag" },
    ];
    assert.deepEqual(read(JSON.stringify({ verdicts })), [
      {
        ...{ messageId: "one", conversationId: "c", convSeq: 3, sender: "alice" },
        ...{ verdict: "recall", reason: "spam", hook: "ml" },
      },
    ]);
    for (const bad of ["no json", "[]", '{"verdict":"recall"}', '{"verdicts":[{"id":"one","verdict":"burn"}]}'])
      assert.equal(read(bad), undefined, bad);
    assert.equal(read('{"verdicts":[{"id":"three","verdict":"flag"}]}'), undefined, "about something else");
  });

  async function setUp() {
    const clock = new FakeClock();
    const store = new MemoryStore(
      () => clock.nowMs(),
      () => clock.wallMs(),
    );
    const metrics = new Metrics();
    const world = { isWanted: true, isAway: false };
    const faults: unknown[] = [];
    const desk = new VerdictDesk({
      store: store.hooks,
      desk: {
        carryOut: async (order) => {
          if (world.isAway) throw new Error("away");
          return { result: await store.changes.change(order), epochMark: 0 };
        },
      },
      ...{ isWanted: () => world.isWanted, messageId: () => "0199a0c2-7d0e-7c3a-9f61-0d1b2c3d4e5f", clock },
      ...{ random: () => 0.5, onFault: (_: string, error: unknown) => void faults.push(error), log: silentLogger },
      metrics: { hookVerdicts: metrics.counter("verdicts", "Of a test.", ["hook", "result"]) },
    });
    const input = message({ sender: "alice", peer: "bob", content: Buffer.from("buy now") });
    const { convSeq } = appended((await store.append([input]))[0]);
    const { messageId, conversationId, sender } = input;
    const verdict: LateVerdict = {
      ...{ messageId, conversationId, convSeq, sender },
      ...{ verdict: "recall", reason: "spam", hook: "ml" },
    };
    const types = async () => {
      const page = await store.readInbox({ userId: "bob", cursor: 0, limit: 10, limitBytes: 10_000 });
      return page.events.map(({ contentType }) => contentType);
    };
    const counted = async () => (await metrics.render()).split("\n").filter((line) => line.startsWith("verdicts{"));
    return { store, clock, desk, world, faults, verdict, types, counted };
  }

  it("take a message back from everybody who has it, once", async () => {
    const { store, desk, verdict, types, counted } = await setUp();
    await store.hooks.addVerdicts([verdict]);
    await desk.round();
    await desk.round();
    assert.deepEqual(await types(), ["im/recalled", "im/change"]);
    await store.hooks.addVerdicts([verdict]);
    await desk.round();
    assert.equal((await types()).length, 2, "the same verdict again changes nothing");
    assert.deepEqual(await counted(), ['verdicts{hook="ml",result="recall"} 2']);
  });

  it("are noted where they are flags, and end where nothing can be done", async () => {
    const { store, desk, verdict, types, counted } = await setUp();
    await store.hooks.addVerdicts([
      { ...verdict, verdict: "flag" },
      { ...verdict, messageId: "00000000-0000-7000-8000-000000000000" },
    ]);
    await desk.round();
    assert.deepEqual(await types(), ["text/plain"]);
    assert.deepEqual((await counted()).sort(), [
      'verdicts{hook="ml",result="flag"} 1',
      'verdicts{hook="ml",result="refused no-message"} 1',
    ]);
    assert.deepEqual(await store.hooks.claimVerdicts({ holdMs: 0, limit: 10 }), []);
  });

  it("are tried again while the database is away, and given up some time", async () => {
    const { store, clock, desk, world, faults, verdict, types, counted } = await setUp();
    await store.hooks.addVerdicts([verdict]);
    world.isAway = true;
    await desk.round();
    assert.equal(faults.length, 1);
    world.isAway = false;
    await desk.round();
    assert.deepEqual(await types(), ["text/plain"], "in hand for a while");
    clock.advance(30_000);
    await desk.round();
    assert.deepEqual(await types(), ["im/recalled", "im/change"]);

    world.isAway = true;
    await store.hooks.addVerdicts([verdict]);
    for (let at = 0; at < 12; at++) {
      await desk.round();
      clock.advance(30_000);
    }
    assert.equal(faults.length, 11);
    assert.ok((await counted()).includes('verdicts{hook="ml",result="failed"} 1'));
  });

  it("are nobody's work where no hook gives them", async () => {
    const { store, desk, world, verdict } = await setUp();
    await store.hooks.addVerdicts([verdict]);
    world.isWanted = false;
    await desk.round();
    assert.equal((await store.hooks.claimVerdicts({ holdMs: 0, limit: 10 }))[0]?.tries, 1);
  });
});
