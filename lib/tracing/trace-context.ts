// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";

/** Where a traced message is: the trace, and the span that what comes next belongs under. Traced messages only have one. */
export interface TraceContext {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits. */
  readonly spanId: string;
}

const TRACE_ID_BYTES = 16;
const CONTEXT_BYTES = 24;
const NO_ID = /^0+$/;
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** The body of a record TRACE: both ids, 16 and 8 bytes. */
export function writeTraceContext({ traceId, spanId }: TraceContext): Uint8Array {
  return Buffer.from(traceId + spanId, "hex");
}

/** The same, read; what a newer version may have put behind it is ignored. Undefined: it is none. */
export function readTraceContext(body: Uint8Array): TraceContext | undefined {
  if (body.length < CONTEXT_BYTES) return undefined;
  const hex = Buffer.from(body.buffer, body.byteOffset, CONTEXT_BYTES).toString("hex");
  return contextOf(hex.slice(0, TRACE_ID_BYTES * 2), hex.slice(TRACE_ID_BYTES * 2));
}

/** As W3C Trace Context writes it, sampled. */
export function writeTraceparent({ traceId, spanId }: TraceContext): string {
  return `00-${traceId}-${spanId}-01`;
}

/** Undefined: it is no traceparent, or says that the trace is not recorded. */
export function readTraceparent(text: string | undefined): TraceContext | undefined {
  const asked = readTraceAsk(text);
  return asked === "unrecorded" ? undefined : asked;
}

/** What a caller asks for: that its trace goes on, or that nothing is recorded. Undefined: it says nothing that can be read. */
export function readTraceAsk(text: string | undefined): TraceContext | "unrecorded" | undefined {
  const [, version, traceId = "", spanId = "", flags = "", more] = TRACEPARENT.exec(text ?? "") ?? [];
  // Version ff is forbidden; more fields are allowed to later versions only.
  if (version === undefined || version === "ff" || (version === "00" && more !== undefined)) return undefined;
  const context = contextOf(traceId, spanId);
  const isSampled = (Number.parseInt(flags, 16) & 1) === 1;
  return context && !isSampled ? "unrecorded" : context;
}

function contextOf(traceId: string, spanId: string): TraceContext | undefined {
  return NO_ID.test(traceId) || NO_ID.test(spanId) ? undefined : { traceId, spanId };
}
