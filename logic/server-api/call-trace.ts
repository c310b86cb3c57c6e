// SPDX-License-Identifier: Apache-2.0
import { errorCodeName, toImError } from "#lib/errors.ts";
import { readTraceAsk } from "#lib/tracing/trace-context.ts";
import type { Tracer, TraceSpan } from "#lib/tracing/tracer.ts";
import type { Operation, Outcome } from "./operation.ts";

/**
 * The span of a call, or undefined. A backend of the shop is trusted, other than a client: the trace that its traceparent names goes
 * on here, and what it does not record we do not. Without one that can be read, the ratio decides as it does at an entry.
 */
export function beginCallTrace(
  tracer: Tracer | undefined,
  { id, traced }: Pick<Operation, "id" | "traced">,
  traceparent: string | undefined,
): TraceSpan | undefined {
  if (!tracer || !traced) return undefined;
  const asked = readTraceAsk(traceparent);
  if (asked === "unrecorded" || !(asked ? tracer.mayContinue() : tracer.isSampled())) return undefined;
  const span = tracer.start(traced, asked);
  span.note({ "im.operation": id });
  return span;
}

/** The outcome of what `work` does ends the span. @throws what `work` does */
export async function withinSpan(span: TraceSpan | undefined, work: () => Promise<Outcome>): Promise<Outcome> {
  if (!span) return await work();
  try {
    const outcome = await work();
    span.end(outcome.kind === "refused" ? outcome.code : undefined);
    return outcome;
  } catch (error) {
    span.end(errorCodeName(toImError(error).code));
    throw error;
  }
}
