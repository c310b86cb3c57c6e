// SPDX-License-Identifier: Apache-2.0
// No logic at all for half a minute: clients of every carrier keep their connections, hear that they shall try again, and
// lose nothing.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DisconnectCode } from "#lib/codes.ts";
import { ErrorCode } from "#lib/errors.ts";
import { Command } from "#proto/commands.ts";
import { Send } from "#proto/gen/messages.ts";
import { waitWithin } from "../harness/cpu-wait.ts";
import type { Fleet } from "../harness/fleet.ts";
import { assertKept, type Carrier, chat, startClient, targetOf, type User, useFleet } from "./fleet-suite.ts";
import { RawConnection } from "./raw-connection.ts";

const OUTAGE_MS = 30_000;
/** The entry knows by itself: a login needs its round trips, and nobody's patience. */
const LOGIN_ANSWER_MS = 3000;
/** From when a logic is ready to when an entry has attached to it. */
const TAKEN_MS = 10_000;
const CARRIERS: readonly Carrier[] = ["tls", "tcp", "wss", "ws", "sse", "poll"];
const PAIRS: readonly [Carrier, Carrier][] = [
  ["tls", "wss"],
  ["sse", "poll"],
  ["poll", "tcp"],
  ["ws", "sse"],
];

describe("loss of every logic", () => {
  // Three PINGs of each client fall into the outage.
  const fleet = useFleet({ entries: 2, logics: 2, env: { IM_PING_INTERVAL_MS: "8000" } });

  it("for 30 s closes no connection, refuses as retryable, and loses, duplicates and reorders nothing", async () => {
    const raw = await RawConnection.open(fleet(), "tls");
    let beat: NodeJS.Timeout | undefined;
    try {
      raw.hello(await fleet().tokens.mint("raw"));
      await raw.frame(Command.WELCOME);
      beat = setInterval(() => raw.send(Command.PING, 0, Buffer.alloc(0)), 1000);
      await chatThroughOutage(fleet(), raw);
    } finally {
      clearInterval(beat);
      raw.destroy();
    }
  });
});

async function chatThroughOutage(fleet: Fleet, raw: RawConnection): Promise<void> {
  const newcomers: User[] = [];
  let outage: OutageFigures | undefined;
  const report = await chat(fleet, {
    pairs: PAIRS.map(([a, b]) => ({ a: targetOf(fleet, a, 0), b: targetOf(fleet, b, 1) })),
    messages: 800,
    ratePerSecond: 100,
    nemesis: async (run) => {
      await run.reached(0.3);
      run.note("kill -9 of both logics");
      await Promise.all(fleet.logics.map((logic) => logic.kill9()));
      try {
        outage = await watchOutage(fleet, raw, newcomers);
      } finally {
        // Also after a fault: the chat ends only with a logic.
        run.note("the logics start again");
        await Promise.all(fleet.logics.map((logic) => logic.start()));
        await Promise.all(fleet.logics.map((logic) => logic.waitReady()));
      }
      await taken(raw);
    },
  });
  assertKept(report);
  assert.equal(report.reconnects, 0, "losing every logic costs no client its connection");
  assert.ok(outage);
  console.log(JSON.stringify({ ...outage, closed: [...outage.closed], sessions: [...outage.sessions] }));
  assert.deepEqual([...outage.sessions], [PAIRS.length * 2 + 1], "each session was there all the time");
  assert.deepEqual([...outage.closed.keys()], ["logic_unavailable"], "only logins were turned away");
  assert.ok(outage.refusals > 0, "SENDs were refused");
  // Who waited for a login has it.
  for (const { client } of newcomers) await client.ready({ signal: AbortSignal.timeout(30_000) });
  await Promise.all(newcomers.map(({ client }) => client.close()));
}

interface OutageFigures {
  /** Connections that ended meanwhile, by reason. */
  closed: Map<string, number>;
  /** The slowest answer to a login, over all carriers. */
  loginMs: number;
  /** SENDs answered RETRYABLE. */
  refusals: number;
  /** Every number of sessions that was seen, all entries together. */
  sessions: Set<number>;
}

function sendRaw(raw: RawConnection, rid: number): void {
  const clientMessageId = `raw-${rid}`;
  raw.send(Command.SEND, rid, Send.encode({ to: "nobody", clientMessageId, content: Buffer.from("x") }));
}

/** Half a minute without logic: a SEND at a time, each of which must be refused, and looks at the entries' sessions. */
async function watchOutage(fleet: Fleet, raw: RawConnection, newcomers: User[]): Promise<OutageFigures> {
  const endMs = performance.now() + OUTAGE_MS;
  for (const entry of fleet.entries) await entry.waitMetric("im_entry_uplinks", 0);
  const closedBefore = await closedByReason(fleet);
  const loginMs = await Promise.all(CARRIERS.map((carrier) => refusedLogin(fleet, carrier, newcomers)));
  const sessions = new Set<number>();
  let refusals = 0;
  while (performance.now() < endMs) {
    const rid = 10 + refusals++;
    sendRaw(raw, rid);
    const { code, retryable, retryAfterMs } = await raw.error(rid);
    assert.deepEqual([code, retryable, retryAfterMs > 0], [ErrorCode.RETRYABLE, true, true]);
    const counts = await Promise.all(fleet.entries.map((entry) => entry.metric("im_entry_sessions")));
    sessions.add(counts.reduce<number>((sum, count) => sum + (count ?? Number.NaN), 0));
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  const closed = difference(closedBefore, await closedByReason(fleet));
  return { closed, loginMs: Math.max(...loginMs), refusals, sessions };
}

/** Sends on the same connection until a SEND is taken: the entry finds its logics by itself. */
async function taken(raw: RawConnection): Promise<void> {
  let rid = 1_000_000;
  const isTaken = async (): Promise<boolean> => {
    sendRaw(raw, ++rid);
    return (await raw.answer(rid)).cmd === Command.SEND_ACK;
  };
  await waitWithin("a SEND is taken", TAKEN_MS, isTaken);
}

/** Somebody new; resolves with the ms until it was told to come again. It keeps trying, as applications do. */
async function refusedLogin(fleet: Fleet, carrier: Carrier, newcomers: User[]): Promise<number> {
  const codes: number[] = [];
  const timing = { backoffCapMs: 2000 };
  const user = startClient(fleet, `new-${carrier}`, targetOf(fleet, carrier, 0), { timing }, (client) =>
    client.on("state", (state) => state.kind === "connecting" && state.attempt > 1 && codes.push(state.code)),
  );
  newcomers.push(user);
  const tookMs = await waitWithin(`an answer to a login by ${carrier}`, LOGIN_ANSWER_MS, () => codes.length > 0);
  assert.equal(codes[0], DisconnectCode.LOGIC_UNAVAILABLE);
  return Math.round(tookMs);
}

const CLOSED = /^im_entry_connections_closed_total\{.*?reason="(\w+)".*?\} (\d+)$/gm;

/** Connections that ended so far, all entries together. */
async function closedByReason(fleet: Fleet): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const text of await Promise.all(fleet.entries.map((entry) => entry.metrics())))
    for (const [, reason = "", count] of text.matchAll(CLOSED))
      counts.set(reason, (counts.get(reason) ?? 0) + Number(count));
  return counts;
}

/** What was added; reasons with nothing are left out. */
function difference(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): Map<string, number> {
  const entries = [...after].map(([reason, count]): [string, number] => [reason, count - (before.get(reason) ?? 0)]);
  return new Map(entries.filter(([, count]) => count > 0));
}
