// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { it } from "node:test";
import { HOOK_SHARDS, type HookClaim, type HookEvent, type HookFact, type LateVerdict } from "../hooks.ts";
import type { Store } from "../store.ts";
import { appended, type ContractStore, direct, message, user } from "./fixture.ts";

const LEASE_MS = 60_000;
const newHook = (): string => `hook-${randomUUID()}`;
const fact = (fields: Partial<HookFact> & { key: string }): HookFact => ({
  kind: "presence",
  id: randomUUID(),
  body: "{}",
  ...fields,
});

async function collectAll({ hooks }: Store): Promise<void> {
  while ((await hooks.collect(100)) !== 0);
}

/** A hook that begins now. */
async function registered(store: Store): Promise<string> {
  await collectAll(store);
  const hook = newHook();
  await store.hooks.register([hook]);
  return hook;
}

/** Everything that a hook is to be told, as it takes it shard by shard. */
async function takeAll(store: Store, hook: string): Promise<HookEvent[]> {
  await collectAll(store);
  const events: HookEvent[] = [];
  for (;;) {
    const claims = await store.hooks.claim({ hooks: [hook], leaseMs: LEASE_MS, limit: HOOK_SHARDS });
    if (claims.length === 0) return events;
    for (const claim of claims) {
      const page = await store.hooks.read({ shard: claim.shard, after: claim.position, limit: 3, withContent: true });
      events.push(...page);
      const position = page.at(-1)?.position ?? 0;
      assert.ok(await store.hooks.settle(claim, { position, tries: 0, pauseMs: 0 }));
    }
  }
}

async function claimOne(store: Store, hook: string): Promise<HookClaim> {
  const claims = await store.hooks.claim({ hooks: [hook], leaseMs: LEASE_MS, limit: HOOK_SHARDS });
  assert.equal(claims.length, 1);
  assert.ok(claims[0]);
  return claims[0];
}

/** Messages that leave a row in the outbox, in their own transaction. */
export function hookMessageContract(store: () => ContractStore): void {
  it("tells a hook of messages from when it is wanted, in the order of each conversation, as they are now", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    const hook = await registered(store());
    store().hooks.wantMessages(false);
    await store().append([message({ sender: alice, peer: bob })]);
    store().hooks.wantMessages(true);
    try {
      const group = `g-${randomUUID()}`;
      await store().createConversation(group, [alice, bob, carol]);
      const inputs = [
        message({ sender: alice, peer: bob }),
        message({ sender: alice, peer: bob }),
        message({ sender: carol, peer: bob }),
      ];
      const toGroup = message({ sender: carol, peer: "", conversationId: group, content: Buffer.from("\u0001ä") });
      const results = [...(await store().append(inputs)), ...(await store().append([toGroup]))];
      // A resend is no new message.
      await store().append([inputs[0] ?? toGroup]);
      const events = await takeAll(store(), hook);
      const told = new Map(events.map((event) => [event.id, event]));
      assert.deepEqual([events.length, told.size], [4, 4]);
      for (const [at, input] of [...inputs, toGroup].entries()) {
        const event = told.get(input.messageId);
        const { convSeq } = appended(results[at]);
        const { conversationId, sentAtMs, sender, clientMessageId, contentType } = input;
        assert.deepEqual([event?.kind, event?.key, event?.body], ["message.after", conversationId, ""]);
        const { stored, ...place } = event?.message ?? {};
        assert.deepEqual(place, { conversationId, convSeq, sentAtMs });
        assert.deepEqual(
          { ...stored, content: Buffer.from(stored?.content ?? []), users: stored?.users.toSorted() },
          {
            ...{ sender, clientMessageId, contentType, content: Buffer.from(input.content) },
            ...{ users: at === 3 ? [] : [sender, bob].sort(), subject: undefined },
          },
        );
      }
      const inOrder = events.filter(({ key }) => key === direct(alice, bob));
      assert.deepEqual(
        inOrder.map(({ message: told }) => told?.convSeq),
        [2, 3],
      );
      const positions = events.map(({ position }) => position).sort((a, b) => a - b);
      assert.deepEqual(
        positions,
        [0, 1, 2, 3].map((at) => at + (positions[0] ?? 0)),
      );
    } finally {
      store().hooks.wantMessages(false);
    }
  });

  it("tells of a recall, and of the message as the recall left it", async () => {
    const [alice, bob] = [user(), user()];
    const hook = await registered(store());
    store().hooks.wantMessages(true);
    try {
      const input = message({ sender: alice, peer: bob, content: Buffer.from("secret") });
      const { convSeq } = appended((await store().append([input]))[0]);
      const eventId = randomUUID();
      const changed = await store().changes.change({
        ...{ kind: "recall", sender: alice, clientMessageId: randomUUID(), payloadHash: Buffer.alloc(32, 1) },
        ...{ conversationId: input.conversationId, convSeq, messageId: input.messageId, baseVersion: 0 },
        ...{ version: Number.MAX_SAFE_INTEGER, ref: "", content: Buffer.alloc(0), oldestMs: 0, eventId },
        ...{ eventBare: Buffer.from("bare"), eventTail: Buffer.alloc(0), atMs: Date.now() },
      });
      assert.equal(changed.kind, "changed");
      const events = await takeAll(store(), hook);
      assert.deepEqual(
        events.map(({ id, message: told }) => [id, told?.convSeq, told?.stored?.contentType]),
        [
          [input.messageId, 1, "im/recalled"],
          [eventId, 2, "im/change"],
        ],
      );
    } finally {
      store().hooks.wantMessages(false);
    }
  });

  it("reads without contents where nobody asks for them", async () => {
    const hook = await registered(store());
    store().hooks.wantMessages(true);
    try {
      const input = message({ sender: user(), peer: user(), content: Buffer.from("long") });
      await store().append([input]);
      await collectAll(store());
      const { shard, position } = await claimOne(store(), hook);
      const [event] = await store().hooks.read({ shard, after: position, limit: 9, withContent: false });
      assert.equal(event?.message?.stored?.content.length, 0);
      assert.equal(event?.message?.stored?.sender, input.sender);
    } finally {
      store().hooks.wantMessages(false);
    }
  });
}

/** Facts besides messages. */
export function hookFactContract(store: () => ContractStore): void {
  it("keeps facts with one key in their order, and has each of them once", async () => {
    const hook = await registered(store());
    const [one, other] = [user(), user()];
    const facts = Array.from({ length: 20 }, (_, at) =>
      fact({ key: at % 3 === 0 ? other : one, kind: "push.result", body: JSON.stringify({ at, text: 'ä"\\\n' }) }),
    );
    await store().hooks.record(facts.slice(0, 11));
    await store().hooks.record([]);
    await store().hooks.record(facts.slice(11));
    const events = await takeAll(store(), hook);
    for (const key of [one, other])
      assert.deepEqual(
        events.filter((event) => event.key === key).map(({ id, kind, body }) => [id, kind, body]),
        facts.filter((given) => given.key === key).map(({ id, kind, body }) => [id, kind, body]),
      );
    assert.equal(events.length, 20);
    assert.ok(events.every(({ message: told }) => told === undefined));
  });

  it("moves so many rows at once as are asked for, the oldest first", async () => {
    const hook = await registered(store());
    const facts = [1, 2, 3].map(() => fact({ key: "same" }));
    await store().hooks.record(facts);
    assert.equal(await store().hooks.collect(2), 2);
    const { shard, position } = await claimOne(store(), hook);
    const read = async () => await store().hooks.read({ shard, after: position, limit: 9, withContent: true });
    assert.deepEqual(
      (await read()).map(({ id }) => id),
      facts.slice(0, 2).map(({ id }) => id),
    );
    assert.equal(await store().hooks.collect(2), 1);
    assert.equal(await store().hooks.collect(2), 0);
    assert.equal((await read()).length, 3);
  });

  it("does not tell a hook that is new of what was before, and tells one that is known where it left off", async () => {
    const hook = await registered(store());
    await store().hooks.record([fact({ key: "k" })]);
    await collectAll(store());
    const late = newHook();
    await store().hooks.register([late, hook]);
    assert.equal((await takeAll(store(), late)).length, 0);
    assert.equal((await takeAll(store(), hook)).length, 1);
  });
}

/** Who may tell a hook. */
export function hookLeaseContract(store: () => ContractStore): void {
  it("gives a shard to one process at a time, and takes no answer of one that lost it", async () => {
    const hook = await registered(store());
    await store().hooks.record([fact({ key: "k" }), fact({ key: "k" })]);
    await collectAll(store());
    const first = await claimOne(store(), hook);
    const claim = async (leaseMs = LEASE_MS) =>
      await store().hooks.claim({ hooks: [hook], leaseMs, limit: HOOK_SHARDS });
    assert.deepEqual(await claim(), []);
    const position = first.position + 1;
    assert.ok(await store().hooks.settle(first, { position, tries: 0, pauseMs: 0 }));
    const [second] = await claim(0);
    assert.deepEqual([second?.position, second?.tries], [position, 0]);
    // Its lease is over: somebody else has it now.
    const third = await claimOne(store(), hook);
    assert.ok(second && third.lease > second.lease);
    assert.equal(await store().hooks.settle(second, { position: position + 1, tries: 0, pauseMs: 0 }), false);
    assert.ok(await store().hooks.settle(third, { position, tries: 3, pauseMs: LEASE_MS }));
    assert.deepEqual(await claim(), [], "it waits for its next try");
    const [status] = (await store().hooks.backlog([hook])).hooks;
    assert.deepEqual([status?.tries, status?.dead], [3, 0]);
  });

  it("says how old the oldest thing is that was not told", async () => {
    const hook = await registered(store());
    const quiet = await store().hooks.backlog([hook, newHook()]);
    assert.deepEqual(
      quiet.hooks.map((status) => [status.hook, status.oldestMs, status.tries, status.dead]),
      [[hook, 0, 0, 0]],
    );
    await store().hooks.record([fact({ key: "k" })]);
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.ok((await store().hooks.backlog([hook])).outboxOldestMs >= 20);
    await collectAll(store());
    const { hooks, outboxOldestMs, lastPosition } = await store().hooks.backlog([hook]);
    assert.ok((hooks[0]?.oldestMs ?? 0) >= 20);
    assert.deepEqual([outboxOldestMs, lastPosition], [0, quiet.lastPosition + 1]);
  });
}

/** What a backend did not take. */
export function hookDeadContract(store: () => ContractStore): void {
  it("keeps what was given up, and puts it back for its hook alone, with the id that it had", async () => {
    const [hook, other] = [await registered(store()), await registered(store())];
    const facts = [1, 2, 3].map((at) => fact({ key: "k", body: `{"at":${at}}` }));
    await store().hooks.record(facts);
    await collectAll(store());
    for (const at of [1, 2, 3]) {
      const claim = await claimOne(store(), hook);
      const position = claim.position + 1;
      const dead = { position, reason: `no ${at}`, tries: at };
      assert.ok(await store().hooks.settle(claim, { position, tries: 0, pauseMs: 0, dead }));
      assert.equal(
        await store().hooks.settle({ ...claim, lease: -1 }, { position, tries: 0, pauseMs: 0, dead }),
        false,
      );
    }
    const dead = await store().hooks.listDead({ hook, after: 0, limit: 10 });
    assert.deepEqual(
      dead.map(({ id, reason, tries, kind, key }) => [id, reason, tries, kind, key]),
      facts.map(({ id }, at) => [id, `no ${at + 1}`, at + 1, "presence", "k"]),
    );
    const [first, second] = dead;
    assert.equal((await store().hooks.listDead({ hook, after: first?.position ?? 0, limit: 1 }))[0]?.id, second?.id);
    assert.deepEqual(await store().hooks.listDead({ hook: other, after: 0, limit: 10 }), []);
    assert.equal((await takeAll(store(), other)).length, 3);

    const positions = [second?.position ?? 0];
    assert.equal(await store().hooks.replayDead({ hook: other, positions, limit: 10 }), 0);
    assert.equal(await store().hooks.replayDead({ hook, positions, limit: 10 }), 1);
    assert.equal(await store().hooks.replayDead({ hook, limit: 1 }), 1);
    const again = await takeAll(store(), hook);
    assert.deepEqual(
      again.map(({ id, onlyHook, body }) => [id, onlyHook, body]),
      [facts[1], facts[0]].map((given) => [given?.id, hook, given?.body]),
    );
    const seen = await takeAll(store(), other);
    assert.ok(
      seen.every(({ onlyHook }) => onlyHook === hook),
      "marked as somebody else's",
    );
    assert.equal((await store().hooks.backlog([hook])).hooks[0]?.dead, 1);
  });
}

/** Telling anew. */
export function hookRewindContract(store: () => ContractStore): void {
  it("tells a hook again from a position or a time on, never skips, and takes the shards from whoever has them", async () => {
    const hook = await registered(store());
    const facts = [1, 2, 3, 4].map(() => fact({ key: "k" }));
    await store().hooks.record(facts.slice(0, 2));
    const before = await takeAll(store(), hook);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await store().hooks.record(facts.slice(2));
    const after = await takeAll(store(), hook);
    const ids = async () => (await takeAll(store(), hook)).map(({ id }) => id);
    assert.deepEqual(await ids(), []);

    assert.ok(await store().hooks.rewind(hook, { position: before[1]?.position ?? 0 }));
    assert.deepEqual(
      await ids(),
      facts.slice(1).map(({ id }) => id),
    );
    assert.ok(await store().hooks.rewind(hook, { timeMs: after[0]?.storedMs ?? 0 }));
    assert.deepEqual(
      await ids(),
      facts.slice(2).map(({ id }) => id),
    );
    assert.ok(await store().hooks.rewind(hook, { timeMs: Date.now() + 3_600_000 }));
    assert.ok(await store().hooks.rewind(hook, { position: Number.MAX_SAFE_INTEGER }));
    assert.deepEqual(await ids(), [], "never forward");
    assert.equal(await store().hooks.rewind(newHook(), { position: 1 }), false);

    assert.ok(await store().hooks.rewind(hook, { position: after[1]?.position ?? 0 }));
    const claim = await claimOne(store(), hook);
    assert.ok(await store().hooks.rewind(hook, { position: after[0]?.position ?? 0 }));
    const position = claim.position + 1;
    assert.equal(await store().hooks.settle(claim, { position, tries: 0, pauseMs: 0 }), false);
    assert.deepEqual(
      await ids(),
      facts.slice(2).map(({ id }) => id),
    );
  });
}

/** The log does not grow for ever. */
export function hookPruneContract(store: () => ContractStore): void {
  it("deletes what is old, told or not, and says how much was not told", async () => {
    const hook = await registered(store());
    await store().hooks.record([fact({ key: "k" })]);
    await takeAll(store(), hook);
    await store().hooks.record([fact({ key: "k" }), fact({ key: "k" })]);
    await collectAll(store());
    const claim = await claimOne(store(), hook);
    const position = claim.position + 1;
    await store().hooks.settle(claim, { position, tries: 0, pauseMs: 0, dead: { position, reason: "no", tries: 1 } });
    const prune = (keepMs: number) => store().hooks.prune({ hooks: [hook], keepMs, maxRows: 10_000 });
    assert.equal((await prune(3_600_000)).deleted, 0);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const { deleted, untold } = await prune(1);
    assert.ok(deleted >= 3);
    assert.equal(untold, 1);
    assert.deepEqual(await store().hooks.listDead({ hook, after: 0, limit: 1 }), []);
    assert.deepEqual(await takeAll(store(), hook), []);
  });
}

/** Who is there, and what classifiers think. */
export function hookPresenceContract(store: () => ContractStore): void {
  it("tells of each who came or went once, however often it is looked at", async () => {
    const hook = await registered(store());
    const [one, other] = [user(), user()];
    const look = (userId: string, isOnline: boolean) => ({ userId, isOnline });
    const tell = (...looks: { userId: string; isOnline: boolean }[]) => store().hooks.tellPresence(looks);
    assert.equal(await tell(), 0);
    assert.equal(await tell(look(one, true), look(other, false)), 1);
    assert.equal(await tell(look(one, true), look(other, true)), 1);
    assert.equal(await tell(look(one, false), look(other, true)), 1);
    assert.equal(await tell(look(one, false)), 0);
    const events = await takeAll(store(), hook);
    const told = (userId: string) => events.filter(({ key }) => key === userId).map(({ body }) => JSON.parse(body));
    assert.deepEqual([told(one), told(other)], [[{ online: true }, { online: false }], [{ online: true }]]);
    assert.equal(new Set(events.map(({ id }) => id)).size, 3);
    assert.ok(events.every(({ kind }) => kind === "presence"));
    await tell(look(other, false));
  });

  it("names whom to look at again, the longest first", async () => {
    await registered(store());
    const users = [user(), user(), user()];
    await store().hooks.tellPresence(users.map((userId) => ({ userId, isOnline: true })));
    assert.deepEqual(await store().hooks.onlineToCheck({ olderThanMs: 3_600_000, limit: 10 }), []);
    await new Promise((resolve) => setTimeout(resolve, 10));
    const first = await store().hooks.onlineToCheck({ olderThanMs: 1, limit: 2 });
    const second = await store().hooks.onlineToCheck({ olderThanMs: 1, limit: 1 });
    assert.deepEqual([first.length, [...first, ...second].sort()], [2, users.toSorted()]);
    await store().hooks.tellPresence(users.map((userId) => ({ userId, isOnline: false })));
    assert.deepEqual(await store().hooks.onlineToCheck({ olderThanMs: 0, limit: 10 }), []);
  });

  it("keeps late verdicts, the first on each message, until they are carried out", async () => {
    const verdict = (fields: Partial<LateVerdict> = {}): LateVerdict => ({
      ...{ messageId: randomUUID(), conversationId: "c", convSeq: 7, sender: "alice", verdict: "recall" },
      ...{ reason: "spam", hook: "ml", ...fields },
    });
    const [one, other] = [verdict(), verdict({ verdict: "flag" })];
    await store().hooks.addVerdicts([]);
    await store().hooks.addVerdicts([one, other]);
    await store().hooks.addVerdicts([{ ...one, verdict: "flag" }]);
    const claim = async (holdMs: number, limit = 10) => {
      const claimed = await store().hooks.claimVerdicts({ holdMs, limit });
      return claimed.toSorted((a, b) => (a.verdict < b.verdict ? -1 : 1));
    };
    assert.deepEqual(await claim(0), [
      { ...other, tries: 1 },
      { ...one, tries: 1 },
    ]);
    assert.equal((await claim(0, 1)).length, 1);
    assert.equal((await claim(LEASE_MS)).length, 2);
    assert.deepEqual(await claim(0), []);
    await store().hooks.endVerdicts([one.messageId, other.messageId]);
    await store().hooks.endVerdicts([]);
    await store().hooks.addVerdicts([one]);
    assert.deepEqual(await claim(LEASE_MS), [{ ...one, tries: 1 }], "there is none of before any more");
    await store().hooks.endVerdicts([one.messageId]);
  });
}

/** Reports that leave a row in the outbox, in their own transaction. */
export function hookReportContract(store: () => ContractStore): void {
  it("tells a hook of each report once, while that is wanted", async () => {
    const [alice, bob] = [user(), user()];
    const hook = await registered(store());
    const report = (reportId: string) =>
      store().policy.report({
        ...{ tenant: "", reporter: alice, reportId, kind: "user", reported: bob, conversationId: "c", convSeq: 0 },
        ...{ messageId: "", reason: "fraud", text: "x", rule: "", context: "[]", atMs: Date.now() },
      });
    assert.equal(await report(randomUUID()), "stored");
    store().policy.wantReports(true);
    const reportId = randomUUID();
    assert.deepEqual([await report(reportId), await report(reportId)], ["stored", "duplicate"]);
    store().policy.wantReports(false);
    const events = (await takeAll(store(), hook)).filter(({ key }) => key === alice);
    assert.deepEqual(
      events.map(({ kind, body }) => [kind, { ...JSON.parse(body), number: 0 }]),
      [["report.created", { number: 0, kind: "user", reason: "fraud", conversationId: "c", messageId: "" }]],
    );
    const kept = (await store().policy.reports({ tenant: "", after: 0, limit: 10_000, isOpen: false })).at(-1);
    assert.equal(JSON.parse(events[0]?.body ?? "{}").number, kept?.number);
  });
}
