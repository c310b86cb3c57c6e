// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { systemClock } from "#lib/clock.ts";
import { Metrics } from "#lib/metrics.ts";
import { PASS, type Passage } from "../send/before-send.ts";
import { message } from "../store/contract/fixture.ts";
import type { AppendInput } from "../store/store.ts";
import { AllowedNetworks } from "../webhook/public-address.ts";
import { signature } from "../webhook/signature.ts";
import { SECRET } from "./hook-kit.ts";
import type { BeforeHook } from "./hook-settings.ts";
import { createBeforeMetrics, MessageBefore } from "./message-before.ts";

interface Answer {
  status?: number;
  body?: string;
  afterMs?: number;
}

describe("the webhook before a message", () => {
  let server: Server;
  let url = "";
  let asked: { body: string; isSigned: boolean; traceparent: unknown }[] = [];
  let answer: Answer = {};
  before(async () => {
    server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const body = Buffer.concat(chunks).toString();
        const sent = String(request.headers["x-im-signature"]);
        const [, time = "0"] = /^t=(\d+),/.exec(sent) ?? [];
        const { traceparent } = request.headers;
        asked.push({ body, isSigned: signature(SECRET, Number(time), body) === sent, traceparent });
        const { status = 200, body: text = "{}", afterMs = 0 } = answer;
        setTimeout(() => response.writeHead(status).end(text), afterMs);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  function guardOf(fields: Partial<BeforeHook> = {}, known: readonly string[] = [], networks = ["127.0.0.0/8"]) {
    asked = [];
    answer = {};
    const hook: BeforeHook = {
      ...{ name: "spam", url, secret: SECRET, tenant: "", contentTypes: new Set<string>(), strangersOnly: false },
      ...{ budgetMs: 2000, onFailure: "allow" as const, concurrency: 64, ...fields },
    };
    let hooks: readonly BeforeHook[] = [hook];
    const guard = new MessageBefore({
      settings: () => ({ hooks: [], before: hooks }),
      store: { visiblePeers: async (_, peers) => peers.map(({ peerId }) => peerId).filter((id) => known.includes(id)) },
      ...{ allowed: new AllowedNetworks(networks), clock: systemClock, random: Math.random },
      metrics: createBeforeMetrics(new Metrics()),
    });
    const judge = async (fields: Partial<AppendInput> = {}): Promise<Passage> =>
      await guard.judge(message({ sender: "alice", peer: "bob", content: Buffer.from("hi"), ...fields }));
    const drop = (): void => {
      hooks = [];
    };
    return { guard, judge, drop };
  }
  const late = (verdict: "allow" | "block"): Passage => ({ verdict, by: "spam", explanation: "", retryAfterMs: 0 });

  it("is told the trace of a message that is traced", async () => {
    const { judge, guard } = guardOf();
    const [traceId, spanId] = ["0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"];
    await judge({ trace: { traceId, spanId } });
    await judge();
    assert.deepEqual(
      asked.map(({ traceparent }) => traceparent),
      [`00-${traceId}-${spanId}-01`, undefined],
    );
    assert.ok(!asked[0]?.body.includes(traceId));
    guard.close();
  });

  it("is asked, signed, and its verdict holds", async () => {
    const { judge, guard } = guardOf();
    for (const verdict of ["allow", "flag", "bounce", "block", "shadow"] as const) {
      answer = { body: JSON.stringify({ verdict, explanation: verdict === "flag" ? "because" : "" }) };
      const explanation = { flag: "because", bounce: "this message cannot be sent" }[verdict as "flag"] ?? "";
      assert.deepEqual(await judge(), { verdict, by: "spam", explanation, retryAfterMs: 0 });
    }
    const [first] = asked;
    assert.ok(first?.isSigned);
    const { data, ...head } = JSON.parse(first.body) as { data: Record<string, unknown> };
    assert.deepEqual(head, { hook: "spam", tenant: "", type: "message.before" });
    assert.deepEqual([data.sender, data.to, data.content, data.encoding], ["alice", "bob", "hi", "utf8"]);
    guard.close();
  });

  it("lets everything pass at once where no hook is, and what its filter leaves out", async () => {
    const { guard, judge, drop } = guardOf({ contentTypes: new Set(["text/plain"]) });
    assert.equal(guard.judge(message({ sender: "alice", peer: "bob", contentType: "image/png" })), PASS);
    assert.equal(guard.judge(message({ sender: "acme/alice", peer: "acme/bob" })), PASS);
    answer = { body: '{"verdict":"block"}' };
    assert.equal((await judge({ contentType: "" })).verdict, "block");
    drop();
    assert.equal(guard.judge(message({ sender: "alice", peer: "bob" })), PASS);
    assert.equal(asked.length, 1);
    guard.close();
  });

  it("is asked about strangers only, if it wants", async () => {
    const { guard, judge } = guardOf({ strangersOnly: true }, ["bob"]);
    answer = { body: '{"verdict":"shadow"}' };
    assert.equal(await judge(), PASS);
    assert.equal((await judge({ peer: "carol" })).verdict, "shadow");
    assert.equal(guard.judge(message({ sender: "alice", peer: "", conversationId: "g" })), PASS);
    assert.equal(asked.length, 1);
    guard.close();
  });

  it("fails open or closed, as configured, whatever goes wrong", async () => {
    for (const onFailure of ["allow", "block"] as const) {
      const { judge, guard } = guardOf({ onFailure, budgetMs: 100 });
      assert.deepEqual([guard.late, guard.budgetMs > 100], [late(onFailure), true]);
      for (const bad of [
        { body: "no json" },
        { body: '{"verdict":"maybe"}' },
        { body: '{"verdict":"allow","more":1}' },
        { status: 500, body: '{"verdict":"flag"}' },
        { status: 404, body: '{"verdict":"flag"}' },
        { afterMs: 400, body: '{"verdict":"flag"}' },
      ]) {
        answer = bad;
        assert.deepEqual(await judge(), late(onFailure), JSON.stringify(bad));
      }
      guard.close();
      const inside = guardOf({ onFailure }, [], []);
      assert.deepEqual(await inside.judge(), late(onFailure));
      assert.equal(asked.length, 0, "a private address");
    }
  });

  it("bounds its questions, and stops asking a backend that is away", async () => {
    const { guard, judge } = guardOf({ concurrency: 2, budgetMs: 2000, onFailure: "block" });
    answer = { afterMs: 50, body: '{"verdict":"flag"}' };
    const verdicts = await Promise.all([judge(), judge(), judge()]);
    assert.equal(asked.length, 2);
    assert.deepEqual(
      verdicts.map(({ verdict }) => verdict),
      ["flag", "flag", "block"],
    );
    answer = { status: 500 };
    for (let at = 0; at < 10; at++) await judge();
    const calls = asked.length;
    assert.ok(!(guard.judge(message({ sender: "alice", peer: "bob" })) instanceof Promise), "at once");
    assert.equal(asked.length, calls);
    guard.close();
  });
});
