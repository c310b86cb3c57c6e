// SPDX-License-Identifier: Apache-2.0
import { parseArgs } from "node:util";

const OPTIONS = {
  users: { type: "string", default: process.env.IM_BENCH_USERS ?? "1000" },
  seconds: { type: "string", default: process.env.IM_BENCH_SECONDS ?? "6" },
  /** Saturated runs one after the other; the best counts, on a machine that others use too. */
  rounds: { type: "string", default: process.env.IM_BENCH_ROUNDS ?? "3" },
  /** Longest wait for a quiet machine before the load. */
  quiet: { type: "string", default: process.env.IM_BENCH_QUIET_SECONDS ?? "20" },
  window: { type: "string", default: process.env.IM_BENCH_WINDOW ?? "1" },
  bytes: { type: "string", default: process.env.IM_BENCH_BYTES ?? "200" },
  rates: { type: "string", default: process.env.IM_BENCH_RATES ?? "1000,5000,10000" },
  target: { type: "string", default: process.env.IM_BENCH_TARGET ?? "25000" },
  /** Skips the run over TLS. */
  "no-tls": { type: "boolean", default: process.env.IM_BENCH_NO_TLS === "1" },
  /** Skips the Socket.IO server. */
  "no-peer": { type: "boolean", default: process.env.IM_BENCH_NO_PEER === "1" },
  /** Folder for CPU profiles of entry and logic. */
  profile: { type: "string", default: process.env.IM_BENCH_PROFILE ?? "" },
} as const;

/** What a run of `bench/send.ts` does; see OPTIONS. */
export interface Settings {
  users: number;
  seconds: number;
  rounds: number;
  quiet: number;
  window: number;
  bytes: number;
  rates: number[];
  /** Messages per second, saturated. */
  target: number;
  tls: boolean;
  peer: boolean;
  profile: string;
}

/** From the command line, else from the environment. @throws RangeError on a number that is none */
export function readSettings(): Settings {
  const { values } = parseArgs({ options: OPTIONS });
  const positive = (name: "users" | "seconds" | "rounds" | "quiet" | "window" | "bytes" | "target"): number => {
    const value = Number(values[name]);
    if (!(value > 0)) throw new RangeError(`--${name} must be a positive number, not ${values[name]}`);
    return value;
  };
  return {
    users: positive("users"),
    seconds: positive("seconds"),
    rounds: positive("rounds"),
    quiet: positive("quiet"),
    window: positive("window"),
    bytes: positive("bytes"),
    target: positive("target"),
    rates: values.rates
      .split(",")
      .map(Number)
      .filter((rate) => rate > 0),
    tls: !values["no-tls"],
    peer: !values["no-peer"],
    profile: values.profile,
  };
}
