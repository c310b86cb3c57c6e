// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { it } from "node:test";
import { hasNumber, listNumbers } from "../../broadcasts/user-numbers.ts";
import { type BroadcastStore, MAX_LISTED_USERS, type NewBroadcast, type OpenPart } from "../broadcast-store.ts";
import { type ContractStore, user } from "./fixture.ts";

const HOUR_MS = 3_600_000;

/** Nobody else's. */
const tenantName = (): string => `t-${randomUUID().slice(0, 20)}`;

/** For everybody, in force from now on for an hour. */
export function newBroadcast(fields: Partial<NewBroadcast> = {}): NewBroadcast {
  const broadcastId = `b-${randomUUID()}`;
  return {
    ...{ broadcastId, tenant: "", contentType: "text/plain", content: Buffer.from(broadcastId) },
    digest: createHash("sha256").update(broadcastId).digest(),
    ...{ audience: "all", segment: "", userIds: [], urgent: false, topic: "", maxPerDay: 0 },
    ...{ notBeforeMs: Date.now() - 1000, notAfterMs: Date.now() + HOUR_MS },
    ...fields,
  };
}

async function headOf(broadcasts: BroadcastStore, tenant: string) {
  const { heads } = await broadcasts.activate();
  return heads.find((head) => head.tenant === tenant);
}

async function openOf(broadcasts: BroadcastStore, tenant: string): Promise<OpenPart[]> {
  await broadcasts.activate();
  return [...(await broadcasts.open(tenant)).parts];
}

async function loginOf(store: ContractStore, userId: string, slot = "mobile"): Promise<void> {
  const device = { slot, deviceId: `d-${slot}`, deviceName: "", platform: "ios", appVersion: "" };
  assert.equal((await store.login({ userId, ...device })).kind, "ok");
}

async function isOnList(store: ContractStore, part: OpenPart, userId: string): Promise<boolean> {
  const reader = (await store.broadcasts.readers([userId])).get(userId);
  assert.ok(reader, "whoever is on a list has a number");
  return hasNumber(await store.broadcasts.usersOf(part.broadcastId, part.part), reader.number);
}

/** What a broadcast is, and when it is in force. */
export function broadcastContract(store: () => ContractStore): void {
  it("stores a broadcast once per id", async () => {
    const { broadcasts } = store();
    const tenant = tenantName();
    const content = Buffer.from([0, 1, 254, 255]);
    const one = newBroadcast({
      tenant,
      content,
      contentType: "im/x",
      urgent: true,
      audience: "segment",
      segment: "[]",
    });
    assert.equal(await broadcasts.create(one), "created");
    assert.equal(await broadcasts.create(one), "same");
    assert.equal(await broadcasts.create({ ...one, digest: Buffer.alloc(32) }), "conflict");
    const found = await broadcasts.find(tenant, one.broadcastId);
    assert.ok(found);
    const { number, createdMs, content: bytes, ...rest } = found;
    const { userIds: _, digest: __, tenant: ___, content: ____, ...given } = one;
    assert.deepEqual(rest, { ...given, users: 0, retractedMs: 0, activationSeq: 0 });
    assert.ok(number > 0 && Math.abs(createdMs - Date.now()) < 60_000);
    assert.deepEqual(Buffer.from(bytes), content);
    assert.deepEqual(Buffer.from((await broadcasts.content(one.broadcastId)) ?? []), content);
    assert.equal(await broadcasts.find(tenantName(), one.broadcastId), undefined);
    assert.equal(await broadcasts.content(`b-${randomUUID()}`), undefined);
  });

  it("lists the broadcasts of one tenant, newest first", async () => {
    const { broadcasts } = store();
    const tenant = tenantName();
    const made = [newBroadcast({ tenant }), newBroadcast({ tenant }), newBroadcast({ tenant })];
    for (const one of [...made, newBroadcast({ tenant: tenantName() })]) await broadcasts.create(one);
    const first = await broadcasts.list(tenant, { before: 0, limit: 2 });
    const rest = await broadcasts.list(tenant, { before: first.at(-1)?.number ?? 0, limit: 2 });
    assert.deepEqual(
      [...first, ...rest].map(({ broadcastId }) => broadcastId),
      made.map(({ broadcastId }) => broadcastId).reverse(),
    );
  });
}

/** When a broadcast is in force. */
export function broadcastForceContract(store: () => ContractStore): void {
  it("numbers broadcasts without gaps when they come into force, whatever their order", async () => {
    const { broadcasts } = store();
    const tenant = tenantName();
    const later = newBroadcast({ tenant, notBeforeMs: Date.now() + 3000 });
    const now = newBroadcast({ tenant });
    assert.equal(await headOf(broadcasts, tenant), undefined, "it has none yet");
    await broadcasts.create(later);
    await broadcasts.create(now);
    assert.deepEqual(await openOf(broadcasts, tenant).then((parts) => parts.map((part) => part.broadcastId)), [
      now.broadcastId,
    ]);
    const { nextDueMs, nowMs } = await broadcasts.activate();
    assert.ok(nextDueMs !== undefined && nextDueMs <= later.notBeforeMs && Math.abs(nowMs - Date.now()) < 60_000);
    const untilMs = performance.now() + 10_000;
    while ((await headOf(broadcasts, tenant))?.head !== 2) {
      assert.ok(performance.now() < untilMs, "the later one never came into force");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const parts = await openOf(broadcasts, tenant);
    assert.deepEqual(
      parts.map(({ activationSeq, broadcastId, part }) => [activationSeq, broadcastId, part]),
      [
        [1, now.broadcastId, 1],
        [2, later.broadcastId, 1],
      ],
    );
    assert.equal((await broadcasts.find(tenant, later.broadcastId))?.activationSeq, 2);
  });

  it("puts each into force once when several logics find them due at the same moment", async () => {
    const { broadcasts } = store();
    const tenant = tenantName();
    const made = Array.from({ length: 6 }, () => newBroadcast({ tenant }));
    await Promise.all(made.map((one) => broadcasts.create(one)));
    const seen = await Promise.all(Array.from({ length: 8 }, () => headOf(broadcasts, tenant)));
    for (const head of seen) assert.equal(head?.head, 6);
    const parts = await openOf(broadcasts, tenant);
    assert.deepEqual(
      parts.map(({ activationSeq }) => activationSeq),
      [1, 2, 3, 4, 5, 6],
    );
    assert.equal(new Set(parts.map(({ broadcastId }) => broadcastId)).size, 6);
  });

  it("leaves out what is over or retracted, and tells that something is", async () => {
    const { broadcasts } = store();
    const tenant = tenantName();
    const [over, kept, gone] = [
      newBroadcast({ tenant, notBeforeMs: Date.now() - 2000, notAfterMs: Date.now() - 1000 }),
      newBroadcast({ tenant }),
      newBroadcast({ tenant }),
    ];
    for (const one of [over, kept, gone]) await broadcasts.create(one);
    const before = await headOf(broadcasts, tenant);
    assert.equal(before?.head, 3, "what is over takes its place all the same");
    assert.equal(await broadcasts.retract(tenantName(), gone.broadcastId), false);
    assert.equal(await broadcasts.retract(tenant, gone.broadcastId), true);
    const after = await headOf(broadcasts, tenant);
    assert.ok(after && after.version > before.version);
    assert.equal(await broadcasts.retract(tenant, gone.broadcastId), true);
    assert.deepEqual(await headOf(broadcasts, tenant), after, "once");
    const open = await broadcasts.open(tenant);
    assert.deepEqual([open.head, open.version], [3, after.version]);
    assert.deepEqual(
      open.parts.map(({ broadcastId }) => broadcastId),
      [kept.broadcastId],
    );
    assert.ok(((await broadcasts.find(tenant, gone.broadcastId))?.retractedMs ?? 0) > 0);
    assert.deepEqual(await broadcasts.open(tenantName()), { head: 0, version: 0, parts: [] });
  });
}

/** Lists of users. */
export function broadcastListContract(store: () => ContractStore): void {
  it("keeps a list of users, known or not, without those who are not on it", async () => {
    const tenant = tenantName();
    const users = Array.from({ length: 20 }, user);
    const stranger = user();
    await loginOf(store(), stranger);
    await loginOf(store(), users[0] ?? "");
    const one = newBroadcast({ tenant, audience: "users", userIds: [...users, ...users.slice(5)] });
    assert.equal(await store().broadcasts.create(one), "created");
    const [part] = await openOf(store().broadcasts, tenant);
    assert.ok(part);
    for (const userId of users) assert.ok(await isOnList(store(), part, userId));
    assert.ok(!(await isOnList(store(), part, stranger)));
    assert.equal((await store().broadcasts.find(tenant, one.broadcastId))?.users, 20);
  });

  it("takes more users before and after it is in force, each in one part", async () => {
    const { broadcasts } = store();
    const tenant = tenantName();
    const [first, second, third, fourth] = [user(), user(), user(), user()];
    const one = newBroadcast({ tenant, audience: "users", userIds: [first] });
    await broadcasts.create(one);
    const add = (userIds: string[]) => broadcasts.addUsers(tenant, one.broadcastId, userIds);
    assert.deepEqual(await add([first, second]), { kind: "added", added: 1, users: 2 });
    assert.equal((await openOf(broadcasts, tenant)).length, 1);
    assert.deepEqual(await add([second]), { kind: "added", added: 0, users: 2 });
    assert.deepEqual(await add([second, third]), { kind: "added", added: 1, users: 3 });
    assert.deepEqual(await add([fourth]), { kind: "added", added: 1, users: 4 });
    const parts = await openOf(broadcasts, tenant);
    assert.deepEqual(
      parts.map(({ activationSeq, part }) => [activationSeq, part]),
      [
        [1, 1],
        [2, 2],
      ],
    );
    const listed = await Promise.all(
      parts.map((part) => Promise.all([first, second, third, fourth].map((userId) => isOnList(store(), part, userId)))),
    );
    assert.deepEqual(listed, [
      [true, true, false, false],
      [false, false, true, true],
    ]);
  });

  it("loses nobody when many add at the same time", async () => {
    const { broadcasts } = store();
    const tenant = tenantName();
    const groups = Array.from({ length: 4 }, () => Array.from({ length: 5 }, user));
    const one = newBroadcast({ tenant, audience: "users", userIds: [user()] });
    await broadcasts.create(one);
    await Promise.all([
      ...groups.map((userIds) => broadcasts.addUsers(tenant, one.broadcastId, userIds)),
      broadcasts.activate(),
    ]);
    const parts = await openOf(broadcasts, tenant);
    const sets = await Promise.all(parts.map((part) => broadcasts.usersOf(part.broadcastId, part.part)));
    const numbers = sets.flatMap((set) => [...listNumbers(set)]);
    assert.deepEqual([numbers.length, new Set(numbers).size], [21, 21]);
    assert.equal((await broadcasts.find(tenant, one.broadcastId))?.users, 21);
  });

  it("takes no users where there is no list, or no more of it", async () => {
    const { broadcasts } = store();
    const tenant = tenantName();
    const [all, gone, over] = [
      newBroadcast({ tenant }),
      newBroadcast({ tenant, audience: "users", userIds: [user()] }),
      newBroadcast({ tenant, audience: "users", userIds: [user()], notAfterMs: Date.now() - 500 }),
    ];
    for (const one of [all, gone, over]) await broadcasts.create(one);
    await broadcasts.retract(tenant, gone.broadcastId);
    const kindOf = async (id: string, of = tenant) => (await broadcasts.addUsers(of, id, [user()])).kind;
    assert.equal(await kindOf(all.broadcastId), "no-list");
    assert.equal(await kindOf(gone.broadcastId), "over");
    assert.equal(await kindOf(over.broadcastId), "over");
    assert.equal(await kindOf(`b-${randomUUID()}`), "missing");
    assert.equal(await kindOf(all.broadcastId, tenantName()), "missing");
    assert.ok(MAX_LISTED_USERS >= 1_000_000);
  });
}

/** How far users have come. */
export function broadcastReaderContract(store: () => ContractStore): void {
  it("begins a user where the newest broadcast is, at its first login and at no later one", async () => {
    const { broadcasts } = store();
    const tenant = tenantName();
    const [early, late, listed] = [`${tenant}/${user()}`, `${tenant}/${user()}`, `${tenant}/${user()}`];
    await loginOf(store(), early);
    await broadcasts.create(newBroadcast({ tenant, audience: "users", userIds: [listed] }));
    await broadcasts.create(newBroadcast({ tenant }));
    assert.equal((await headOf(broadcasts, tenant))?.head, 2);
    for (const userId of [late, listed, early]) await loginOf(store(), userId);
    await broadcasts.create(newBroadcast({ tenant }));
    assert.equal((await headOf(broadcasts, tenant))?.head, 3);
    for (const userId of [early, late, listed])
      for (const slot of ["mobile", "web"]) await loginOf(store(), userId, slot);
    const readers = await broadcasts.readers([early, late, listed, user()]);
    const places = [early, late, listed].map((userId) => {
      const { floor, watermark, registeredMs } = readers.get(userId) ?? assert.fail(userId);
      assert.ok(Math.abs(registeredMs - Date.now()) < 60_000);
      return [floor, watermark];
    });
    assert.deepEqual(places, [
      [0, 0],
      [2, 2],
      [2, 2],
    ]);
    assert.equal(readers.size, 3);
  });

  it("moves watermarks forward only, not past the head, and not by another epoch's positions", async () => {
    const { broadcasts } = store();
    const tenant = tenantName();
    const [a, b] = [`${tenant}/${user()}`, `${tenant}/${user()}`];
    for (const userId of [a, b]) await loginOf(store(), userId);
    for (let n = 0; n < 3; n++) await broadcasts.create(newBroadcast({ tenant }));
    await headOf(broadcasts, tenant);
    const { epoch } = await broadcasts.activate();
    const mark = async (userId: string) => (await broadcasts.readers([userId])).get(userId)?.watermark;
    await broadcasts.advance(
      [
        { userId: a, seq: 2 },
        { userId: b, seq: 99 },
        { userId: a, seq: 1 },
      ],
      epoch,
    );
    assert.deepEqual([await mark(a), await mark(b)], [2, 3]);
    await broadcasts.advance([{ userId: a, seq: 1 }], epoch);
    await broadcasts.advance([{ userId: a, seq: 3 }], randomUUID());
    assert.equal(await mark(a), 2);
    const unknown = `${tenant}/${user()}`;
    await broadcasts.advance([{ userId: unknown, seq: 2 }], epoch);
    assert.deepEqual([await mark(unknown), (await broadcasts.readers([unknown])).get(unknown)?.floor], [2, 0]);
    await broadcasts.advance([], epoch);
  });

  it("tells what segments go by", async () => {
    const [a, b] = [user(), user()];
    await loginOf(store(), a);
    await loginOf(store(), a, "web");
    const profile = { pushProvider: "", pushToken: "", appVersion: "", prefs: "" };
    await store().setDevice({ userId: a, deviceId: "d-web", locale: "de-AT", ...profile });
    const traits = await store().broadcasts.traits([a, b]);
    assert.deepEqual(traits.map(({ userId, platform, locale }) => [userId, platform, locale]).sort(), [
      [a, "ios", ""],
      [a, "ios", "de-AT"],
    ]);
  });
}

/** What broadcasts are about. */
export function broadcastTopicContract(store: () => ContractStore): void {
  it("keeps what a broadcast is about, and the topics that a user muted", async () => {
    const { broadcasts } = store();
    const tenant = tenantName();
    const [about, plain] = [newBroadcast({ tenant, topic: "sale", maxPerDay: 3 }), newBroadcast({ tenant })];
    for (const one of [about, plain]) assert.equal(await broadcasts.create(one), "created");
    const seen = (parts: readonly { topic: string; maxPerDay: number }[]) =>
      parts.map(({ topic, maxPerDay }) => [topic, maxPerDay]);
    assert.deepEqual(seen(await openOf(broadcasts, tenant)), [
      ["sale", 3],
      ["", 0],
    ]);
    assert.deepEqual(seen(await broadcasts.list(tenant, { before: 0, limit: 9 })), [
      ["", 0],
      ["sale", 3],
    ]);
    const [known, unknown] = [user(), user()];
    await loginOf(store(), known);
    const before = (await broadcasts.readers([known])).get(known);
    for (const userId of [known, unknown]) await broadcasts.muteTopics(userId, ["sale", "news", "sale"]);
    const readers = await broadcasts.readers([known, unknown]);
    assert.deepEqual(readers.get(known), { ...before, mutedTopics: ["sale", "news"] });
    assert.deepEqual(readers.get(unknown)?.mutedTopics, ["sale", "news"]);
    await broadcasts.muteTopics(known, []);
    assert.deepEqual((await broadcasts.readers([known])).get(known), before);
    // Who was named before its first login begins where the newest one is, as everybody does.
    await loginOf(store(), unknown);
    const { floor, mutedTopics } = (await broadcasts.readers([unknown])).get(unknown) ?? assert.fail();
    assert.deepEqual([mutedTopics, floor], [["sale", "news"], (await headOf(broadcasts, ""))?.head ?? 0]);
  });
}

/** Broadcasts that were over long ago. */
export function broadcastPruneContract(store: () => ContractStore): void {
  it("forgets broadcasts some time after they were over or retracted, and no number of the others changes", async () => {
    const { broadcasts } = store();
    const tenant = tenantName();
    const listed = `${tenant}/${user()}`;
    await loginOf(store(), listed);
    const nowMs = Date.now();
    const over = newBroadcast({ tenant, audience: "users", userIds: [listed], notBeforeMs: 1000, notAfterMs: 2000 });
    const retracted = newBroadcast({ tenant, audience: "users", userIds: [listed] });
    const planned = newBroadcast({ tenant, notBeforeMs: nowMs + HOUR_MS, notAfterMs: nowMs + 2 * HOUR_MS });
    const open = newBroadcast({ tenant });
    for (const one of [over, retracted, planned, open]) await broadcasts.create(one);
    assert.equal((await headOf(broadcasts, tenant))?.head, 3);
    for (const { broadcastId } of [retracted, planned]) await broadcasts.retract(tenant, broadcastId);
    const { epoch } = await broadcasts.activate();
    await broadcasts.advance([{ userId: listed, seq: 2 }], epoch);
    const left = async (): Promise<string[]> => {
      const page = await broadcasts.list(tenant, { before: 0, limit: 10 });
      return page.map(({ broadcastId }) => broadcastId).reverse();
    };
    const parts = await openOf(broadcasts, tenant);
    await broadcasts.prune(1500, 100);
    assert.equal((await left()).length, 4, "not yet");
    assert.ok((await broadcasts.prune(nowMs - HOUR_MS, 100)) >= 1);
    assert.deepEqual(await left(), [retracted.broadcastId, planned.broadcastId, open.broadcastId]);
    assert.equal(hasNumber(await broadcasts.usersOf(over.broadcastId, 1), 1), false);
    assert.ok((await broadcasts.prune(Date.now() + 60_000, 100)) >= 2);
    assert.deepEqual(await left(), [open.broadcastId]);
    assert.deepEqual(await openOf(broadcasts, tenant), parts);
    assert.equal((await broadcasts.readers([listed])).get(listed)?.watermark, 2);
    await broadcasts.create(newBroadcast({ tenant }));
    assert.equal((await headOf(broadcasts, tenant))?.head, 4);
  });

  it("forgets so many at once, the oldest first", async () => {
    const { broadcasts } = store();
    const tenant = tenantName();
    const made = [30, 10, 20].map((notAfterMs) => newBroadcast({ tenant, notBeforeMs: 1, notAfterMs }));
    for (const one of made) await broadcasts.create(one);
    assert.equal(await broadcasts.prune(100, 2), 2);
    const rest = await broadcasts.list(tenant, { before: 0, limit: 10 });
    assert.deepEqual(
      rest.map(({ notAfterMs }) => notAfterMs),
      [30],
    );
    assert.equal(await broadcasts.prune(100, 2), 1);
  });
}
