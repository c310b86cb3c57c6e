// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { it } from "node:test";
import { Command, Flag } from "#proto/commands.ts";
import { type PeerPresence, Presence, SessionTag, type SessionTag as Tag } from "#proto/gen/messages.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import { type TestAnswer, waitUntil } from "../entry-kit.ts";
import { attached, type LogicHarness, type Online, online, say, unique } from "./kit.ts";

const ELAPSE_MS = 100;

/** Peers of an answer, each as `online/platforms`. */
function peersOf(answer: TestAnswer<Presence>): PeerPresence[] {
  assert.ok(answer.kind === "ok", JSON.stringify(answer));
  return answer.body.peers;
}

/** Asks again while the router is still told who is online, as after the flush of a test before. */
async function answered(
  get: () => LogicHarness,
  ask: () => Promise<TestAnswer<Presence>>,
): Promise<TestAnswer<Presence>> {
  let answer = await ask();
  await waitUntil("presence is known", async () => {
    get().elapse(ELAPSE_MS);
    if (answer.kind !== "ok") answer = await ask();
    return answer.kind === "ok";
  });
  return answer;
}

/** Changes that were told to a connection, the newest of each peer, until now. */
function told({ entry, conn }: Online): Map<string, string> {
  const frames = entry
    .waiting(RecordKind.REPLY)
    .filter((record) => record.conn === conn && record.rid === 0 && record.cmd === Command.PRESENCE);
  for (const { flags } of frames) assert.equal(flags, Flag.NO_PERSIST);
  const peers = frames.flatMap(({ body }) => Presence.decode(body).peers);
  return new Map(peers.map(({ userId, platforms }) => [userId, platforms.join("+")]));
}

/** Waits until the connection was told that the peer is so. */
function hears(get: () => LogicHarness, who: Online, peer: string, platforms: string): Promise<void> {
  return waitUntil(`${peer} is ${platforms || "offline"}`, async () => {
    get().elapse(ELAPSE_MS);
    return told(who).get(peer) === platforms;
  });
}

/** Two users of whom the second has written to the first. */
async function acquaint(get: () => LogicHarness): Promise<[Online, Online]> {
  const entry = await attached(get);
  const [alice, bob] = [await online(get, entry), await online(get, entry)];
  assert.equal((await say(bob, { to: alice.user })).kind, "ok");
  return [alice, bob];
}

/** Run by logicContract: PRESENCE. */
export function peerPresence(get: () => LogicHarness): void {
  it("answers who is online, of those who wrote to the asker, and says of others what it says of nobody", async () => {
    const [alice, bob] = await acquaint(get);
    const stranger = await online(get, alice.entry);
    const nobody = unique("nobody");
    const seen = peersOf(await alice.entry.presence(alice.conn, [stranger.user, bob.user, nobody]));
    const hidden = (userId: string): PeerPresence => ({ userId, online: false, platforms: [], lastSeenMs: 0 });
    assert.deepEqual(seen, [
      hidden(stranger.user),
      { userId: bob.user, online: true, platforms: ["mobile"], lastSeenMs: 0 },
      hidden(nobody),
    ]);
    assert.deepEqual(
      peersOf(await bob.entry.presence(bob.conn, [alice.user])),
      [hidden(alice.user)],
      "not answered yet",
    );
    await say(alice, { to: bob.user });
    assert.equal(peersOf(await bob.entry.presence(bob.conn, [alice.user]))[0]?.online, true);
  });

  it("shows the members of a group to each other", async () => {
    const entry = await attached(get);
    const [alice, bob] = [await online(get, entry), await online(get, entry)];
    await get().createConversation(unique("group"), [alice.user, bob.user]);
    assert.equal(peersOf(await entry.presence(alice.conn, [bob.user]))[0]?.online, true);
  });
}

/** Run by logicContract: PRESENCE_SUB. */
export function peerSubscriptions(get: () => LogicHarness): void {
  it("tells a subscriber who comes and goes, per class, and when somebody was there last", async () => {
    const [alice, bob] = await acquaint(get);
    const answer = await alice.entry.watch(alice.conn, [bob.user]);
    assert.deepEqual(
      peersOf(answer).map(({ platforms }) => platforms),
      [["mobile"]],
    );
    assert.ok(answer.kind === "ok" && answer.body.leaseMs > 60_000);
    const web = await online(get, bob.entry, bob.user, { platform: "web", deviceId: "browser" });
    await hears(get, alice, bob.user, "mobile+web");
    bob.entry.send({ kind: RecordKind.CLOSED, conn: bob.conn });
    await hears(get, alice, bob.user, "web");
    bob.entry.send({ kind: RecordKind.CLOSED, conn: web.conn });
    await hears(get, alice, bob.user, "");
    const [away] = peersOf(await answered(get, () => alice.entry.presence(alice.conn, [bob.user])));
    assert.equal(away?.online, false);
    assert.ok(away.lastSeenMs > 1_600_000_000_000);
  });

  it("tells of a purged entry, and nothing of those who are not watched", async () => {
    const [alice, bob] = await acquaint(get);
    const elsewhere = await attached(get);
    const carol = await online(get, elsewhere);
    await say(carol, { to: alice.user });
    await alice.entry.watch(alice.conn, [carol.user]);
    await online(get, bob.entry, bob.user, { platform: "web", deviceId: "browser" });
    await get().purge(elsewhere.podUid);
    await hears(get, alice, carol.user, "");
    assert.deepEqual([...told(alice).keys()], [carol.user]);
  });

  it("ends a subscription with its connection, and when nobody is named", async () => {
    const [alice, bob] = await acquaint(get);
    const { watcher } = get().core.presence;
    assert.ok(watcher);
    const before = watcher.sessions;
    await alice.entry.watch(alice.conn, [bob.user]);
    assert.equal(watcher.sessions, before + 1);
    await alice.entry.watch(alice.conn, []);
    assert.equal(watcher.sessions, before);
    await alice.entry.watch(alice.conn, [bob.user]);
    alice.entry.send({ kind: RecordKind.CLOSED, conn: alice.conn });
    await waitUntil("the subscription is gone", () => watcher.sessions === before);
  });

  it("says to a session that comes from another logic that its subscription is not here", async () => {
    const [alice, bob] = await acquaint(get);
    await alice.entry.watch(alice.conn, [bob.user]);
    const tag: Tag = SessionTag.decode((await alice.entry.next(RecordKind.SESSION_TAG, { conn: alice.conn })).body);
    assert.equal(tag.watches, true);
    const after = await attached(get);
    const conn = alice.conn;
    after.send({ kind: RecordKind.BIND, conn, body: SessionTag.encode(tag) });
    const notice = await after.next(RecordKind.REPLY, { conn, cmd: Command.PRESENCE });
    assert.deepEqual([notice.rid, notice.flags, notice.body.length], [0, Flag.NO_PERSIST, 0]);
    assert.equal(peersOf(await after.watch(conn, [bob.user]))[0]?.online, true);
    after.send({ kind: RecordKind.CLOSED, conn });
  });
}
