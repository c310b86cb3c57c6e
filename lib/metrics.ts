// SPDX-License-Identifier: Apache-2.0
import { Counter, collectDefaultMetrics, Gauge, Histogram, type LabelValues, type Metric, Registry } from "prom-client";
import { countOpenFiles } from "./open-files.ts";
import { PlainHistogram } from "./plain-histogram.ts";

export type { Counter, Gauge, Histogram } from "prom-client";

/** Of {@link Metrics.renderOpenMetrics}. */
export const OPENMETRICS_CONTENT_TYPE: string = Registry.OPENMETRICS_CONTENT_TYPE;

export type { PlainHistogram } from "./plain-histogram.ts";

/** Seconds; covers loopback commits and hung dependencies alike. */
const DEFAULT_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Who the metrics are about: becomes `im_build_info`. */
export interface BuildInfo {
  component: string;
  version: string;
}

/** One metric as its reader needs to know it. */
export interface MetricDescription {
  name: string;
  help: string;
  /** counter, gauge or histogram. */
  type: string;
  labels: string[];
}

/** What a registry asks of a metric. */
interface Readable {
  name: string;
  type: string;
  get(): Promise<object>;
  getForPromString?(): Promise<object>;
}

const TOTAL = /_total$/;

/**
 * Metrics of prom-client that list every open socket at each scrape: with 18,000 connections they held the entry up for 40 ms. Nothing
 * asks for them, but for the number of open files, which comes in a cheaper way.
 */
const LISTS = /^(nodejs_active_(handles|requests|resources)(_total)?|process_open_fds)$/;

/** The metric, under the name of its family. */
function standIn(metric: unknown): Metric {
  const real = metric as Readable;
  const name = String(real.type) === "counter" ? real.name.replace(TOTAL, "") : real.name;
  const get = async (): Promise<object> => ({ ...(await (real.getForPromString?.() ?? real.get())), name });
  return { name, type: real.type, get } as unknown as Metric;
}

/** The metrics of one process: one object, no global registry, so tests can hold several. */
export class Metrics {
  readonly #registry = new Registry();

  /** Adds `im_build_info`, and with `runtime` the event loop, GC and heap metrics of Node. */
  constructor(build?: BuildInfo, options: { runtime?: boolean } = {}) {
    if (build) {
      this.gauge("im_build_info", "Constant 1; labels say what runs.", ["component", "version", "node"]).set(
        { component: build.component, version: build.version, node: process.version },
        1,
      );
    }
    if (options.runtime) this.collectDefaultMetrics();
  }

  counter<const L extends string = never>(name: string, help: string, labelNames: readonly L[] = []): Counter<L> {
    return new Counter({ name, help, labelNames, registers: [this.#registry] });
  }

  gauge<const L extends string = never>(name: string, help: string, labelNames: readonly L[] = []): Gauge<L> {
    return new Gauge({ name, help, labelNames, registers: [this.#registry] });
  }

  /** @param buckets upper bounds in the metric's unit; 1 ms to 10 s by default */
  histogram<const L extends string = never>(
    name: string,
    help: string,
    labelNames: readonly L[] = [],
    buckets: readonly number[] = DEFAULT_BUCKETS,
  ): Histogram<L> {
    return new Histogram({ name, help, labelNames, buckets: [...buckets], registers: [this.#registry] });
  }

  /** A counter kept elsewhere as a plain number and read at scrape time: free on the hot path. */
  counterOf(name: string, help: string, read: () => number): void {
    let reported = 0;
    new Counter({
      name,
      help,
      registers: [this.#registry],
      collect() {
        const now = read();
        this.inc(Math.max(0, now - reported));
        reported = now;
      },
    });
  }

  /** As {@link counterOf}, by one label whose values are not known before. They only grow. */
  countersOf<const L extends string>(name: string, help: string, label: L, read: () => Record<string, number>): void {
    const reported = new Map<string, number>();
    new Counter({
      name,
      help,
      labelNames: [label],
      registers: [this.#registry],
      collect() {
        for (const [value, now] of Object.entries(read())) {
          this.inc({ [label]: value } as Record<L, string>, Math.max(0, now - (reported.get(value) ?? 0)));
          reported.set(value, now);
        }
      },
    });
  }

  /** A counter by one label, as plain numbers that are read at scrape time: `counts[value]++` is free on the hot path. */
  tally<const V extends string>(name: string, help: string, label: string, values: readonly V[]): Record<V, number> {
    const counts = Object.fromEntries(values.map((value) => [value, 0])) as Record<V, number>;
    this.countersOf(name, help, label, () => counts);
    return counts;
  }

  /** As {@link histogram} without labels, for what is observed once per message. */
  plainHistogram(name: string, help: string, buckets: readonly number[] = DEFAULT_BUCKETS): PlainHistogram {
    const histogram = new PlainHistogram(name, help, buckets);
    // Its own type asks for more than a registry does.
    this.#registry.registerMetric(histogram as unknown as Metric);
    return histogram;
  }

  /** A gauge read at scrape time. */
  gaugeOf(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }

  /** Gauges by one label, read at scrape time. */
  gaugesOf<const L extends string>(name: string, help: string, label: L, read: () => Record<string, number>): void {
    new Gauge({
      name,
      help,
      labelNames: [label],
      registers: [this.#registry],
      collect() {
        for (const [value, now] of Object.entries(read())) this.set({ [label]: value } as Record<L, string>, now);
      },
    });
  }

  /** Gauges by several labels, read at scrape time: those that are not read any more are gone. */
  gaugesBy<const L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    read: () => Iterable<readonly [labels: Record<L, string>, value: number]>,
  ): void {
    new Gauge({
      name,
      help,
      labelNames,
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const [labels, value] of read()) this.set(labels as LabelValues<L>, value);
      },
    });
  }

  /** Every metric registered here, by name. */
  describe(): MetricDescription[] {
    const described = this.#registry.getMetricsAsArray().map((metric) => {
      const { name, help, type, labelNames = [] } = metric as unknown as MetricDescription & { labelNames?: string[] };
      return { name, help, type: String(type), labels: [...labelNames] };
    });
    return described.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Event loop lag, GC, heap, CPU and open files of this process. Call once. */
  collectDefaultMetrics(): void {
    const registry = this.#registry;
    collectDefaultMetrics({ register: registry });
    for (const { name } of registry.getMetricsAsArray()) if (LISTS.test(name)) registry.removeSingleMetric(name);
    new Gauge({
      name: "process_open_fds",
      help: "Number of open file descriptors.",
      registers: [registry],
      async collect() {
        const count = await countOpenFiles();
        if (count !== undefined) this.set(count);
      },
    });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Prometheus text format. */
  render(): Promise<string> {
    return this.#registry.metrics();
  }

  /** OpenMetrics 1.0: the same with exemplars, the ids of traced messages. */
  async renderOpenMetrics(): Promise<string> {
    // A registry of this kind takes "_total" off the names of its counters for good: it gets stand-ins.
    const registry = new Registry<typeof Registry.OPENMETRICS_CONTENT_TYPE>();
    registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
    for (const metric of this.#registry.getMetricsAsArray()) registry.registerMetric(standIn(metric));
    return registry.metrics();
  }
}
