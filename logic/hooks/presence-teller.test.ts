// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import type { Router } from "../router/router.ts";
import type { PresenceLook } from "../store/hooks.ts";
import { PresenceTeller } from "./presence-teller.ts";

/** A teller over a router of which only leases are known. */
function setUp(fields: { isWanted?: boolean; heldMs?: number } = {}) {
  const clock = new FakeClock();
  const world = {
    isWanted: fields.isWanted ?? true,
    heldMs: fields.heldMs ?? 0,
    isWhole: true,
    /** By user: lease of the only route; null = the lease is not known, absent = the user is not. */
    users: new Map<string, boolean | null | undefined>(),
    toCheck: [] as string[],
    isStoreAway: false,
  };
  const told: (readonly PresenceLook[])[] = [];
  const teller = new PresenceTeller({
    store: {
      tellPresence: async (looks) => {
        if (world.isStoreAway) throw new ImError(ErrorCode.RETRYABLE, "away");
        told.push(looks);
        return looks.length;
      },
      onlineToCheck: async () => world.toCheck.splice(0),
    },
    router: {
      stored: async (userIds) =>
        new Map(
          userIds
            .filter((userId) => world.users.has(userId))
            .map((userId) => {
              const lease = world.users.get(userId);
              const route = { incarnation: userId } as never;
              return [userId, lease === undefined ? [] : [route]];
            }),
        ),
      leased: async (incarnations) =>
        new Map(
          incarnations.flatMap((name): [string, boolean][] => {
            const lease = world.users.get(name);
            return typeof lease === "boolean" ? [[name, lease]] : [];
          }),
        ),
    },
    memory: {
      get heldMs() {
        return world.heldMs;
      },
      requireWhole: async () => {
        if (!world.isWhole) throw new ImError(ErrorCode.RETRYABLE, "being told again");
      },
    },
    isWanted: () => world.isWanted,
    ...{ clock, random: () => 0.5, onFault: () => undefined, debounceMs: 1000 },
  });
  return { teller, clock, world, told };
}

describe("presence for webhooks", () => {
  it("is told some time after the first change, by what the router has then", async () => {
    const { teller, clock, world, told } = setUp();
    world.users.set("alice", true).set("bob", undefined);
    teller.note("alice");
    clock.advance(900);
    teller.note("alice");
    teller.note("bob");
    await teller.round();
    assert.deepEqual(told, []);
    clock.advance(100);
    await teller.round();
    clock.advance(1000);
    await teller.round();
    assert.deepEqual(told, [[{ userId: "alice", isOnline: true }], [{ userId: "bob", isOnline: false }]]);
    await teller.round();
    assert.equal(told.length, 2);
  });

  it("is noted when routes change, answered or not", async () => {
    const { teller, clock, world, told } = setUp();
    world.users.set("alice", true).set("bob", false);
    const changes = teller.noting({
      login: async () => [],
      logout: () => Promise.reject(new Error("away")),
    } satisfies Pick<Router, "login" | "logout">);
    await changes.login([{ userId: "alice" } as never]);
    await assert.rejects(changes.logout([{ userId: "bob" } as never]));
    clock.advance(1000);
    await teller.round();
    assert.deepEqual(told[0], [
      { userId: "alice", isOnline: true },
      { userId: "bob", isOnline: false },
    ]);
  });

  it("says nothing of users of whom there is no answer, and calls nobody offline while the router's memory is in doubt", async () => {
    const { teller, clock, world, told } = setUp();
    world.users.set("unknown-lease", null).set("alice", true);
    for (const userId of ["unknown-lease", "no-answer", "alice"]) teller.note(userId);
    clock.advance(1000);
    await teller.round();
    assert.deepEqual(told, [[{ userId: "alice", isOnline: true }]]);
    world.users.set("alice", undefined);
    world.isWhole = false;
    teller.note("alice");
    clock.advance(1000);
    await assert.rejects(teller.round());
    world.isWhole = true;
    world.heldMs = 10;
    clock.advance(1000);
    await teller.round();
    assert.equal(told.length, 1);
    world.heldMs = 0;
    await teller.round();
    assert.deepEqual(told[1], [{ userId: "alice", isOnline: false }]);
  });

  it("looks again at those who are believed online, and later at whom it could not write down", async () => {
    const { teller, clock, world, told } = setUp();
    world.users.set("gone", false).set("here", true);
    world.toCheck = ["gone", "here"];
    await teller.round();
    assert.deepEqual(told.pop(), [
      { userId: "gone", isOnline: false },
      { userId: "here", isOnline: true },
    ]);
    world.isStoreAway = true;
    teller.note("here");
    clock.advance(1000);
    await assert.rejects(teller.round());
    world.isStoreAway = false;
    clock.advance(1000);
    await teller.round();
    assert.deepEqual(told, [[{ userId: "here", isOnline: true }]]);
  });

  it("costs nothing where no hook wants it", async () => {
    const { teller, clock, world, told } = setUp({ isWanted: false });
    world.toCheck = ["alice"];
    teller.note("alice");
    clock.advance(5000);
    await teller.round();
    assert.deepEqual([told, world.toCheck], [[], ["alice"]]);
  });

  it("comes round by itself until it is stopped", async () => {
    const { teller, clock, world, told } = setUp();
    world.users.set("alice", true);
    teller.start();
    teller.note("alice");
    for (let at = 0; at < 5; at++) {
      clock.advance(1000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(told.length, 1);
    await teller.stop();
    teller.note("alice");
    clock.advance(10_000);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(told.length, 1);
  });
});
