// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { it } from "node:test";
import { ErrorCode } from "#lib/errors.ts";
import { Command, Flag } from "#proto/commands.ts";
import { SysPage, SysPull, Welcome } from "#proto/gen/messages.ts";
import { readBroadcast } from "#proto/uplink/broadcast-record.ts";
import { epochMark } from "#proto/uplink/epoch-mark.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import { type TestEntry, waitUntil } from "../entry-kit.ts";
import type { NewBroadcast } from "../store/broadcast-store.ts";
import { newBroadcast } from "../store/contract/broadcasts.ts";
import { attached, idOf, type LogicHarness, nextConn, type Online, online, unique } from "./kit.ts";

/** Stores one and puts it into force; the number that it has. */
async function inForce(get: () => LogicHarness, fields: Partial<NewBroadcast> = {}) {
  const { store, core } = get();
  const { tenant } = get();
  const userIds = (fields.userIds ?? []).map((userId) => idOf(get, userId));
  const broadcast = newBroadcast({ ...fields, tenant, userIds });
  assert.equal(await store.broadcasts.create(broadcast), "created");
  await core.broadcasts.board.look();
  const found = await store.broadcasts.find(tenant, broadcast.broadcastId);
  assert.ok(found && found.activationSeq > 0);
  return { ...broadcast, seq: found.activationSeq };
}

const headOf = (get: () => LogicHarness): number => get().core.broadcasts.board.headOf(idOf(get, "anybody"));

async function pull({ entry, conn }: Online, request: Partial<SysPull> = {}): Promise<SysPage> {
  const answer = await entry.ask(conn, Command.SYS_PULL, SysPull.encode(request), Command.SYS_PAGE, (bytes) =>
    SysPage.decode(bytes),
  );
  assert.ok(answer.kind === "ok", JSON.stringify(answer));
  return answer.body;
}

const idsOf = ({ messages }: SysPage): string[] => messages.map(({ broadcastId }) => broadcastId);

function acknowledge(get: () => LogicHarness, { entry, conn }: Online, position: number): void {
  const body = SysPull.encode({ inboxEpoch: get().core.broadcasts.board.epoch, position });
  entry.send({ kind: RecordKind.COMMAND, cmd: Command.SYS_PULL, conn, rid: 0, body });
}

async function watermarkOf(get: () => LogicHarness, userId: string): Promise<number> {
  await get().core.broadcasts.flush();
  return (await get().store.broadcasts.readers([idOf(get, userId)])).get(idOf(get, userId))?.watermark ?? 0;
}

/** Run by logicContract: SYS_PULL. */
export function broadcasts(get: () => LogicHarness): void {
  it("gives a broadcast to every device of a user that has not got it, whatever another device acknowledged", async () => {
    const user = unique("user");
    const entry = await attached(get);
    const phone = await online(get, entry, user, { deviceId: "phone" });
    const browser = await online(get, entry, user, { deviceId: "browser", platform: "web" });
    const position = headOf(get);
    const one = await inForce(get);
    const { inboxEpoch, ...page } = await pull(phone, { inboxEpoch: get().core.broadcasts.board.epoch, position });
    assert.deepEqual([page.nextPosition, page.head, page.more], [one.seq, one.seq, false]);
    const [message] = page.messages;
    const { broadcastId, contentType, urgent, notBeforeMs, notAfterMs } = one;
    const { content, ...rest } = message ?? assert.fail("nothing came");
    assert.deepEqual(rest, { seq: one.seq, broadcastId, contentType, urgent, notBeforeMs, notAfterMs });
    assert.deepEqual(Buffer.from(content), one.content);
    acknowledge(get, phone, one.seq);
    await waitUntil("the acknowledgement is stored", async () => (await watermarkOf(get, user)) === one.seq);
    assert.deepEqual(idsOf(await pull(browser, { inboxEpoch, position })), [broadcastId]);
    assert.deepEqual(idsOf(await pull(browser, { inboxEpoch, position: one.seq })), []);
    // A device without a position begins where its user is: it shows nothing that was acknowledged.
    const fresh = await online(get, entry, user, { deviceId: "pc", platform: "desktop" });
    const { messages, nextPosition } = await pull(fresh);
    assert.deepEqual([messages.length, nextPosition], [0, one.seq]);
  });

  it("gives a new user no history, whatever position its client names", async () => {
    const old = await inForce(get);
    const late = await online(get, await attached(get));
    const inboxEpoch = get().core.broadcasts.board.epoch;
    assert.deepEqual(idsOf(await pull(late)), []);
    assert.deepEqual(idsOf(await pull(late, { inboxEpoch, position: 0 })), []);
    assert.deepEqual(idsOf(await pull(late, { inboxEpoch, position: old.seq - 1 })), []);
    const next = await inForce(get);
    assert.deepEqual(idsOf(await pull(late, { inboxEpoch, position: 0 })), [next.broadcastId]);
  });

  it("passes over what is for others, and keeps to lists and segments", async () => {
    const entry = await attached(get);
    const [phone, browser, desk] = [
      await online(get, entry),
      await online(get, entry, unique("user"), { platform: "web" }),
      await online(get, entry, unique("user"), { platform: "desktop" }),
    ];
    const position = headOf(get);
    const inboxEpoch = get().core.broadcasts.board.epoch;
    const listed = await inForce(get, { audience: "users", userIds: [desk.user, phone.user, unique("nobody")] });
    const segment = JSON.stringify([{ attribute: "platform", values: ["web"] }]);
    const web = await inForce(get, { audience: "segment", segment });
    const over = await inForce(get, { notBeforeMs: Date.now() - 2000, notAfterMs: Date.now() - 1000 });
    const gone = await inForce(get);
    await get().store.broadcasts.retract(get().tenant, gone.broadcastId);
    await get().core.broadcasts.board.look();
    const wanted = { ...{ [phone.user]: [listed], [browser.user]: [web] }, [desk.user]: [listed] };
    for (const who of [phone, browser, desk]) {
      const page = await pull(who, { inboxEpoch, position });
      assert.deepEqual(
        idsOf(page),
        wanted[who.user]?.map(({ broadcastId }) => broadcastId),
      );
      assert.deepEqual([page.nextPosition, page.more], [gone.seq, false], `${over.seq} is passed over, too`);
    }
  });
}

/** Run by logicContract: lists that grow, pages, positions that mean nothing. */
export function broadcastPages(get: () => LogicHarness): void {
  it("gives a user nothing of a topic that it muted, until it wants it again", async () => {
    const entry = await attached(get);
    const [one, other] = [await online(get, entry), await online(get, entry)];
    const request = { inboxEpoch: get().core.broadcasts.board.epoch, position: headOf(get) };
    const [sale, news, plain] = [
      await inForce(get, { topic: "sale" }),
      await inForce(get, { topic: "news" }),
      await inForce(get),
    ];
    const all = [sale, news, plain].map(({ broadcastId }) => broadcastId);
    await get().store.broadcasts.muteTopics(idOf(get, one.user), ["sale", "games"]);
    assert.deepEqual(idsOf(await pull(one, request)), all.slice(1));
    assert.deepEqual(idsOf(await pull(other, request)), all);
    await get().store.broadcasts.muteTopics(idOf(get, one.user), []);
    assert.deepEqual(idsOf(await pull(one, request)), all);
  });

  it("gives each user no more of a topic in a day than a broadcast allows, whatever else is in force", async () => {
    const entry = await attached(get);
    const [one, other] = [await online(get, entry), await online(get, entry)];
    const request = { inboxEpoch: get().core.broadcasts.board.epoch, position: headOf(get) };
    const topic = unique("topic");
    const notBeforeMs = Date.now() - 1000;
    const list = { audience: "users", userIds: [one.user] } as const;
    const made = [
      await inForce(get, { topic, notBeforeMs, ...list }),
      await inForce(get, { topic, notBeforeMs, maxPerDay: 1 }),
      await inForce(get, { notBeforeMs, topic: unique("topic"), maxPerDay: 1 }),
      await inForce(get, { topic, notBeforeMs, maxPerDay: 2 }),
      await inForce(get, { topic, notBeforeMs, maxPerDay: 2 }),
      await inForce(get, { topic, notBeforeMs: notBeforeMs - 86_400_000, maxPerDay: 1 }),
    ].map(({ broadcastId }) => broadcastId);
    const at = (...places: number[]): string[] => places.map((place) => made[place] ?? "");
    assert.deepEqual(idsOf(await pull(one, request)), at(0, 2, 3, 5));
    assert.deepEqual(idsOf(await pull(other, request)), at(1, 2, 3, 5));
    // A device that comes in the middle gets what the first one got.
    const { activationSeq } = (await get().store.broadcasts.find(get().tenant, made[3] ?? "")) ?? assert.fail();
    assert.deepEqual(idsOf(await pull(one, { ...request, position: activationSeq - 1 })), at(3, 5));
  });

  it("gives users who are added late what the others got, once", async () => {
    const entry = await attached(get);
    const [first, second] = [await online(get, entry), await online(get, entry)];
    const inboxEpoch = get().core.broadcasts.board.epoch;
    const one = await inForce(get, { audience: "users", userIds: [first.user] });
    const before = await pull(second, { inboxEpoch, position: one.seq - 1 });
    assert.deepEqual([idsOf(before), before.nextPosition], [[], one.seq]);
    const added = await get().store.broadcasts.addUsers(get().tenant, one.broadcastId, [
      idOf(get, second.user),
      idOf(get, first.user),
    ]);
    assert.deepEqual(added, { kind: "added", added: 1, users: 2 });
    await get().core.broadcasts.board.look();
    for (const [who, from, wanted] of [
      [second, one.seq, [one.broadcastId]],
      [first, one.seq - 1, [one.broadcastId]],
      [first, one.seq, []],
    ] as const)
      assert.deepEqual(idsOf(await pull(who, { inboxEpoch, position: from })), wanted);
  });

  it("pages, each page from where the last one ended", async () => {
    const who = await online(get, await attached(get));
    const inboxEpoch = get().core.broadcasts.board.epoch;
    const made: string[] = [];
    for (let n = 0; n < 5; n++) made.push((await inForce(get)).broadcastId);
    const got: string[] = [];
    let page = await pull(who, { limit: 2 });
    for (got.push(...idsOf(page)); page.more; got.push(...idsOf(page)))
      page = await pull(who, { inboxEpoch, position: page.nextPosition, limit: 2 });
    assert.deepEqual(got, made);
    assert.equal(page.nextPosition, page.head);
  });

  it("takes no position of another epoch, and no acknowledgement of what is not there", async () => {
    const who = await online(get, await attached(get));
    const one = await inForce(get);
    assert.deepEqual(idsOf(await pull(who, { inboxEpoch: "another", position: one.seq })), [one.broadcastId]);
    acknowledge(get, who, one.seq + 1000);
    const refused = await who.entry.ask(
      who.conn,
      Command.SYS_PULL,
      Buffer.from([255]),
      Command.SYS_PAGE,
      SysPage.decode,
    );
    assert.ok(refused.kind === "error" && refused.error.code === ErrorCode.BAD_REQUEST, JSON.stringify(refused));
    assert.equal(await watermarkOf(get, who.user), one.seq - 1);
  });
}

/** Takes records BROADCAST and SYS_HEAD until one of a seq came. */
async function heardOf(entry: TestEntry, kind: typeof RecordKind.BROADCAST | typeof RecordKind.SYS_HEAD, seq: number) {
  return await entry.next(kind, { aux: seq });
}

/** Run by logicContract: what entries and clients are told unasked. */
export function broadcastNews(get: () => LogicHarness): void {
  it("tells entries and new sessions where the newest broadcast is", async () => {
    const before = await attached(get);
    const one = await inForce(get);
    const head = await heardOf(before, RecordKind.SYS_HEAD, one.seq);
    assert.deepEqual([head.rid, head.body.length], [epochMark(get().core.broadcasts.board.epoch), get().tenant.length]);
    const after = await attached(get);
    await heardOf(after, RecordKind.SYS_HEAD, one.seq);
    const login = await after.login(nextConn(), await get().token(unique("user")));
    assert.ok(login.kind === "ok");
    assert.equal(Welcome.decode(login.reply.welcome).sysHead, one.seq);
  });

  it("sends what is urgent to every entry once, for all of its clients", async () => {
    const entries = [await attached(get), await attached(get)];
    const one = await inForce(get, { urgent: true });
    await inForce(get);
    for (const entry of entries) {
      const record = await heardOf(entry, RecordKind.BROADCAST, one.seq);
      assert.deepEqual([record.cmd, record.flags], [Command.SYS_PAGE, Flag.URGENT | Flag.NO_PERSIST]);
      const read = readBroadcast(record);
      assert.deepEqual(read?.target, { tenant: get().tenant });
      const page = SysPage.decode(read?.body ?? new Uint8Array(0));
      assert.deepEqual([idsOf(page), page.head, page.nextPosition], [[one.broadcastId], one.seq, 0]);
      assert.equal(entry.waiting(RecordKind.BROADCAST).length, 0, "what is not urgent is not sent");
    }
  });

  it("names the connections of those whom an urgent one is for", async () => {
    const entry = await attached(get);
    const [phone, browser] = [await online(get, entry), await online(get, entry, unique("user"), { platform: "web" })];
    const second = await online(get, entry, phone.user, { deviceId: "tablet", platform: "desktop" });
    const listed = await inForce(get, { urgent: true, audience: "users", userIds: [phone.user, unique("away")] });
    const record = readBroadcast(await heardOf(entry, RecordKind.BROADCAST, listed.seq));
    assert.deepEqual(record?.target, { conns: [phone.conn, second.conn] });
    const segment = JSON.stringify([{ attribute: "platform", values: ["web"] }]);
    const web = await inForce(get, { urgent: true, audience: "segment", segment });
    assert.deepEqual(readBroadcast(await heardOf(entry, RecordKind.BROADCAST, web.seq))?.target, {
      conns: [browser.conn],
    });
  });
}
