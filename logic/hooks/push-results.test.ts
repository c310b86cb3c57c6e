// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { it } from "node:test";
import type { PushRequest } from "../push/provider.ts";
import type { HookFact } from "../store/hooks.ts";
import { PushResults } from "./push-results.ts";

const REQUEST: PushRequest = {
  notification: {
    ...{ type: "push", userId: "bob", conversationId: "c", messageId: "m", inboxSeq: 7, sender: "alice" },
    sentAtMs: 1,
  },
  ...{ address: "a secret token", collapseKey: "k", urgency: "high", badge: 1, ttlMs: 1000 },
};

function setUp(isWanted = true) {
  const written: (readonly HookFact[])[] = [];
  const faults: unknown[] = [];
  const world = { isAway: false };
  const results = new PushResults({
    store: {
      record: async (facts) => {
        if (world.isAway) throw new Error("away");
        written.push(facts);
      },
    },
    isWanted: () => isWanted,
    defer: setImmediate,
    onFault: (_, error) => void faults.push(error),
  });
  return { results, written, faults, world };
}

it("what providers answer is written together, without addresses", async () => {
  const { results, written } = setUp();
  await Promise.all([
    results.tell("apns", REQUEST, { kind: "accepted" }),
    results.tell("fcm", REQUEST, { kind: "gone", reason: "Unregistered" }),
  ]);
  assert.equal(written.length, 1);
  const facts = written.flat();
  assert.deepEqual(
    facts.map(({ kind, key, body }) => [kind, key, JSON.parse(body)]),
    [
      [
        "push.result",
        "bob",
        { messageId: "m", conversationId: "c", inboxSeq: 7, provider: "apns", result: "accepted" },
      ],
      [
        "push.result",
        "bob",
        { messageId: "m", conversationId: "c", inboxSeq: 7, provider: "fcm", result: "gone", reason: "Unregistered" },
      ],
    ],
  );
  await results.tell(
    "apns",
    { ...REQUEST, notification: { ...REQUEST.notification, subjectType: "item", subjectId: "lamp" } },
    { kind: "accepted" },
  );
  const { subjectType, subjectId } = JSON.parse(written.flat()[2]?.body ?? "{}") as Record<string, unknown>;
  assert.deepEqual([subjectType, subjectId], ["item", "lamp"]);
  assert.equal(new Set(facts.map(({ id }) => id)).size, 2);
  assert.ok(!JSON.stringify(facts).includes("secret"));
});

it("a database that is away is a fault and stops no push; without a hook nothing is written", async () => {
  const { results, written, faults, world } = setUp();
  world.isAway = true;
  await results.tell("apns", REQUEST, { kind: "accepted" });
  assert.deepEqual([faults.length, written.length], [1, 0]);
  const unwanted = setUp(false);
  await unwanted.results.tell("apns", REQUEST, { kind: "accepted" });
  assert.equal(unwanted.written.length, 0);
});
