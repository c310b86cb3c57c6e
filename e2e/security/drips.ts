// SPDX-License-Identifier: Apache-2.0
// Clients that send a byte now and then, in each phase of a connection: how long the entry bears with them.
import { connect as connectTcp } from "node:net";
import { RawSocket } from "../../gateway/testing/raw-socket.ts";
import { upgradeRequest, wsFrame } from "../../gateway/testing/ws-frame.ts";
import { type Check, check } from "./checks.ts";
import { dialRaw, type SecurityTarget } from "./target.ts";

/** One phase. */
export interface Drip {
  name: string;
  dial: () => RawSocket;
  /** At once. */
  first: Uint8Array | string;
  /** Byte by byte, again from its start; empty: silence. */
  rest: Uint8Array;
  /** What the entry allows, ms. */
  limitMs: number;
}

/** Ms until each of the sockets was closed; Infinity: not within the limit and the patience. */
export interface DripFigures {
  shortestMs: number;
  longestMs: number;
  stillOpen: number;
}

const DRIP_EVERY_MS = 500;
/** A limit may be late by so much. */
const LATE_MS = 1000;
/** Beyond that nobody waits: a WebSocket that was closed has 4 s to answer. */
const PATIENCE_MS = 8000;
const POLL_MS = 20;

/** `count` sockets of one phase, all at once. */
export async function drip(phase: Drip, count: number): Promise<DripFigures> {
  const { dial, first, rest, limitMs } = phase;
  const startedMs = performance.now();
  const clients = Array.from({ length: count }, dial);
  for (const client of clients) client.write(first);
  let at = 0;
  const timer = setInterval(() => {
    if (rest.length === 0) return;
    const byte = rest.subarray(at % rest.length, (at % rest.length) + 1);
    at++;
    for (const client of clients) if (!client.isClosed) client.write(byte);
  }, DRIP_EVERY_MS);
  try {
    const deadlineMs = startedMs + limitMs + PATIENCE_MS;
    while (performance.now() < deadlineMs && clients.some(({ isClosed }) => !isClosed))
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    const times = clients.map((client) => endedMs(client) - startedMs);
    return {
      shortestMs: Math.round(Math.min(...times)),
      longestMs: Math.round(Math.max(...times)),
      stillOpen: clients.filter(({ isClosed }) => !isClosed).length,
    };
  } finally {
    clearInterval(timer);
    for (const client of clients) client.destroy();
  }
}

/** A WebSocket was closed when it was told so: it has time to answer that. */
function endedMs(client: RawSocket): number {
  if (!client.isClosed) return Number.POSITIVE_INFINITY;
  return client.text.startsWith("HTTP/1.1 101 ") ? client.heardAtMs : client.closedAtMs;
}

/**
 * Closed too late is a way to hold the entry's sockets; too early, and nothing was proven. The limit's clock stands still
 * while a CPU was waited for: `waitedMs`.
 */
export function checkOfDrip(
  area: string,
  { name, limitMs }: Pick<Drip, "name" | "limitMs">,
  figures: DripFigures,
  waitedMs = 0,
): Check {
  const { shortestMs, longestMs, stillOpen } = figures;
  const stretch = waitedMs > 0 ? `, ${Math.round(waitedMs)} ms without a CPU` : "";
  const fault =
    stillOpen > 0
      ? `${stillOpen} stayed open`
      : longestMs > limitMs + LATE_MS + waitedMs
        ? `closed after ${longestMs} ms of ${limitMs}${stretch}`
        : shortestMs < limitMs * 0.5
          ? `closed after ${shortestMs} ms of ${limitMs} already: it was refused for something else`
          : undefined;
  return check(
    `${area}: ${name}`,
    "high",
    fault,
    `closed after ${shortestMs} to ${longestMs} ms of ${limitMs}${stretch}`,
  );
}

/** A frame of 2,000 bytes that begins: its length alone, or more of it. */
const FRAME = Buffer.concat([Buffer.from([0xd0, 0x0f, 0x08, 0x01]), Buffer.alloc(2000)]);
const NOTHING = new Uint8Array(0);
const HEADERS = Buffer.from("X-Slow: 1\r\n", "latin1");
const PROXY_SIGNATURE = Buffer.from("0d0a0d0a000d0a515549540a", "hex");

/** What the entry allows; each is a default of the product. */
export interface DripLimits {
  handshakeMs: number;
  proxyMs: number;
  loginMs: number;
}

/** Every phase up to the login. `proxyAddress`: our own, from which the entry expects a PROXY header. */
export function dripsOf(target: SecurityTarget, proxyAddress: string, limits: DripLimits): Drip[] {
  const { handshakeMs, proxyMs, loginMs } = limits;
  const tcp = (localAddress = "127.0.0.1") =>
    new RawSocket(connectTcp({ port: target.port, host: "127.0.0.1", localAddress }));
  const frames = () => dialRaw(target, { ALPNProtocols: ["im/1"] });
  const http = () => dialRaw(target);
  const message = Buffer.concat([
    Buffer.from(upgradeRequest()),
    wsFrame({ opcode: 2, payload: FRAME }).subarray(0, 10),
  ]);
  const hello = Buffer.from("16030100a5010000a10303", "hex");
  return [
    {
      name: "silence before the PROXY header",
      dial: () => tcp(proxyAddress),
      first: "",
      rest: NOTHING,
      limitMs: proxyMs,
    },
    {
      name: "a PROXY header in drips",
      dial: () => tcp(proxyAddress),
      first: PROXY_SIGNATURE.subarray(0, 6),
      rest: PROXY_SIGNATURE.subarray(6),
      limitMs: proxyMs,
    },
    { name: "silence before the TLS handshake", dial: () => tcp(), first: "", rest: NOTHING, limitMs: handshakeMs },
    { name: "a TLS hello in drips", dial: () => tcp(), first: hello, rest: Buffer.alloc(1), limitMs: handshakeMs },
    { name: "silence after the TLS handshake", dial: frames, first: "", rest: NOTHING, limitMs: loginMs },
    {
      name: "a first frame in drips",
      dial: frames,
      first: FRAME.subarray(0, 4),
      rest: Buffer.alloc(1),
      limitMs: loginMs,
    },
    {
      name: "request headers in drips",
      dial: http,
      first: "GET /healthz HTTP/1.1\r\n",
      rest: HEADERS,
      limitMs: loginMs,
    },
    { name: "silence after the upgrade", dial: http, first: upgradeRequest(), rest: NOTHING, limitMs: loginMs },
    { name: "a WebSocket message in drips", dial: http, first: message, rest: Buffer.alloc(1), limitMs: loginMs },
  ];
}
