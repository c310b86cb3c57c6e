// SPDX-License-Identifier: Apache-2.0
// One contract for sessions here and at another entry, over real gRPC.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { after, before, describe, it } from "node:test";
import { FakeClock, systemClock } from "#lib/clock.ts";
import { createGrpcServer, type GrpcServer } from "#lib/grpc.ts";
import { silentLogger } from "#lib/logger.ts";
import type { Connection } from "../session/connection.ts";
import type { Lease } from "./lease.ts";
import { PollCarrier } from "./poll-carrier.ts";
import { RelaySessions, relayService } from "./relay.ts";
import { type HttpSessions, LocalSessions } from "./sessions.ts";

const always = (): boolean => true;

/** As much of a connection as sessions use: it ends with 4500 when it is given "bad". */
function connect(local: LocalSessions, conn: number) {
  const carrier = new PollCarrier("10.0.0.1", new FakeClock());
  const taken: string[] = [];
  const connection = {
    conn,
    onMessage: (frames: Buffer) => {
      taken.push(String(frames));
      if (String(frames) === "bad") carrier.end(4500, "bytes that are no frame");
    },
    onDrain: () => taken.push("(drain)"),
    onGone: () => taken.push("(gone)"),
  };
  const nonce = local.add(connection as unknown as Connection, carrier);
  return { carrier, taken, lease: { conn, nonce, address: "", deadlineMs: 0 } };
}

function contract(name: string, at: () => { sessions: HttpSessions; local: LocalSessions; address: string }): void {
  describe(name, () => {
    let lastConn = 100;
    const open = () => {
      const { sessions, local, address } = at();
      const opened = connect(local, ++lastConn);
      return { ...opened, sessions, lease: { ...opened.lease, address } satisfies Lease };
    };

    it("takes frames for the connection of the lease, and none for another", async () => {
      const { sessions, lease, taken } = open();
      assert.deepEqual(await sessions.post(lease, Buffer.from("one")), { kind: "ok" });
      const stranger = await sessions.post({ ...lease, nonce: "0000000000000000" }, Buffer.from("two"));
      assert.deepEqual([stranger.kind, taken], ["gone", ["one"]]);
    });

    it("takes nothing while the client does not read its answers", async () => {
      const { sessions, lease, carrier, taken } = open();
      carrier.pause();
      assert.deepEqual(await sessions.post(lease, Buffer.from("one")), { kind: "busy" });
      carrier.resume();
      assert.deepEqual(await sessions.post(lease, Buffer.from("two")), { kind: "ok" });
      assert.deepEqual(taken, ["two"]);
    });

    it("gives the downlink, and refuses a cursor that is none", async () => {
      const { sessions, lease, carrier } = open();
      carrier.write(Buffer.from("down"));
      const polled = await sessions.poll(lease, 0, 1000, always);
      assert.ok(polled.kind === "bytes");
      assert.deepEqual([String(Buffer.from(polled.bytes)), polled.cursor, polled.ended], ["down", 4, undefined]);
      assert.deepEqual(await sessions.poll(lease, 5, 1000, always), { kind: "conflict" });
      const next = sessions.poll(lease, 4, 30_000, always);
      carrier.write(Buffer.from("!"));
      const second = await next;
      assert.ok(second.kind === "bytes" && second.cursor === 5);
    });

    it("says why a connection ended, and remembers it", async () => {
      const { sessions, lease, carrier, taken } = open();
      const ended = { code: 4500, reason: "bytes that are no frame" };
      assert.deepEqual(await sessions.post(lease, Buffer.from("bad")), { kind: "gone", ended });
      const polled = await sessions.poll(lease, 0, 1000, always);
      assert.ok(polled.kind === "bytes");
      assert.deepEqual(polled.ended, ended);
      carrier.destroy();
      assert.deepEqual(taken, ["bad", "(gone)"]);
      assert.deepEqual(await sessions.poll(lease, 0, 1000, always), { kind: "gone", ended });
      const other = await sessions.post({ ...lease, nonce: "0000000000000000" }, Buffer.from("x"));
      assert.ok(other.kind === "gone" && other.ended.code === 4000);
    });

    it("ends a connection that the client leaves, and none twice", async () => {
      const { sessions, lease, taken } = open();
      assert.deepEqual(await sessions.close(lease), { kind: "ok" });
      assert.deepEqual(await sessions.close(lease), { kind: "ok" });
      assert.deepEqual(taken, ["(gone)"]);
      assert.equal((await sessions.post(lease, Buffer.from("x"))).kind, "gone");
    });
  });
}

describe("sessions over HTTP", () => {
  const local = new LocalSessions();
  const relay = new RelaySessions({ clock: systemClock, log: silentLogger, tls: () => undefined });
  let server: GrpcServer;
  let address = "";
  before(async () => {
    server = createGrpcServer({});
    server.addService(relayService(local));
    address = `127.0.0.1:${await server.bind("127.0.0.1", 0)}`;
  });
  after(async () => {
    relay.closeChannels();
    await server.close(0);
  });

  contract("here", () => ({ sessions: local, local, address: "" }));
  contract("at another entry", () => ({ sessions: relay, local, address }));

  it("at an entry that is gone are gone", async () => {
    const gone = createGrpcServer({});
    const lease = { conn: 1, nonce: "0011223344556677", deadlineMs: 0, address: "" };
    const dead = { ...lease, address: `127.0.0.1:${await gone.bind("127.0.0.1", 0)}` };
    await gone.close(0);
    const [posted, polled] = await Promise.all([relay.post(dead, Buffer.from("x")), relay.poll(dead, 0, 100, always)]);
    for (const outcome of [posted, polled]) assert.ok(outcome.kind === "gone" && outcome.ended.code === 4000);
  });
});

describe("a lease that names no address", () => {
  it("is gone, and nobody connects", async () => {
    const sockets: unknown[] = [];
    const onSocket = (message: unknown): unknown => sockets.push(message);
    subscribe("net.client.socket", onSocket);
    const remote = new RelaySessions({ clock: systemClock, log: silentLogger, tls: () => undefined });
    try {
      for (const address of ["", ":", "127.0.0.1:99999", "127.0.0.1", "127.0.0.1:0", "\0"]) {
        const lease = { conn: 1, nonce: "0011223344556677", address, deadlineMs: 0 };
        assert.equal((await remote.post(lease, Buffer.from("x"))).kind, "gone", address);
        assert.equal((await remote.poll(lease, 0, 0, always)).kind, "gone", address);
      }
      assert.equal(sockets.length, 0);
    } finally {
      unsubscribe("net.client.socket", onSocket);
      remote.closeChannels();
    }
  });
});
