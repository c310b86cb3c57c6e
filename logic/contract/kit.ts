// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { ErrorCode } from "#lib/errors.ts";
import type { PurgeEntryReply, Send, SendAck } from "#proto/gen/messages.ts";
import type { LogicCore } from "../compose.ts";
import type { PushIntent } from "../deliver/offline.ts";
import type { TestAnswer, TestEntry } from "../entry-kit.ts";
import type { Router } from "../router/router.ts";
import type { Store } from "../store/store.ts";
import { internalId } from "../tenant/tenant-ids.ts";

/** Of the entries in these tests, which do not renew: longer than any of them on a slow machine. */
export const LEASE_TTL_MS = 60_000;

/** What a token may say besides whose it is. */
export interface TokenOptions {
  tokenId?: string;
  /** Seconds since it was issued. Default 0. */
  ageS?: number;
  /** Seconds until it runs out; negative for one that has. Default an hour. */
  expiresInS?: number;
}

/** A running logic with what surrounds it. Users are made up per test: nothing is reset in between. */
export interface LogicHarness {
  /** A new entry, not attached yet. */
  entry(podUid: string): TestEntry;
  /** PurgeEntry, as the operator calls it. */
  purge(podUid: string): Promise<PurgeEntryReply>;
  token(userId: string, facts?: TokenOptions): Promise<string>;
  /** Push intents appended so far. */
  intents(): Promise<PushIntent[]>;
  /** Lets time pass where the clock is a fake one. */
  elapse(ms: number): void;
  /** The router forgets everything. */
  flushRouter(): Promise<void>;
  /** Makes a group. */
  createConversation(conversationId: string, memberIds: readonly string[]): Promise<void>;
  /** Of all users; "" = the default one. Ids in the store and the router have its prefix: see `idOf`. */
  readonly tenant: string;
  readonly store: Store;
  readonly router: Router;
  readonly core: LogicCore;
}

/** What the store and the router call a user of these tests. */
export const idOf = (get: () => LogicHarness, userId: string): string => internalId(get().tenant, userId);

let counter = 0;
/** A name nobody else has. */
export const unique = (name: string): string => `${name}-${process.pid}-${++counter}`;

export const text = (words: string): Uint8Array => new TextEncoder().encode(words);

/** A logged-in user. */
export interface Online {
  user: string;
  entry: TestEntry;
  conn: number;
}

/** A new entry, attached. */
export async function attached(get: () => LogicHarness): Promise<TestEntry> {
  const entry = get().entry(unique("pod"));
  assert.ok(await entry.attach());
  return entry;
}

let conns = 0;

/** A connection number nobody else has. */
export const nextConn = (): number => ++conns;

/** A user logged in through `entry`. */
export async function online(
  get: () => LogicHarness,
  entry: TestEntry,
  user = unique("user"),
  hello = {},
): Promise<Online> {
  const conn = nextConn();
  const login = await entry.login(conn, await get().token(user), hello);
  assert.equal(login.kind, "ok", JSON.stringify(login));
  return { user, entry, conn };
}

/** SEND with some text and a fresh client id; shed by a slow machine, it is sent again as a client would. */
export async function say(from: Online, send: Partial<Send>): Promise<TestAnswer<SendAck>> {
  const full = { clientMessageId: unique("cm"), content: text("hello"), ...send };
  for (;;) {
    const answer = await from.entry.message(from.conn, full);
    if (answer.kind === "ok" || answer.error.code !== ErrorCode.BUSY) return answer;
  }
}
