// SPDX-License-Identifier: Apache-2.0
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import { listen } from "#lib/listen.ts";
import type { OtlpTraces } from "#lib/tracing/otlp.ts";

const KINDS = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];

/** A span as a reader wants it. */
export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** "" = it has none. */
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: string;
  readonly isError: boolean;
  readonly startNanos: bigint;
  readonly endNanos: bigint;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  /** Of its process. */
  readonly resource: Readonly<Record<string, string | number | boolean>>;
}

/** A collector of traces on loopback that remembers what it was sent. */
export class OtlpCollector {
  readonly spans: CollectedSpan[] = [];
  readonly headers: IncomingHttpHeaders[] = [];
  /** Bodies of all requests, taken or not. */
  readonly bodies: string[] = [];
  /** What it answers. */
  status = 200;
  /** Takes requests, and never answers. */
  isSilent = false;
  #port = 0;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        if (this.isSilent) return;
        const body = Buffer.concat(parts).toString();
        this.headers.push(request.headers);
        this.bodies.push(body);
        const isTaken = request.method === "POST" && request.url === "/v1/traces" && this.status < 300;
        if (isTaken) this.#take(JSON.parse(body) as OtlpTraces);
        response
          .writeHead(isTaken ? 200 : Math.max(400, this.status), { "content-type": "application/json" })
          .end("{}");
      });
    });
  }

  static async start(): Promise<OtlpCollector> {
    const collector = new OtlpCollector();
    collector.#port = await listen(collector.#server, 0, "127.0.0.1");
    return collector;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Those of one trace. */
  trace(traceId: string): CollectedSpan[] {
    return this.spans.filter((span) => span.traceId === traceId);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #take({ resourceSpans }: OtlpTraces): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      const process = valuesOf(resource.attributes);
      for (const { spans } of scopeSpans) {
        for (const span of spans) {
          this.spans.push({
            traceId: span.traceId,
            spanId: span.spanId,
            parentSpanId: span.parentSpanId ?? "",
            name: span.name,
            kind: KINDS[span.kind] ?? String(span.kind),
            isError: span.status.code === 2,
            startNanos: BigInt(span.startTimeUnixNano),
            endNanos: BigInt(span.endTimeUnixNano),
            attributes: valuesOf(span.attributes),
            resource: process,
          });
        }
      }
    }
  }
}

type KeyValues = OtlpTraces["resourceSpans"][number]["resource"]["attributes"];

function valuesOf(pairs: KeyValues): Record<string, string | number | boolean> {
  const values: Record<string, string | number | boolean> = {};
  for (const { key, value } of pairs) {
    if ("stringValue" in value) values[key] = value.stringValue;
    else if ("intValue" in value) values[key] = Number(value.intValue);
    else if ("doubleValue" in value) values[key] = value.doubleValue;
    else values[key] = value.boolValue;
  }
  return values;
}
