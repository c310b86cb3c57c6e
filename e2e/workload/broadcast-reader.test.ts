// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { SysPage, SysPull } from "../../client/src/models/broadcasts-codec.ts";
import type { SystemMessagesClient } from "../../client/src/models/index.ts";
import type { WithoutBase } from "../checker/history.ts";
import { BroadcastReader } from "./broadcast-reader.ts";

/** A server with so many broadcasts, of which another device of the user has acknowledged `watermark`. */
function setUp(keepsPlace: boolean) {
  const server = { head: 0, watermark: 0 };
  const clock = new FakeClock();
  const events: WithoutBase[] = [];
  const who = {
    uid: "ann",
    device: "phone",
    process: "client:ann/phone",
    record: (event: WithoutBase) => void events.push(event),
  };
  const reader = new BroadcastReader({ ...who, keepsPlace, spreadMs: 10, clock, random: () => 0.5 });
  const answer = (pull: SysPull): SysPage => {
    const from = pull.inboxEpoch === "" ? server.watermark : pull.position;
    const count = pull.acknowledgeOnly ? 0 : server.head - from;
    const messages = Array.from({ length: count }, (_, at) => {
      const seq = from + at + 1;
      const what = { seq, broadcastId: `b-${seq}`, contentType: "text/plain", content: Buffer.from(`name ${seq}`) };
      return { ...what, urgent: false, notBeforeMs: 1, notAfterMs: 2 };
    });
    return { inboxEpoch: "e", messages, nextPosition: from + count, head: server.head, more: false };
  };
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  /** A client connects, and hears where the newest one is. */
  const connect = async (): Promise<void> => {
    let tell: (head: number) => void = () => undefined;
    const client: Pick<SystemMessagesClient, "userId" | "request"> & { on: unknown } = {
      userId: "ann",
      on: (event: string, fn: (head: number) => void) => {
        if (event === "sysHead") tell = fn;
        return () => undefined;
      },
      request: async (_cmd, body) => SysPage.encode(answer(SysPull.decode(body))),
    };
    reader.read(client as SystemMessagesClient);
    tell(server.head);
    await settle();
    clock.advance(20);
    await settle();
  };
  const told = (): string[] =>
    events.flatMap((event) =>
      event.op === "broadcast" ? [[event.kind, event.id, event.seq, event.life].filter(Boolean).join(" ")] : [],
    );
  return { server, reader, connect, told };
}

describe("BroadcastReader", () => {
  it("tells once where it begins, shows what is behind it, and goes on there after a restart", async () => {
    const { server, reader, connect, told } = setUp(true);
    await connect();
    assert.deepEqual(told(), ["place"]);
    server.head = 2;
    server.watermark = 2;
    await connect();
    assert.deepEqual([told().slice(1), reader.position, reader.shown], [["ok name 1 1", "ok name 2 2"], 2, 2]);
    reader.stop();
    assert.equal(reader.position, 0, "nobody reads");
  });

  it("that forgets begins where its user is, in a life of its own, and has no place", async () => {
    const { server, connect, told } = setUp(false);
    server.head = 1;
    await connect();
    await connect();
    server.watermark = 1;
    server.head = 2;
    await connect();
    assert.deepEqual(told(), ["ok name 1 1 1", "ok name 1 1 2", "ok name 2 2 3"]);
  });
});
