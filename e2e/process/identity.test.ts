// SPDX-License-Identifier: Apache-2.0
// Kicks, revocation, renewal of tokens, logout, flapping and presence on a whole fleet of real processes.
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { ImClient } from "#client";
import { DisconnectCode } from "#lib/codes.ts";
import { type ChannelClient, createChannelClient } from "#lib/grpc.ts";
import type { KickUserReply, PresenceReply } from "#proto/gen/messages.ts";
import { serviceDefinition } from "#proto/load.ts";
import { fetchPresence, PresenceWatch } from "../../client/src/presence.ts";
import { openTokenSeal } from "../../logic/push-token-keys.ts";
import { openPostgresStore } from "../../logic/store/postgres-store.ts";
import { waitWithin } from "../harness/cpu-wait.ts";
import { waitUntil } from "../harness/processes.ts";
import { redisCli } from "../harness/redis.ts";
import { login, targetOf, useFleet } from "./fleet-suite.ts";

const CALL_TIMEOUT_MS = 20_000;
/** Long enough for a login on a busy machine. */
const FIRST_TOKEN_S = 6;
let names = 0;
const unique = (name: string): string => `${name}-${++names}`;

describe("who is logged in", () => {
  const fleet = useFleet({ entries: 2, logics: 2, env: { IM_LEASE_TTL_MS: "3000", IM_PING_INTERVAL_MS: "2000" } });

  /** Calls the admin service of one logic. */
  async function admin<T extends object>(logic: number, method: string, request: object): Promise<T> {
    const client: ChannelClient = createChannelClient({
      address: fleet().logicTargets[logic] ?? "",
      definition: serviceDefinition("im.uplink.v1.LogicAdmin"),
      role: "logic",
    });
    try {
      return await client.call<T>(method, request, CALL_TIMEOUT_MS);
    } finally {
      client.close();
    }
  }

  const isOnline = async (user: string): Promise<boolean> =>
    (await admin<PresenceReply>(0, "Presence", { userIds: [user] })).users[0]?.online === true;

  /** How the client ends, which is promised to be within `limitMs`. */
  const endOf = async (client: ImClient, limitMs: number): Promise<{ code: number; byDevice: string }> => {
    await waitWithin("the client is closed", limitMs, () => client.state.kind === "closed");
    const { state } = client;
    assert.ok(state.kind === "closed");
    return { code: state.code, byDevice: state.byDevice };
  };

  it("the newest device keeps the slot: the other one is told within 2 s, across entries, and stays away", async () => {
    const user = unique("kick");
    for (let round = 0; round < 4; round++) {
      const [first, second] = round % 2 === 0 ? [0, 1] : [1, 0];
      const old = await login(fleet(), user, targetOf(fleet(), "tls", first), { deviceId: `a${round}` });
      const now = await login(fleet(), user, targetOf(fleet(), "wss", second), {
        deviceId: `b${round}`,
        deviceName: `phone of round ${round}`,
      });
      const { code, byDevice } = await endOf(old.client, 2000);
      assert.deepEqual([code, byDevice], [DisconnectCode.KICKED, `phone of round ${round}`]);
      assert.equal(now.client.state.kind, "open");
      assert.deepEqual([old.client.stats.reconnects, now.client.stats.reconnects], [0, 0]);
      await now.client.close();
    }
  });

  it("simultaneous logins of many devices of one slot leave exactly one", async () => {
    for (let round = 0; round < 3; round++) {
      const user = unique("race");
      const clients: ImClient[] = [];
      const racing = [0, 1, 2, 3, 4, 5].map((at) => {
        const listen = (client: ImClient): void => void clients.push(client);
        return login(fleet(), user, targetOf(fleet(), "tcp", at % 2), { deviceId: `d${at}` }, listen);
      });
      await Promise.allSettled(racing);
      const count = (kind: string): number => clients.filter(({ state }) => state.kind === kind).length;
      // Nobody tries any more, so that it is the last word.
      await waitWithin("one is left", 2000, () => count("open") === 1 && count("closed") === 5);
      const winner = clients.find(({ state }) => state.kind === "open");
      await winner?.send({ to: unique("friend"), content: "it is me" });
      assert.equal(count("open"), 1);
      await Promise.all(clients.map((client) => client.close()));
    }
  });

  it("a revoked user is out everywhere within 5 s, and cannot come back by any logic or entry", async () => {
    const user = unique("revoked");
    const token = await fleet().tokens.mint(user, { ageS: 10 });
    const sessions = [];
    for (const [entry, platform] of [
      [0, "android"],
      [1, "web"],
      [0, "desktop"],
      [1, "mini"],
    ] as const) {
      const options = { platform, deviceId: platform, getToken: () => token };
      sessions.push(await login(fleet(), user, targetOf(fleet(), "tcp", entry), options));
    }
    const other = await login(fleet(), unique("other"), targetOf(fleet(), "tcp", 0));
    const startedMs = performance.now();
    await admin(1, "RevokeUser", { userId: user, validAfterMs: 0 });
    const revokedMs = Date.now();
    for (const { client } of sessions) assert.equal((await endOf(client, 5000)).code, DisconnectCode.TOKEN_REVOKED);
    console.log(
      JSON.stringify({ revokedSessions: sessions.length, closedAfterMs: Math.round(performance.now() - startedMs) }),
    );
    for (let attempt = 0; attempt < 6; attempt++) {
      const options = { deviceId: `again${attempt}`, getToken: () => token };
      await assert.rejects(login(fleet(), user, targetOf(fleet(), "tcp", attempt % 2), options), {
        code: DisconnectCode.TOKEN_REVOKED,
      });
    }
    assert.equal(other.client.state.kind, "open");
    // Tokens tell their age in whole seconds.
    await waitUntil("a token of now is newer", () => Math.floor(Date.now() / 1000) * 1000 > revokedMs);
    await login(fleet(), user, targetOf(fleet(), "tcp", 0), { deviceId: "new token" });
  });

  it("one revoked token is out, also when its session has just lost its logic", async () => {
    const user = unique("jti");
    const token = await fleet().tokens.mint(user, { tokenId: user });
    const { client } = await login(fleet(), user, targetOf(fleet(), "tcp", 0), { getToken: () => token });
    await fleet().logic(0).kill9();
    await admin(1, "RevokeToken", { tokenId: user, expiresMs: 0 });
    assert.equal((await endOf(client, 5000)).code, DisconnectCode.TOKEN_REVOKED);
    await fleet().logic(0).start();
    await fleet().logic(0).waitReady();
    await fleet().waitMesh();
    await assert.rejects(login(fleet(), user, targetOf(fleet(), "tcp", 1), { getToken: () => token }), {
      code: DisconnectCode.TOKEN_REVOKED,
    });
  });

  it("a client renews its token in time and stays connected beyond the life of the first one", async () => {
    const user = unique("renew");
    let calls = 0;
    let firstEndsMs = Number.POSITIVE_INFINITY;
    const getToken = (): Promise<string> => {
      if (++calls > 1) return fleet().tokens.mint(user);
      firstEndsMs = Date.now() + FIRST_TOKEN_S * 1000;
      return fleet().tokens.mint(user, { expiresInS: FIRST_TOKEN_S });
    };
    const { client } = await login(fleet(), user, targetOf(fleet(), "tls", 0), { getToken });
    await waitUntil("the token is renewed", () => calls === 2, 20_000);
    await waitUntil("the first one is over", () => Date.now() > firstEndsMs + 1500, 20_000);
    assert.deepEqual([client.state.kind, client.stats.logins], ["open", 1]);
  });

  it("an administrator closes the sessions of a user, by any logic", async () => {
    const user = unique("evicted");
    const phone = await login(fleet(), user, targetOf(fleet(), "tls", 0));
    const web = await login(fleet(), user, targetOf(fleet(), "wss", 1), { platform: "web", deviceId: "w" });
    const reply = await admin<KickUserReply>(1, "KickUser", { userId: user, slot: "mobile", reason: "spam" });
    assert.equal(reply.sessions, 1);
    assert.equal((await endOf(phone.client, 2000)).code, DisconnectCode.EVICTED);
    assert.equal(web.client.state.kind, "open");
  });

  it("logout unbinds the push token, also when the logic dies at that moment", async () => {
    const tokenSeal = await openTokenSeal(join(fleet().dir, "push-keys"));
    const store = await openPostgresStore({ url: fleet().postgresUrl, name: "test", tokenSeal });
    const tokenOf = async (user: string): Promise<string | undefined> =>
      (await store.pushTargets([user]))[0]?.pushToken;
    for (const kills of [false, true]) {
      const user = unique("logout");
      const { client } = await login(fleet(), user, targetOf(fleet(), "tcp", 0));
      await client.setDevice({ push: { provider: "fcm", token: `token of ${user}` }, locale: "zh-CN" });
      assert.equal(await tokenOf(user), `token of ${user}`);
      const dying = kills ? fleet().logics.map((logic) => logic.kill9()) : [];
      assert.equal(await client.logout(), true);
      await Promise.all(dying);
      for (const logic of kills ? fleet().logics : []) {
        await logic.start();
        await logic.waitReady();
      }
      await waitUntil("the token is unbound", async () => (await tokenOf(user)) === "", 15_000);
      await waitWithin("the user is offline", 5000, async () => !(await isOnline(user)));
    }
    await store.close();
    await fleet().waitMesh();
  });

  it("two devices that replace each other are damped", async () => {
    const user = unique("flap");
    let isRefused = false;
    let logins = 0;
    for (; logins < 40 && !isRefused; logins++) {
      const options = { deviceId: `d${logins % 2}`, timing: { backoffBaseMs: 60_000, backoffCapMs: 60_000 } };
      const refusal = Promise.withResolvers<boolean>();
      const listen = (client: ImClient): void => {
        client.on("state", (state) => {
          if (state.kind === "connecting" && state.code === DisconnectCode.FLAPPING) refusal.resolve(true);
        });
      };
      const attempt = login(fleet(), user, targetOf(fleet(), "tcp", logins % 2), options, listen);
      isRefused = await Promise.race([attempt.then(() => false), refusal.promise]);
    }
    assert.equal(logins, 16, "fifteen logins in a minute, however many logics there are");
    assert.equal(await isOnline(user), true, "the last one that got in stays");
  });

  it("presence follows a connection within 2 s, and the death of its entry within the lease", async () => {
    const user = unique("seen");
    const { client } = await login(fleet(), user, targetOf(fleet(), "tcp", 1));
    const within = (what: string, online: boolean, limitMs: number): Promise<number> =>
      waitWithin(what, limitMs, async () => (await isOnline(user)) === online);
    await within("online", true, 2000);
    await client.close();
    await within("offline", false, 2000);
    await login(fleet(), user, targetOf(fleet(), "tcp", 1), {
      timing: { backoffBaseMs: 60_000, backoffCapMs: 60_000 },
    });
    await within("online again", true, 2000);
    await fleet().entry(1).kill9();
    await within("offline after the crash", false, 6000);
    await fleet().entry(1).start();
    await fleet().entry(1).waitReady();
  });

  it("clients see nobody's presence unless the cluster shows it, and nothing is written for it", async () => {
    const [alice, bob] = [unique("alice"), unique("bob")];
    const { client } = await login(fleet(), alice, targetOf(fleet(), "tcp", 0));
    await (await login(fleet(), bob, targetOf(fleet(), "tcp", 1))).client.send({ to: alice, content: "hello" });
    await assert.rejects(fetchPresence(client, [bob]), { codeName: "PERMISSION_DENIED" });
    const errors: string[] = [];
    const watch = new PresenceWatch(client, {
      onChange: () => assert.fail("told of somebody"),
      onError: ({ codeName }) => void errors.push(codeName),
    });
    watch.set([bob]);
    await waitUntil("the subscription is refused", () => errors.length > 0);
    assert.deepEqual(errors, ["PERMISSION_DENIED"]);
    assert.equal(await redisCli(fleet().redis.port, "KEYS", "presence:*"), "");
    await client.close();
  });
});
