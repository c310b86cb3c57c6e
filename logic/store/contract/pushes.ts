// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { it } from "node:test";
import type { OwedPush } from "../push-ledger.ts";
import { byUser, type ContractStore, direct, message, readAll, user } from "./fixture.ts";

const HOLD_MS = 60_000;

/** Everything due is looked at: what other tests left is not ours. */
async function findAll(store: ContractStore, readByClass = ""): Promise<number> {
  let owed = 0;
  for (;;) {
    const found = await store.pushes.findUnpushed({ olderThanMs: 0, limit: 1000, readByClass });
    owed += found.owed;
    if (found.appends === 0) return owed;
  }
}

/** Takes every free debt and returns those of the users, by name. */
async function claim(store: ContractStore, users: readonly string[], holdMs = HOLD_MS): Promise<OwedPush[]> {
  const mine: OwedPush[] = [];
  for (;;) {
    const taken = await store.pushes.claimOwed({ holdMs, limit: 100 });
    mine.push(...taken.filter(({ userId }) => users.includes(userId)));
    if (taken.length < 100) return mine.sort(byUser);
  }
}

const send = (store: ContractStore, sender: string, peer: string, count = 1) =>
  store.append(Array.from({ length: count }, () => message({ sender, peer })));

/** Marks of pushes, and who is owed one. */
export function pushContract(store: () => ContractStore): void {
  it("keeps the highest push of each user", async () => {
    const [alice, bob, nobody] = [user(), user(), user()];
    const { pushes } = store();
    await send(store(), bob, alice, 5);
    await pushes.recordPushes([
      { userId: alice, inboxSeq: 3 },
      { userId: bob, inboxSeq: 1 },
      { userId: alice, inboxSeq: 5 },
      { userId: alice, inboxSeq: 4 },
    ]);
    await pushes.recordPushes([{ userId: alice, inboxSeq: 2 }]);
    await pushes.recordPushes([]);
    assert.deepEqual(
      await pushes.pushedSeqs([nobody, alice, bob]),
      new Map([
        [alice, 5],
        [bob, 1],
      ]),
    );
    assert.deepEqual(await pushes.pushedSeqs([]), new Map());
  });

  it("takes no mark past the head: the next messages are not pushed yet", async () => {
    const [alice, bob, nobody] = [user(), user(), user()];
    const { pushes } = store();
    await send(store(), alice, bob, 2);
    await pushes.recordPushes([
      { userId: bob, inboxSeq: 40 },
      { userId: nobody, inboxSeq: 3 },
    ]);
    assert.deepEqual(await pushes.pushedSeqs([bob, nobody]), new Map([[bob, 2]]));
    await send(store(), alice, bob);
    await findAll(store());
    assert.deepEqual(
      (await claim(store(), [bob])).map(({ inboxSeq }) => inboxSeq),
      [3],
    );
  });

  it("owes a push to recipients who neither acknowledged nor were pushed to, and to no sender", async () => {
    const [alice, reached, pushed, forgotten, half] = [user(), user(), user(), user(), user()];
    const group = `g-${user()}`;
    await store().createConversation(group, [alice, reached, forgotten]);
    for (const deviceId of ["old", "new"])
      await store().login({ userId: reached, slot: deviceId, deviceId, deviceName: "", platform: "", appVersion: "" });
    await send(store(), alice, reached, 2);
    await send(store(), alice, pushed, 2);
    await send(store(), alice, half, 2);
    await send(store(), alice, alice);
    await store().append([message({ sender: alice, peer: "", conversationId: group })]);
    await store().advanceAcks([{ userId: reached, deviceId: "new", inboxSeq: 3 }]);
    await store().pushes.recordPushes([
      { userId: pushed, inboxSeq: 2 },
      { userId: half, inboxSeq: 1 },
    ]);
    await findAll(store());
    const users = [alice, reached, pushed, forgotten, half];
    assert.deepEqual(
      await claim(store(), users),
      [
        { userId: forgotten, inboxSeq: 1, tries: 1 },
        { userId: half, inboxSeq: 2, tries: 1 },
      ].sort(byUser),
    );
    assert.deepEqual(await claim(store(), users), [], "in somebody's hand");
    assert.equal(await findAll(store()), 0, "each append is looked at once");
  });

  it("takes the last message of a batch for each user, whoever wrote before and after", async () => {
    const [alice, bob] = [user(), user()];
    await store().append([
      message({ sender: alice, peer: bob }),
      message({ sender: bob, peer: alice }),
      message({ sender: alice, peer: bob }),
      message({ sender: bob, peer: alice }),
      message({ sender: bob, peer: bob }),
    ]);
    await findAll(store());
    assert.deepEqual(
      await claim(store(), [alice, bob]),
      [
        { userId: alice, inboxSeq: 4, tries: 1 },
        { userId: bob, inboxSeq: 3, tries: 1 },
      ].sort(byUser),
    );
  });

  mutedContract(store);
  readByContract(store);
  debtContract(store);
}

/** What a user muted is owed no push. */
function mutedContract(store: () => ContractStore): void {
  const FOR_EVER = Number.MAX_SAFE_INTEGER;
  const mute = (userId: string, peer: string, mutedUntilMs: number) =>
    store().conversations.change([{ userId, conversationId: direct(userId, peer), mutedUntilMs }]);

  it("owes nothing for a muted conversation, and the older message of another one all the same", async () => {
    const [loud, quiet, bob, carol] = [user(), user(), user(), user()];
    await store().append([message({ sender: loud, peer: bob }), message({ sender: quiet, peer: bob })]);
    await store().append([message({ sender: quiet, peer: carol })]);
    for (const userId of [bob, carol]) await mute(userId, quiet, FOR_EVER);
    await mute(loud, bob, FOR_EVER);
    await findAll(store());
    assert.deepEqual(await claim(store(), [bob, carol, loud]), [{ userId: bob, inboxSeq: 1, tries: 1 }]);
    const { contacts } = await store().conversations.find(bob, [direct(quiet, bob)], 1 << 20);
    assert.equal(contacts[0]?.unread, 1, "muted is no less unread");
    assert.equal((await readAll(store(), bob)).events.length, 2, "nor less delivered");
  });

  it("looks behind what was pushed or acknowledged for nothing", async () => {
    const [loud, quiet, bob] = [user(), user(), user()];
    await send(store(), loud, bob);
    await store().pushes.recordPushes([{ userId: bob, inboxSeq: 1 }]);
    await send(store(), quiet, bob);
    await mute(bob, quiet, FOR_EVER);
    await findAll(store());
    assert.deepEqual(await claim(store(), [bob]), []);
  });

  it("owes pushes again when the time is over", async () => {
    const [alice, bob] = [user(), user()];
    await send(store(), alice, bob);
    await mute(bob, alice, Date.now() - 1);
    await findAll(store());
    assert.deepEqual(await claim(store(), [bob]), [{ userId: bob, inboxSeq: 1, tries: 1 }]);
  });
}

/** Whose acknowledgement counts. */
function readByContract(store: () => ContractStore): void {
  const login = (userId: string, slot: string, deviceId = slot) => {
    const device = { deviceId, deviceName: "", platform: "", appVersion: "", sessionsPerSlot: 2 };
    return store().login({ userId, slot, ...device });
  };

  it("can ask for the acknowledgement of one class, where the user has a device of it", async () => {
    const [alice, phone, both, desk] = [user(), user(), user(), user()];
    for (const userId of [both, desk]) await login(userId, "web");
    for (const userId of [both, phone]) await login(userId, "mobile");
    for (const peer of [phone, both, desk]) await send(store(), alice, peer, 2);
    await store().advanceAcks([
      { userId: both, deviceId: "web", inboxSeq: 2 },
      { userId: both, deviceId: "mobile", inboxSeq: 1 },
      { userId: desk, deviceId: "web", inboxSeq: 2 },
      { userId: phone, deviceId: "mobile", inboxSeq: 2 },
    ]);
    await findAll(store(), "mobile");
    assert.deepEqual(await claim(store(), [alice, phone, both, desk]), [{ userId: both, inboxSeq: 2, tries: 1 }]);
  });

  it("counts the further devices of a class among its own", async () => {
    const [alice, second, either] = [user(), user(), user()];
    for (const userId of [second, either]) for (const deviceId of ["a", "b"]) await login(userId, "mobile", deviceId);
    // Now its only phone is in the second slot.
    await login(second, "web", "a");
    for (const peer of [second, either]) await send(store(), alice, peer, 2);
    await store().advanceAcks([
      { userId: second, deviceId: "a", inboxSeq: 2 },
      { userId: second, deviceId: "b", inboxSeq: 1 },
      { userId: either, deviceId: "a", inboxSeq: 1 },
      { userId: either, deviceId: "b", inboxSeq: 2 },
    ]);
    await findAll(store(), "mobile");
    assert.deepEqual(await claim(store(), [alice, second, either]), [{ userId: second, inboxSeq: 2, tries: 1 }]);
  });
}

/** When debts are found, taken and ended. */
function debtContract(store: () => ContractStore): void {
  it("waits until appends are old enough, and looks at a bounded number", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    await findAll(store());
    await send(store(), alice, bob);
    await send(store(), alice, carol);
    assert.deepEqual(await store().pushes.findUnpushed({ olderThanMs: 600_000, limit: 100 }), { appends: 0, owed: 0 });
    assert.deepEqual(await claim(store(), [bob, carol]), []);
    assert.deepEqual(await store().pushes.findUnpushed({ olderThanMs: 0, limit: 1 }), { appends: 1, owed: 1 });
    assert.deepEqual(await claim(store(), [bob, carol]), [{ userId: bob, inboxSeq: 1, tries: 1 }]);
  });

  it("frees a debt when its time is over, and ends it with the push", async () => {
    const [alice, bob] = [user(), user()];
    await send(store(), alice, bob, 2);
    await findAll(store());
    assert.equal((await claim(store(), [bob], 0))[0]?.tries, 1);
    assert.equal((await claim(store(), [bob], 0))[0]?.tries, 2);
    await store().pushes.recordPushes([{ userId: bob, inboxSeq: 1 }]);
    assert.equal((await claim(store(), [bob], 0))[0]?.tries, 3, "a push of an older message does not end it");
    await store().pushes.recordPushes([{ userId: bob, inboxSeq: 2 }]);
    assert.deepEqual(await claim(store(), [bob], 0), []);
  });

  it("frees a debt in somebody's hand when a newer message comes", async () => {
    const [alice, bob] = [user(), user()];
    await send(store(), alice, bob);
    await findAll(store());
    await claim(store(), [bob]);
    await send(store(), alice, bob);
    await findAll(store());
    assert.deepEqual(await claim(store(), [bob]), [{ userId: bob, inboxSeq: 2, tries: 1 }]);
    await store().pushes.recordPushes([{ userId: bob, inboxSeq: 1 }]);
    assert.deepEqual(await store().pushes.pushedSeqs([bob]), new Map([[bob, 1]]));
  });

  it("shares debts and appends among simultaneous callers, none twice", async () => {
    const alice = user();
    const bobs = Array.from({ length: 40 }, user);
    for (const bob of bobs) await send(store(), alice, bob);
    const found = await Promise.all(
      Array.from({ length: 6 }, () => store().pushes.findUnpushed({ olderThanMs: 0, limit: 10 })),
    );
    assert.ok(found.reduce((sum, { appends }) => sum + appends, 0) <= 60);
    await findAll(store());
    const claims = await Promise.all(
      Array.from({ length: 6 }, () => store().pushes.claimOwed({ holdMs: HOLD_MS, limit: 15 })),
    );
    const taken = [...claims.flat(), ...(await claim(store(), bobs))].filter(({ userId }) => bobs.includes(userId));
    assert.deepEqual(taken.map(({ userId }) => userId).sort(), [...bobs].sort());
  });
}
