// SPDX-License-Identifier: Apache-2.0
// To be imported ahead of a server program (`--import`): counts how often it tells prom-client something, by kind, and writes the counts so
// far to a new file, IM_BENCH_OBSERVATIONS with ".1", ".2" and so on behind it, at each SIGUSR2. Counting itself is not measured: the
// benchmark takes CPU from a run without this.
import { renameSync, writeFileSync } from "node:fs";
import { Counter, Gauge, Histogram } from "prom-client";
import { PlainHistogram } from "#lib/plain-histogram.ts";
import { KINDS, type Kind, type Observations } from "./observations.ts";

const file = process.env.IM_BENCH_OBSERVATIONS;
const counts = Object.fromEntries(KINDS.map((kind) => [kind, 0])) as Observations;

type Method = (this: unknown, ...args: unknown[]) => unknown;

function count(prototype: object, name: string, kind: Kind): void {
  const methods = prototype as Record<string, Method>;
  const real = methods[name];
  if (!real) throw new Error(`${kind}: there is no ${name}`);
  methods[name] = function (...args) {
    counts[kind]++;
    return real.apply(this, args);
  };
}

// prom-client gives each metric one of two methods of its prototype as `inc` or `observe`.
if (file) {
  count(Counter.prototype, "incWithoutExemplar", "counter");
  count(Gauge.prototype, "set", "gauge");
  count(Histogram.prototype, "observeWithoutExemplar", "histogram");
  count(PlainHistogram.prototype, "observe", "plainHistogram");
  let told = 0;
  process.on("SIGUSR2", () => {
    writeFileSync(`${file}.new`, JSON.stringify(counts));
    renameSync(`${file}.new`, `${file}.${++told}`);
  });
}
