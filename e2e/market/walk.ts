// SPDX-License-Identifier: Apache-2.0
import { namedOf } from "../../scripts/cluster/arguments.ts";
import { Scene } from "./scene.ts";
import type { MarketSite } from "./site.ts";

/** A thing that a marketplace's chat does, tried from outside. */
export interface MarketStep {
  /** A few letters, to choose it by. */
  readonly name: string;
  /** What holds when it passes. */
  readonly promise: string;
  /** Plays it. @throws when something is not as promised */
  play(scene: Scene): Promise<void>;
}

/** What became of the walk. */
export interface WalkReport {
  readonly steps: number;
  readonly passed: number;
  readonly failed: number;
  readonly seconds: number;
  /** Names of steps that failed. */
  readonly failures: readonly string[];
}

const STEP_TIMEOUT_MS = 180_000;

/** Options of {@link walk}. */
export interface WalkOptions {
  /** What happens, as it happens. */
  onLine(line: string): void;
  /** Of one step; default 3 minutes. */
  stepTimeoutMs?: number;
}

/** Plays the steps one after the other; a step that fails does not end the walk. */
export async function walk(
  site: MarketSite,
  steps: readonly MarketStep[],
  { onLine, stepTimeoutMs = STEP_TIMEOUT_MS }: WalkOptions,
): Promise<WalkReport> {
  const startedMs = performance.now();
  const failures: string[] = [];
  for (const step of steps) {
    const stepStartedMs = performance.now();
    const problem = await playStep(site, step, stepTimeoutMs);
    const seconds = ((performance.now() - stepStartedMs) / 1000).toFixed(1);
    onLine(`${problem === undefined ? "ok" : "FAILED"} ${step.name}: ${step.promise} (${seconds} s)`);
    if (problem === undefined) continue;
    failures.push(step.name);
    onLine(`  ${problem.replaceAll("\n", "\n  ")}`);
  }
  const [failed, seconds] = [failures.length, Math.round((performance.now() - startedMs) / 100) / 10];
  return { steps: steps.length, passed: steps.length - failed, failed, seconds, failures };
}

/** Plays one step in a scene of its own; resolves with what was wrong. */
export async function playStep(
  site: MarketSite,
  step: MarketStep,
  timeoutMs = STEP_TIMEOUT_MS,
): Promise<string | undefined> {
  const scene = new Scene(site);
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`not over within ${timeoutMs / 1000} s`)), timeoutMs);
  try {
    await Promise.race([step.play(scene), late]);
    return undefined;
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  } finally {
    clearTimeout(timer);
    await scene.close();
  }
}

/** The steps that were asked for, in their order; all when none was. @throws {ClusterFault} for an unknown name */
export function chosenSteps(all: readonly MarketStep[], names: string): readonly MarketStep[] {
  return namedOf("STEPS", names, all);
}
