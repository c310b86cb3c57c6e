// SPDX-License-Identifier: Apache-2.0
// Logins in batches on real PostgreSQL: what they decide, and that nobody waits for nobody.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { newStore } from "../../e2e/harness/database.ts";
import { admitted, user } from "./contract/fixture.ts";
import type { LoginInput, LoginRecord } from "./identity.ts";
import { MemoryStore } from "./memory.ts";
import { openPostgresStore, type PostgresStore } from "./postgres-store.ts";

/** Repeatable numbers below `limit`. */
function randomFrom(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * limit);
  };
}

describe("logins in batches", () => {
  let store: PostgresStore;
  let other: PostgresStore;
  const failures: string[] = [];
  before(async () => {
    const observe = (name: string, _durationMs: number, error: Error | undefined): void => {
      if (error) failures.push(`${name}: ${error.message}`);
    };
    const { store: first, url } = await newStore("logins", { observe });
    store = first;
    other = await openPostgresStore({ url, observe });
  });
  after(async () => {
    await other.close();
    await store.close();
  });

  for (const rules of [{ loginsPerMinute: 2 }, { sessionsPerSlot: 3, loginsPerMinute: 4 }, {}]) {
    it(`decide as one login after the other does: ${JSON.stringify(rules)}`, async () => {
      const model = new MemoryStore();
      const pick = randomFrom(7);
      const users = Array.from({ length: 12 }, user);
      let atMs = 1_800_000_000_000;
      for (let round = 0; round < 60; round++) {
        atMs += [0, 200, 9000, 70_000][pick(4)] ?? 0;
        if (pick(12) === 0) {
          const revoked = users[pick(users.length)] ?? "";
          for (const one of [store, model]) await one.revokeUser(revoked, atMs + 1);
        }
        const logins = Array.from({ length: 1 + pick(20) }, (): LoginInput => {
          const names = { deviceName: `n${pick(3)}`, platform: "ios", appVersion: `v${pick(3)}` };
          const userId = users[pick(users.length)] ?? "";
          const token = { tokenId: "", issuedAtMs: atMs - pick(2) * 100_000 };
          return { ...rules, ...names, userId, slot: pick(3) ? "mobile" : "web", deviceId: `d${pick(4)}`, atMs, token };
        });
        const records = await Promise.all(logins.map((login) => store.login(login)));
        const expected: LoginRecord[] = [];
        for (const login of logins) expected.push(ofEpoch(store.epoch, await model.login(login)));
        assert.deepEqual(records, expected, `round ${round}`);
      }
      const facts = async (one: PostgresStore | MemoryStore) =>
        (await one.devicesOf(users)).map(({ lastSeenMs: _, loginAgoMs: __, ...device }) => device).sort(byDevice);
      assert.deepEqual(await facts(store), await facts(model));
    });
  }

  it("number the logins of a user without a gap through two processes, and block nobody who writes devices", async () => {
    const users = Array.from({ length: 20 }, user);
    const logins = (one: PostgresStore) => users.map((userId) => one.login(loginOf(userId)));
    await Promise.all(logins(store));
    const seqs = new Map<string, number[]>(users.map((userId) => [userId, [1]]));
    const storm = async (one: PostgresStore): Promise<void> => {
      for (let round = 0; round < 15; round++) {
        const records = await Promise.all(logins(one));
        records.forEach((record, at) => void seqs.get(users[at] ?? "")?.push(admitted(record).loginSeq));
      }
    };
    const backwards = users.toReversed().map((userId) => ({ userId, deviceId: "d" }));
    const others = async (): Promise<void> => {
      for (let round = 0; round < 15; round++) {
        await other.noteActivity(backwards.map((device) => ({ ...device, agoMs: 0 })));
        await store.advanceAcks(backwards.map((device) => ({ ...device, inboxSeq: round })));
        await other.logoutDevices(backwards.map((device) => ({ ...device, loginSeq: round })));
      }
    };
    await Promise.all([storm(store), storm(other), others()]);
    const expected = Array.from({ length: 31 }, (_, at) => at + 1);
    for (const numbers of seqs.values())
      assert.deepEqual(
        numbers.sort((a, b) => a - b),
        expected,
      );
    assert.deepEqual(failures, []);
  });

  it("fail one login that the database cannot hold, and not those beside it", async () => {
    const results = await Promise.allSettled(
      [user(), user(), user()].map((userId, at) => store.login(loginOf(userId, at === 1 ? "a\0b" : "a"))),
    );
    assert.deepEqual(
      results.map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled"],
    );
  });
});

/** The login as a database of this epoch tells of it. */
function ofEpoch(epoch: string, record: LoginRecord): LoginRecord {
  return record.kind === "ok" ? { ...record, epoch } : record;
}

function loginOf(userId: string, deviceName = "n"): LoginInput {
  return { userId, slot: "mobile", deviceId: "d", deviceName, platform: "ios", appVersion: "1" };
}

interface Named {
  userId: string;
  deviceId: string;
}
const byDevice = (a: Named, b: Named): number => (keyOf(a) < keyOf(b) ? -1 : 1);
const keyOf = ({ userId, deviceId }: Named): string => `${userId} ${deviceId}`;
