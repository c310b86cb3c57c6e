// SPDX-License-Identifier: Apache-2.0
// What the processes wrote down and whether they lived through it.
import { readFileSync } from "node:fs";
import { type Check, check } from "./checks.ts";

/** A process and what it left. */
export interface Traces {
  name: string;
  /** Its pid at the start, and now; undefined: it is gone. */
  pidBefore: number;
  pidNow: number | undefined;
  log: string;
  metrics: string;
}

const UNCAUGHT = /uncaught|unhandled|ERR_UNHANDLED|heap out of memory/i;
/** Of the logger: errors, which no client may cause. */
const ERROR_LINE = /^\{"level":"(error|fatal)".*$/m;

/** Resident memory of a process, MiB. */
export function residentMiB(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Math.round(Number(kib) / 1024);
}

/** `secrets`: by what each is; none may be found in a log or among the metrics. */
export function checksOfTraces(traces: readonly Traces[], secrets: ReadonlyMap<string, readonly string[]>): Check[] {
  const join = (faults: string[]): string | undefined => (faults.length > 0 ? faults.join("; ") : undefined);
  const ended = traces.filter(({ pidBefore, pidNow }) => pidBefore !== pidNow).map(({ name }) => `${name} ended`);
  const uncaught = traces.flatMap(({ name, log }) => {
    const found = UNCAUGHT.exec(log)?.[0] ?? ERROR_LINE.exec(log)?.[0];
    return found === undefined ? [] : [`${name}: ${found.slice(0, 300)}`];
  });
  const told = [...secrets].map(([what, values]) => {
    const places = traces.flatMap(({ name, log, metrics }) =>
      values.some((value) => log.includes(value) || metrics.includes(value)) ? [name] : [],
    );
    return check(`traces: no ${what} in logs and metrics`, "high", join(places), `${values.length} looked for`);
  });
  return [
    check("traces: every process lives", "critical", join(ended), `${traces.length} processes`),
    check("traces: no uncaught fault, no error in a log", "high", join(uncaught)),
    ...told,
  ];
}
