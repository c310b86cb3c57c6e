// SPDX-License-Identifier: Apache-2.0
// RFC 6455 as the entry reads it: each row is a logged in client that writes one thing, and how that ends.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { DisconnectCode } from "#lib/codes.ts";
import { Command, MAX_FRAME_BYTES } from "#proto/commands.ts";
import { Hello } from "#proto/gen/messages.ts";
import { startReadyEntry } from "../testing/entry-kit.ts";
import { FakeLogic } from "../testing/fake-logic.ts";
import { ALLOWED_ORIGINS, FOREIGN_ORIGINS, OWN_HOST } from "../testing/foreign-origins.ts";
import { RawSocket, statusesOf } from "../testing/raw-socket.ts";
import { waitFor } from "../testing/wait.ts";
import { upgradeRequest, type WsFrame, wsFrame } from "../testing/ws-frame.ts";
import { encodeFrame } from "../wire/envelope.ts";

const OPCODE = { CONTINUATION: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 } as const;
const PROTOCOL_ERROR = 1002;
const BAD_UTF8 = 1007;
const TOO_BIG = 1009;
const TOO_MANY_PARTS = 1008;
const EMPTY = Buffer.alloc(0);

/** Frames that the entry wrote: opcode and payload. */
function serverFrames(bytes: Buffer): { opcode: number; payload: Buffer }[] {
  const frames: { opcode: number; payload: Buffer }[] = [];
  const headEnd = bytes.indexOf("\r\n\r\n");
  if (headEnd < 0) return frames;
  for (let at = headEnd + 4; at + 2 <= bytes.length; ) {
    const short = (bytes[at + 1] ?? 0) & 0x7f;
    const length =
      short === 126 ? bytes.readUInt16BE(at + 2) : short === 127 ? Number(bytes.readBigUInt64BE(at + 2)) : short;
    const start = at + (short === 126 ? 4 : short === 127 ? 10 : 2);
    if (start + length > bytes.length) break;
    frames.push({ opcode: (bytes[at] ?? 0) & 0x0f, payload: bytes.subarray(start, start + length) });
    at = start + length;
  }
  return frames;
}

/** "open", or the close code that the entry sent. */
type Ending = "open" | number;

describe("WebSocket rules", () => {
  let entry: Awaited<ReturnType<typeof startReadyEntry>>;
  let logic: FakeLogic;
  before(async () => {
    logic = await FakeLogic.start();
    entry = await startReadyEntry([logic.target], {
      httpOrigins: ALLOWED_ORIGINS,
    });
  });
  after(async () => {
    await entry.close();
    await logic.close();
  });

  const HELLO = Hello.encode({ protoMin: 1, protoMax: 1, deviceId: "raw", platform: "web", token: "t" });
  const helloFrame = encodeFrame(Command.HELLO, 1, 0, HELLO);
  const MARK = Buffer.from("are you there");

  async function endingOf(bytes: Buffer): Promise<Ending> {
    const client = RawSocket.open(entry.plainPort);
    try {
      client.write(upgradeRequest());
      client.write(wsFrame({ opcode: OPCODE.BINARY, payload: helloFrame }));
      // WELCOME: before it, less is allowed.
      await waitFor("the login", () => serverFrames(client.bytes).some(({ opcode }) => opcode === OPCODE.BINARY));
      client.write(bytes);
      client.write(wsFrame({ opcode: OPCODE.PING, payload: MARK }));
      for (;;) {
        const frames = serverFrames(client.bytes);
        const close = frames.find(({ opcode }) => opcode === OPCODE.CLOSE);
        if (close) return close.payload.readUInt16BE(0);
        if (frames.some(({ opcode, payload }) => opcode === OPCODE.PONG && payload.equals(MARK))) return "open";
        const length = client.bytes.length;
        if (client.isClosed) throw new Error("closed without a close frame");
        await client.waitBytes(length + 1);
      }
    } finally {
      client.destroy();
    }
  }

  const rows: [string, Buffer, Ending][] = [];
  const row = (what: string, frames: WsFrame | readonly WsFrame[], ending: Ending): void => {
    rows.push([what, Buffer.concat([frames].flat().map((frame) => wsFrame(frame))), ending]);
  };
  const ping = encodeFrame(Command.PING, 5, 0, EMPTY);
  const ofSize = (bytes: number): Buffer => {
    // Envelope overhead: cmd and rid take 2 bytes each, the body's tag and length 4 for these sizes.
    const frame = encodeFrame(99, 5, 0, Buffer.alloc(bytes));
    return frame;
  };

  for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
    row(`opcode ${opcode}`, { opcode, payload: ping }, PROTOCOL_ERROR);
  for (const rsv of [1, 2, 3, 4, 5, 6, 7])
    row(`reserved bits ${rsv}`, { opcode: OPCODE.BINARY, payload: ping, rsv }, PROTOCOL_ERROR);
  for (const rsv of [1, 2, 4])
    row(`reserved bits ${rsv} on a ping`, { opcode: OPCODE.PING, payload: EMPTY, rsv }, PROTOCOL_ERROR);
  for (const opcode of [0, 1, 2, 8, 9, 10])
    row(`opcode ${opcode} without mask`, { opcode, payload: ping, isMasked: false }, PROTOCOL_ERROR);
  for (const opcode of [OPCODE.CLOSE, OPCODE.PING, OPCODE.PONG]) {
    row(`control frame ${opcode} of 126 bytes`, { opcode, payload: Buffer.alloc(126, "a") }, PROTOCOL_ERROR);
    row(`control frame ${opcode} in fragments`, { opcode, payload: EMPTY, isFinal: false }, PROTOCOL_ERROR);
    row(`control frame ${opcode} with a long length`, { opcode, payload: EMPTY, lengthBytes: 2 }, PROTOCOL_ERROR);
  }
  row("a ping of 125 bytes", { opcode: OPCODE.PING, payload: Buffer.alloc(125) }, "open");
  row("an empty ping", { opcode: OPCODE.PING, payload: EMPTY }, "open");
  row("a pong that nobody asked for", { opcode: OPCODE.PONG, payload: Buffer.from("x") }, "open");
  row(
    "50 pings",
    Array.from({ length: 50 }, () => ({ opcode: OPCODE.PING, payload: EMPTY })),
    "open",
  );
  row("a continuation of nothing", { opcode: OPCODE.CONTINUATION, payload: ping }, PROTOCOL_ERROR);
  row(
    "a message inside a message",
    [
      { opcode: 2, payload: ping, isFinal: false },
      { opcode: 2, payload: ping },
    ],
    PROTOCOL_ERROR,
  );
  row(
    "a text inside a message",
    [
      { opcode: 2, payload: ping, isFinal: false },
      { opcode: 1, payload: ping },
    ],
    PROTOCOL_ERROR,
  );

  const parts = (count: number, payload: Buffer): WsFrame[] =>
    Array.from({ length: count }, (_, i) => ({
      opcode: i === 0 ? OPCODE.BINARY : OPCODE.CONTINUATION,
      payload: i === 0 ? payload : EMPTY,
      isFinal: i === count - 1,
    }));
  row("2 fragments", parts(2, ping), "open");
  row("16 fragments", parts(16, ping), "open");
  row("17 fragments", parts(17, ping), TOO_MANY_PARTS);
  row("600 empty fragments", parts(600, EMPTY), TOO_MANY_PARTS);
  row("fragments without end", parts(30, ping).slice(0, 29), TOO_MANY_PARTS);
  row(
    "a ping between fragments",
    [
      { opcode: 2, payload: ping, isFinal: false },
      { opcode: 9, payload: EMPTY },
      { opcode: 0, payload: EMPTY },
    ],
    "open",
  );
  row(
    "a close between fragments",
    [
      { opcode: 2, payload: ping, isFinal: false },
      { opcode: 8, payload: Buffer.from([3, 232]) },
    ],
    1000,
  );

  for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]) {
    row(`close code ${code}`, { opcode: OPCODE.CLOSE, payload: codeBytes(code) }, code);
  }
  for (const code of [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535]) {
    row(`close code ${code}`, { opcode: OPCODE.CLOSE, payload: codeBytes(code) }, PROTOCOL_ERROR);
  }
  row("a close of one byte", { opcode: OPCODE.CLOSE, payload: Buffer.from([3]) }, PROTOCOL_ERROR);
  row(
    "a close with a reason of 123 bytes",
    { opcode: OPCODE.CLOSE, payload: Buffer.concat([codeBytes(1000), Buffer.alloc(123, "a")]) },
    1000,
  );

  const INVALID_UTF8 = [
    "80",
    "bf",
    "c0af",
    "c1bf",
    "e080af",
    "eda080",
    "edbfbf",
    "f08080af",
    "f4908080",
    "f8888080",
    "fe",
    "ff",
    "c3",
    "e282",
    "f09f98",
    "61ff62",
  ];
  for (const hex of INVALID_UTF8) {
    row(`text that is no UTF-8: ${hex}`, { opcode: OPCODE.TEXT, payload: Buffer.from(hex, "hex") }, BAD_UTF8);
    const payload = Buffer.concat([codeBytes(1000), Buffer.from(hex, "hex")]);
    row(`a close reason that is no UTF-8: ${hex}`, { opcode: OPCODE.CLOSE, payload }, BAD_UTF8);
  }
  for (const text of ["", "hello", "\u00e9", "\u4f60\u597d", "\u{1f600}", "\ud7ff", "\uffff", "\u{10ffff}"]) {
    row(`text: ${JSON.stringify(text)}`, { opcode: OPCODE.TEXT, payload: Buffer.from(text) }, DisconnectCode.BAD_FRAME);
  }

  for (const lengthBytes of [2, 8] as const)
    row(`a short message with ${lengthBytes} bytes of length`, { opcode: 2, payload: ping, lengthBytes }, "open");
  for (const bytes of [100, 125, 126, 127, 65_000, 65_535, 65_536, 200_000])
    row(`a frame with ${bytes} bytes of body`, { opcode: 2, payload: ofSize(bytes) }, "open");
  for (const claimed of [
    MAX_FRAME_BYTES + 5,
    1 << 30,
    2 ** 31,
    2 ** 32,
    2 ** 53,
    2n ** 53n + 1n,
    2n ** 63n - 1n,
    2n ** 63n,
    2n ** 64n - 1n,
  ]) {
    row(`a claim of ${claimed} bytes`, { opcode: 2, payload: EMPTY, claimed, lengthBytes: 8 }, TOO_BIG);
  }
  row("no frame in a message", { opcode: 2, payload: EMPTY }, "open");
  row("a cut frame in a message", { opcode: 2, payload: ping.subarray(0, 2) }, DisconnectCode.BAD_FRAME);
  row("two frames in a message", { opcode: 2, payload: Buffer.concat([ping, ping]) }, "open");
  row(
    "a frame over two messages",
    [
      { opcode: 2, payload: ping.subarray(0, 2) },
      { opcode: 2, payload: ping.subarray(2) },
    ],
    DisconnectCode.BAD_FRAME,
  );
  row("an empty frame", { opcode: 2, payload: Buffer.from([0]) }, DisconnectCode.BAD_FRAME);

  it("has enough rows", () => assert.ok(rows.length >= 120, String(rows.length)));
  for (const [what, bytes, ending] of rows)
    it(`${what}: ${ending}`, async () => assert.equal(await endingOf(bytes), ending));

  it("more pings at once than are answered end the connection", async () => {
    const client = RawSocket.open(entry.plainPort);
    client.write(upgradeRequest());
    client.write(Buffer.concat(Array.from({ length: 500 }, () => wsFrame({ opcode: OPCODE.PING, payload: EMPTY }))));
    await client.waitClosed();
  });

  it("never compresses, whoever offers it", async () => {
    for (const offer of [
      "permessage-deflate",
      "permessage-deflate; client_max_window_bits",
      "x-webkit-deflate-frame",
    ]) {
      const client = RawSocket.open(entry.plainPort);
      client.write(upgradeRequest([`Sec-WebSocket-Extensions: ${offer}`]));
      await client.waitText("\r\n\r\n");
      assert.match(client.text, /^HTTP\/1\.1 101 /);
      assert.doesNotMatch(client.text, /extensions/i);
      client.destroy();
    }
  });

  describe("origins", () => {
    const host = `Host: ${OWN_HOST}`;
    const upgradeFrom = async (lines: readonly string[]): Promise<number> => {
      const client = RawSocket.open(entry.plainPort);
      try {
        client.write(
          upgradeRequest(lines).replace(`${host}\r\n`, lines.some((line) => /^Host:/i.test(line)) ? "" : `${host}\r\n`),
        );
        await client.waitText("\r\n\r\n");
        return Number(client.text.slice(9, 12));
      } finally {
        client.destroy();
      }
    };
    const allowed = [`https://${OWN_HOST}`, `http://${OWN_HOST}`, ...ALLOWED_ORIGINS];
    it("none: clients that are no browsers", async () => assert.equal(await upgradeFrom([]), 101));
    for (const origin of allowed)
      it(`${origin} may connect`, async () => assert.equal(await upgradeFrom([`Origin: ${origin}`]), 101));
    for (const origin of FOREIGN_ORIGINS)
      it(`${origin} may not`, async () => assert.equal(await upgradeFrom([`Origin: ${origin}`]), 403));
    it("of the host that was asked, with its port", async () => {
      assert.equal(await upgradeFrom(["Host: im.example.com:8443", "Origin: https://im.example.com:8443"]), 101);
      assert.equal(await upgradeFrom(["Host: im.example.com:8443", "Origin: https://im.example.com"]), 403);
      assert.equal(await upgradeFrom(["Host: IM.example.com", "Origin: https://im.example.com"]), 101);
    });
    it("twice: refused as ambiguous", async () => {
      const request = upgradeRequest(["Origin: https://app.example.com", "Origin: https://evil.example.com"]);
      assert.deepEqual(await statusesOf(entry.plainPort, request), [400]);
    });
    it("are counted when refused", async () => {
      const text = await (await fetch(`http://127.0.0.1:${entry.ports.admin}/metrics`)).text();
      const count = Number(/im_entry_refused_total\{reason="origin"\} (\d+)/.exec(text)?.[1]);
      await upgradeFrom(["Origin: https://evil.example.com"]);
      const later = await (await fetch(`http://127.0.0.1:${entry.ports.admin}/metrics`)).text();
      assert.match(later, new RegExp(`im_entry_refused_total\\{reason="origin"\\} ${count + 1}\\b`));
    });
  });
});

function codeBytes(code: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(code);
  return bytes;
}
