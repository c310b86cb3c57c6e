// SPDX-License-Identifier: Apache-2.0
// The only file that loads OpenTelemetry: imported when traces are asked for, see open-tracing.ts.
import {
  type Context,
  type Tracer as OtelApi,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from "@opentelemetry/api";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { AlwaysOnSampler, type SpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import type { Logger } from "../logger.ts";
import type { TraceSampler } from "./sampler.ts";
import type { TraceContext } from "./trace-context.ts";
import { type SpanFacts, STAGES, type Stage, type Tracer, type TraceSpan } from "./tracer.ts";

/** Who the spans are of. */
export interface TracedProcess {
  /** entry, logic or extlogic. */
  component: string;
  cluster: string;
  podName: string;
  version: string;
}

/** Options of {@link OtelTracer}. */
export interface OtelTracerOptions {
  sampler: Pick<TraceSampler, "isSampled" | "mayContinue">;
  processor: SpanProcessor;
  process: TracedProcess;
  log: Logger;
}

/** Spans by OpenTelemetry's API and SDK. What is sampled was decided before a span is made, so the SDK records all. */
export class OtelTracer implements Tracer {
  readonly #sampler: OtelTracerOptions["sampler"];
  readonly #log: Logger;
  readonly #provider: TracerProvider;
  readonly #tracer: OtelApi;

  constructor({ sampler, processor, process: { component, cluster, podName, version }, log }: OtelTracerOptions) {
    this.#sampler = sampler;
    this.#log = log;
    this.#provider = new TracerProvider({
      sampler: new AlwaysOnSampler(),
      spanProcessors: [processor],
      resource: resourceFromAttributes({
        "service.namespace": "imcluster",
        "service.name": `imcluster-${component}`,
        "service.version": version,
        "service.instance.id": podName,
        "imcluster.name": cluster,
      }),
    });
    this.#tracer = this.#provider.getTracer("imcluster", version);
  }

  isSampled(): boolean {
    return this.#sampler.isSampled();
  }

  mayContinue(): boolean {
    return this.#sampler.mayContinue();
  }

  start(stage: Stage, parent?: TraceContext): TraceSpan {
    const { name, kind, attributes } = STAGES[stage];
    const under = parent ? remoteContext(parent) : ROOT_CONTEXT;
    return new OtelSpan(this.#tracer.startSpan(name, { kind: SpanKind[kind], attributes }, under), stage, this.#log);
  }

  /** Sends what is finished, and makes nothing more. */
  async close(): Promise<void> {
    await this.#provider.shutdown();
  }
}

function remoteContext({ traceId, spanId }: TraceContext): Context {
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true });
}

class OtelSpan implements TraceSpan {
  readonly context: TraceContext;
  readonly #span: Span;
  readonly #stage: Stage;
  readonly #log: Logger;

  constructor(span: Span, stage: Stage, log: Logger) {
    const { traceId, spanId } = span.spanContext();
    this.context = { traceId, spanId };
    this.#span = span;
    this.#stage = stage;
    this.#log = log;
  }

  note(facts: SpanFacts): void {
    this.#span.setAttributes({ ...facts });
  }

  end(error?: string): void {
    if (!this.#span.isRecording()) return;
    const line = { traceId: this.context.traceId, spanId: this.context.spanId, stage: this.#stage };
    if (error === undefined) this.#log.debug(line, "a stage of a traced message is over");
    else {
      this.#span.setAttribute("error.type", error);
      this.#span.setStatus({ code: SpanStatusCode.ERROR });
      this.#log.info({ ...line, error }, "a stage of a traced message failed");
    }
    this.#span.end();
  }
}
