// SPDX-License-Identifier: Apache-2.0
// What it costs to tell a metric something: nanoseconds by kind, and from them the share of metrics in the CPU of a message.
import { Metrics } from "#lib/metrics.ts";

/** How a program tells its metrics something. Plain numbers, which are read at a scrape, cost a nanosecond and are no kind. */
export const KINDS = ["counter", "gauge", "histogram", "plainHistogram"] as const;
export type Kind = (typeof KINDS)[number];
/** How often, or how much, by kind. */
export type Observations = Record<Kind, number>;

const ROUNDS = 7;
const CALLS = 200_000;

/** One call of each, with as many labels as those of a message have. */
function callsOf(metrics: Metrics): Record<Kind, (at: number) => void> {
  const labels = ["direction", "result"] as const;
  const values = ["in", "out"].flatMap((direction) => ["ok", "failed"].map((result) => ({ direction, result })));
  const labelsOf = (at: number) => values[at & 3] ?? { direction: "in", result: "ok" };
  const counter = metrics.counter("bench_counter_total", "Of the benchmark.", labels);
  const gauge = metrics.gauge("bench_gauge", "Of the benchmark.", labels);
  const histogram = metrics.histogram("bench_histogram", "Of the benchmark.", labels);
  const plain = metrics.plainHistogram("bench_plain", "Of the benchmark.");
  return {
    counter: (at) => counter.inc(labelsOf(at)),
    gauge: (at) => gauge.set(labelsOf(at), at),
    histogram: (at) => histogram.observe(labelsOf(at), (at & 127) / 1000),
    plainHistogram: (at) => plain.observe((at & 127) / 1000),
  };
}

function nanosEach(call: (at: number) => void): number {
  const before = process.cpuUsage();
  for (let at = 0; at < CALLS; at++) call(at);
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / CALLS;
}

/** CPU nanoseconds of one call by kind: the middle one of several rounds, so that a disturbed one does not count. */
export function nanosByKind(): Observations {
  const calls = callsOf(new Metrics());
  return perKind((kind) => {
    const rounds = Array.from({ length: ROUNDS }, () => nanosEach(calls[kind])).toSorted((a, b) => a - b);
    return Math.round(rounds[ROUNDS >> 1] ?? Number.NaN);
  });
}

/** How often each was called per message between two counts. */
export function perMessage(before: Observations, after: Observations, messages: number): Observations {
  return perKind((kind) => (after[kind] - before[kind]) / Math.max(1, messages));
}

/** CPU microseconds that a message costs by its metrics. */
export function microsOf(calls: Observations, nanos: Observations): number {
  return KINDS.reduce((sum, kind) => sum + calls[kind] * nanos[kind], 0) / 1000;
}

function perKind(value: (kind: Kind) => number): Observations {
  return Object.fromEntries(KINDS.map((kind) => [kind, value(kind)])) as Observations;
}
