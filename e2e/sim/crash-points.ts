// SPDX-License-Identifier: Apache-2.0
// Every await of four operations, cut before its effect and after: `scripts/node.sh e2e/sim/crash-points.ts`.
import type { Fleet } from "./fleet.ts";
import type { Op, Plan } from "./plan.ts";
import { describeViolations } from "./report.ts";
import { type Interference, type RunResult, runSeed } from "./run.ts";
import type { World } from "./world.ts";

/** One operation whose awaits are enumerated. */
export interface Operation {
  name: "send" | "login" | "purge" | "push" | "wheel";
  /** Whose calls are cut. */
  victims: (fleet: Fleet) => Victim[];
  ops: (Op & { atMs: number })[];
  /** Calls up to so long after {@link BEGIN_MS} belong to it. */
  windowMs: number;
  /** Done at {@link BEGIN_MS}, beside the ops. */
  act?: Interference["act"];
}

type Victim = Fleet["logics"][number] | Fleet["extlogics"][number];

/** Where one run is cut. */
export interface CrashPoint {
  operation: Operation["name"];
  victim: string;
  call: number;
  when: "before" | "after";
}

const SEED = 7;
/** Everything stands and is quiet. */
const BEGIN_MS = 12_000;
const RESTART_MS = 1000;
const PHONE = 0;

const opened: (Op & { atMs: number })[] = Array.from({ length: 12 }, (_, device) => ({
  kind: "open",
  device,
  atMs: 1000,
}));
const whoever = (kind: "leave" | "die", atMs: number): Op & { atMs: number } => ({ kind, device: PHONE, to: 0, atMs });
const send = (atMs: number): Op & { atMs: number } => ({ kind: "send", device: PHONE, to: 0, bytes: 0, atMs });

export const OPERATIONS: readonly Operation[] = [
  {
    name: "send",
    victims: ({ logics }) => logics,
    ops: [...opened, send(BEGIN_MS), send(BEGIN_MS + 1)],
    windowMs: 1500,
  },
  {
    name: "login",
    victims: ({ logics }) => logics,
    ops: [...opened, { kind: "close", device: PHONE, atMs: 8000 }, { kind: "open", device: PHONE, atMs: BEGIN_MS }],
    windowMs: 1500,
  },
  {
    name: "purge",
    victims: ({ logics }) => logics,
    ops: [...opened, send(BEGIN_MS + 200)],
    windowMs: 2000,
    act: (_world, _fleet, nemesis) =>
      nemesis.apply({ kind: "entry purged while it lives", atMs: BEGIN_MS, target: 0, durationMs: 0, detail: 0 }),
  },
  {
    name: "push",
    victims: ({ extlogics }) => extlogics,
    ops: [...opened, whoever("leave", 8000), send(BEGIN_MS)],
    windowMs: 2500,
  },
  {
    name: "wheel",
    victims: ({ logics }) => logics,
    // Sent to devices that died without a word: the wheel is about to fire.
    ops: [...opened, whoever("die", BEGIN_MS - 5000), send(BEGIN_MS - 4500), send(BEGIN_MS - 4400)],
    windowMs: 2500,
  },
];

/** What is pushed here is pushed by the fast way alone: nothing makes up for a lost intent. */
const FAST_WAY_ONLY: ReadonlySet<Operation["name"]> = new Set(["push", "wheel"]);

function planFor({ name, ops }: Operation): Plan {
  const hasReconciler = !FAST_WAY_ONLY.has(name);
  const size = { users: 2, logics: 2, entries: 2, extlogics: 2 };
  return {
    ...size,
    ops: [...ops],
    faults: [],
    activeMs: BEGIN_MS + 15_000,
    hasReconciler,
    hasReasserts: true,
    hasHermit: false,
    hasForeigner: false,
  };
}

/** How many calls each victim makes within the window, with nothing cut. */
async function countCalls(operation: Operation): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  await runSeed(SEED, planFor(operation), {
    atMs: BEGIN_MS,
    act: (world, fleet, nemesis) => {
      const before = new Map(world.calls.counts);
      operation.act?.(world, fleet, nemesis);
      world.kernel.after(operation.windowMs, undefined, () => {
        for (const { name } of operation.victims(fleet))
          counts.set(name, (world.calls.counts.get(name) ?? 0) - (before.get(name) ?? 0));
      });
    },
  });
  return counts;
}

/** All points of an operation. */
export async function pointsOf(operation: Operation): Promise<CrashPoint[]> {
  const points: CrashPoint[] = [];
  for (const [victim, count] of await countCalls(operation))
    for (let call = 1; call <= count; call++)
      for (const when of ["before", "after"] as const) points.push({ operation: operation.name, victim, call, when });
  return points;
}

/** Runs the operation with its victim killed at one point. */
export function runPoint(operation: Operation, point: CrashPoint): Promise<RunResult> {
  return runSeed(SEED, planFor(operation), {
    atMs: BEGIN_MS,
    act: (world, fleet, nemesis) => {
      const victim = operation.victims(fleet).find(({ name }) => name === point.victim);
      if (victim) arm(world, victim, point);
      operation.act?.(world, fleet, nemesis);
    },
  });
}

function arm(world: World, victim: Victim, { call, when }: CrashPoint): void {
  const { kernel, calls } = world;
  const kill = (): void => {
    const process = "nemesis";
    const what = `${victim.name} killed ${when} the effect of call ${call}`;
    world.record({ op: "fault", kind: "info", process, what, untilMs: kernel.nowMs + RESTART_MS });
    victim.kill(what);
    kernel.after(RESTART_MS, undefined, () => {
      if (!victim.isUp) victim.start();
    });
  };
  calls.plan({ proc: victim.proc, inCalls: call, when, kill });
}

/** @param only the name of an operation; "" = all */
async function main(only: string): Promise<number> {
  let failed = 0;
  const counts: Record<string, number> = {};
  for (const operation of OPERATIONS.filter(({ name }) => only === "" || name === only)) {
    const points = await pointsOf(operation);
    counts[operation.name] = points.length;
    for (const point of points) {
      const result = await runPoint(operation, point);
      if (result.violations.length === 0) continue;
      failed++;
      console.log(JSON.stringify(point));
      for (const line of describeViolations(result)) console.log(`  ${line}`);
      if (process.argv.includes("--first")) return 1;
    }
  }
  console.log(JSON.stringify({ crashPoints: counts, violations: failed }));
  return failed === 0 ? 0 : 1;
}

if (import.meta.main) {
  const at = process.argv.indexOf("--only");
  process.exitCode = await main(at < 0 ? "" : (process.argv[at + 1] ?? ""));
}
