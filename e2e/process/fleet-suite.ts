// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, afterEach, before } from "node:test";
import { ImClient, type ImClientOptions, type Message } from "#client";
import { type Fleet, type FleetOptions, startFleet } from "../harness/fleet.ts";
import { waitUntil } from "../harness/processes.ts";
import { type PairsOptions, type PairsReport, pairsFigures, runPairs } from "../workload/pairs.ts";
import { readStored } from "../workload/read-stored.ts";
import { type ClientTarget, firstUrl, targetTransport } from "../workload/sdk-transport.ts";

export { type Carrier, targetOf } from "../workload/fleet-target.ts";

const opened: ImClient[] = [];

/** One fleet for all tests of a `describe`; when one fails, the ends of all logs are shown. */
export function useFleet(options: FleetOptions): () => Fleet {
  let fleet: Fleet | undefined;
  before(async () => {
    fleet = await startFleet(options);
  });
  afterEach((context) => {
    if (fleet && (context as { passed?: boolean }).passed === false) console.error(fleet.explain());
  });
  after(async () => {
    // A test that failed in the middle leaves clients behind; they would keep the process alive.
    await Promise.all(opened.splice(0).map((client) => client.close()));
    await fleet?.stopAll();
  });
  return () => {
    assert.ok(fleet, "the fleet did not start");
    return fleet;
  };
}

/** An SDK client and the messages that it was shown. */
export interface User {
  client: ImClient;
  messages: Message[];
}

const LOGIN_TIMEOUT_MS = 60_000;

/** A user whose client begins to connect; `listen` may add listeners before. It is closed at the latest when the suite ends. */
export function startClient(
  fleet: Fleet,
  uid: string,
  target: ClientTarget,
  options: Partial<ImClientOptions> = {},
  listen: (client: ImClient) => void = () => undefined,
): User {
  const client = new ImClient({
    url: firstUrl(target),
    transport: targetTransport(target),
    getToken: () => fleet.tokens.mint(uid),
    deviceId: `${uid}-device`,
    platform: "android",
    ...options,
  });
  opened.push(client);
  const messages: Message[] = [];
  client.on("message", (message) => messages.push(message));
  listen(client);
  client.connect();
  return { client, messages };
}

/** As {@link startClient}, logged in. */
export async function login(...args: Parameters<typeof startClient>): Promise<User> {
  const user = startClient(...args);
  await user.client.ready({ signal: AbortSignal.timeout(LOGIN_TIMEOUT_MS) });
  return user;
}

/** Waits until `user` was shown `count` messages. */
export async function waitMessages(user: User, count: number, timeoutMs = 20_000): Promise<void> {
  await waitUntil(`${count} messages`, () => user.messages.length >= count, timeoutMs);
}

/** Short enough that a run with losses still ends, and is reported, within the test's own bound. */
const SETTLE_TIMEOUT_MS = 20_000;

/** Runs pairs of users on the fleet; the checks include the rows of this run in the database. */
export async function chat(fleet: Fleet, options: Omit<PairsOptions, "getToken" | "seed">): Promise<PairsReport> {
  const seed = Math.random().toString(36).slice(2, 10);
  return await runPairs({
    seed,
    settleTimeoutMs: SETTLE_TIMEOUT_MS,
    getToken: (uid) => fleet.tokens.mint(uid),
    readStored: async () => {
      const rows = await readStored(fleet.postgresUrl);
      return rows.filter((row) => row.sender.startsWith(`${seed}-`));
    },
    ...options,
  });
}

/** Every promise about the messages of a workload was kept, and all were acknowledged. */
export function assertKept(report: PairsReport): void {
  const figures = pairsFigures(report);
  assert.deepEqual(report.violations, [], JSON.stringify(figures));
  assert.equal(report.acked, report.sent, `not all acknowledged: ${JSON.stringify(figures)}`);
  assert.equal(report.delivered, report.sent, `not all delivered: ${JSON.stringify(figures)}`);
  assert.equal(report.lost + report.duplicated + report.reordered + report.corrupted, 0, JSON.stringify(figures));
  console.log(JSON.stringify(figures));
}
