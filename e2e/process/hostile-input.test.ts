// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { DisconnectCode } from "#lib/codes.ts";
import { ErrorCode } from "#lib/errors.ts";
import { Command, MAX_FRAME_BYTES, MAX_FRAME_BYTES_BEFORE_AUTH } from "#proto/commands.ts";
import { Send } from "#proto/gen/messages.ts";
import { frameOf, writeVarint } from "../../bench/wire.ts";
import { createTokenAuthority } from "../harness/tokens.ts";
import { login, targetOf, useFleet, waitMessages } from "./fleet-suite.ts";
import { RawConnection } from "./raw-connection.ts";

/** A length prefix alone. */
function prefix(length: number): Buffer {
  const bytes = Buffer.alloc(10);
  return bytes.subarray(0, writeVarint(bytes, length, 0));
}

describe("hostile input at the real port", () => {
  // Long enough that no test but the one of silence meets it on a busy machine.
  const fleet = useFleet({ entries: 1, logics: 1, entryEnv: { IM_LOGIN_TIMEOUT_MS: "5000" } });
  const open: RawConnection[] = [];
  const connect = async (kind: "tls" | "plain", alpn?: string[]): Promise<RawConnection> => {
    const connection = await RawConnection.open(fleet(), kind, alpn);
    open.push(connection);
    return connection;
  };
  let pids: number[] = [];
  before(() => {
    pids = fleet().processes.map(({ pid }) => pid);
  });
  after(() => {
    for (const connection of open) connection.destroy();
  });

  /** Sends `bytes` as the very first ones; expects this code, a reason, and the end of the connection. */
  async function refused(kind: "tls" | "plain", bytes: Uint8Array, code: number): Promise<void> {
    const connection = await connect(kind);
    connection.write(bytes);
    const error = await connection.error();
    assert.equal(error.code, code, error.reason);
    assert.ok(error.reason.length > 0, "a reason");
    await connection.closed();
  }

  for (const kind of ["tls", "plain"] as const) {
    const first: [string, Uint8Array, number][] = [
      ["a length of five bytes", Buffer.from([0xff, 0xff, 0xff, 0xff, 0x01]), DisconnectCode.BAD_FRAME],
      ["a frame above the cap before login", prefix(MAX_FRAME_BYTES_BEFORE_AUTH + 1), DisconnectCode.FRAME_TOO_LARGE],
      ["a frame without length", Buffer.from([0, 8, 1]), DisconnectCode.BAD_FRAME],
      ["an envelope that is no protobuf", Buffer.from([5, 0x08, 0x01, 0x7a, 0x7f, 0x00]), DisconnectCode.BAD_FRAME],
      ["a SEND before HELLO", frameOf(Command.SEND, 1, new Uint8Array(0)), DisconnectCode.PROTOCOL_ERROR],
      [
        "a HELLO that is no protobuf",
        frameOf(Command.HELLO, 1, Buffer.from([0x7a, 0x7f])),
        DisconnectCode.PROTOCOL_ERROR,
      ],
    ];
    for (const [what, bytes, code] of first)
      it(`${kind}: ${what} ends the connection with ${code}`, () => refused(kind, bytes, code));
  }

  it("random bytes end the connection, a hundred times over", async () => {
    for (let i = 0; i < 100; i++) {
      const connection = await connect(i % 10 === 0 ? "tls" : "plain");
      connection.end(randomBytes(1 + (i % 64) * 8));
      await connection.closed();
    }
  });

  it("a truncated frame costs nothing but its connection", async () => {
    const connection = await connect("tls");
    connection.end(Buffer.concat([prefix(1000), Buffer.from([0x08, 0x01])]));
    await connection.closed();
  });

  it("silence ends with LOGIN_TIMEOUT", async () => {
    const connection = await connect("tls");
    assert.equal((await connection.error()).code, DisconnectCode.LOGIN_TIMEOUT);
    await connection.closed();
  });

  it("wrong tokens are refused with a code and a reason", async () => {
    const { tokens } = fleet();
    const stranger = await createTokenAuthority({ audience: tokens.audience });
    const wrong: [string, string, number][] = [
      ["not a token", "not.a.token", DisconnectCode.TOKEN_INVALID],
      ["empty", "", DisconnectCode.TOKEN_INVALID],
      ["of another key", await stranger.mint("alice"), DisconnectCode.TOKEN_INVALID],
      [
        "of another key under our kid",
        await stranger.mint("alice", { kid: tokens.privateJwk.kid ?? "" }),
        DisconnectCode.TOKEN_INVALID,
      ],
      ["for another audience", await tokens.mint("alice", { audience: "other" }), DisconnectCode.TOKEN_INVALID],
      ["of another issuer", await tokens.mint("alice", { issuer: "other" }), DisconnectCode.TOKEN_INVALID],
      ["for a strange user id", await tokens.mint("a b\nc"), DisconnectCode.TOKEN_INVALID],
      ["expired", await tokens.mint("alice", { expiresInS: -3600 }), DisconnectCode.TOKEN_EXPIRED],
    ];
    for (const [what, token, code] of wrong) {
      const connection = await connect("tls");
      connection.hello(token);
      const error = await connection.error();
      assert.equal(error.code, code, `${what}: ${error.reason}`);
      assert.ok(error.reason.length > 0, what);
      await connection.closed();
    }
  });

  it("after login: unknown commands and bad bodies are answered, the connection lives", async () => {
    const connection = await connect("tls");
    connection.hello(await fleet().tokens.mint("raw-user"));
    await connection.frame(Command.WELCOME);
    connection.send(77, 5, Buffer.from("?"));
    assert.equal((await connection.error(5)).code, ErrorCode.UNKNOWN_COMMAND);
    connection.send(Command.SEND, 6, Buffer.from([0x12, 0x7f, 0x01]));
    assert.equal((await connection.error(6)).code, ErrorCode.BAD_REQUEST);
    connection.send(Command.SEND, 7, Send.encode({ to: "peer", clientMessageId: "" }));
    assert.equal((await connection.error(7)).code, ErrorCode.BAD_REQUEST);
    connection.send(Command.SEND, 8, Send.encode({ to: "peer", clientMessageId: "x".repeat(65) }));
    assert.equal((await connection.error(8)).code, ErrorCode.BAD_REQUEST);
    connection.send(Command.SEND, 9, Send.encode({ to: "peer", conversationId: "c_1", clientMessageId: "x" }));
    assert.equal((await connection.error(9)).code, ErrorCode.BAD_REQUEST);
    connection.send(Command.SEND, 10, Send.encode({ to: "peer", clientMessageId: "x", content: Buffer.alloc(65_537) }));
    assert.equal((await connection.error(10)).code, ErrorCode.TOO_LARGE);
    connection.send(Command.SEND, 11, Send.encode({ to: "peer", clientMessageId: "x", content: Buffer.from("fine") }));
    await connection.frame(Command.SEND_ACK, 11);
    assert.equal(connection.isClosed, false);
    connection.hello(await fleet().tokens.mint("raw-user"), 12);
    assert.equal((await connection.error()).code !== 0, true);
    await connection.closed();
  });

  it("after login: a frame above the cap ends the connection with FRAME_TOO_LARGE", async () => {
    const connection = await connect("plain");
    connection.hello(await fleet().tokens.mint("raw-user-2"));
    await connection.frame(Command.WELCOME);
    connection.write(prefix(MAX_FRAME_BYTES + 1));
    assert.equal((await connection.error()).code, DisconnectCode.FRAME_TOO_LARGE);
    await connection.closed();
  });

  it("HTTP that is not ours gets an HTTP answer", async () => {
    for (const request of [
      "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
      "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
      "POST /../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
      "GARBAGE\r\n\r\n",
    ]) {
      const connection = await connect("tls", ["http/1.1"]);
      connection.write(request);
      await connection.closed();
      assert.match(connection.text, /^HTTP\/1\.1 (4\d\d|301|308)/, request);
    }
  });

  it("left every process alive, and people go on talking", async () => {
    assert.deepEqual(
      fleet().processes.map(({ pid }) => pid),
      pids,
    );
    const alice = await login(fleet(), "alice", targetOf(fleet(), "tls", 0));
    const bob = await login(fleet(), "bob", targetOf(fleet(), "wss", 0));
    await alice.client.send({ to: "bob", content: "still here" });
    await waitMessages(bob, 1);
    await Promise.all([alice, bob].map(({ client }) => client.close()));
  });
});
