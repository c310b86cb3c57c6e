// SPDX-License-Identifier: Apache-2.0
// `node bench/hold-sessions.ts JSON`: logs users in and holds their connections until it is killed, pinging and moving as
// the entry asks. A process may have too few file descriptors for all sessions of a benchmark: start several. Prints, each
// as a line of JSON: `{minted}` when it is about to dial, `{held, loginSeconds}` when all are in, and `{moved, ...}` each time
// when all that were asked to move are back.
import { readFileSync } from "node:fs";
import type { JWK } from "jose";
import { tokenAuthorityFrom } from "../e2e/harness/tokens.ts";
import { type HeldCarrier, HeldClient, type HeldEvents } from "./held-client.ts";

/** What it is told. */
export interface HoldOrder {
  port: number;
  /** Users `prefix-0` to `prefix-(count - 1)`. */
  prefix: string;
  count: number;
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

const ATTEMPTS = 20;
const RETRY_MS = 250;
const PING_SLICES = 100;
const MINT_BATCH = 500;

const order = JSON.parse(process.argv[2] ?? "{}") as HoldOrder;
const { count, prefix, carrier = "tcp", concurrency = 32, pingIntervalMs = 0, moveTo = [order.port] } = order;
const target = { carrier, ca: order.ca, serverName: order.serverName ?? "" };
const clients: HeldClient[] = [];
const say = (line: object): void => console.log(JSON.stringify(line));

async function logInWithRetries(client: HeldClient, port: number): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await client.logIn(port, target);
      return;
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

/** Moves as they are asked for; tells when nobody is on the way any more. */
class Moves implements HeldEvents {
  #startedMs = 0;
  #asked = 0;
  #back: number[] = [];
  #forced = 0;
  readonly #moving = new Set<HeldClient>();

  onGoaway(client: HeldClient, minDelayMs: number, maxDelayMs: number): void {
    const delayMs = minDelayMs + Math.random() * (maxDelayMs - minDelayMs);
    this.#move(client, delayMs);
  }

  onClosed(client: HeldClient): void {
    if (this.#moving.has(client)) return;
    this.#forced++;
    this.#move(client, 0);
  }

  #move(client: HeldClient, delayMs: number): void {
    if (this.#moving.has(client)) return;
    if (this.#moving.size === 0) {
      this.#startedMs = performance.now();
      [this.#asked, this.#back, this.#forced] = [0, [], 0];
    }
    this.#moving.add(client);
    const port = moveTo[this.#asked++ % moveTo.length] ?? order.port;
    setTimeout(() => void this.#arrive(client, port), delayMs);
  }

  async #arrive(client: HeldClient, port: number): Promise<void> {
    await logInWithRetries(client, port);
    this.#moving.delete(client);
    this.#back.push(performance.now() - this.#startedMs);
    if (this.#moving.size > 0) return;
    const at = (share: number): number => Math.round(this.#back[Math.ceil(this.#back.length * share) - 1] ?? 0);
    say({ moved: this.#back.length, forced: this.#forced, p50Ms: at(0.5), p99Ms: at(0.99), lastMs: at(1) });
  }
}

/** Spreads the pings of all connections evenly. */
function startPings(): void {
  let slice = 0;
  setInterval(() => {
    for (let at = slice; at < clients.length; at += PING_SLICES) clients[at]?.ping();
    slice = (slice + 1) % PING_SLICES;
  }, pingIntervalMs / PING_SLICES);
}

const key = JSON.parse(readFileSync(order.keyFile, "utf8")) as JWK;
const authority = await tokenAuthorityFrom(key, { audience: order.audience });
const moves = new Moves();
for (let at = 0; at < count; at += MINT_BATCH) {
  const ids = Array.from({ length: Math.min(MINT_BATCH, count - at) }, (_, n) => `${prefix}-${at + n}`);
  const tokens = await Promise.all(ids.map((id) => authority.mint(id)));
  ids.forEach((id, n) => void clients.push(new HeldClient(id, tokens[n] ?? "", moves)));
}
say({ minted: count });
// From the first login on: on a slow machine those who came first would be taken for dead before the last one is in.
if (pingIntervalMs > 0) startPings();
const startedMs = performance.now();
let next = 0;
const worker = async (): Promise<void> => {
  for (let client = clients[next++]; client; client = clients[next++]) await logInWithRetries(client, order.port);
};
await Promise.all(Array.from({ length: concurrency }, worker));
say({ held: count, loginSeconds: Math.round(performance.now() - startedMs) / 1000 });
