// SPDX-License-Identifier: Apache-2.0
// How WebSockets end, and what their own pings are.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Command } from "#proto/commands.ts";
import { Hello } from "#proto/gen/messages.ts";
import { startReadyEntry } from "../testing/entry-kit.ts";
import { FakeLogic } from "../testing/fake-logic.ts";
import { RawSocket } from "../testing/raw-socket.ts";
import { waitFor } from "../testing/wait.ts";
import { upgradeRequest, wsFrame } from "../testing/ws-frame.ts";
import { encodeFrame } from "../wire/envelope.ts";
import { wsFrame as serverFrame, WsOpcode, wsCloseFrame } from "../wire/ws-writer.ts";

const HELLO = Hello.encode({ protoMin: 1, protoMax: 1, deviceId: "raw", platform: "web", token: "t" });
const HELLO_FRAME = encodeFrame(Command.HELLO, 1, 0, HELLO);
const MESSAGE = 0x82;

describe("a WebSocket", () => {
  let entry: Awaited<ReturnType<typeof startReadyEntry>>;
  let logic: FakeLogic;
  before(async () => {
    logic = await FakeLogic.start();
    entry = await startReadyEntry([logic.target]);
  });
  after(async () => {
    await entry.close();
    await logic.close();
  });

  async function metricOf(line: string): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${entry.ports.admin}/metrics`)).text();
    const found = text.split("\n").find((one) => one.startsWith(`${line} `));
    return Number(found?.slice(line.length + 1) ?? 0);
  }
  const endsBy = (reason: string): Promise<number> => metricOf(`im_entry_connections_closed_total{reason="${reason}"}`);

  /** Logged in. */
  async function open(): Promise<RawSocket> {
    const client = RawSocket.open(entry.plainPort);
    client.write(upgradeRequest());
    // In the packet of the request or behind it: both are read.
    client.write(wsFrame({ opcode: WsOpcode.BINARY, payload: HELLO_FRAME }));
    await waitFor("WELCOME", () => bodyOf(client)[0] === MESSAGE);
    return client;
  }
  /** What came behind the answer to the upgrade. */
  function bodyOf(client: RawSocket): Buffer {
    const { bytes } = client;
    const end = bytes.indexOf("\r\n\r\n");
    return end < 0 ? Buffer.alloc(0) : bytes.subarray(end + 4);
  }

  const ENDS: readonly [string, string, (client: RawSocket) => void][] = [
    ["a close", "client_gone", (client) => client.write(wsFrame({ opcode: 8, payload: Buffer.from([3, 232]) }))],
    ["the end of its socket", "client_reset", (client) => client.socket.end()],
    ["a reset", "client_reset", (client) => client.socket.resetAndDestroy()],
    ["bytes that are no WebSocket", "client_fault", (client) => client.write(Buffer.alloc(10, 0xff))],
  ];
  for (const [what, reason, end] of ENDS) {
    it(`that ends by ${what} is counted as ${reason}, once`, async () => {
      const before = await endsBy(reason);
      const client = await open();
      assert.equal(entry.status().sessions, 1);
      end(client);
      await client.waitClosed();
      await waitFor("the end", () => entry.status().connections === 0);
      assert.equal(await endsBy(reason), before + 1);
    });
  }

  it("closed by the client is answered with its code, and the socket ended", async () => {
    const client = await open();
    client.write(wsFrame({ opcode: 8, payload: Buffer.from([0x0f, 0xa0]) }));
    await client.waitClosed();
    assert.ok(bodyOf(client).subarray(-4).equals(wsCloseFrame(4000, "")));
  });

  it("of many pings in a packet the last is answered, behind what came before it", async () => {
    const client = await open();
    const ping = (text: string): Buffer => wsFrame({ opcode: WsOpcode.PING, payload: Buffer.from(text) });
    const length = client.bytes.length;
    client.write(Buffer.concat([ping("one"), ping("two"), ping("three")]));
    const pong = serverFrame(WsOpcode.PONG, Buffer.from("three"));
    await client.waitBytes(length + pong.length);
    assert.ok(client.bytes.subarray(-pong.length).equals(pong));
    client.destroy();
    await waitFor("the end", () => entry.status().connections === 0);
  });
});
