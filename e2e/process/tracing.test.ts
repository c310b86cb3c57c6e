// SPDX-License-Identifier: Apache-2.0
// One message, one trace: real entries, logic and extlogic, and a collector of our own.
import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { listen } from "#lib/listen.ts";
import { Command } from "#proto/commands.ts";
import { temporaryFolder } from "../harness/folders.ts";
import { type CollectedSpan, OtlpCollector } from "../harness/otlp-collector.ts";
import { freePort } from "../harness/ports.ts";
import { waitUntil } from "../harness/processes.ts";
import { startWebhookSandbox } from "../sandbox/webhook.ts";
import { callApi, createApiKey } from "./api-caller.ts";
import { login, targetOf, useFleet, waitMessages } from "./fleet-suite.ts";
import { RawConnection } from "./raw-connection.ts";

const WAIT_MS = 60_000;
const CONTENT = "nobody reads this in a trace";
const OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";

const stagesOf = (spans: readonly CollectedSpan[]): string[] => spans.map(({ name }) => name).sort();
const ofMessage = (collector: OtlpCollector, messageId: string): CollectedSpan[] => {
  const own = collector.spans.find(({ attributes }) => attributes["messaging.message.id"] === messageId);
  return own ? collector.trace(own.traceId) : [];
};

describe("traces", async () => {
  const [collector, silent] = [await OtlpCollector.start(), await OtlpCollector.start()];
  silent.isSilent = true;
  const webhook = await startWebhookSandbox({});
  /** What the backend is told of traces that looks at messages before they are stored. */
  const asked: unknown[] = [];
  const judge = createServer((request, response) => {
    asked.push(request.headers.traceparent);
    request.resume().on("end", () => response.end('{"verdict":"allow"}'));
  });
  const folder = temporaryFolder("imcluster-tracing-");
  const hooksFile = join(folder, "hooks.json");
  const url = `http://127.0.0.1:${await listen(judge, 0, "127.0.0.1")}/`;
  const before = [{ name: "judge", url, secret: "a secret of the shop", onFailure: "allow", budgetMs: 2000 }];
  writeFileSync(hooksFile, JSON.stringify({ hooks: [], before }));
  const apiPort = await freePort();
  after(async () => {
    judge.closeAllConnections();
    judge.close();
    await Promise.all([collector.close(), silent.close(), webhook.close()]);
    rmSync(folder, { recursive: true, force: true });
  });
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20abc",
    IM_TRACE_RATIO: "1",
    IM_TRACES_PER_SECOND: "1000",
    IM_LOG_LEVEL: "debug",
  };
  const fleet = useFleet({
    ...{ entries: 4, logics: 1, extlogics: 1, env },
    // The third entry was told to trace nothing, and the collector of the fourth does not answer.
    entryEnvOf: (index): Record<string, string> =>
      [{}, {}, { IM_TRACE_RATIO: "0" }, { OTEL_EXPORTER_OTLP_ENDPOINT: silent.url }][index] ?? {},
    logicEnv: {
      ...{ IM_API_PORT: String(apiPort), IM_HOOKS_FILE: hooksFile },
      IM_WEBHOOK_ALLOWED_NETWORKS: "127.0.0.0/8",
    },
    extlogicEnv: { IM_PUSH_WEBHOOK_URL: webhook.url },
  });
  const person = (uid: string, entry: number) => login(fleet(), uid, targetOf(fleet(), "tls", entry));

  it("join the sender's entry, logic, the store, the recipient's entry and the acknowledgement", async () => {
    const [alice, bob] = [await person("alice", 0), await person("bob", 1)];
    const { messageId, conversationId } = await alice.client.send({ to: "bob", content: CONTENT });
    await waitMessages(bob, 1);
    const names = ["append", "deliver", "process", "route", "send", "settle"].map((stage) => `${stage} messages`);
    const spans = (): CollectedSpan[] => ofMessage(collector, messageId);
    await waitUntil("every stage was collected", () => spans().length >= names.length, WAIT_MS);
    assert.deepEqual(stagesOf(spans()), names);

    const named = new Map(spans().map((span) => [span.name.split(" ")[0] ?? "", span]));
    const parentOf = (stage: string): string => {
      const parent = spans().find(({ spanId }) => spanId === named.get(stage)?.parentSpanId);
      return `${stage} < ${parent?.name.split(" ")[0] ?? ""}`;
    };
    assert.deepEqual([...named.keys()].map(parentOf).sort(), [
      "append < process",
      "deliver < route",
      "process < send",
      "route < process",
      "send < ",
      "settle < deliver",
    ]);
    const where = (stage: string): unknown => named.get(stage)?.resource["service.instance.id"];
    const places = ["send", "process", "append", "route", "deliver", "settle"].map(where);
    assert.deepEqual(places, ["entry-0", "logic-0", "logic-0", "logic-0", "entry-1", "logic-0"]);
    const kinds = ["send", "process", "append", "route", "deliver", "settle"].map((stage) => named.get(stage)?.kind);
    assert.deepEqual(kinds, ["SERVER", "CONSUMER", "CLIENT", "PRODUCER", "CONSUMER", "CONSUMER"]);
    for (const span of spans()) assert.ok(span.endNanos >= span.startNanos && !span.isError, span.name);
    const process = named.get("process");
    assert.ok(asked.includes(`00-${process?.traceId}-${process?.spanId}-01`), JSON.stringify(asked));
    assert.ok(collector.headers.every(({ authorization }) => authorization === "Bearer abc"));

    const said = JSON.stringify(spans(), (_, value: unknown) => (typeof value === "bigint" ? String(value) : value));
    for (const secret of [CONTENT, "alice", "bob", conversationId]) assert.ok(!said.includes(secret), secret);
    await Promise.all([alice.client.close(), bob.client.close()]);
  });

  it("are named in the log lines of their messages, and by the buckets of OpenMetrics", async () => {
    const traceId = collector.spans.find(({ name }) => name === "process messages")?.traceId ?? "none";
    const log = (name: string): string => readFileSync(join(fleet().dir, `${name}.log`), "utf8");
    for (const name of ["entry-0", "entry-1", "logic-0"]) assert.ok(log(name).includes(`"traceId":"${traceId}"`), name);
    const [logic] = fleet().logics;
    const response = await fetch(`http://127.0.0.1:${logic?.adminPort}/metrics`, { headers: { accept: OPENMETRICS } });
    assert.match(response.headers.get("content-type") ?? "", /^application\/openmetrics-text/);
    assert.match(
      await response.text(),
      /im_send_duration_seconds_bucket\{le="[^"]+"\} \d+ # \{trace_id="[0-9a-f]{32}"\}/,
    );
    assert.ok(!(await logic?.metrics())?.includes("trace_id"));
  });

  it("go on where a backend of the shop began them, through the server API to the acknowledgement", async () => {
    const key = await createApiKey(fleet().postgresUrl, ["messages:send", "broadcasts:manage"]);
    const ivan = await person("ivan", 1);
    const [traceId, spanId] = ["0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"];
    const message = { from: "svc:shop", to: "ivan", contentType: "text/plain", content: CONTENT };
    const post = async (path: string, body: object, traceparent: string): Promise<void> => {
      const { status, body: said } = await callApi(apiPort, { method: "POST", path, key, body, traceparent });
      assert.equal(status, 201, JSON.stringify(said));
    };
    await post("/v1/messages", message, `00-${traceId}-${spanId}-01`);
    await post("/v1/messages", message, `00-${"1".repeat(32)}-${spanId}-00`);
    await waitMessages(ivan, 2);
    const sale = { contentType: "text/plain", content: CONTENT, audience: "all", notAfterMs: Date.now() + 600_000 };
    await post("/v1/broadcasts", sale, `00-${"2".repeat(32)}-${spanId}-01`);

    const names = ["append", "deliver", "route", "send", "settle"].map((stage) => `${stage} messages`);
    await waitUntil("every stage was collected", () => collector.trace(traceId).length >= names.length, WAIT_MS);
    assert.deepEqual(stagesOf(collector.trace(traceId)), names);
    const parents = new Map(collector.trace(traceId).map((span) => [span.name, span.parentSpanId]));
    const own = (name: string): string | undefined =>
      collector.trace(traceId).find((span) => span.name === name)?.spanId;
    assert.equal(parents.get("send messages"), spanId);
    assert.equal(parents.get("append messages"), own("send messages"));
    assert.equal(parents.get("route messages"), own("send messages"));
    assert.equal(parents.get("deliver messages"), own("route messages"));
    assert.equal(parents.get("settle messages"), own("deliver messages"));
    const [sent] = collector.trace(traceId).filter(({ name }) => name === "send messages");
    assert.deepEqual(
      [sent?.kind, sent?.resource["service.name"], sent?.attributes["im.operation"]],
      ["SERVER", "imcluster-logic", "sendMessage"],
    );
    await waitUntil("the broadcast was collected", () => collector.trace("2".repeat(32)).length >= 2, WAIT_MS);
    assert.deepEqual(stagesOf(collector.trace("2".repeat(32))), ["append broadcasts", "send broadcasts"]);
    // It was stored before the broadcast, and would be here by now.
    assert.deepEqual(collector.trace("1".repeat(32)), []);
    await ivan.client.close();
  });

  it("go on into extlogic when the message falls to a push", async () => {
    const dave = await person("dave", 1);
    await dave.client.close();
    const alice = await person("alice", 0);
    let { messageId } = await alice.client.send({ to: "dave", content: CONTENT });
    const stage = (name: string): CollectedSpan | undefined =>
      ofMessage(collector, messageId).find((span) => span.name === `${name} messages`);
    const isNotified = async (): Promise<boolean> => {
      // On a busy machine the reconciler may have been first: then this push was one too many.
      if (stage("push")?.attributes["im.result"] === "repeated")
        ({ messageId } = await alice.client.send({ to: "dave", content: CONTENT }));
      return stage("notify") !== undefined && stage("push") !== undefined;
    };
    await waitUntil("the push was collected", isNotified, WAIT_MS);
    const [push, notify] = [stage("push"), stage("notify")];
    assert.equal(push?.parentSpanId, stage("route")?.spanId);
    assert.equal(push?.resource["service.name"], "imcluster-extlogic");
    assert.equal(notify?.parentSpanId, push?.spanId);
    assert.deepEqual([notify?.attributes["im.provider"], notify?.attributes["im.result"]], ["webhook", "accepted"]);
    assert.ok(webhook.traceparents.includes(`00-${notify?.traceId}-${notify?.spanId}-01`));
    await alice.client.close();
  });

  it("go on into extlogic when a device does not acknowledge", async () => {
    const silentDevice = await RawConnection.open(fleet(), "plain");
    silentDevice.hello(await fleet().tokens.mint("judy"));
    await silentDevice.frame(Command.WELCOME);
    const alice = await person("alice", 0);
    const { messageId } = await alice.client.send({ to: "judy", content: CONTENT });
    const push = (): CollectedSpan | undefined =>
      ofMessage(collector, messageId).find(({ name }) => name === "push messages");
    await waitUntil("the push was collected", () => push() !== undefined, WAIT_MS);
    const route = ofMessage(collector, messageId).find(({ name }) => name === "route messages");
    assert.deepEqual([push()?.parentSpanId, push()?.attributes["im.cause"]], [route?.spanId, "timeout"]);
    silentDevice.destroy();
    await alice.client.close();
  });

  it("do not begin where the ratio is 0", async () => {
    const [erin, frank] = [await person("erin", 2), await person("frank", 1)];
    const before = collector.spans.length;
    const quiet = await erin.client.send({ to: "frank", content: CONTENT });
    await waitMessages(frank, 1);
    // A traced one after it: when that is here, the other one would be, too.
    const traced = await frank.client.send({ to: "erin", content: CONTENT });
    await waitMessages(erin, 1);
    await waitUntil(
      "the next message was collected",
      () => ofMessage(collector, traced.messageId).length >= 4,
      WAIT_MS,
    );
    assert.ok(collector.spans.length > before);
    assert.deepEqual(ofMessage(collector, quiet.messageId), []);
    const [entry] = fleet().entries.slice(2);
    assert.match((await entry?.metrics()) ?? "", /im_traces_total\{result="sampled"\} 0/);
    await Promise.all([erin.client.close(), frank.client.close()]);
  });

  it("hold up no message when the collector does not answer: spans are dropped and counted, and it is said once", async () => {
    const [gina, hugo] = [await person("gina", 3), await person("hugo", 3)];
    const figure = async (): Promise<number> =>
      Number(/im_trace_spans_total\{result="dropped"\} (\d+)/.exec((await fleet().entries[3]?.metrics()) ?? "")?.[1]);
    const tookMs: number[] = [];
    for (const endMs = performance.now() + WAIT_MS; (await figure()) === 0 && performance.now() < endMs; ) {
      const startedMs = performance.now();
      await gina.client.send({ to: "hugo", content: String(tookMs.length) });
      tookMs.push(performance.now() - startedMs);
    }
    await waitMessages(hugo, tookMs.length);
    assert.ok((await figure()) > 0);
    // One that waited for the collector would take its time-out, 3 s.
    const medianMs = tookMs.sort((one, other) => one - other)[Math.floor(tookMs.length / 2)] ?? 0;
    assert.ok(tookMs.length > 10 && medianMs < 1000, `${tookMs.length} messages, ${medianMs} ms`);
    const lines = readFileSync(join(fleet().dir, "entry-3.log"), "utf8").split("\n");
    assert.equal(lines.filter((line) => line.includes("takes no spans")).length, 1);
    await Promise.all([gina.client.close(), hugo.client.close()]);
  });
});
