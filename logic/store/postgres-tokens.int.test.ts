// SPDX-License-Identifier: Apache-2.0
// Push tokens at rest, and the stores of before and after a key came or changed beside each other.
import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import pg from "pg";
import { newStore } from "../../e2e/harness/database.ts";
import { deviceProfileContract } from "./contract/identity.ts";
import { openPostgresStore, type PostgresStore } from "./postgres-store.ts";
import { tokenSeal } from "./token-seal.ts";

const [old, current] = [randomBytes(32), randomBytes(32)];

describe("sealed push tokens", () => {
  const stores: PostgresStore[] = [];
  let url: string;
  let plain: PostgresStore;
  let sealed: PostgresStore;
  let rotated: PostgresStore;
  let db: pg.Client;

  before(async () => {
    ({ store: plain, url } = await newStore("tokens"));
    sealed = await openPostgresStore({ url, tokenSeal: tokenSeal([old]) });
    rotated = await openPostgresStore({ url, tokenSeal: tokenSeal([current, old]) });
    stores.push(plain, sealed, rotated);
    db = new pg.Client({ connectionString: url });
    await db.connect();
  });
  after(async () => {
    await db.end();
    await Promise.all(stores.map((store) => store.close()));
  });

  const user = (): string => `u-${randomUUID()}`;
  const token = (): string => `t-${randomUUID()}`;

  async function bind(store: PostgresStore, userId: string, pushToken: string): Promise<void> {
    const deviceId = "d";
    await store.login({ userId, slot: "mobile", deviceId, deviceName: "", platform: "ios", appVersion: "" });
    const profile = { userId, deviceId, pushProvider: "apns", pushToken, locale: "", appVersion: "", prefs: "" };
    assert.equal(await store.setDevice(profile), true);
  }

  const tokenOf = async (store: PostgresStore, userId: string): Promise<string | undefined> =>
    (await store.pushTargets([userId]))[0]?.pushToken;

  /** Everything that the tables of devices and bindings hold. */
  async function atRest(): Promise<string> {
    const rows = await db.query("SELECT d::text FROM device d UNION ALL SELECT b::text FROM push_binding b");
    return JSON.stringify(rows.rows);
  }

  deviceProfileContract(() => sealed);

  it("are nowhere in the tables in a form that can be read", async () => {
    const [alice, mine] = [user(), token()];
    await bind(sealed, alice, mine);
    assert.ok(!(await atRest()).includes(mine));
    assert.equal(await tokenOf(sealed, alice), mine);
    await bind(plain, user(), "canary-token");
    assert.ok((await atRest()).includes("canary-token"), "this test would see one");
  });

  it("move to their newest owner, however and by whichever key they were stored before", async () => {
    const mine = token();
    const users = [user(), user(), user(), user()];
    for (const [at, store] of [plain, sealed, rotated, plain].entries()) {
      await bind(store, users[at] ?? "", mine);
      const owners = await Promise.all(users.map((userId) => tokenOf(rotated, userId)));
      assert.deepEqual(
        owners.map((owner) => owner ?? ""),
        users.map((_, index) => (index === at ? mine : "")),
      );
    }
  });

  it("are forgotten when a provider refuses them, whoever stored them", async () => {
    for (const store of [plain, sealed, rotated]) {
      const [alice, mine] = [user(), token()];
      await bind(store, alice, mine);
      const dead = { userId: alice, deviceId: "d", pushToken: mine };
      assert.equal(await rotated.pushStore.forgetTokens([{ ...dead, pushToken: token() }]), 0, "another one");
      assert.equal(await rotated.pushStore.forgetTokens([dead]), 1);
      assert.equal(await tokenOf(rotated, alice), "");
    }
  });

  it("of a key that is gone count as none, until the device names them again", async () => {
    const [alice, mine] = [user(), token()];
    await bind(rotated, alice, mine);
    assert.equal(await tokenOf(sealed, alice), "", "it does not know the new key");
    await bind(sealed, alice, mine);
    assert.equal(await tokenOf(rotated, alice), mine);
  });

  it("of earlier versions are bound by what they are, not by how they are stored", async () => {
    const [alice, bob, mine] = [user(), user(), token()];
    await bind(plain, alice, mine);
    // As the version before left it, then brought up to date.
    await db.query("UPDATE push_binding SET push_token = $1 WHERE user_id = $2", [mine, alice]);
    await db.query("UPDATE push_binding SET push_token = push_token_digest(push_token) WHERE user_id = $1", [alice]);
    await bind(sealed, bob, mine);
    assert.deepEqual([await tokenOf(sealed, alice), await tokenOf(sealed, bob)], ["", mine]);
  });
});
