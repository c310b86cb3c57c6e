// SPDX-License-Identifier: Apache-2.0
// `node bench/hold-sessions.ts JSON`: logs users in and holds their connections until it is killed, pinging and moving as
// the entry asks. A process may have too few file descriptors for all sessions of a benchmark: start several. Prints, each
// as a line of JSON: `{minted}` when it is about to dial, `{held, loginSeconds}` when all are in, `{moved, ...}` each time
// when all that were asked to move are back, and `{broadcast, lastMs}` each time when all have one more broadcast.
import { readFileSync } from "node:fs";
import type { JWK } from "jose";
import { systemClock } from "#lib/clock.ts";
import { tokenAuthorityFrom } from "../e2e/harness/tokens.ts";
import { HeldClient } from "./held-client.ts";
import { Crowd } from "./held-crowd.ts";
import type { HeldCarrier } from "./held-link.ts";

/** What it is told. */
export interface HoldOrder {
  port: number;
  /** Users `prefix-0` to `prefix-(count - 1)`. */
  prefix: string;
  count: number;
  /** Private JWK that signs their tokens. */
  keyFile: string;
  audience: string;
  /** Default `tcp`. */
  carrier?: HeldCarrier;
  /** For `tls`: PEM, and the name to expect. */
  ca?: string;
  serverName?: string;
  /** Each connection pings this often. Default: never. */
  pingIntervalMs?: number;
  /** Logins under way at a time. Default 32. */
  concurrency?: number;
  /** Ports to go to on GOAWAY, in turn. Default: the same port. */
  moveTo?: readonly number[];
}

const PING_SLICES = 100;
const MINT_BATCH = 500;

const order = JSON.parse(process.argv[2] ?? "{}") as HoldOrder;
const { port, count, prefix, carrier = "tcp", concurrency = 32, pingIntervalMs = 0, moveTo = [port] } = order;
const target = { carrier, ca: order.ca, serverName: order.serverName ?? "" };
const say = (line: object): void => console.log(JSON.stringify(line));

/** Spreads the pings of all connections evenly; those that a busy process was late for follow. */
function startPings(): void {
  const [sinceMs, sliceMs] = [performance.now(), pingIntervalMs / PING_SLICES];
  let pinged = 0;
  setInterval(() => {
    for (const due = (performance.now() - sinceMs) / sliceMs; pinged < due; pinged++)
      for (let at = pinged % PING_SLICES; at < crowd.clients.length; at += PING_SLICES) crowd.clients[at]?.ping();
  }, sliceMs);
}

process.once("SIGTERM", () => process.exit());
let startedMs = 0;
let broadcasts = 0;
const crowd = new Crowd<HeldClient>({
  clock: systemClock,
  ...{ port, moveTo, concurrency },
  onHeld: () => say({ held: count, loginSeconds: Math.round(performance.now() - startedMs) / 1000 }),
  onMoved: say,
  onBroadcast: (lastMs) => say({ broadcast: ++broadcasts, lastMs }),
  onFailed: (reason) => {
    console.error(reason);
    process.exit(1);
  },
});
const key = JSON.parse(readFileSync(order.keyFile, "utf8")) as JWK;
const authority = await tokenAuthorityFrom(key, { audience: order.audience });
for (let at = 0; at < count; at += MINT_BATCH) {
  const ids = Array.from({ length: Math.min(MINT_BATCH, count - at) }, (_, n) => `${prefix}-${at + n}`);
  const tokens = await Promise.all(ids.map((id) => authority.mint(id)));
  ids.forEach((id, n) => void crowd.add(new HeldClient(id, tokens[n] ?? "", target, crowd)));
}
say({ minted: count });
// From the first login on: on a slow machine those who came first would be taken for dead before the last one is in.
if (pingIntervalMs > 0) startPings();
startedMs = performance.now();
crowd.start();
