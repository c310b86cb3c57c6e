// SPDX-License-Identifier: Apache-2.0
// What strangers write: tokens that are none, broken frames, headers, lines that look like those of a log.
import { request } from "node:https";
import { connect } from "node:net";
import { Command } from "#proto/commands.ts";
import { Report, Send } from "#proto/gen/messages.ts";
import { frameOf, writeVarint } from "../../../bench/wire.ts";
import { SERVER_NAME } from "../../harness/fleet.ts";
import { createTokenAuthority } from "../../harness/tokens.ts";
import { RawConnection } from "../../process/raw-connection.ts";
import type { CanaryFleet } from "./secrets.ts";

const HTTP_TIMEOUT_MS = 20_000;
/** Ends a line of a log, and begins one of its own; clears a terminal; ends a JSON text. */
const BREAKS = [
  '\n{"level":"error","component":"entry","msg":"forged"}\n',
  "\u001b[2J\u001b[31m",
  '"}',
  "\u009b31m",
  "\u2028",
  "\r\n\u0000",
];

/** Tokens that are refused, or that say more than they should. */
async function badTokens({ set, fleet }: CanaryFleet): Promise<string[]> {
  const { tokens } = fleet;
  const stranger = await createTokenAuthority({ audience: tokens.audience });
  const word = () => set.word("wrong token");
  const made = [
    await stranger.mint("alice"),
    await tokens.mint("alice", { audience: word() }),
    await tokens.mint("alice", { issuer: word() }),
    await tokens.mint("alice", { expiresInS: -3600 }),
    await tokens.mint(`a ${word()}\nc`),
    await tokens.mint(word(), { kid: word() }),
  ];
  for (const token of made) set.add("wrong token", token.split(".").at(-1) ?? token);
  const header = Buffer.from(JSON.stringify({ alg: "none", kid: word(), jku: `https://${word()}/` })).toString(
    "base64url",
  );
  const claims = Buffer.from(JSON.stringify({ sub: word(), password: word() })).toString("base64url");
  return [...made, word(), `${word()}.${word()}.${word()}`, `${header}.${claims}.`, `Bearer ${word()}`, ...BREAKS];
}

/** Frames before and after a login that are none, or not what they say. */
async function badFrames(at: CanaryFleet): Promise<void> {
  const { set, fleet } = at;
  const garbage = (): Buffer => Buffer.from(set.word("broken frame"));
  const framed = (bytes: Buffer): Buffer => {
    const prefix = Buffer.alloc(10);
    return Buffer.concat([prefix.subarray(0, writeVarint(prefix, bytes.length, 0)), bytes]);
  };
  const before: (() => Buffer)[] = [
    garbage,
    () => framed(garbage()),
    () => framed(Buffer.concat([Buffer.from([0x08, 0x01, 0x7a, 0x7f]), garbage()])),
    () => frameOf(Command.HELLO, 1, Buffer.concat([Buffer.from([0x7a, 0x7f]), garbage()])),
    () => frameOf(Command.SEND, 1, Send.encode({ to: "bob", clientMessageId: "x", content: garbage() })),
  ];
  for (const kind of ["tls", "plain"] as const)
    for (const bytes of before) {
      const connection = await RawConnection.open(fleet, kind);
      connection.end(bytes());
      await connection.closed();
    }
  const connection = await RawConnection.open(fleet, "tls");
  connection.hello(await fleet.tokens.mint("raw-user"));
  await connection.frame(Command.WELCOME);
  const wrong: [cmd: number, body: Uint8Array][] = [
    [77, garbage()],
    [Command.SEND, Buffer.concat([Buffer.from([0x12, 0x7f]), garbage()])],
    [Command.SEND, Send.encode({ to: set.word("broken frame").repeat(4), clientMessageId: "1", content: garbage() })],
    [Command.SEND, Send.encode({ to: "bob", clientMessageId: set.word("broken frame").repeat(4), content: garbage() })],
    [Command.SEND, Send.encode({ conversationId: set.word("broken frame"), clientMessageId: "3", content: garbage() })],
    [
      Command.SEND,
      Send.encode({ to: `bob${BREAKS[0]}`, clientMessageId: "4", contentType: BREAKS[1] ?? "", content: garbage() }),
    ],
  ];
  for (const [index, [cmd, body]] of wrong.entries()) {
    connection.send(cmd, 10 + index, body);
    await connection.error(10 + index);
  }
  connection.destroy();
}

/** HELLOs whose names are lines of a log. */
async function badNames(at: CanaryFleet, tokens: readonly string[]): Promise<void> {
  const { fleet, set } = at;
  for (const token of tokens) {
    const connection = await RawConnection.open(fleet, "tls");
    connection.hello(token, 1, { deviceId: "device", deviceName: set.word("device name") });
    await connection.error();
    connection.destroy();
  }
  for (const text of BREAKS) {
    const connection = await RawConnection.open(fleet, "plain");
    const names = { deviceName: `${set.word("device name")}${text}`, appVersion: text, network: text, caps: [text] };
    connection.hello(await fleet.tokens.mint("raw-user"), 1, { ...names, deviceId: `d${text}`, platform: text });
    await connection.settled();
    connection.destroy();
  }
}

/** Requests to the entry, with canaries wherever a request has room. */
async function badRequests({ set, fleet }: CanaryFleet): Promise<void> {
  const word = () => set.word("header or path");
  const { tlsPort: port } = fleet.entry(0);
  const trust = { host: "127.0.0.1", port, ca: fleet.ca, servername: SERVER_NAME, agent: false as const };
  const ask = (path: string, headers: Record<string, string>, body = ""): Promise<void> =>
    new Promise((resolve) => {
      const options = { ...trust, path, headers, method: body === "" ? "GET" : "POST", timeout: HTTP_TIMEOUT_MS };
      const sent = request(options, (response) => response.resume().once("close", resolve));
      // A connection that is cut is one way of being refused.
      sent.once("error", () => resolve());
      sent.once("timeout", () => sent.destroy());
      sent.end(body);
    });
  const { host } = { host: SERVER_NAME };
  await ask(`/${word()}?token=${word()}%0a%1b[2J`, { host, cookie: `session=${word()}`, "x-shop": word() });
  await ask("/v1/connect", { host, authorization: `Bearer ${word()}`, origin: `https://${word()}.example` }, word());
  await ask("/v1/send", { host, "content-type": word(), "x-im-session": word() }, `{"body":"${word()}`);
  await ask("/ws", {
    host: `${word()}.example`,
    upgrade: "websocket",
    connection: "upgrade",
    "sec-websocket-protocol": word(),
  });
  for (const process of fleet.processes) {
    const url = `http://127.0.0.1:${process.adminPort}/${word()}?x=${word()}`;
    await fetch(url, { headers: { authorization: `Bearer ${word()}` }, signal: AbortSignal.timeout(HTTP_TIMEOUT_MS) });
  }
}

/** Bytes that are no TLS on the ports between the processes. */
async function badPeers({ set, fleet }: CanaryFleet): Promise<void> {
  const ports = [fleet.entry(0).controlPort, Number(fleet.logicTargets[0]?.split(":").at(-1)), fleet.entry(0).httpPort];
  for (const port of ports)
    await new Promise<void>((resolve) => {
      const socket = connect({ host: "127.0.0.1", port });
      socket.once("error", () => resolve()).once("close", () => resolve());
      socket.end(`POST /${set.word("bytes of a stranger")} HTTP/1.1\r\nx: ${set.word("bytes of a stranger")}\r\n\r\n`);
      socket.resume();
    });
}

export async function attack(at: CanaryFleet): Promise<void> {
  await badFrames(at);
  await badNames(at, await badTokens(at));
  await badRequests(at);
  await badPeers(at);
  const connection = await RawConnection.open(at.fleet, "tls");
  connection.hello(await at.fleet.tokens.mint("raw-user"));
  await connection.frame(Command.WELCOME);
  const text = `${at.set.word("text of a report")}${BREAKS.join("")}`;
  connection.send(Command.REPORT, 9, Report.encode({ reportId: "r", reason: BREAKS[0] ?? "", text, userId: "bob" }));
  await connection.error(9);
  connection.destroy();
}
