// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { byTime, isAtLeast, jsonLine, parseLine, prettyLine } from "./log-lines.ts";
import { harmless, PLAIN, paintOf } from "./text.ts";

const OURS =
  '{"level":"warn","time":"2026-11-26T11:00:00.123Z","component":"entry","userId":"alice","msg":"slow reader","err":{"message":"too slow","stack":"x"},"n":3}';
const line = (text: string, pod = "demo-entry-abcde") =>
  parseLine(pod, "entry", `2026-11-26T11:00:00.123456789Z ${text}`);

/** Escape sequences as text. */
const visible = (text: string): string => text.replaceAll("\u001b", "~");

describe("log lines", () => {
  it("lose the server's time, and keep everything else", () => {
    assert.deepEqual(line("hello  world"), {
      pod: "demo-entry-abcde",
      container: "entry",
      time: "2026-11-26T11:00:00.123456789Z",
      text: "hello  world",
    });
    assert.deepEqual(parseLine("p", "c", "no time"), { pod: "p", container: "c", time: "", text: "no time" });
    assert.equal(parseLine("p", "c", "2026-11-26T11:00:00Z").text, "");
  });

  it("are sorted by times of any precision", () => {
    const times = [
      "2026-11-26T11:00:00.2Z b",
      "2026-11-26T11:00:00.19Z a",
      "2026-11-26T11:00:01Z d",
      "2026-11-26T11:00:00.200000001Z c",
    ];
    const sorted = times.map((text) => parseLine("p", "c", text)).sort(byTime);
    assert.equal(sorted.map(({ text }) => text).join(""), "abcd");
  });

  it("are shown with time, level, pod, message and fields", () => {
    assert.equal(
      prettyLine(line(OURS), 18, PLAIN),
      '11:00:00.123 WARN  demo-entry-abcde   slow reader userId=alice err="too slow" n=3\n',
    );
    assert.equal(prettyLine(line("LOG:  ready", "pg-0"), 4, PLAIN), "11:00:00.123 INFO  pg-0 LOG:  ready\n");
    assert.match(visible(prettyLine(line(OURS), 1, paintOf(true))), /~\[33mWARN ~\[0m/);
    assert.equal(prettyLine(line('{"msg":"x","a":{"b":1}}', "p"), 1, PLAIN), '11:00:00.123 INFO  p x a={"b":1}\n');
    assert.equal(prettyLine(line("{broken", "p"), 1, PLAIN), "11:00:00.123 INFO  p {broken\n");
    assert.match(prettyLine(line('{"msg":"x","a":["b"],"c":""}', "p"), 1, PLAIN), / x a=\["b"\] c=""\n$/);
    const long = prettyLine(line(`{"msg":"x","a":"${"y".repeat(500)}"}`, "p"), 1, PLAIN);
    assert.ok(long.length < 260, "long values are cut");
  });

  it("do nothing to a terminal and stay one line, whatever a program was made to print", () => {
    const paint = paintOf(true);
    const wipe = "\u001b[2J\u001b[31m\u009b1A\u202e";
    const forged = "x\n11:00:00.123 ERROR p forged\r";
    const texts = [
      `${wipe} plain\ttext`,
      JSON.stringify({ msg: wipe + forged, level: "info" }),
      JSON.stringify({ msg: "x", [wipe]: forged, deviceId: wipe, err: { message: wipe + forged }, list: [wipe] }),
    ];
    for (const text of texts) {
      const shown = prettyLine(line(text, "p"), 1, paint);
      assert.equal(shown.split("\n").length, 2, shown);
      assert.equal(stripVTControlCharacters(shown), harmless(stripVTControlCharacters(shown), false), shown);
      assert.ok(!shown.includes("\u001b[31m"), "no colour of others");
      assert.match(shown, /\\u001b\[2J/);
    }
    assert.match(prettyLine(line("a\tb", "p"), 1, PLAIN), / a {2}b\n$/);
  });

  it("are filtered by level; what tells none is info, fatal is error", () => {
    assert.deepEqual(
      ["debug", "info", "warn", "error"].map((level) => isAtLeast(line(OURS), level as "warn")),
      [true, true, true, false],
    );
    assert.ok(isAtLeast(line("plain"), "info") && !isAtLeast(line("plain"), "warn"));
    assert.ok(isAtLeast(line('{"level":"fatal"}'), "error"));
  });

  it("are objects for programs", () => {
    const parsed = JSON.parse(jsonLine(line(OURS))) as { line: { msg: string }; pod: string };
    assert.deepEqual([parsed.pod, parsed.line.msg], ["demo-entry-abcde", "slow reader"]);
    assert.equal((JSON.parse(jsonLine(line("x"))) as { line: string }).line, "x");
  });
});
