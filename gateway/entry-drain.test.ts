// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type Clock, systemClock } from "#lib/clock.ts";
import { DisconnectCode } from "#lib/codes.ts";
import { ErrorCode } from "#lib/errors.ts";
import { createChannelClient } from "#lib/grpc.ts";
import { Command } from "#proto/commands.ts";
import { Disconnect, type DrainedSessionsReply, Goaway, type StatusReply } from "#proto/gen/messages.ts";
import { serviceDefinition } from "#proto/load.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import type { EntryConfig } from "./config.ts";
import { startTestEntry } from "./testing/entry-kit.ts";
import { cleanups, connect, setUp, startLogic } from "./testing/entry-suite.ts";
import type { FrameClient } from "./testing/frame-client.ts";
import { waitFor } from "./testing/wait.ts";

describe("drain", () => {
  const control = (port: number) => {
    const client = createChannelClient({
      address: `127.0.0.1:${port}`,
      definition: serviceDefinition("im.uplink.v1.EntryControl"),
      role: "entry",
    });
    cleanups.push(() => client.close());
    return (method: string, request: object) => client.call<StatusReply>(method, request, 5000);
  };

  it("asks each client to move within the window, refuses new ones, and closes the rest at the deadline", async () => {
    const { logic, entry } = await setUp();
    const clients: FrameClient[] = [];
    for (let i = 0; i < 20; i++) {
      const client = await connect(entry.plainPort);
      await client.login(`user-${i}`);
      clients.push(client);
    }
    const call = control(entry.ports.control);
    const status = await call("Drain", { drainId: "d1", windowMs: 600, deadlineMs: 60_000 });
    assert.deepEqual([status.draining, status.ready, status.connections, status.cordoned], [true, false, 21, true]);
    const delays: number[] = [];
    for (const client of clients) {
      const { minDelayMs, maxDelayMs } = Goaway.decode((await client.wait(Command.GOAWAY)).body);
      assert.equal(minDelayMs, maxDelayMs);
      assert.ok(minDelayMs <= 600);
      delays.push(minDelayMs);
    }
    assert.ok(new Set(delays).size > 3, "not all at once");

    const late = await connect(entry.plainPort);
    late.hello("late");
    assert.equal((await late.waitError()).code, DisconnectCode.DRAINED);
    await late.waitClosed();
    clients[0]?.send(Command.SEND, 1);
    await clients[0]?.wait(Command.SEND_ACK);

    clients[0]?.close();
    await waitFor("one less", () => entry.status().connections === 20);
    assert.equal(
      (await call("Drain", { drainId: "d1", windowMs: 600, deadlineMs: 0 })).connections,
      20,
      "the same id only reports",
    );
    clients[1]?.send(Command.SEND, 1);
    await clients[1]?.wait(Command.SEND_ACK);
    assert.equal((await call("Status", {})).connections, 20, "and moves no deadline");
    await call("Drain", { drainId: "d2", windowMs: 0, deadlineMs: 1 });
    for (const client of clients.slice(1)) {
      assert.equal((await client.waitError()).code, DisconnectCode.DRAINED);
      await client.waitClosed();
      assert.equal(client.ofCmd(Command.GOAWAY).length, 1);
    }
    await logic.wait(RecordKind.CLOSED, 21);
    assert.equal((await call("Status", {})).connections, 0);
    await assert.rejects(call("Uncordon", { drainId: "d1" }), { code: ErrorCode.CONFLICT });
    await assert.rejects(call("Drain", { drainId: "", windowMs: 0, deadlineMs: 0 }), { code: ErrorCode.BAD_REQUEST });
  });

  it("tells clients the addresses of its order, as far as they are some", async () => {
    const { entry, client } = await setUp();
    const endpoints = ["a.example.com:443", "https://b", "[::1]:8443", ""];
    const lease = { number: 1, connections: 1, afterMs: 0, spreadMs: 0, ttlMs: 60_000 };
    const call = control(entry.ports.control);
    await call("Drain", { drainId: "d1", windowMs: 60_000, deadlineMs: 600_000, lease, endpoints });
    const told = Goaway.decode((await client.wait(Command.GOAWAY)).body).endpoints;
    assert.deepEqual(told, ["a.example.com:443", "[::1]:8443"]);
  });

  it("by leases asks so many at a time, tells how far it is, and who was there", async () => {
    const { entry, client } = await setUp();
    const others: FrameClient[] = [];
    for (const userId of ["bob", "carol"]) {
      const other = await connect(entry.plainPort);
      await other.login(userId);
      others.push(other);
    }
    const call = control(entry.ports.control);
    const before = await call("Status", {});
    assert.deepEqual([before.logins, before.loginsFailed, before.drainInitial, before.drainWaiting], [3, 0, 0, 0]);
    const order = { drainId: "d1", windowMs: 60_000, deadlineMs: 600_000, hold: true };
    const leased = (number: number, connections: number) =>
      call("Drain", { ...order, lease: { number, connections, afterMs: 0, spreadMs: 0, ttlMs: 60_000 } });
    const figures = ({ drainInitial, drainAsked, drainWaiting }: StatusReply) => [
      drainInitial,
      drainAsked,
      drainWaiting,
    ];
    assert.deepEqual(figures(await leased(1, 1)), [3, 1, 2]);
    assert.deepEqual(figures(await leased(1, 1)), [3, 1, 2], "the same lease again");
    assert.deepEqual(figures(await leased(2, 5)), [3, 3, 0]);
    for (const asked of [client, ...others]) await asked.wait(Command.GOAWAY);
    client.close();
    await waitFor("one less", () => entry.status().connections === 2);
    const { drainForced } = await call("Drain", { ...order, force: true });
    assert.equal(drainForced, 2);
    for (const other of others) assert.equal((await other.waitError()).code, DisconnectCode.DRAINED);
    const drained = (await call("DrainedSessions", { cursor: 0 })) as unknown as DrainedSessionsReply;
    assert.equal(drained.sessions.length, 3);
    assert.ok(drained.sessions.some(({ userId, slot }) => userId === "bob" && slot !== ""));
    assert.equal(drained.nextCursor, 0);
  });

  it("closes as many at the deadline as leases say", async () => {
    const { entry, client } = await setUp();
    const other = await connect(entry.plainPort);
    await other.login("bob");
    const call = control(entry.ports.control);
    const order = { drainId: "d1", windowMs: 60_000, deadlineMs: 600_000, force: true };
    const leased = (number: number, connections: number) =>
      call("Drain", { ...order, lease: { number, connections, afterMs: 0, spreadMs: 0, ttlMs: 60_000 } });
    const first = await leased(1, 1);
    assert.deepEqual([first.connections, first.drainForced, first.drainAsked], [1, 1, 0]);
    assert.equal((await leased(1, 1)).connections, 1, "the same lease again");
    assert.equal((await leased(2, 9)).connections, 0);
    for (const closed of [client, other]) assert.equal((await closed.waitError()).code, DisconnectCode.DRAINED);
  });

  it("sheds some clients and serves on, but not while it drains", async () => {
    const { entry, client } = await setUp();
    const call = control(entry.ports.control);
    const shed = (number: number) =>
      call("Shed", { lease: { number, connections: 1, afterMs: 0, spreadMs: 0, ttlMs: 1_000 } });
    const { ready, draining, cordoned } = await shed(1);
    assert.deepEqual([ready, draining, cordoned], [true, false, false]);
    await client.wait(Command.GOAWAY);
    client.send(Command.SEND, 1);
    await client.wait(Command.SEND_ACK);
    const other = await connect(entry.plainPort);
    await other.login("bob");
    await call("Drain", { drainId: "d", windowMs: 60_000, deadlineMs: 60_000, lease: { number: 1, ttlMs: 60_000 } });
    await shed(2);
    other.send(Command.SEND, 1);
    await other.wait(Command.SEND_ACK);
    assert.equal(other.ofCmd(Command.GOAWAY).length, 0);
    await assert.rejects(call("Shed", {}), { code: ErrorCode.BAD_REQUEST });
  });

  it("counts the connections that come, those included that it refuses", async () => {
    const { entry } = await setUp();
    const call = control(entry.ports.control);
    assert.equal((await call("Status", {})).arrivals, 1);
    entry.drain({ drainId: "d", windowMs: 0, deadlineMs: 60_000 });
    const late = await connect(entry.plainPort);
    late.hello("late");
    assert.equal((await late.waitError()).code, DisconnectCode.DRAINED);
    assert.equal((await call("Status", {})).arrivals, 2);
  });

  /** A clock that knows what it was asked to do later. */
  function noted() {
    const later: number[] = [];
    const after: Clock["after"] = (ms, run) => {
      later.push(ms);
      return systemClock.after(ms, run);
    };
    return { later, clock: { ...systemClock, after } };
  }
  const fence = { kind: RecordKind.FENCED, body: Disconnect.encode({ code: 4004, reason: "purged" }) };
  const refused = async (port: number): Promise<number> => {
    const late = await connect(port);
    late.hello("late");
    return (await late.waitError()).code;
  };

  it("once purged it stays to tell who was there, and ends by SIGTERM alone", async () => {
    let fenced = "";
    const { later, clock } = noted();
    const { logic, entry, client } = await setUp({}, { clock, onFenced: (reason) => (fenced = reason) });
    const call = control(entry.ports.control);
    await call("Drain", { drainId: "d1", windowMs: 0, deadlineMs: 600_000 });
    await client.wait(Command.GOAWAY);
    client.close();
    await waitFor("nobody is left", () => entry.status().connections === 0);
    later.length = 0;
    logic.send(fence);
    const drained = (await call("DrainedSessions", { cursor: 0 })) as unknown as DrainedSessionsReply;
    assert.deepEqual(
      drained.sessions.map(({ userId }) => userId),
      ["alice"],
    );
    const { drainInitial, drainAsked, drainForced, ready } = await call("Status", {});
    assert.deepEqual([drainInitial, drainAsked, drainForced, ready], [1, 1, 0, false]);
    await logic.close();
    await waitFor("the stream to logic to end", () => entry.status().uplinks === 0);
    assert.deepEqual([fenced, later.includes(500)], ["", false]);
    await entry.drainAll({ drainId: "sigterm", windowMs: 60_000, deadlineMs: 60_000, isFinal: true });
  });

  it("purged with clients it closes them as drained, and is out of service until it is stopped", async () => {
    let fenced = "";
    const { later, clock } = noted();
    const { logic, entry, client } = await setUp({}, { clock, onFenced: (reason) => (fenced = reason) });
    const call = control(entry.ports.control);
    const lease = { number: 1, connections: 0, afterMs: 0, spreadMs: 0, ttlMs: 60_000 };
    const order = { drainId: "d1", windowMs: 60_000, deadlineMs: 600_000, lease };
    await call("Drain", order);
    later.length = 0;
    logic.send(fence);
    assert.equal((await client.waitError()).code, DisconnectCode.DRAINED);
    await client.waitClosed();
    assert.equal(await refused(entry.plainPort), DisconnectCode.DRAINED);
    const { connections, drainForced, ready } = await call("Drain", { ...order, lease: { ...lease, number: 2 } });
    assert.deepEqual([connections, drainForced, ready], [0, 1, false]);
    const drained = (await call("DrainedSessions", { cursor: 0 })) as unknown as DrainedSessionsReply;
    assert.deepEqual(
      drained.sessions.map(({ userId }) => userId),
      ["alice"],
    );
    assert.deepEqual(
      [fenced, later.includes(500)],
      ["", false],
      "its process does not end by itself: it would start again",
    );
    await entry.drainAll({ drainId: "sigterm", windowMs: 60_000, deadlineMs: 60_000, isFinal: true });
  });

  /** A folder as the kubelet shows it, with a drain in `phase` noted on the pod. */
  function podinfo(phase: string) {
    const podinfoDir = mkdtempSync(join(tmpdir(), "im-podinfo-"));
    cleanups.push(() => rmSync(podinfoDir, { recursive: true, force: true }));
    const note = (text: string): void => writeFileSync(join(podinfoDir, "drain"), text);
    note(JSON.stringify({ id: "d1", reason: "Update", phase }));
    return { podinfoDir, note };
  }

  async function startUnready(config: Partial<EntryConfig>) {
    const { target } = await startLogic();
    const entry = await startTestEntry([target], config);
    cleanups.push(() => entry.close());
    await waitFor("attached", () => entry.status().uplinks === 1);
    return entry;
  }

  it("started again on a pod that leaves it takes nobody, until the mark is gone", async () => {
    const { podinfoDir, note } = podinfo("Draining");
    const entry = await startUnready({ podinfoDir });
    assert.deepEqual([entry.isReady, entry.status().cordoned, entry.status().draining], [false, true, false]);
    note("");
    await waitFor("it serves", () => entry.isReady);
    assert.equal(entry.status().cordoned, false);
  });

  it("started again on a pod that leaves it hears the operator all the same", async () => {
    const { podinfoDir } = podinfo("Cordoned");
    const entry = await startUnready({ podinfoDir });
    const call = control(entry.ports.control);
    assert.equal((await call("Uncordon", { drainId: "d1" })).ready, true);
  });

  it("declared dead on a pod that leaves it stays out of service", async () => {
    const { podinfoDir, note } = podinfo("Planned");
    let fenced = "";
    const { later, clock } = noted();
    const { logic, entry, client } = await setUp({ podinfoDir }, { clock, onFenced: (reason) => (fenced = reason) });
    assert.equal(entry.isReady, true, "a drain that is only planned takes nobody away");
    note(JSON.stringify({ id: "d1", reason: "Fenced", phase: "Purging" }));
    later.length = 0;
    logic.send(fence);
    assert.equal((await client.waitError()).code, DisconnectCode.ENTRY_FENCED);
    await client.waitClosed();
    assert.equal(await refused(entry.plainPort), DisconnectCode.DRAINED);
    assert.deepEqual([fenced, later.includes(500), entry.isReady], ["", false, false]);
  });

  it("a login under way is finished, and then asked to move", async () => {
    const { logic, entry } = await setUp();
    logic.holdsLogins = true;
    const client = await connect(entry.plainPort);
    client.hello("bob");
    const login = await logic.wait(RecordKind.LOGIN, 2);
    entry.drain({ drainId: "d", windowMs: 0, deadlineMs: 60_000 });
    logic.acceptLogin(login);
    await client.wait(Command.GOAWAY);
    assert.deepEqual(
      client.frames.map(({ cmd }) => cmd),
      [Command.WELCOME, Command.GOAWAY],
    );
  });

  it("cordon takes readiness and nothing else, and can be taken back", async () => {
    const { entry, client } = await setUp();
    const call = control(entry.ports.control);
    const cordoned = await call("Cordon", { drainId: "" });
    assert.deepEqual([cordoned.cordoned, cordoned.ready, cordoned.connections], [true, false, 1]);
    client.send(Command.SEND, 1);
    await client.wait(Command.SEND_ACK);
    assert.equal((await call("Uncordon", { drainId: "" })).ready, true);
  });

  it("drainAll resolves when nobody is left", async () => {
    const { entry, client } = await setUp();
    await entry.drainAll({ drainId: "sigterm", windowMs: 0, deadlineMs: 20 });
    assert.equal((await client.waitError()).code, DisconnectCode.DRAINED);
    assert.equal(entry.status().connections, 0);
  });
});
