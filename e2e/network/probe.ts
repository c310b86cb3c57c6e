// SPDX-License-Identifier: Apache-2.0
// Runs inside the network namespace of a pod, by nsenter: answers at ports, and tries to connect. A line of JSON asks, a line of JSON answers;
// it ends with its input.
import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";
import { createInterface } from "node:readline";

export interface Target {
  ip: string;
  port: number;
  protocol: "TCP" | "UDP";
}

export type Request =
  | { listen: { tcp: readonly number[]; udp: readonly number[]; addresses: readonly string[] } }
  | { dial: readonly Target[]; from?: string | undefined; timeoutMs: number }
  | { get: string; timeoutMs: number };

export type Reply = { listening: number } | { open: boolean[] } | { status: number; bytes: number } | { error: string };

/** A question of DNS for the name servers of the root: a server of names answers it, and whoever sends back what comes. */
const QUESTION = Buffer.from("002a010000010000000000000000020001", "hex");

/** True when this process listens now; false when another one does. */
function listenTcp(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.on("error", () => undefined).end());
    server.once("error", () => resolve(false));
    server.listen(port, host, () => resolve(true));
  });
}

function listenUdp(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket("udp4");
    socket.once("error", () => resolve(false));
    socket.on("message", (message, { address, port: to }) => socket.send(message, to, address));
    socket.bind(port, host, () => resolve(true));
  });
}

function dialTcp({ ip, port }: Target, from: string | undefined, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: ip, port, ...(from ? { localAddress: from } : {}), timeout: timeoutMs });
    const end = (isOpen: boolean) => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.once("connect", () => end(true));
    socket.once("timeout", () => end(false));
    socket.once("error", () => end(false));
  });
}

function dialUdp({ ip, port }: Target, from: string | undefined, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket("udp4");
    const end = (isOpen: boolean) => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on("error", () => undefined).close();
      resolve(isOpen);
    };
    const timer = setTimeout(() => end(false), timeoutMs);
    socket.once("message", () => end(true));
    socket.once("error", () => end(false));
    socket.bind(0, from ?? "0.0.0.0", () => socket.connect(port, ip, () => socket.send(QUESTION, () => undefined)));
  });
}

async function answer(request: Request): Promise<Reply> {
  if ("listen" in request) {
    const { tcp, udp, addresses } = request.listen;
    const all = addresses.flatMap((host) => [
      ...tcp.map((port) => listenTcp(port, host)),
      ...udp.map((port) => listenUdp(port, host)),
    ]);
    return { listening: (await Promise.all(all)).filter(Boolean).length };
  }
  if ("dial" in request) {
    const { dial, from, timeoutMs } = request;
    const dialOne = (target: Target) => (target.protocol === "UDP" ? dialUdp : dialTcp)(target, from, timeoutMs);
    return { open: await Promise.all(dial.map(dialOne)) };
  }
  const response = await fetch(request.get, { signal: AbortSignal.timeout(request.timeoutMs) });
  return { status: response.status, bytes: (await response.arrayBuffer()).byteLength };
}

if (import.meta.main) {
  for await (const line of createInterface({ input: process.stdin })) {
    const reply = await answer(JSON.parse(line) as Request).catch(
      (error: unknown): Reply => ({ error: String(error) }),
    );
    process.stdout.write(`${JSON.stringify(reply)}\n`);
  }
  process.exit(0);
}
