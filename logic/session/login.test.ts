// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { DisconnectCode } from "#lib/codes.ts";
import { Disconnect, LoginReply, SessionTag, Welcome } from "#proto/gen/messages.ts";
import { epochMark } from "#proto/uplink/epoch-mark.ts";
import { type RecordInput, RecordKind } from "#proto/uplink/record.ts";
import { loginBody } from "../entry-kit.ts";
import { TestEpochs } from "../inbox/epoch-kit.ts";
import { MemoryRouter } from "../router/memory.ts";
import type { LoginInput } from "../store/identity.ts";
import { MemoryStore } from "../store/memory.ts";
import { KickDesk } from "./kick.ts";
import { LoginHandler, type LoginPorts } from "./login.ts";
import type { EntryPort } from "./session.ts";
import { DEFAULT_POLICY } from "./slots.ts";

function setUp(over: Partial<LoginPorts> = {}) {
  const clock = new FakeClock();
  const store = new MemoryStore();
  const router = new MemoryRouter(clock);
  const epochs = new TestEpochs();
  const calls: string[] = [];
  const sent: RecordInput[] = [];
  const entry: EntryPort = { incarnation: "pod.1", send: (record) => sent.push(record) > 0 };
  const handler = new LoginHandler({
    verifyToken: async (token) => ({ kind: "ok", userId: token, tokenId: "", issuedAtMs: 0, expiresAtMs: 0 }),
    store: {
      login: (login) => {
        calls.push("device");
        return store.login(login);
      },
      inboxHeads: (userIds) => {
        calls.push("heads");
        return store.inboxHeads(userIds);
      },
      readInbox: (request) => {
        calls.push("page");
        return store.readInbox(request);
      },
    },
    router,
    removeLater: ({ conn }) => void calls.push(`remove ${conn} later`),
    kicks: new KickDesk({ find: (incarnation) => (incarnation === "pod.1" ? entry : undefined) }, clock),
    policy: DEFAULT_POLICY,
    sysHead: () => 0,
    acks: { note: () => undefined },
    epochs,
    clock,
    defer: setImmediate,
    random: () => 0.5,
    pingIntervalMs: 30_000,
    backgroundPingIntervalMs: 120_000,
    gap: { maxEvents: 2000, maxAgeMs: 1e9 },
    onRouterFault: (op) => void calls.push(`router fault ${op}`),
    onStoreFault: (op) => void calls.push(`store fault ${op}`),
    onKick: (code) => void calls.push(`kick ${code}`),
    ...over,
  });
  const setRoutes = router.login.bind(router);
  router.login = (routes) => {
    calls.push("route");
    return setRoutes(routes);
  };
  const login = (user: string, conn: number, hello = {}) =>
    handler.login({ entry, entryName: "entry-1", conn, body: loginBody(user, hello) });
  return { login, calls, sent, router, store, epochs, setRoutes };
}

const reading = (store: MemoryStore) => ({
  inboxHeads: store.inboxHeads.bind(store),
  readInbox: store.readInbox.bind(store),
});

const fail = async (): Promise<never> => {
  throw new Error("away");
};

describe("login", () => {
  it("records the device, then takes the route, then looks for what was missed", async () => {
    const { login, calls, store } = setUp();
    const outcome = await login("alice", 1, { deviceName: "Alice's phone" });
    assert.deepEqual(calls, ["device", "route", "heads"]);
    assert.ok(outcome.kind === "ok" && outcome.isRouted);
    const reply = LoginReply.decode(outcome.reply);
    const welcome = Welcome.decode(reply.welcome);
    const { userId, slot, deviceId, deviceName, loginSeq } = SessionTag.decode(reply.tag);
    assert.deepEqual(
      { userId, slot, deviceId, deviceName, loginSeq },
      { userId: "alice", slot: "mobile", deviceId: "phone-1", deviceName: "Alice's phone", loginSeq: 1 },
    );
    assert.deepEqual([welcome.entryId, welcome.inboxEpoch, welcome.proto], ["entry-1", store.epoch, 1]);
    assert.deepEqual({ ...welcome.limits }, { maxFrameBytes: 262_144, maxContentBytes: 65_536, maxPageEvents: 1000 });
  });

  it("says of which inbox epoch the session is: to the client, to its entry, and to whom it moves to", async () => {
    const { login, store, epochs } = setUp();
    const outcome = await login("alice", 1);
    assert.ok(outcome.kind === "ok");
    const mark = epochMark(store.epoch);
    const { epochMark: told, tag } = LoginReply.decode(outcome.reply);
    assert.deepEqual([told, SessionTag.decode(tag).epochMark, outcome.session.epochMark], [mark, mark, mark]);
    assert.deepEqual(epochs.seen, [store.epoch]);
  });

  it("begins again when the database became another one between the login and its first page", async () => {
    const store = new MemoryStore();
    const record = async (input: LoginInput) => {
      const recorded = await store.login(input);
      await store.changeEpoch();
      return recorded;
    };
    const { login, calls, router, epochs } = setUp({ store: { ...reading(store), login: record } });
    const before = store.epoch;
    const outcome = await login("alice", 1, { inboxEpoch: before, inboxCursor: 3 });
    assert.ok(outcome.kind === "denied" && outcome.code === DisconnectCode.LOGIC_UNAVAILABLE);
    assert.deepEqual(calls, ["route", "store fault first page"]);
    assert.deepEqual(
      [epochs.seen, (await router.lookup(["alice"])).get("alice")?.length ?? 0],
      [[before, store.epoch], 0],
    );
  });

  it("gives the store what it can hold, and lets it say when it was: the clocks of two logics may be an hour apart", async () => {
    const store = new MemoryStore();
    const given: LoginInput[] = [];
    const record = (input: LoginInput): ReturnType<MemoryStore["login"]> => {
      given.push(input);
      return store.login(input);
    };
    const { login } = setUp({ store: { ...reading(store), login: record } });
    await login("alice", 1, { deviceName: "a\0b", appVersion: `\0${"v".repeat(200)}` });
    assert.deepEqual(
      given.map(({ atMs, deviceName, appVersion }) => [atMs, deviceName, appVersion]),
      [[undefined, "ab", "v".repeat(127)]],
    );
  });

  it("kicks whom it replaced, once", async () => {
    const { login, calls, sent } = setUp();
    await login("alice", 1);
    await login("alice", 2, { deviceId: "phone-2", deviceName: "new one" });
    assert.ok(calls.includes(`kick ${DisconnectCode.KICKED}`));
    assert.deepEqual(
      sent.map(({ kind, conn }) => [kind, conn]),
      [[RecordKind.KICK, 1]],
    );
    assert.equal(Disconnect.decode(sent[0]?.body ?? new Uint8Array(0)).byDevice, "new one");
  });

  for (const [device, code] of [
    ["phone-1", DisconnectCode.SUPERSEDED],
    ["phone-2", DisconnectCode.KICKED],
  ] as const) {
    it(`gives way to a newer login of ${device} that overtook it`, async () => {
      const { login, setRoutes, router } = setUp();
      const newer = { userId: "alice", slot: "mobile", incarnation: "pod.2", conn: 9, loginSeq: 5, deviceId: device };
      await setRoutes([newer]);
      const outcome = await login("alice", 1);
      assert.ok(outcome.kind === "denied");
      assert.equal(outcome.code, code);
      await router.renewLease("pod.2");
      assert.deepEqual((await router.lookup(["alice"])).get("alice"), [newer]);
    });
  }

  it("leaves the newest devices of a class alone where several may be logged in", async () => {
    const { login, sent, router } = setUp({ policy: { sessionsPerSlot: 2, loginsPerMinute: 0 } });
    await router.renewLease("pod.1");
    for (const [at, deviceId] of ["a", "b", "a"].entries())
      await login("alice", at + 1, { deviceId, deviceName: `phone ${deviceId}` });
    const kicks = () =>
      sent.map(({ conn, body }) => {
        const { code, byDevice } = Disconnect.decode(body ?? new Uint8Array(0));
        return [conn, code, byDevice];
      });
    assert.deepEqual(kicks(), [[1, DisconnectCode.SUPERSEDED, "phone a"]], "a came again, b was left alone");
    await login("alice", 4, { deviceId: "c", deviceName: "phone c" });
    assert.deepEqual(kicks().slice(1), [[2, DisconnectCode.KICKED, "phone c"]], "b had the oldest login");
    const routes = (await router.lookup(["alice"])).get("alice") ?? [];
    assert.deepEqual(Object.fromEntries(routes.map(({ slot, conn }) => [slot, conn])), { mobile: 3, "mobile#1": 4 });
  });

  it("is refused to a revoked token and to whoever logs in too often, the second time without asking the store", async () => {
    const store = new MemoryStore();
    let asked = 0;
    const refuse = (record: Awaited<ReturnType<MemoryStore["login"]>>) => ({
      ...reading(store),
      login: async () => {
        asked++;
        return record;
      },
    });
    const revoked = await setUp({ store: refuse({ kind: "revoked" }) }).login("alice", 1);
    assert.ok(revoked.kind === "denied" && revoked.code === DisconnectCode.TOKEN_REVOKED);
    asked = 0;
    const { login } = setUp({ store: refuse({ kind: "flapping", retryAfterMs: 10_000 }) });
    for (let n = 0; n < 3; n++) {
      const outcome = await login("alice", n);
      assert.ok(outcome.kind === "denied" && outcome.code === DisconnectCode.FLAPPING);
      assert.equal(outcome.retryAfterMs, 10_000);
    }
    assert.equal(asked, 1);
  });

  it("does not happen through a fenced entry", async () => {
    const { login, router } = setUp();
    await router.fence("pod.1");
    assert.deepEqual(await login("alice", 1), { kind: "fenced" });
  });

  it("through a fenced entry kicks whom it cost the slot all the same", async () => {
    const { login, router, calls } = setUp();
    const replaced = {
      userId: "alice",
      slot: "mobile",
      incarnation: "pod.2",
      conn: 9,
      loginSeq: 1,
      deviceId: "phone-2",
    };
    router.login = async () => [{ kind: "fenced", replaced }];
    assert.deepEqual(await login("alice", 1), { kind: "fenced" });
    assert.ok(calls.includes(`kick ${DisconnectCode.KICKED}`));
  });

  it("succeeds without a router and says that the route is missing", async () => {
    const { login, router, calls } = setUp();
    router.isDown = true;
    const outcome = await login("alice", 1);
    assert.ok(outcome.kind === "ok" && !outcome.isRouted);
    assert.ok(calls.includes("router fault login"));
  });

  it("is put off while the store is away", async () => {
    const { login, calls } = setUp({ store: { login: fail, inboxHeads: fail, readInbox: fail } });
    const outcome = await login("alice", 1);
    assert.ok(outcome.kind === "denied" && outcome.code === DisconnectCode.LOGIC_UNAVAILABLE);
    assert.ok(outcome.retryAfterMs >= 500);
    assert.deepEqual(calls, ["store fault login"]);
  });

  it("claims the slots of all who come at once with one call, and looks at their inboxes with one", async () => {
    const { login, calls } = setUp();
    const outcomes = await Promise.all(Array.from({ length: 40 }, (_, n) => login(`user-${n}`, n)));
    assert.ok(outcomes.every(({ kind }) => kind === "ok"));
    assert.deepEqual(calls.slice(-2), ["route", "heads"]);
    assert.equal(calls.length, 42);
  });

  it("has the slot given back later when the router is away, too", async () => {
    const store = new MemoryStore();
    const login = store.login.bind(store);
    const world = setUp({ store: { login, inboxHeads: fail, readInbox: fail } });
    world.router.logout = fail;
    const outcome = await world.login("alice", 7);
    assert.ok(outcome.kind === "denied");
    assert.deepEqual(world.calls.slice(-3), ["store fault first page", "router fault logout", "remove 7 later"]);
  });

  it("gives the slot back when the page cannot be read", async () => {
    const store = new MemoryStore();
    const login = store.login.bind(store);
    const world = setUp({ store: { login, inboxHeads: fail, readInbox: fail } });
    const outcome = await world.login("alice", 1);
    assert.ok(outcome.kind === "denied" && outcome.code === DisconnectCode.LOGIC_UNAVAILABLE);
    await world.router.renewLease("pod.1");
    assert.equal((await world.router.lookup(["alice"])).size, 0);
  });

  it("acknowledges the cursor it resumes from, and only then", async () => {
    const noted: number[] = [];
    const { login, store } = setUp({ acks: { note: (_, seq) => void noted.push(seq) } });
    await login("alice", 1, { inboxEpoch: store.epoch, inboxCursor: 0 });
    await login("alice", 2, { inboxEpoch: "elsewhere", inboxCursor: 0 });
    await login("alice", 3, { inboxEpoch: store.epoch, inboxCursor: 4 });
    assert.deepEqual(noted, [0]);
  });
});
