// SPDX-License-Identifier: Apache-2.0
// Watching who is online, against a scripted entry.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type FakeConnection, setup, turn, until } from "../test/fake-server.ts";
import { Command, ErrorCode, Flag } from "./codes.ts";
import type { ImClientError } from "./errors.ts";
import { fetchPresence, MAX_WATCHED, type PeerPresence, PresenceWatch } from "./presence.ts";
import { Presence, PresenceAsk, PresenceSub } from "./presence-codec.ts";

const LEASE_MS = 300_000;

async function open() {
  const world = setup();
  world.client.connect();
  const entry = await world.server.login();
  await world.client.ready();
  const changes: string[] = [];
  const errors: ImClientError[] = [];
  const show = (peer: PeerPresence): string => `${peer.userId}:${peer.platforms.join("+")}`;
  const watch = new PresenceWatch(world.client, {
    onChange: (peer, before) => void changes.push(`${before ? show(before) : "?"} > ${show(peer)}`),
    onError: (error) => void errors.push(error),
    clock: world.clock,
    random: () => 0.5,
  });
  return { ...world, entry, watch, changes, errors, take: () => changes.splice(0) };
}

const peer = (userId: string, ...platforms: string[]): PeerPresence => ({
  ...{ userId, online: platforms.length > 0, platforms, lastSeenMs: platforms.length > 0 ? 0 : 7 },
});

/** The next PRESENCE_SUB: its users, and how it is answered. */
async function subscription(entry: FakeConnection) {
  const frame = await entry.next(Command.PRESENCE_SUB);
  return {
    userIds: PresenceSub.decode(frame.body).userIds,
    answer: async (peers: PeerPresence[], leaseMs = LEASE_MS) => {
      entry.frame(Command.PRESENCE, Presence.encode({ peers: peers as Presence["peers"], leaseMs }), frame.rid);
      await turn();
    },
    refuse: async (code: number) => {
      entry.error(frame.rid, code);
      await turn();
    },
  };
}

const tell = (entry: FakeConnection, ...peers: PeerPresence[]): void =>
  entry.frame(Command.PRESENCE, Presence.encode({ peers: peers as Presence["peers"] }), 0, Flag.NO_PERSIST);

const subscriptions = (entry: FakeConnection): number =>
  entry.frames.filter(({ cmd }) => cmd === Command.PRESENCE_SUB).length;

describe("fetchPresence", () => {
  it("asks for a hundred at a time, for each user once, and answers in their order", async () => {
    const { client, entry } = await open();
    const ids = Array.from({ length: 150 }, (_, at) => `user-${at}`);
    const result = fetchPresence(client, [...ids, "user-3"]);
    for (const part of [ids.slice(0, 100), ids.slice(100)]) {
      const frame = await entry.next(Command.PRESENCE);
      assert.deepEqual(PresenceAsk.decode(frame.body).userIds, part);
      const peers = part.map((id) => peer(id, "web")) as Presence["peers"];
      entry.frame(Command.PRESENCE, Presence.encode({ peers }), frame.rid);
    }
    assert.deepEqual(
      await result,
      ids.map((id) => peer(id, "web")),
    );
    assert.deepEqual(await fetchPresence(client, []), []);
    await client.close();
  });

  it("rejects on a refusal, on abort and when the client is closed", async () => {
    const { client, entry } = await open();
    const refused = fetchPresence(client, ["bob"]);
    entry.error((await entry.next(Command.PRESENCE)).rid, ErrorCode.PERMISSION_DENIED);
    await assert.rejects(refused, { codeName: "PERMISSION_DENIED" });
    const abort = new AbortController();
    const aborted = fetchPresence(client, ["bob"], { signal: abort.signal });
    abort.abort();
    await assert.rejects(aborted, { codeName: "ABORTED" });
    await client.close();
    await assert.rejects(fetchPresence(client, ["bob"]), { codeName: "CLOSED" });
  });
});

describe("PresenceWatch", () => {
  it("shows how they are, then every change, and nothing of others", async () => {
    const { client, entry, watch, take } = await open();
    watch.set(["bob", "carol", "bob"]);
    const { userIds, answer } = await subscription(entry);
    assert.deepEqual(userIds, ["bob", "carol"]);
    await answer([peer("bob", "mobile"), peer("carol")]);
    assert.deepEqual(take(), ["? > bob:mobile", "? > carol:"]);
    tell(entry, peer("bob", "mobile", "web"), peer("dave", "web"));
    tell(entry, peer("bob", "mobile", "web"));
    tell(entry, peer("carol", "mini"));
    assert.deepEqual(take(), ["bob:mobile > bob:mobile+web", "carol: > carol:mini"]);
    assert.deepEqual([...watch.peers.keys()], ["bob", "carol"]);
    assert.deepEqual(watch.peers.get("bob"), peer("bob", "mobile", "web"));
    await client.close();
  });

  it("subscribes again after half of the lease, and finds what it was not told", async () => {
    const { client, clock, entry, watch, take } = await open();
    watch.set(["bob"]);
    await (await subscription(entry)).answer([peer("bob")]);
    clock.advance(LEASE_MS / 2 - 1);
    await turn();
    assert.equal(subscriptions(entry), 0);
    clock.advance(1);
    await (await subscription(entry)).answer([peer("bob", "web")]);
    assert.deepEqual(take(), ["? > bob:", "bob: > bob:web"]);
    await client.close();
    assert.equal(clock.pending, 0);
  });

  it("subscribes once with every login, and keeps what it knew meanwhile", async () => {
    const { client, clock, server, entry, watch, take } = await open();
    watch.set(["bob"]);
    await (await subscription(entry)).answer([peer("bob", "web")]);
    take();
    entry.drop();
    assert.equal(watch.peers.get("bob")?.online, true);
    clock.advance(5000);
    const second = await server.login();
    await (await subscription(second)).answer([peer("bob", "web")]);
    await turn();
    assert.deepEqual([take(), subscriptions(second)], [[], 0]);
    second.drop();
    clock.advance(5000);
    const third = await server.login();
    const pending = await subscription(third);
    third.drop();
    clock.advance(5000);
    await pending.answer([]);
    const fourth = await server.login();
    await (await subscription(fourth)).answer([peer("bob")]);
    await turn();
    assert.deepEqual([take(), subscriptions(fourth)], [["bob:web > bob:"], 0]);
    watch.set([]);
    assert.deepEqual((await subscription(fourth)).userIds, [], "it knows that it is subscribed");
    await client.close();
  });

  it("subscribes again, not at once, when changes were lost", async () => {
    const { client, clock, entry, watch } = await open();
    watch.set(["bob"]);
    await (await subscription(entry)).answer([peer("bob")]);
    tell(entry);
    tell(entry);
    await turn();
    assert.equal(subscriptions(entry), 0);
    clock.advance(500);
    await until(() => subscriptions(entry) === 1);
    await client.close();
  });

  it("watches others instead, and nobody when that is wanted or when it is closed", async () => {
    const { client, clock, entry, watch, take } = await open();
    watch.set(["bob", "carol"]);
    await (await subscription(entry)).answer([peer("bob", "web"), peer("carol")]);
    watch.set(["carol", "dave"]);
    assert.deepEqual([...watch.peers.keys()], ["carol"]);
    tell(entry, peer("bob"));
    const first = await subscription(entry);
    watch.set(["carol"]);
    await first.answer([peer("carol", "web"), peer("dave", "web")]);
    const second = await subscription(entry);
    take();
    await second.answer([peer("carol", "mini")]);
    assert.deepEqual(take(), ["carol: > carol:mini"], "the answer to the one before counts for nothing");
    watch.set([]);
    await (await subscription(entry)).answer([], 0);
    watch.set([]);
    tell(entry);
    clock.advance(LEASE_MS);
    await turn();
    assert.equal(subscriptions(entry), 0);
    watch.set(["bob"]);
    await (await subscription(entry)).answer([peer("bob")]);
    watch[Symbol.dispose]();
    assert.deepEqual((await subscription(entry)).userIds, []);
    tell(entry, peer("bob", "web"));
    assert.deepEqual([take(), watch.peers.size], [["? > bob:"], 0]);
    await client.close();
  });

  it("takes 200 users, not 201", async () => {
    const { client, entry, watch } = await open();
    const ids = Array.from({ length: MAX_WATCHED + 1 }, (_, at) => `user-${at}`);
    assert.throws(() => watch.set(ids), { codeName: "BAD_REQUEST" });
    watch.set(ids.slice(1));
    assert.equal((await subscription(entry)).userIds.length, 200);
    await client.close();
  });

  it("tells what the server refuses, once, and asks again with the next login", async () => {
    const { client, clock, server, entry, watch, errors } = await open();
    watch.set(["bob"]);
    await (await subscription(entry)).refuse(ErrorCode.PERMISSION_DENIED);
    assert.deepEqual(
      errors.map(({ codeName }) => codeName),
      ["PERMISSION_DENIED"],
    );
    clock.advance(LEASE_MS);
    await turn();
    assert.equal(subscriptions(entry), 0);
    entry.drop();
    clock.advance(5000);
    await subscription(await server.login());
    await client.close();
    assert.equal(errors.length, 1);
  });

  it("tells of bytes that are no presence, and goes on", async () => {
    const { client, entry, watch, errors, take } = await open();
    watch.set(["bob"]);
    await (await subscription(entry)).answer([peer("bob")]);
    entry.frame(Command.PRESENCE, Uint8Array.of(0xff), 0, Flag.NO_PERSIST);
    assert.equal(errors.length, 1);
    tell(entry, peer("bob", "web"));
    assert.deepEqual(take(), ["? > bob:", "bob: > bob:web"]);
    await client.close();
  });

  it("does nothing before there is a connection, and subscribes then", async () => {
    const { client, server, clock } = setup();
    const watch = new PresenceWatch(client, { onChange: () => undefined, clock });
    watch.set(["bob"]);
    client.connect();
    assert.deepEqual((await subscription(await server.login())).userIds, ["bob"]);
    await client.close();
    watch.close();
  });
});

describe("frames and requests of modules", () => {
  it("are open to applications: any command, asked again over reconnects, and what comes unasked", async () => {
    const { client, clock, server, entry } = await open();
    const heard: [number, string][] = [];
    client.on("frame", ({ cmd, body }) => void heard.push([cmd, Buffer.from(body).toString()]));
    entry.frame(130, new TextEncoder().encode("news"));
    assert.deepEqual(heard, [[130, "news"]]);
    const answer = client.request(129, new TextEncoder().encode("question"));
    await entry.next(129);
    entry.drop();
    clock.advance(5000);
    const second = await server.login();
    const { rid, body } = await second.next(129);
    assert.equal(Buffer.from(body).toString(), "question");
    second.frame(131, new TextEncoder().encode("answer"), rid);
    assert.equal(Buffer.from(await answer).toString(), "answer");
    second.frame(131, new TextEncoder().encode("late"), rid);
    assert.equal(heard.length, 1, "an answer to nothing is dropped");
    await client.close();
    await assert.rejects(client.request(129, new Uint8Array(0)), { codeName: "CLOSED" });
  });
});
