// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { ErrorCode } from "#lib/errors.ts";
import { Command } from "#proto/commands.ts";
import { ErrorInfo, Report, Reported } from "#proto/gen/messages.ts";
import type { RecordInput } from "#proto/uplink/record.ts";
import { Gate } from "../gate.ts";
import { unreadMetrics } from "../metrics.ts";
import type { Session } from "../session/session.ts";
import { appended, message } from "../store/contract/fixture.ts";
import { MemoryStore } from "../store/memory.ts";
import { ReportHandler } from "./report-handler.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function setUp() {
  const clock = new FakeClock();
  const gate = new Gate({ clock, maxRunning: 1, maxWaiting: 1, maxWaitMs: 1000 });
  const store = new MemoryStore();
  const sent: RecordInput[] = [];
  const shared = { store, gate, clock, random: () => 0.5, onFault: () => undefined, metrics: unreadMetrics() };
  const handler = new ReportHandler({ policy: store.policy, ...shared });
  const entry = { incarnation: "pod.1", send: (record: RecordInput) => sent.push(record) > 0 };
  const session = { entry, conn: 7, userId: "alice" } as unknown as Session;
  const [, bad] = await store.append([
    message({ sender: "alice", peer: "bob", content: Buffer.from("hello") }),
    message({ sender: "bob", peer: "alice", content: Buffer.from("send me money") }),
    message({ sender: "bob", peer: "alice", content: Buffer.from("later") }),
  ]);
  const { conversationId, convSeq, messageId } = appended(bad);
  const about = { conversationId, convSeq, messageId };
  const ask = async (report: Partial<Report> | Uint8Array) => {
    handler.handle(session, 1, report instanceof Uint8Array ? report : Report.encode({ reportId: "r", ...report }));
    for (let at = 0; at < 50 && gate.running > 0; at++) await turn();
    const reply = sent.at(-1);
    const body = reply?.body ?? new Uint8Array(0);
    return reply?.cmd === Command.REPORT ? Reported.decode(body) : ErrorInfo.decode(body);
  };
  const kept = () => store.policy.reports({ tenant: "", after: 0, limit: 9, isOpen: true });
  return { ask, kept, about, clock };
}

const codeOf = (reply: object): number => ("code" in reply ? Number(reply.code) : 0);

describe("ReportHandler", () => {
  it("keeps a message with its sender and what came before it, once", async () => {
    const { ask, kept, about } = await setUp();
    assert.deepEqual(await ask({ ...about, reason: "fraud", text: "look" }), { reportId: "r", duplicate: false });
    assert.deepEqual(await ask({ ...about, reason: "fraud" }), { reportId: "r", duplicate: true });
    const [report = assert.fail()] = await kept();
    assert.deepEqual(
      [report.kind, report.reporter, report.reported, report.reason, report.text, report.convSeq],
      ["message", "alice", "bob", "fraud", "look", 2],
    );
    const context = JSON.parse(report.context) as { sender: string; content: string }[];
    assert.deepEqual(
      context.map(({ sender, content }) => `${sender} ${content}`),
      ["alice hello", "bob send me money"],
    );
  });

  it("keeps users and appeals, with what was refused", async () => {
    const { ask, kept, about } = await setUp();
    await ask({ reportId: "a", userId: "bob", reason: "harassment" });
    await ask({ reportId: "b", userId: "bob", conversationId: about.conversationId, reason: "spam" });
    await ask({ reportId: "c", userId: "bob", rule: "contact", content: Buffer.from("my size is 139 1234") });
    const [plain, inside, appeal] = await kept();
    assert.deepEqual([plain?.reported, plain?.context], ["bob", "[]"]);
    assert.equal((JSON.parse(inside?.context ?? "[]") as object[]).length, 3);
    assert.deepEqual([appeal?.kind, appeal?.rule, appeal?.reported], ["appeal", "contact", ""]);
    assert.deepEqual(JSON.parse(appeal?.context ?? ""), [
      { to: "bob", contentType: "", content: "my size is 139 1234" },
    ]);
  });

  it("refuses what it cannot be, and tells a stranger nothing", async () => {
    const { ask, kept, about, clock } = await setUp();
    const bad: (Partial<Report> | Uint8Array)[] = [
      Uint8Array.of(0xff),
      { reportId: "", userId: "bob", reason: "spam" },
      { userId: "bob", reason: "nonsense" },
      { userId: "alice", reason: "spam" },
      { reason: "spam" },
      { messageId: "m", reason: "spam" },
      { rule: "contact" },
      { userId: "bob", reason: "spam", text: "x".repeat(1001) },
      { userId: "bob", reason: "spam", text: "\0" },
      { userId: "bob", rule: "contact", content: new Uint8Array(8193) },
      { userId: "bob", reason: "spam", content: Uint8Array.of(1) },
    ];
    for (const report of bad) assert.equal(codeOf(await ask(report)), ErrorCode.BAD_REQUEST);
    const other = { ...about, reason: "spam" };
    assert.equal(codeOf(await ask({ ...other, conversationId: "c_other" })), ErrorCode.PERMISSION_DENIED);
    assert.equal(codeOf(await ask({ ...other, messageId: "another" })), ErrorCode.NOT_FOUND);
    assert.equal(codeOf(await ask({ ...other, convSeq: 99 })), ErrorCode.NOT_FOUND);
    for (let at = 0; at < 7; at++) await ask({ ...other, convSeq: 99 });
    assert.equal(codeOf(await ask(other)), ErrorCode.RATE_LIMITED);
    clock.advance(10_000);
    assert.equal(codeOf(await ask(other)), 0);
    assert.equal((await kept()).length, 1);
  });
});
