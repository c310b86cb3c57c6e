// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { DisconnectCode } from "#lib/codes.ts";
import { silentLogger } from "#lib/logger.ts";
import { Disconnect } from "#proto/gen/messages.ts";
import { epochMark } from "#proto/uplink/epoch-mark.ts";
import { type RecordInput, RecordKind } from "#proto/uplink/record.ts";
import type { Session } from "../session/session.ts";
import { EpochWatch } from "./epoch-watch.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function setUp() {
  const clock = new FakeClock();
  const answers: PromiseWithResolvers<string>[] = [];
  const store = {
    epoch: "e1",
    ping: () => {
      const answer = Promise.withResolvers<string>();
      answers.push(answer);
      return answer.promise;
    },
  };
  const kicked: number[] = [];
  const entry = {
    incarnation: "pod.1",
    send: ({ kind, conn = 0, body }: RecordInput) => {
      assert.deepEqual(
        [kind, Disconnect.decode(body ?? assert.fail()).code],
        [RecordKind.KICK, DisconnectCode.INBOX_RESET],
      );
      return kicked.push(conn) > 0;
    },
  };
  const sessions = new Map<number, Session>();
  const add = (conn: number, epoch: string): Session => {
    const session = { entry, conn, epochMark: epochMark(epoch) } as Session;
    sessions.set(conn, session);
    return session;
  };
  const faults: string[] = [];
  const onFault = (op: string): void => void faults.push(op);
  const watch = new EpochWatch({ store, clock, entries: [{ sessions }], onFault, log: silentLogger });
  /** Answers the question at this place. */
  const answer = async (at: number, epoch: string): Promise<void> => {
    (answers[at] ?? assert.fail(`no question ${at}`)).resolve(epoch);
    await turn();
  };
  return { clock, answers, kicked, faults, watch, add, sessions, answer };
}

describe("epoch watch", () => {
  it("asks nothing while all are of one epoch", () => {
    const { clock, answers, watch, add } = setUp();
    watch.check(add(1, "e1"));
    watch.saw("e1");
    clock.advance(60_000);
    assert.deepEqual([answers.length, clock.pending], [0, 0]);
    assert.deepEqual([watch.current, watch.mark, watch.markOf("e2")], ["e1", epochMark("e1"), epochMark("e2")]);
  });

  it("asks at once about an epoch that an answer named, and lets the sessions of others reconnect", async () => {
    const { clock, kicked, watch, add, answer } = setUp();
    for (const conn of [1, 2]) add(conn, "e1");
    add(3, "e2");
    watch.saw("e2");
    assert.equal(watch.current, "e1", "the answer alone may be late");
    await answer(0, "e2");
    assert.deepEqual(kicked, [1, 2]);
    assert.deepEqual([watch.current, watch.mark], ["e2", epochMark("e2")]);
    assert.equal(clock.pending, 0);
  });

  it("takes no late answer of the old epoch for a new one", async () => {
    const { kicked, watch, add, answer, sessions, clock, answers } = setUp();
    add(1, "e1");
    watch.saw("e2");
    await answer(0, "e2");
    sessions.clear();
    add(2, "e2");
    watch.saw("e1");
    clock.advance(100);
    await answer(1, "e2");
    assert.deepEqual([kicked, watch.current, answers.length], [[1], "e2", 2]);
  });

  it("tells a session of another epoch that came by itself, from another logic or by a login that took long", async () => {
    const { kicked, watch, add, answer } = setUp();
    add(1, "e1");
    watch.check(add(2, "e0"));
    await answer(0, "e1");
    assert.deepEqual([kicked, watch.current], [[2], "e1"]);
  });

  it("asks once more about what was seen while it asked, and at most ten times a second", async () => {
    const { clock, watch, answers, answer } = setUp();
    watch.saw("e2");
    watch.saw("e2");
    watch.doubt();
    assert.equal(answers.length, 1);
    await answer(0, "e1");
    assert.equal(answers.length, 1);
    clock.advance(99);
    assert.equal(answers.length, 1);
    clock.advance(1);
    await answer(1, "e2");
    watch.doubt();
    watch.doubt();
    clock.advance(100);
    assert.deepEqual([answers.length, watch.current], [3, "e2"]);
    await answer(2, "e2");
    clock.advance(60_000);
    assert.deepEqual([answers.length, clock.pending], [3, 0]);
  });

  it("asks again while the store is away, and not after the end", async () => {
    const { clock, watch, answers, faults, answer } = setUp();
    watch.doubt();
    answers[0]?.reject(new Error("away"));
    await turn();
    assert.deepEqual(faults, ["inbox epoch"]);
    clock.advance(500);
    await answer(1, "e2");
    assert.equal(watch.current, "e2");
    watch.saw("e3");
    watch.stop();
    assert.equal(clock.pending, 0);
    watch.doubt();
    clock.advance(1000);
    assert.equal(answers.length, 2);
  });
});
