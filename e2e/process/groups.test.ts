// SPDX-License-Identifier: Apache-2.0
// Groups, from five clients through two entries and two logics: one is removed, one is away, one leaves.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ImClientError, type Message } from "#client";
import { Groups, groupEventOf } from "../../client/src/models/groups.ts";
import { JsonClient } from "../../gateway/testing/json-client.ts";
import { SERVER_NAME } from "../harness/fleet.ts";
import { waitUntil } from "../harness/processes.ts";
import { login, targetOf, type User, useFleet } from "./fleet-suite.ts";

const WAIT_MS = 60_000;
const unique = (name: string): string => `${name}-${Math.random().toString(36).slice(2, 10)}`;

/** A user of a group, and what it was shown of it. */
interface Member extends User {
  uid: string;
  groups: Groups;
}

describe("groups", () => {
  const fleet = useFleet({ entries: 2, logics: 2, internalTls: true });

  async function join(name: string, at: number, uid = unique(name)): Promise<Member> {
    const carrier = (["tls", "wss", "tcp", "ws", "sse"] as const)[at] ?? "tls";
    const user = await login(fleet(), uid, targetOf(fleet(), carrier, at % 2));
    return { ...user, uid, groups: new Groups(user.client) };
  }

  /** Messages of the group as lines: what was said, or what was done to whom. */
  function linesOf({ messages }: User, conversationId: string): string[] {
    const own = messages.filter((message) => message.conversationId === conversationId);
    return own.map(lineOf);
  }

  function lineOf(message: Message): string {
    const event = groupEventOf(message);
    return event ? `${event.kind} ${event.users.length}` : message.text;
  }

  const isDenied = (error: unknown): boolean =>
    error instanceof ImClientError && error.codeName === "PERMISSION_DENIED" && !error.retryable;

  it("five chat; who is removed gets nothing more and is refused; who was away learns everything in order", async () => {
    const [alice, bob, carol, dave, erin] = await Promise.all(
      ["alice", "bob", "carol", "dave", "erin"].map((name, at) => join(name, at)),
    );
    assert.ok(alice && bob && carol && dave && erin);
    const others = [bob, carol, dave, erin];
    const { conversationId } = await alice.groups.create({ name: "five", userIds: others.map(({ uid }) => uid) });
    const saw = (users: readonly User[], count: number): Promise<void> =>
      waitUntil(
        `${count} lines for all`,
        () => users.every((user) => linesOf(user, conversationId).length >= count),
        WAIT_MS,
      );
    await saw([alice, ...others], 1);
    for (const [at, { client }] of [alice, ...others].entries())
      await client.send({ conversationId, content: `hi ${at}` });
    // Whoever sends is told by the acknowledgement, and is shown what the others say.
    await waitUntil(
      "all heard the four others",
      () => [alice, ...others].every((user) => linesOf(user, conversationId).length === 5),
      WAIT_MS,
    );

    // Erin is away from here on.
    await erin.client.close();
    await alice.groups.setRole(conversationId, bob.uid, "admin");
    await assert.rejects(carol.groups.remove(conversationId, [dave.uid]), isDenied);
    await assert.rejects(bob.groups.remove(conversationId, [alice.uid]), isDenied);
    const removed = await bob.groups.remove(conversationId, [dave.uid]);
    assert.deepEqual(removed.userIds, [dave.uid]);
    await waitUntil("dave hears of it", () => linesOf(dave, conversationId).at(-1) === "removed 1", WAIT_MS);
    await alice.client.send({ conversationId, content: "without dave" });
    await assert.rejects(dave.client.send({ conversationId, content: "hello?" }), isDenied);
    await assert.rejects(dave.client.history(conversationId), isDenied);
    await assert.rejects(dave.groups.info(conversationId), isDenied);
    await assert.rejects(dave.groups.invite(conversationId, [dave.uid]), isDenied);
    assert.deepEqual(await Array.fromAsync(dave.groups.mine()), []);

    await assert.rejects(alice.groups.leave(conversationId), isDenied);
    await alice.groups.setRole(conversationId, carol.uid, "owner");
    const leaving = { requestId: unique("leave") };
    const left = await alice.groups.leave(conversationId, leaving);
    assert.deepEqual(await alice.groups.leave(conversationId, leaving), { ...left, duplicate: true });
    await carol.client.send({ conversationId, content: "only three" });

    const tail = ["role 1", "removed 1", "without dave", "role 1", "left 1"];
    const seen = [...tail, "only three"];
    await waitUntil("bob saw all of it", () => linesOf(bob, conversationId).slice(5).join() === seen.join(), WAIT_MS);
    const again = await join("erin", 4, erin.uid);
    await waitUntil("erin has caught up", () => linesOf(again, conversationId).includes("only three"), WAIT_MS);
    assert.deepEqual(linesOf(again, conversationId).slice(-seen.length), seen, "in order, and once");
    const own = tail.filter((line) => line !== "without dave");
    await waitUntil(
      "alice saw that she left",
      () => linesOf(alice, conversationId).slice(5).join() === own.join(),
      WAIT_MS,
    );
    assert.deepEqual(linesOf(dave, conversationId).slice(5), ["role 1", "removed 1"], "nothing behind its removal");

    // A new connection of who was removed shows nothing either.
    await dave.client.close();
    const back = await join("dave", 3, dave.uid);
    const probe = unique("probe");
    await alice.client.send({ to: dave.uid, content: probe });
    await waitUntil("dave is shown the probe", () => back.messages.some(({ text }) => text === probe), WAIT_MS);
    assert.ok(!linesOf(back, conversationId).includes("only three"));

    const summary = await bob.groups.info(conversationId);
    assert.deepEqual([summary.name, summary.memberCount, summary.role], ["five", 3, "admin"]);
    const roles = (await Array.fromAsync(bob.groups.members(conversationId))).map(
      ({ userId, role }) => `${userId} ${role}`,
    );
    assert.deepEqual(roles, [`${bob.uid} admin`, `${carol.uid} owner`, `${erin.uid} member`].sort());
    await Promise.all([alice, bob, carol, back, again].map(({ client }) => client.close()));
  });

  it("is made by a thin client in JSON, and tells a stranger what it tells of nothing", async (context) => {
    const [owner, friend, stranger] = [unique("owner"), await join("friend", 1), await join("stranger", 2)];
    const thin = await JsonClient.open(`wss://127.0.0.1:${fleet().entry(0).tlsPort}/ws`, ["im.v1.json"], {
      ca: fleet().ca,
      servername: SERVER_NAME,
    });
    context.after(() => thin.close());
    await thin.login("json-1", await fleet().tokens.mint(owner));
    const create = { name: "thin", userIds: [friend.uid] };
    thin.send({ cmd: "GROUP", rid: 5, body: { requestId: "thin-1", create } });
    const made = await thin.answer(5);
    assert.deepEqual([made.version, made.convSeq, made.userIds], ["1", "1", [friend.uid]]);
    const conversationId = String(made.conversationId);
    await waitUntil("the friend hears of it", () => linesOf(friend, conversationId).includes("created 1"), WAIT_MS);
    const failures = await Promise.all(
      [conversationId, unique("g")].map((id) => stranger.groups.info(id).catch((error: unknown) => error)),
    );
    const [known, unknown] = failures.map((error) =>
      error instanceof ImClientError ? [error.code, error.message] : error,
    );
    assert.deepEqual(known, unknown);
    assert.ok(failures.every(isDenied));
    await Promise.all([friend, stranger].map(({ client }) => client.close()));
  });
});
