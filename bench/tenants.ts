// SPDX-License-Identifier: Apache-2.0
// What one tenant at ten times its load does to the others: logic's group commit on a real PostgreSQL, open loop. Rounds of three phases,
// so that whatever else the machine does meets all of them: everybody at their rate; one at ten times; and the same with everybody in one
// queue, for comparison. Ends with one JSON line; exit code 1 when the others' p99 grows more than the target allows, or one of theirs is shed.
import { createHash, randomUUID } from "node:crypto";
import { systemClock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { nearestRank } from "#lib/nearest-rank.ts";
import { newStore } from "../e2e/harness/database.ts";
import { startPostgres } from "../e2e/harness/postgres.ts";
import { directConversationId } from "../logic/send/conversation.ts";
import { GroupCommit } from "../logic/store/group-commit.ts";
import type { AppendInput } from "../logic/store/store.ts";
import { internalId } from "../logic/tenant/tenant-ids.ts";
import { envNumber, missedOf, progress, round1 } from "./bench-kit.ts";

/** Messages per second of each tenant. */
const RATE = envNumber("IM_BENCH_RATE", 150);
const FACTOR = envNumber("IM_BENCH_FACTOR", 10);
const ROUNDS = envNumber("IM_BENCH_ROUNDS", 8);
const PHASE_MS = envNumber("IM_BENCH_PHASE_MS", 4000);
const TARGET = envNumber("IM_BENCH_TARGET", 1.3);
const QUIET_TENANTS = 3;
const LOUD = "loud";
const USERS = 200;
const BYTES = 120;
const TICK_MS = 2;
/** What is left of a phase does not reach into the next one. */
const PAUSE_MS = 300;

/** What the quiet tenants saw in one phase. */
interface Seen {
  latencies: number[];
  shed: number;
  loud: number;
  loudShed: number;
}

function inputOf(tenant: string, count: number): AppendInput {
  const user = count % USERS;
  const [sender, peer] = [`user-${user}`, `user-${(user + 1) % USERS}`].map((id) => internalId(tenant, id));
  const content = Buffer.alloc(BYTES, "x");
  return {
    ...{ sender: sender ?? "", peer: peer ?? "", clientMessageId: randomUUID(), messageId: randomUUID() },
    conversationId: directConversationId(sender ?? "", peer ?? ""),
    payloadHash: createHash("sha256").update(content).digest(),
    ...{ contentType: "text/plain", content, sentAtMs: Date.now() },
  };
}

/** @param isOneQueue everybody's ids are of one tenant */
async function phase(commits: GroupCommit, loudFactor: number, isOneQueue: boolean): Promise<Seen> {
  const seen: Seen = { latencies: [], shed: 0, loud: 0, loudShed: 0 };
  const quiet = Array.from({ length: QUIET_TENANTS }, (_, at) => `quiet-${at}`);
  const rates = new Map([...quiet.map((name) => [name, RATE] as const), [LOUD, RATE * loudFactor]]);
  const sent = new Map<string, number>();
  const startedMs = performance.now();
  const send = (name: string, dueMs: number): void => {
    const number = sent.get(name) ?? 0;
    sent.set(name, number + 1);
    const isLoud = name === LOUD;
    const done = (result: unknown): void => {
      const isShed = result instanceof ImError;
      if (isLoud) seen[isShed ? "loudShed" : "loud"]++;
      else if (isShed) seen.shed++;
      else seen.latencies.push(performance.now() - dueMs);
    };
    const input = isOneQueue
      ? inputOf("all", number * rates.size + [...rates.keys()].indexOf(name))
      : inputOf(name, number);
    if (!commits.submit(input, done)) done(new ImError(ErrorCode.BUSY, "shed"));
  };
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const elapsedMs = performance.now() - startedMs;
      // The loud one first: it is there before the others, in each turn of the loop.
      for (const [name, rate] of [...rates].reverse())
        for (let due = Math.floor((elapsedMs * rate) / 1000) - (sent.get(name) ?? 0); due > 0; due--)
          send(name, startedMs + ((sent.get(name) ?? 0) * 1000) / rate);
      if (elapsedMs < PHASE_MS) return;
      clearInterval(timer);
      resolve();
    }, TICK_MS);
  });
  while (commits.unanswered > 0) await pause(TICK_MS);
  await pause(PAUSE_MS);
  return seen;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function p99(latencies: readonly number[]): number {
  return nearestRank(Float64Array.from(latencies).sort(), 0.99);
}

const postgres = await startPostgres();
const { store } = await newStore("tenants", {}, postgres);
const commits = new GroupCommit(store, { clock: systemClock });
const phases = { calm: [] as Seen[], loud: [] as Seen[], oneQueue: [] as Seen[] };
try {
  await phase(commits, FACTOR, false);
  for (let round = 0; round < ROUNDS; round++) {
    phases.calm.push(await phase(commits, 1, false));
    phases.loud.push(await phase(commits, FACTOR, false));
    phases.oneQueue.push(await phase(commits, FACTOR, true));
    const now = Object.values(phases).map((all) => round1(p99(all.at(-1)?.latencies ?? [])));
    progress(`round ${round + 1}: p99 ${now[0]} ms, ${now[1]} ms with a loud tenant, ${now[2]} ms in one queue`);
  }
} finally {
  await commits.close();
  await store.close();
  await postgres.stop();
}

const pooled = (all: readonly Seen[]): number => p99(all.flatMap(({ latencies }) => latencies));
const sum = (all: readonly Seen[], of: (seen: Seen) => number): number =>
  all.reduce((total, one) => total + of(one), 0);
const [calmP99, loudP99, oneQueueP99] = [pooled(phases.calm), pooled(phases.loud), pooled(phases.oneQueue)];
const ratio = loudP99 / calmP99;
const missed = missedOf({
  ratio: ratio <= TARGET,
  shed: sum(phases.loud, ({ shed }) => shed) === 0,
});
console.log(
  JSON.stringify({
    ...{ bench: "tenants", ratePerSecond: RATE, factor: FACTOR, rounds: ROUNDS },
    ...{ calmP99Ms: round1(calmP99), loudP99Ms: round1(loudP99), oneQueueP99Ms: round1(oneQueueP99) },
    ...{ ratio: Math.round(ratio * 100) / 100, target: TARGET },
    ...{ oneQueueRatio: Math.round((oneQueueP99 / calmP99) * 100) / 100 },
    loudPerSecond: Math.round(sum(phases.loud, ({ loud }) => loud) / ((ROUNDS * PHASE_MS) / 1000)),
    loudShed: sum(phases.loud, ({ loudShed }) => loudShed),
    ...{ shed: sum(phases.loud, ({ shed }) => shed), missed },
  }),
);
process.exitCode = missed.length === 0 ? 0 : 1;
