// SPDX-License-Identifier: Apache-2.0
import type { TraceContext } from "./trace-context.ts";
import type { SpanFacts, Stage, Tracer, TraceSpan } from "./tracer.ts";

class FakeSpan implements TraceSpan {
  facts: SpanFacts = {};
  readonly context: TraceContext;
  readonly stage: Stage;
  readonly parent: TraceContext | undefined;
  readonly #ended: string[];

  constructor(number: number, stage: Stage, parent: TraceContext | undefined, ended: string[]) {
    const spanId = number.toString(16).padStart(16, "0");
    this.context = { traceId: parent?.traceId ?? number.toString(16).padStart(32, "0"), spanId };
    this.stage = stage;
    this.parent = parent;
    this.#ended = ended;
  }

  note(facts: SpanFacts): void {
    this.facts = { ...this.facts, ...facts };
  }

  end(error?: string): void {
    this.#ended.push(error === undefined ? this.stage : `${this.stage} ${error}`);
  }
}

/** Remembers what was traced: for tests. */
export class FakeTracer implements Tracer {
  samples = true;
  continues = true;
  readonly spans: FakeSpan[] = [];
  /** Stages that are over, in that order, and their errors. */
  readonly ended: string[] = [];

  isSampled(): boolean {
    return this.samples;
  }

  mayContinue(): boolean {
    return this.continues;
  }

  start(stage: Stage, parent?: TraceContext): TraceSpan {
    const span = new FakeSpan(this.spans.length + 1, stage, parent, this.ended);
    this.spans.push(span);
    return span;
  }
}
