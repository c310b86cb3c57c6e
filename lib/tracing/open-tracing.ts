// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { Metrics } from "../metrics.ts";
import type { TracingSettings } from "./config.ts";
import type { TracedProcess } from "./otel-tracer.ts";
import { postSpans } from "./post-spans.ts";
import { TraceSampler } from "./sampler.ts";
import { SpanSender } from "./span-sender.ts";
import type { Tracer } from "./tracer.ts";

/** What {@link openTracing} needs. */
export interface TracingPorts {
  process: TracedProcess;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  log: Logger;
}

/** A process that traces. */
export interface Tracing {
  readonly tracer: Tracer;
  /** Messages that were chosen, and those that were one too many. */
  readonly messages: Readonly<{ sampled: number; limited: number }>;
  /** Spans by what became of them. */
  readonly spans: Readonly<{ sent: number; dropped: number }>;
  /** Sends what is finished: a moment at most. */
  close(): Promise<void>;
}

/** Undefined, and OpenTelemetry is not even loaded, where no collector is named or nothing is to be traced. */
export async function openTracing(
  { endpoint, headers, ratio, perSecond }: TracingSettings,
  { process, clock, random, log }: TracingPorts,
): Promise<Tracing | undefined> {
  if (endpoint === undefined || ratio === 0) return undefined;
  const { OtelTracer } = await import("./otel-tracer.ts");
  const sampler = new TraceSampler({ ratio, perSecond, clock, random });
  const sender = new SpanSender({ post: postSpans({ endpoint, headers }), clock, random, log });
  const tracer = new OtelTracer({ sampler, processor: sender, process, log });
  log.info({ ratio, perSecond }, "messages are traced");
  return { tracer, messages: sampler.counts, spans: sender.counts, close: () => tracer.close() };
}

/** Counters that stay at 0 where nothing is traced. */
export function observeTracing(metrics: Metrics, tracing: Tracing | undefined): void {
  metrics.countersOf(
    "im_traces_total",
    "Messages chosen to be traced where they come in; limited: one too many in its second.",
    "result",
    () => ({ sampled: 0, limited: 0, ...tracing?.messages }),
  );
  metrics.countersOf(
    "im_trace_spans_total",
    "Finished spans, by whether the collector has taken them.",
    "result",
    () => ({ sent: 0, dropped: 0, ...tracing?.spans }),
  );
}
