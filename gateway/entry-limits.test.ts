// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ErrorCode } from "#lib/errors.ts";
import { Command } from "#proto/commands.ts";
import { ErrorInfo } from "#proto/gen/messages.ts";
import { NO_LIMITS_CONFIG } from "./testing/entry-kit.ts";
import { connect, setUp, websocket } from "./testing/entry-suite.ts";
import { encodeFrame } from "./wire/envelope.ts";

async function metric(port: number, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return Number(new RegExp(`^im_entry_${name} (\\d+)`, "m").exec(text)?.[1]);
}

describe("limits of sessions and users", () => {
  it("messages of one user over all its sessions are bounded, and told when to come again", async () => {
    const { entry, client } = await setUp({ limits: { ...NO_LIMITS_CONFIG, userMessagesPerSecond: 0.1 } });
    const second = await websocket(entry.plainPort);
    await second.login("alice");
    client.send(Command.SEND, 1, Buffer.from("x"));
    await client.wait(Command.SEND_ACK);
    second.send(Command.SEND, 2, Buffer.from("x"));
    const refused = await second.waitError();
    assert.deepEqual([refused.rid, refused.code, refused.retryable], [2, ErrorCode.RATE_LIMITED, true]);
    assert.ok(refused.retryAfterMs > 0 && refused.retryAfterMs <= 10_000, String(refused.retryAfterMs));
    second.send(Command.SYNC, 3, Buffer.alloc(0));
    second.send(Command.PING, 4);
    await second.wait(Command.PONG);
    const other = await connect(entry.plainPort);
    await other.login("bob");
    other.send(Command.SEND, 1, Buffer.from("x"));
    await other.wait(Command.SEND_ACK);
    assert.equal(await metric(entry.ports.admin, "messages_limited_total"), 1);
    assert.equal(second.isClosed, false);
  });

  for (const carrier of ["tcp", "ws"] as const) {
    it(`${carrier}: a session that floods is read no more for a while, and loses nothing`, async () => {
      const limits = { ...NO_LIMITS_CONFIG, framesPerSecond: 100 };
      const { entry, client: tcp } = await setUp({ limits });
      const client = carrier === "tcp" ? tcp : await websocket(entry.plainPort);
      if (carrier === "ws") await client.login("bob");
      const flood = Array.from({ length: 1100 }, (_, i) => encodeFrame(Command.PING, i + 1, 0, Buffer.alloc(0)));
      const startMs = performance.now();
      client.raw(Buffer.concat(flood));
      await client.wait(Command.PONG, 1100);
      client.send(Command.PING, 2000);
      await client.wait(Command.PONG, 1101);
      assert.ok(performance.now() - startMs >= 900, "the last one waited");
      assert.ok((await metric(entry.ports.admin, "reads_paused_total")) >= 1);
      const errors = client.ofCmd(Command.ERROR).map(({ body }) => ErrorInfo.decode(body).reason);
      assert.deepEqual(errors, []);
      assert.equal(client.isClosed, false);
    });
  }

  it("bytes are bounded like frames", async () => {
    const { entry, client } = await setUp({ limits: { ...NO_LIMITS_CONFIG, bytesPerSecond: 10_000 } });
    const startMs = performance.now();
    client.send(99, 0, Buffer.alloc(109_000));
    client.send(Command.PING, 1);
    client.send(Command.PING, 2);
    await client.wait(Command.PONG);
    client.send(Command.PING, 3);
    await client.wait(Command.PONG, 3);
    assert.ok(performance.now() - startMs >= 500, "the last one waited");
    assert.ok((await metric(entry.ports.admin, "reads_paused_total")) >= 1);
  });

  it("who is held back is not silent: its deadline waits, and closing it leaves no timer", async () => {
    const { entry, client } = await setUp({ limits: { ...NO_LIMITS_CONFIG, framesPerSecond: 1 } });
    const flood = Array.from({ length: 100 }, () => encodeFrame(Command.PING, 1, 0, Buffer.alloc(0)));
    client.raw(Buffer.concat(flood));
    await client.wait(Command.PONG, 100);
    assert.ok((await metric(entry.ports.admin, "reads_paused_total")) >= 1);
    client.close();
  });
});
