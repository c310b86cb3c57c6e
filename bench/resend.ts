// SPDX-License-Identifier: Apache-2.0
// What a message costs that is sent again after it was stored: 10,000 messages are sent, delivered and acknowledged, then all of
// them again with the same ids, and the CPU time of entry, logic and PostgreSQL for both is compared. Ends with one
// JSON line; exit code 1 when a resend costs more than a quarter of a first send, or leaves a duplicate.
import { type Fleet, startFleet } from "../e2e/harness/fleet.ts";
import { waitUntil } from "../e2e/harness/processes.ts";
import { envNumber, progress, round1, serverCpuSeconds, UNLIMITED, withFleet } from "./bench-kit.ts";
import type { LoadClient, LoadListener } from "./load-client.ts";
import { LoadUser, startReceipts } from "./load-user.ts";
import { waitQuiet } from "./process-cpu.ts";
import { verifyStored } from "./verify-stored.ts";

const MESSAGES = envNumber("IM_BENCH_MESSAGES", 10_000);
const BYTES = envNumber("IM_BENCH_BYTES", 200);
const USERS = envNumber("IM_BENCH_USERS", 100);
const WINDOW = envNumber("IM_BENCH_WINDOW", 20);
const MAX_RATIO = envNumber("IM_BENCH_TARGET", 0.25);
const QUIET_SECONDS = envNumber("IM_BENCH_QUIET_SECONDS", 20);
const PHASE_TIMEOUT_MS = 120_000;
const SETTLE_MS = 500;
/** For a profile of resends. */
const EXTRA_RESENDS = envNumber("IM_BENCH_EXTRA_RESENDS", 1);
const ROUNDS = envNumber("IM_BENCH_ROUNDS", 3);
const WARM_UPS = ["w0", "w1"];

/** CPU microseconds per message. */
interface Cost {
  entry: number;
  logic: number;
  postgres: number;
  total: number;
}

/** Sends every message of a phase, a bounded number of each user in flight. */
class Run {
  acked = 0;
  pushed = 0;
  brokenWhy = "";
  readonly users: LoadUser[];
  readonly #content = Buffer.alloc(BYTES, "x");
  readonly #numbers = new Map<LoadClient, Map<number, number>>();
  readonly #next = new Map<LoadClient, number>();
  #name = "";

  constructor() {
    const listener: LoadListener = {
      acked: (user, rid) => this.#acked(user, rid),
      delivered: () => void this.pushed++,
      refused: (user, rid, retryAfterMs) => this.#refused(user, rid, retryAfterMs),
      broken: (user, why) => {
        this.brokenWhy ||= `${user.id}: ${why}`;
      },
    };
    this.users = Array.from({ length: USERS }, (_, at) => new LoadUser(`user-${at}`, listener));
    for (const user of this.users) this.#numbers.set(user, new Map());
  }

  begin(name: string): void {
    this.#name = name;
    this.acked = this.pushed = 0;
    for (const user of this.users) this.#next.set(user, 0);
    for (const user of this.users) for (let i = 0; i < WINDOW; i++) this.#sendNext(user);
  }

  #sendNext(user: LoadClient): void {
    const number = this.#next.get(user) ?? 0;
    if (number >= MESSAGES / USERS) return;
    this.#next.set(user, number + 1);
    this.#send(user, number);
  }

  /** To one of seven others: the same one for the same number. */
  #send(user: LoadClient, number: number): void {
    const at = this.users.findIndex(({ id }) => id === user.id);
    const peer = this.users[(at + 1 + (number % 7)) % USERS];
    if (!peer) return;
    this.#numbers.get(user)?.set(user.send(peer.id, `${this.#name}-${number}`, this.#content), number);
  }

  #acked(user: LoadClient, rid: number): void {
    if (this.#numbers.get(user)?.delete(rid) !== true) return;
    this.acked++;
    this.#sendNext(user);
  }

  #refused(user: LoadClient, rid: number, retryAfterMs: number): void {
    const number = this.#numbers.get(user)?.get(rid);
    if (number === undefined || retryAfterMs === 0) throw new Error(`${user.id}: request ${rid} was refused for good`);
    this.#numbers.get(user)?.delete(rid);
    setTimeout(() => this.#send(user, number), retryAfterMs);
  }
}

/** Runs a phase to its end: everything acknowledged, and pushed `pushes` times; its cost. */
async function phase(fleet: Fleet, run: Run, name: string, pushes: number): Promise<Cost> {
  const before = serverCpuSeconds(fleet);
  run.begin(name);
  const isDone = (): boolean => run.brokenWhy !== "" || (run.acked >= MESSAGES && run.pushed >= pushes);
  await waitUntil(`${name}: all answered`, isDone, PHASE_TIMEOUT_MS);
  if (run.brokenWhy) throw new Error(run.brokenWhy);
  // Receipts of what was pushed are part of what a send costs.
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const after = serverCpuSeconds(fleet);
  const micros = (server: keyof typeof after): number => ((after[server] - before[server]) * 1e6) / MESSAGES;
  const [entry, logic, postgres] = [micros("entry"), micros("logic"), micros("postgres")].map(round1);
  const cost = { entry: entry ?? 0, logic: logic ?? 0, postgres: postgres ?? 0 };
  return { ...cost, total: round1(cost.entry + cost.logic + cost.postgres) };
}

async function measure(fleet: Fleet): Promise<boolean> {
  const run = new Run();
  const stopReceipts = startReceipts();
  const target = { port: fleet.entry(0).plainPort };
  for (const user of run.users) await user.login(target, await fleet.tokens.mint(user.id));
  for (const name of WARM_UPS) {
    await phase(fleet, run, name, MESSAGES);
    await phase(fleet, run, name, 0);
  }
  const rounds: { first: Cost; again: Cost }[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    progress(`round ${round + 1}: ${await waitQuiet(QUIET_SECONDS)} cores are busy with other work`);
    const first = await phase(fleet, run, `m${round}`, MESSAGES);
    const again = await phase(fleet, run, `m${round}`, 0);
    for (let extra = 1; extra < EXTRA_RESENDS; extra++) await phase(fleet, run, `m${round}`, 0);
    progress(`a first send takes ${first.total} us, a resend ${again.total} us; ${run.pushed} pushed again`);
    if (run.pushed > 0) throw new Error("a resend was delivered");
    rounds.push({ first, again });
  }
  for (const user of run.users) user.close();
  stopReceipts();
  const stored = await verifyStored(fleet.postgresUrl);
  const duplicates = stored.messages - MESSAGES * (ROUNDS + WARM_UPS.length);
  const ratioOf = ({ first, again }: (typeof rounds)[number]): number => again.total / first.total;
  const best = rounds.reduce((left, right) => (ratioOf(right) < ratioOf(left) ? right : left));
  const ratio = Math.round(ratioOf(best) * 1000) / 1000;
  const isGood = ratio <= MAX_RATIO && duplicates === 0;
  const figures = { firstMicros: best.first, resendMicros: best.again, duplicates };
  const result = { bench: "resend", ok: isGood, target: MAX_RATIO, messages: MESSAGES, contentBytes: BYTES, ratio };
  console.log(JSON.stringify({ ...result, ...figures }));
  return isGood;
}

const profile = process.env.IM_BENCH_PROFILE ?? "";
const nodeArgs = profile ? ["--cpu-prof", `--cpu-prof-dir=${profile}`] : [];
const fleet = await startFleet({
  entries: 1,
  logics: 1,
  durable: true,
  env: { ...UNLIMITED, IM_LOG_LEVEL: "warn", IM_PING_INTERVAL_MS: "300000" },
  nodeArgs: { entry: nodeArgs, logic: nodeArgs },
});
process.exitCode = (await withFleet(fleet, () => measure(fleet))) ? 0 : 1;
