// SPDX-License-Identifier: Apache-2.0
// What the suites of a whole entry share: an entry on loopback, a fake logic, clients; all undone after each test.
import { afterEach } from "node:test";
import type { EntryConfig } from "../config.ts";
import type { EntryDeps } from "../entry.ts";
import { startReadyEntry } from "./entry-kit.ts";
import { FakeLogic, type FakeLogicOptions } from "./fake-logic.ts";
import { FrameClient } from "./frame-client.ts";

/** Undone after each test, last first. */
export const cleanups: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const undo of cleanups.splice(0).reverse()) await undo();
});

export async function startLogic(options: FakeLogicOptions = {}, port = 0): Promise<FakeLogic> {
  const logic = await FakeLogic.start(options, port);
  cleanups.push(() => logic.close());
  return logic;
}

export async function startEntry(logics: FakeLogic[], config: Partial<EntryConfig> = {}, deps: EntryDeps = {}) {
  const entry = await startReadyEntry(
    logics.map(({ target }) => target),
    config,
    deps,
  );
  cleanups.push(() => entry.close());
  return entry;
}

export async function connect(port: number): Promise<FrameClient> {
  const client = await FrameClient.tcp(port);
  cleanups.push(() => client.close());
  return client;
}

export async function websocket(port: number, path = "/ws"): Promise<FrameClient> {
  const client = await FrameClient.websocket(`ws://127.0.0.1:${port}${path}`);
  cleanups.push(() => client.close());
  return client;
}

/**
 * One entry, one logic, one client that is logged in as alice on connection 1. `port`: of the logic, where another one will
 * follow it; a port that the kernel chose may be somebody else's by then.
 */
export async function setUp(config: Partial<EntryConfig> = {}, deps: EntryDeps = {}, port = 0) {
  const logic = await startLogic({}, port);
  const entry = await startEntry([logic], config, deps);
  const client = await connect(entry.plainPort);
  await client.login("alice");
  return { logic, entry, client };
}
