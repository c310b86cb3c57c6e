// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { bodyHashOf, HistoryRecorder, monotonicMs, readHistory } from "./history.ts";

describe("history", () => {
  const folder = mkdtempSync(join(tmpdir(), "im-history-"));
  after(() => rmSync(folder, { recursive: true }));

  it("reads back what was recorded", async () => {
    const path = join(folder, "run.jsonl");
    const recorder = new HistoryRecorder("run 1", path);
    recorder.record({ op: "fault", kind: "info", process: "nemesis", what: "kill entry 0" });
    const send = { uid: "alice", device: "phone", cmid: "c1", to: "bob", bodyHash: bodyHashOf(Buffer.from("你好")) };
    recorder.record({ op: "send", kind: "invoke", process: "client:alice", ...send });
    await recorder.close();
    assert.deepEqual(await readHistory(path), recorder.events);
    assert.equal(recorder.events[1]?.seed, "run 1");
  });

  it("names the line that is no event", async () => {
    const path = join(folder, "broken.jsonl");
    writeFileSync(path, '{"op":"fault"}\n{"op":"dance"}\n');
    await assert.rejects(readHistory(path), /line 2 is not a history event/);
  });

  it("has a clock that never falls", () => {
    let last = 0;
    for (let i = 0; i < 1000; i++) {
      const now = monotonicMs();
      assert.ok(now >= last);
      last = now;
    }
  });
});
