// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, describe, it } from "node:test";
import { OtlpCollector } from "../../e2e/harness/otlp-collector.ts";
import { systemClock } from "../clock.ts";
import { listen } from "../listen.ts";
import { type Logger, silentLogger } from "../logger.ts";
import { Metrics } from "../metrics.ts";
import { observeTracing, openTracing, type Tracing } from "./open-tracing.ts";
import { postSpans } from "./post-spans.ts";
import { STAGES } from "./tracer.ts";

const who = { component: "entry", cluster: "demo", podName: "entry-1", version: "1.2.3" };

async function open(endpoint: string | undefined, ratio = 1, log: Logger = silentLogger): Promise<Tracing | undefined> {
  const settings = { endpoint, headers: { authorization: "Bearer x" }, ratio, perSecond: 100 };
  return await openTracing(settings, { process: who, clock: systemClock, random: Math.random, log });
}

describe("a process that traces", () => {
  it("is none without a collector, or with a ratio of 0; its counters stay at 0", async () => {
    assert.equal(await open(undefined), undefined);
    assert.equal(await open("http://127.0.0.1:1", 0), undefined);
    const metrics = new Metrics();
    observeTracing(metrics, undefined);
    assert.match(
      await metrics.render(),
      /im_traces_total\{result="sampled"\} 0\nim_traces_total\{result="limited"\} 0/,
    );
    assert.match(await metrics.render(), /im_trace_spans_total\{result="sent"\} 0/);
  });

  it("sends spans that are joined, with the words of the conventions, and lines that name them", async () => {
    const collector = await OtlpCollector.start();
    after(() => collector.close());
    const lines: object[] = [];
    const log: Logger = {
      ...silentLogger,
      debug: (fields) => void lines.push(fields),
      info: (fields) => void lines.push(fields),
    };
    const tracing = await open(collector.url, 1, log);
    assert.ok(tracing);
    assert.equal(tracing.tracer.isSampled(), true);
    const send = tracing.tracer.start("send");
    const process = tracing.tracer.start("process", send.context);
    process.note({ "messaging.message.id": "m-1", "im.recipients": 2 });
    process.end("busy");
    process.end();
    send.end();
    await tracing.close();
    const [second, first] = collector.spans;
    assert.equal(collector.spans.length, 2);
    assert.deepEqual(
      [first?.name, first?.kind, first?.parentSpanId, first?.isError],
      ["send messages", "SERVER", "", false],
    );
    assert.deepEqual([second?.traceId, second?.parentSpanId], [first?.traceId, first?.spanId]);
    assert.deepEqual(second?.attributes, {
      ...STAGES.process.attributes,
      "messaging.message.id": "m-1",
      "im.recipients": 2,
      "error.type": "busy",
    });
    assert.equal(second?.isError, true);
    assert.deepEqual(first?.resource, {
      "service.namespace": "imcluster",
      "service.name": "imcluster-entry",
      "service.version": "1.2.3",
      "service.instance.id": "entry-1",
      "imcluster.name": "demo",
    });
    assert.equal(collector.headers[0]?.authorization, "Bearer x");
    assert.deepEqual(lines.slice(1), [
      { ...process.context, stage: "process", error: "busy" },
      { ...send.context, stage: "send" },
    ]);
    assert.deepEqual(
      [tracing.spans, tracing.messages],
      [
        { sent: 2, dropped: 0 },
        { sampled: 1, limited: 0 },
      ],
    );
  });

  it("is told in a sentence why the collector took nothing, without the headers", async () => {
    const collector = await OtlpCollector.start();
    collector.status = 401;
    const target = { endpoint: `${collector.url}/`, headers: { authorization: "secret" } };
    await assert.rejects(postSpans(target)("{}"), /the collector answers HTTP 401 to POST \/v1\/traces/);
    const silent = createServer(() => undefined);
    const port = await listen(silent, 0, "127.0.0.1");
    after(() => silent.closeAllConnections());
    const slow = { ...target, endpoint: `http://127.0.0.1:${port}`, timeoutMs: 50 };
    await assert.rejects(postSpans(slow)("{}"), /the collector cannot be reached: TimeoutError/);
    silent.closeAllConnections();
    silent.close();
    await collector.close();
    await assert.rejects(postSpans(target)("{}"), /the collector cannot be reached: ECONNREFUSED/);
  });
});
