// SPDX-License-Identifier: Apache-2.0
// Runs steps one after the other and tells what became of each. Knows no network.

/** One thing that a user needs to work. */
export interface Step {
  name: string;
  /** Returns what is worth telling. */
  run(signal: AbortSignal): Promise<Readonly<Record<string, string | number>> | undefined>;
  /** What to look at when it fails. */
  remedy: string;
}

export interface StepReport {
  step: string;
  ok: boolean;
  ms: number;
  [detail: string]: string | number | boolean;
}

export interface ProbeReport {
  ok: boolean;
  totalMs: number;
  steps: StepReport[];
}

const textOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));

/**
 * The first step that fails is the last one that runs. Never rejects.
 * @param nowMs a clock
 */
export async function runSteps(steps: readonly Step[], signal: AbortSignal, nowMs: () => number): Promise<ProbeReport> {
  const begunMs = nowMs();
  const reports: StepReport[] = [];
  for (const { name, run, remedy } of steps) {
    const startedMs = nowMs();
    const since = (): number => Math.round(nowMs() - startedMs);
    try {
      signal.throwIfAborted();
      const details = await run(signal);
      reports.push({ step: name, ok: true, ms: since(), ...details });
    } catch (error) {
      const reason = signal.aborted ? `not done in time: ${textOf(signal.reason)}` : textOf(error);
      reports.push({ step: name, ok: false, ms: since(), error: reason, remedy });
      break;
    }
  }
  const isWhole = reports.length === steps.length && reports.every(({ ok }) => ok);
  return { ok: isWhole, totalMs: Math.round(nowMs() - begunMs), steps: reports };
}
