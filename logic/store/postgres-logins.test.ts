// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ErrorCode, ImError } from "#lib/errors.ts";
import type { LoginInput } from "./identity.ts";
import { PostgresLogins, roundsOf } from "./postgres-logins.ts";
import type { Row, Value } from "./postgres-pool.ts";

const loginOf = (userId: string, more: Partial<LoginInput> = {}): LoginInput => ({
  ...{ userId, slot: "mobile", deviceId: "d", deviceName: "n", platform: "ios", appVersion: "1" },
  ...more,
});

describe("rounds of logins", () => {
  const users = (logins: LoginInput[]) =>
    roundsOf(logins).map((round) => round.map(({ login, at }) => [login.userId, at]));

  it("have each user once, in the order of their ids", () => {
    const logins = ["b", "c", "a", "b", "b", "c"].map((userId) => loginOf(userId));
    assert.deepEqual(users(logins), [
      [
        ["a", 2],
        ["b", 0],
        ["c", 1],
      ],
      [
        ["b", 3],
        ["c", 5],
      ],
      [["b", 4]],
    ]);
  });

  it("have logins of the same rules only, and no user's logins change places", () => {
    const two = { sessionsPerSlot: 2 };
    const logins = [loginOf("a"), loginOf("b", two), loginOf("a", two), loginOf("b"), loginOf("c", { atMs: 5 })];
    assert.deepEqual(users(logins), [
      [["a", 0]],
      [
        ["a", 2],
        ["b", 1],
      ],
      [["b", 3]],
      [["c", 4]],
    ]);
  });
});

describe("logins in batches", () => {
  /** Answers that everybody is in, as login number 1; fails what `fails` says. */
  function setUp(fails: (users: number) => ImError | undefined) {
    const statements: number[] = [];
    const run = async (_: unknown, values: readonly Value[]): Promise<Row[]> => {
      // The count of elements in a binary array.
      const count = (values[0] as Buffer).readInt32BE(12);
      statements.push(count);
      const error = fails(count);
      if (error) throw error;
      const all = (value: (at: number) => number) => `{${Array.from({ length: count }, (__, at) => value(at)).join()}}`;
      return [[null, null, null, all((at) => at + 1), all(() => 0), all(() => 1), all(() => 0), all(() => 0), "e1"]];
    };
    const logins = new PostgresLogins({ run });
    const login = (...userIds: string[]) => Promise.allSettled(userIds.map((userId) => logins.login(loginOf(userId))));
    return { login, statements };
  }

  it("are one statement for all of a tick", async () => {
    const { login, statements } = setUp(() => undefined);
    const results = await login("a", "b", "c");
    assert.ok(results.every((result) => result.status === "fulfilled" && result.value.kind === "ok"));
    assert.deepEqual(statements, [3]);
  });

  it("are tried one by one when the database dislikes something in them", async () => {
    const { login, statements } = setUp((users) =>
      users > 1 ? new ImError(ErrorCode.BAD_REQUEST, "a NUL") : undefined,
    );
    const results = await login("a", "b", "c");
    assert.ok(results.every(({ status }) => status === "fulfilled"));
    assert.deepEqual(statements, [3, 1, 1, 1]);
  });

  it("are not tried one by one while the database is away", async () => {
    const { login, statements } = setUp(() => new ImError(ErrorCode.RETRYABLE, "away"));
    const results = await login("a", "b", "a");
    assert.ok(results.every((result) => result.status === "rejected" && result.reason instanceof ImError));
    assert.deepEqual(statements, [2, 1]);
  });
});
