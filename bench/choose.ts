// SPDX-License-Identifier: Apache-2.0
// `make bench BENCH=name`: is there such a benchmark? Those beside it in this folder are parts of them.
import { oneOf } from "../scripts/cluster/arguments.ts";
import { describeFault } from "../scripts/cluster/fault.ts";

/** Each is `bench/<name>.ts`, and ends with its figures as JSON. */
export const BENCHMARKS = [
  ...[
    "broadcast",
    "connect",
    "contacts",
    "crash-purge",
    "drain",
    "drain-eta",
    "entry",
    "floor",
    "footprint",
    "heartbeat",
  ],
  ...["offline", "operator", "policy", "resend", "router", "scrape", "send", "storage", "tenants", "tracing"],
] as const;

if (import.meta.main)
  try {
    oneOf("BENCH", process.argv[2] ?? "", BENCHMARKS);
  } catch (error) {
    console.error(describeFault(error));
    process.exitCode = 1;
  }
