// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { Crowd, type Member, type Moved } from "./held-crowd.ts";

class FakeMember implements Member {
  readonly userId: string;
  failures = 0;
  /** Where it dialled, and when. */
  readonly dials: { port: number; atMs: number }[] = [];
  givenUp = 0;
  readonly #clock: FakeClock;

  constructor(userId: string, clock: FakeClock) {
    this.userId = userId;
    this.#clock = clock;
  }
  logIn(port: number): void {
    this.dials.push({ port, atMs: this.#clock.nowMs() });
  }
  giveUp(): void {
    this.givenUp++;
  }
}

function setUp(count: number, concurrency = 10) {
  const clock = new FakeClock();
  const moves: Moved[] = [];
  const failed: string[] = [];
  let held = 0;
  const crowd = new Crowd<FakeMember>({
    ...{ clock, port: 1, moveTo: [2, 3], concurrency },
    onHeld: () => held++,
    onMoved: (moved) => void moves.push(moved),
    onFailed: (reason) => void failed.push(reason),
  });
  const members = Array.from({ length: count }, (_, at) => new FakeMember(`u${at}`, clock));
  for (const member of members) crowd.add(member);
  crowd.start();
  const run = (ms: number): void => {
    for (let at = 0; at < ms; at += 5) clock.advance(5);
  };
  const refuse = (member: FakeMember, retryAfterMs: number): void => {
    member.failures++;
    crowd.onRefused(member, "too many", retryAfterMs);
  };
  const dialled = (): number => members.filter(({ dials }) => dials.length > 0).length;
  return { crowd, members, moves, failed, run, refuse, dialled, held: () => held };
}

describe("a crowd of held clients", () => {
  it("logs in some at a time and tells once when all are in", () => {
    const { crowd, members, dialled, held } = setUp(25, 10);
    assert.equal(dialled(), 10);
    members.slice(0, 24).forEach((member, at) => {
      crowd.onWelcome(member);
      assert.equal(dialled(), Math.min(25, 11 + at));
    });
    assert.equal(held(), 0);
    crowd.onWelcome(members[24] as FakeMember);
    assert.equal(held(), 1);
  });

  it("comes again when the server says, never before and not all at once", () => {
    const { members, run, refuse } = setUp(50, 50);
    for (const member of members) refuse(member, 2000);
    run(5000);
    const againMs = members.map(({ dials }) => dials[1]?.atMs ?? Number.NaN);
    assert.ok(againMs.every((ms) => ms >= 2000 && ms <= 4010));
    assert.ok(new Set(againMs).size > 20);
    assert.ok(members.every(({ dials }) => dials.length === 2));
  });

  it("comes less and less often while it is refused without advice", () => {
    const { members, run, refuse } = setUp(1);
    const [member] = members as [FakeMember];
    for (let failures = 1; failures < 10; failures++) {
      refuse(member, 0);
      run(9000);
      const [before, last] = member.dials.slice(-2).map(({ atMs }) => atMs);
      assert.ok(last !== undefined && before !== undefined && member.dials.length === failures + 1);
    }
    const waits = members.flatMap(({ dials }) => dials.slice(1).map(({ atMs }, at) => atMs - at * 9000));
    assert.ok((waits[0] ?? 0) >= 250 && (waits[0] ?? 0) <= 510);
    assert.ok((waits[8] ?? 0) >= 4000 && (waits[8] ?? 0) <= 8010, `${waits}`);
  });

  it("gives up with the reason when nothing helps, and with logins that nobody answers", () => {
    const { members, run, refuse, failed } = setUp(2);
    const [first, second] = members as [FakeMember, FakeMember];
    run(59_000);
    assert.equal(second.givenUp, 0);
    run(3000);
    assert.ok(second.givenUp > 0);
    first.failures = 19;
    refuse(first, 0);
    assert.deepEqual(failed, ["u0: too many"]);
  });

  it("moves each within the time it was given, in turn to the ports it may, and tells when all are back", () => {
    const { crowd, members, moves, run } = setUp(4);
    for (const member of members) crowd.onWelcome(member);
    members.forEach((member, at) => {
      crowd.onGoaway(member, at * 100, at * 100);
      crowd.onGoaway(member, 0, 0);
    });
    run(310);
    for (const [at, { dials }] of members.entries()) {
      assert.equal(dials.length, 2);
      const atMs = dials[1]?.atMs ?? Number.NaN;
      assert.ok(atMs >= at * 100 && atMs <= at * 100 + 10, `${at} moved at ${atMs}`);
    }
    assert.deepEqual(
      members.map(({ dials }) => dials[1]?.port),
      [2, 3, 2, 3],
    );
    for (const member of members) crowd.onWelcome(member);
    run(500);
    assert.equal(moves.length, 1);
    const { moved, forced, refused, lastMs } = moves[0] as Moved;
    assert.deepEqual([moved, forced, refused, lastMs], [4, 0, {}, 310]);
  });

  it("takes those that are asked one after the other for one move, and counts the forced and the refused", () => {
    const { crowd, members, moves, run, refuse } = setUp(3);
    const [a, b, c] = members as [FakeMember, FakeMember, FakeMember];
    for (const member of members) crowd.onWelcome(member);
    crowd.onGoaway(a, 0, 0);
    run(20);
    crowd.onWelcome(a);
    run(300);
    crowd.onClosed(b);
    crowd.onClosed(b);
    run(20);
    refuse(b, 100);
    run(600);
    crowd.onWelcome(b);
    crowd.onGoaway(c, 0, 0);
    run(20);
    crowd.onWelcome(c);
    assert.equal(moves.length, 0);
    run(600);
    assert.deepEqual(
      moves.map(({ moved, forced, refused }) => [moved, forced, refused]),
      [[3, 1, { "too many": 1 }]],
    );
  });
});
