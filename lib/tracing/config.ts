// SPDX-License-Identifier: Apache-2.0
import * as z from "zod";
import { envInt, envUrl } from "../config.ts";

/** Environment of every process that takes part in traces. The first two are OpenTelemetry's own names. */
export const tracingShape = {
  OTEL_EXPORTER_OTLP_ENDPOINT: envUrl("http:", "https:")
    .refine((text) => isBare(text), { error: "holds a user, a query or a fragment" })
    .optional()
    .describe("http(s)://host:4318 of a collector that takes OTLP over HTTP, or leave it out: nothing is traced"),
  OTEL_EXPORTER_OTLP_HEADERS: envHeaders()
    .optional()
    .describe("name=value pairs with commas between them, values percent-encoded, such as authorization=Bearer%20abc"),
  IM_TRACE_RATIO: envRatio()
    .default(0.01)
    .describe("the share of the messages that are traced, from 0 to 1, such as 0.01"),
  IM_TRACES_PER_SECOND: envInt(1, 1000).default(20).describe("how many messages each entry traces in a second at most"),
};

const tracingSchema = z.object(tracingShape);

/** What {@link tracingShape} reads. */
export type TracingVars = z.infer<typeof tracingSchema>;

/** How a process traces. */
export interface TracingSettings {
  /** Undefined: nothing is traced. */
  readonly endpoint: string | undefined;
  /** Sent with each request to the collector: they may hold a credential. */
  readonly headers: Readonly<Record<string, string>>;
  readonly ratio: number;
  readonly perSecond: number;
}

export function tracingSettings(vars: TracingVars): TracingSettings {
  return {
    endpoint: vars.OTEL_EXPORTER_OTLP_ENDPOINT,
    headers: vars.OTEL_EXPORTER_OTLP_HEADERS ?? {},
    ratio: vars.IM_TRACE_RATIO,
    perSecond: vars.IM_TRACES_PER_SECOND,
  };
}

/** Credentials belong in the headers. */
function isBare(text: string): boolean {
  if (!URL.canParse(text)) return true;
  const { username, password, search, hash } = new URL(text);
  return username + password + search + hash === "";
}

const RATIO = /^([01](\.0{1,9})?|0?\.\d{1,9})$/;

function envRatio(): z.ZodType<number> {
  return z.string().transform((text, context) => {
    if (RATIO.test(text)) return Number(text);
    context.addIssue({ code: "custom", message: `${JSON.stringify(text)} is not a number from 0 to 1` });
    return z.NEVER;
  });
}

const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/i;
/** What HTTP allows in a value, and no line break. */
const HEADER_VALUE = /^[\t\x20-\x7e]*$/;

/** Its message never repeats what it was given: that may be a credential. */
function envHeaders(): z.ZodType<Record<string, string>> {
  return z.string().transform((text, context) => {
    const headers: Record<string, string> = {};
    for (const pair of text.split(",").filter((part) => part.trim() !== "")) {
      const [name = "", value] = parsePair(pair);
      if (value === undefined || !HEADER_NAME.test(name) || !HEADER_VALUE.test(value)) {
        context.addIssue({ code: "custom", message: "is not a list of name=value pairs" });
        return z.NEVER;
      }
      headers[name.toLowerCase()] = value;
    }
    return headers;
  });
}

function parsePair(pair: string): [name: string, value: string | undefined] {
  const at = pair.indexOf("=");
  if (at < 1) return ["", undefined];
  try {
    return [pair.slice(0, at).trim(), decodeURIComponent(pair.slice(at + 1).trim())];
  } catch {
    return ["", undefined];
  }
}
