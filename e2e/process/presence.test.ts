// SPDX-License-Identifier: Apache-2.0
// Who is online, as clients see it: on every carrier, through crashes of entries and logics, and after a flush of Redis.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ImClient } from "#client";
import { fetchPresence, type PeerPresence, PresenceWatch } from "../../client/src/presence.ts";
import { JsonClient } from "../../gateway/testing/json-client.ts";
import { waitWithin } from "../harness/cpu-wait.ts";
import { SERVER_NAME } from "../harness/fleet.ts";
import { waitUntil } from "../harness/processes.ts";
import { login, targetOf, type User, useFleet } from "./fleet-suite.ts";

/** What is promised of a connect and of an orderly close. */
const SOON_MS = 2000;
const LEASE_MS = 3000;
/** And of a crash: the lease, and 2 s as of 15 in production. */
const CRASH_MS = LEASE_MS + 2000;
const WAIT_MS = 60_000;

const unique = (name: string): string => `${name}-${Math.random().toString(36).slice(2, 10)}`;

/** What a client was told of whom it watches, as `online` and `offline` in their order. */
class Told {
  readonly watch: PresenceWatch;
  readonly errors: string[] = [];
  readonly #all = new Map<string, string[]>();

  constructor(client: ImClient) {
    this.watch = new PresenceWatch(client, {
      onChange: (peer) => this.#add(peer),
      onError: ({ codeName }) => void this.errors.push(codeName),
    });
  }

  of(userId: string): string[] {
    return this.#all.get(userId) ?? [];
  }

  #add({ userId, online }: PeerPresence): void {
    const word = online ? "online" : "offline";
    const known = this.of(userId);
    if (known.at(-1) !== word) this.#all.set(userId, [...known, word]);
  }

  last(userId: string): string | undefined {
    return this.of(userId).at(-1);
  }
}

describe("presence for clients", () => {
  const fleet = useFleet({
    // One of each is killed and stays away.
    entries: 3,
    logics: 2,
    internalTls: true,
    env: { IM_LEASE_TTL_MS: String(LEASE_MS), IM_PING_INTERVAL_MS: "2000" },
    logicEnv: { IM_PRESENCE_VISIBLE_TO: "peers" },
  });

  /** One attempt to log in that is not repeated soon: what was killed stays away. */
  const once = { timing: { backoffBaseMs: 60_000, backoffCapMs: 60_000 } };

  /** A user who has written to all of these, and has left again. */
  async function friendOf(...userIds: string[]): Promise<string> {
    const name = unique("friend");
    const { client } = await login(fleet(), name, targetOf(fleet(), "tls", 0));
    for (const to of userIds) await client.send({ to, content: "hello" });
    await client.close();
    return name;
  }

  /** Watches peers that are away, and has heard so. */
  async function watcher(user: User, ...peers: string[]): Promise<Told> {
    const isAway = async (): Promise<boolean> =>
      (await fetchPresence(user.client, peers)).every(({ online }) => !online);
    await waitUntil("they have left", isAway, WAIT_MS);
    const told = new Told(user.client);
    told.watch.set(peers);
    await waitUntil("the subscription is answered", () => told.watch.peers.size === peers.length, WAIT_MS);
    return told;
  }

  it("is heard on every carrier within 2 s of a connect and of an orderly close, through any entry and logic", async (context) => {
    const names = ["tls", "tcp", "wss", "ws", "sse", "poll"].map(unique);
    const json = unique("json");
    const friend = await friendOf(...names, json);
    const users = await Promise.all(
      (["tls", "tcp", "wss", "ws", "sse", "poll"] as const).map((carrier, at) =>
        login(fleet(), names[at] ?? "", targetOf(fleet(), carrier, at % 2)),
      ),
    );
    const all = await Promise.all(users.map((user) => watcher(user, friend)));
    const thin = await JsonClient.open(`wss://127.0.0.1:${fleet().entry(1).tlsPort}/ws`, ["im.v1.json"], {
      ca: fleet().ca,
      servername: SERVER_NAME,
    });
    await thin.login("json-1", await fleet().tokens.mint(json));
    const pings = setInterval(() => thin.send({ cmd: "PING" }), 1000);
    context.after(() => clearInterval(pings));
    thin.send({ cmd: "PRESENCE_SUB", rid: 9, body: { userIds: [friend] } });
    const [first] = (await thin.answer(9)).peers as PeerPresence[];
    assert.deepEqual([first?.online, first?.platforms, typeof first?.lastSeenMs], [false, [], "string"]);
    const thinIs = (online: boolean): boolean => {
      const changes = thin.ofCmd("PRESENCE").filter(({ flags }) => flags === 16);
      const last = changes.flatMap(({ body }) => body?.peers as PeerPresence[]).at(-1);
      return last?.userId === friend && last.online === online;
    };
    const areAll = (word: "online" | "offline"): boolean =>
      all.every((told) => told.last(friend) === word) && thinIs(word === "online");
    const figures: number[] = [];
    for (const at of [0, 1, 0]) {
      const { client } = await login(fleet(), friend, targetOf(fleet(), "wss", at), { platform: "web" });
      figures.push(await waitWithin("everybody hears that the friend is there", SOON_MS, () => areAll("online")));
      await client.close();
      figures.push(await waitWithin("everybody hears that the friend left", SOON_MS, () => areAll("offline")));
    }
    console.log(JSON.stringify({ watchers: all.length + 1, heardAfterMs: figures.map(Math.round) }));
    for (const told of all) assert.equal(told.of(friend).length, 7, "nobody blinked");
    const seen = all[0]?.watch.peers.get(friend)?.lastSeenMs ?? 0;
    assert.ok(Math.abs(seen - Date.now()) < WAIT_MS, String(seen));
    assert.equal(thin.closeCode, undefined);
    clearInterval(pings);
    thin.close();
    await Promise.all(users.map(({ client }) => client.close()));
  });

  it("shows nothing to strangers, nor to whom has only written", async () => {
    const [stranger, writer] = [unique("stranger"), unique("writer")];
    const friend = await friendOf();
    const users = await Promise.all(
      [stranger, writer].map((name) => login(fleet(), name, targetOf(fleet(), "tls", 0))),
    );
    await users[1]?.client.send({ to: friend, content: "are you there?" });
    const { client } = await login(fleet(), friend, targetOf(fleet(), "tls", 1));
    for (const user of users) {
      const told = await watcher(user, friend, unique("nobody"));
      assert.deepEqual(told.of(friend), ["offline"]);
      assert.equal(told.watch.peers.get(friend)?.lastSeenMs, 0);
      assert.equal((await fetchPresence(user.client, [friend]))[0]?.online, false);
    }
    await client.send({ to: writer, content: "yes" });
    const [now] = await fetchPresence(users[1]?.client as ImClient, [friend]);
    assert.deepEqual([now?.online, now?.platforms], [true, ["mobile"]]);
    await Promise.all([...users.map((user) => user.client.close()), client.close()]);
  });

  it("is heard within the lease when the entry of the friend is killed", async () => {
    const alice = unique("alice");
    const friend = await friendOf(alice);
    const user = await login(fleet(), alice, targetOf(fleet(), "tls", 0));
    const told = await watcher(user, friend);
    await login(fleet(), friend, targetOf(fleet(), "tls", 2), once);
    await waitWithin("online", SOON_MS, () => told.last(friend) === "online");
    await fleet().entry(2).kill9();
    const tookMs = await waitWithin("offline after the crash", CRASH_MS, () => told.last(friend) === "offline");
    console.log(JSON.stringify({ leaseMs: LEASE_MS, crashHeardAfterMs: Math.round(tookMs) }));
    await user.client.close();
  });

  it("makes nobody blink when Redis is flushed", async () => {
    const alice = unique("alice");
    const friend = await friendOf(alice);
    const user = await login(fleet(), alice, targetOf(fleet(), "tls", 0));
    const told = await watcher(user, friend);
    const { client } = await login(fleet(), friend, targetOf(fleet(), "tls", 1));
    await waitWithin("online", SOON_MS, () => told.last(friend) === "online");
    await fleet().redis.flush();
    const isThere = async (): Promise<boolean> => (await fetchPresence(user.client, [friend]))[0]?.online === true;
    await waitUntil("the router knows the friend again", isThere, WAIT_MS);
    await client.close();
    await waitUntil("offline", () => told.last(friend) === "offline", WAIT_MS);
    assert.deepEqual(told.of(friend), ["offline", "online", "offline"]);
    assert.deepEqual(told.errors, []);
    await user.client.close();
  });

  it("goes on when the logic that holds the subscription is killed", async () => {
    const alice = unique("alice");
    const friend = await friendOf(alice);
    const user = await login(fleet(), alice, targetOf(fleet(), "tls", 0));
    const told = await watcher(user, friend);
    const watching = (): Promise<(number | undefined)[]> =>
      // One that is too busy to answer is asked again.
      Promise.all(fleet().logics.map((logic) => logic.metric("im_presence_watching_sessions").catch(() => undefined)));
    let holder = -1;
    const isAlone = async (): Promise<boolean> => {
      const counts = await watching();
      holder = counts.indexOf(1);
      return counts.toSorted().join() === "0,1";
    };
    await waitUntil("only this subscription is left", isAlone, WAIT_MS);
    await fleet().logic(holder).kill9();
    const { client } = await login(fleet(), friend, targetOf(fleet(), "tls", 1));
    await waitUntil("online", () => told.last(friend) === "online", WAIT_MS);
    await client.close();
    await waitUntil("offline", () => told.last(friend) === "offline", WAIT_MS);
    await user.client.close();
  });
});
