// SPDX-License-Identifier: Apache-2.0
// `node bench/hold-sessions.ts JSON`: logs users in, prints one line when all are, and holds their connections until it is
// killed. A process may have too few file descriptors for all sessions of a benchmark: start several.
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import type { JWK } from "jose";
import { Command } from "#proto/commands.ts";
import { Hello } from "#proto/gen/messages.ts";
import { tokenAuthorityFrom } from "../e2e/harness/tokens.ts";
import { FrameReader, frameOf } from "./wire.ts";

/** What it is told. */
export interface HoldOrder {
  port: number;
  /** Users `prefix-0` to `prefix-(count - 1)`. */
  prefix: string;
  count: number;
  keyFile: string;
  audience: string;
}

const CONCURRENCY = 32;
const ATTEMPTS = 20;
const RETRY_MS = 250;

/** One login on a connection that stays. @throws Error when it is refused */
function logIn(port: number, token: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1" });
    const frames = new FrameReader({
      frame: (cmd) => (cmd === Command.WELCOME ? resolve() : reject(new Error(`refused with command ${cmd}`))),
    });
    socket.on("data", (chunk: Buffer) => frames.push(chunk));
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("closed by the server")));
    const device = { deviceId: "held", platform: "android", deviceName: "held", firstPageBytes: 1 };
    socket.write(frameOf(Command.HELLO, 1, Hello.encode({ protoMin: 1, protoMax: 1, token, ...device })));
  });
}

async function logInWithRetries(port: number, mint: () => Promise<string>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await logIn(port, await mint());
      return;
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

const order = JSON.parse(process.argv[2] ?? "{}") as HoldOrder;
const key = JSON.parse(readFileSync(order.keyFile, "utf8")) as JWK;
const authority = await tokenAuthorityFrom(key, { audience: order.audience });
let next = 0;
const worker = async (): Promise<void> => {
  for (let at = next++; at < order.count; at = next++)
    await logInWithRetries(order.port, () => authority.mint(`${order.prefix}-${at}`));
};
await Promise.all(Array.from({ length: CONCURRENCY }, worker));
console.log(JSON.stringify({ held: order.count }));
