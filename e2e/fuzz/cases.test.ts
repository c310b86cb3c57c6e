// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { wsFrame } from "../../gateway/testing/ws-frame.ts";
import { Random } from "../sim/random.ts";
import { captureHellos, helloCase } from "./hellos.ts";
import { cut, mutate } from "./input.ts";
import { answers, caseOf, growthFailures, isClean, LANES, noFindings } from "./lanes.ts";

describe("fuzz cases", () => {
  for (const lane of Object.keys(LANES) as (keyof typeof LANES)[]) {
    it(`${lane}: the same seed and index are the same bytes; others are not`, () => {
      const bytes = (seed: number, index: number): string =>
        Buffer.concat(caseOf(seed, lane, index).chunks).toString("hex");
      const seen = new Set<string>();
      for (let index = 0; index < 200; index++) {
        assert.equal(bytes(7, index), bytes(7, index));
        seen.add(bytes(7, index));
        assert.ok(caseOf(7, lane, index).inputs >= 1);
      }
      assert.ok(seen.size > 150, `${seen.size} different ones of 200`);
      assert.notEqual(bytes(7, 0), bytes(8, 0));
    });
  }

  it("mutations change most inputs and never the original", () => {
    const original = Buffer.from("GET / HTTP/1.1");
    const random = new Random(1, "mutations");
    const changed = Array.from({ length: 500 }, () => mutate(original, random)).filter(
      (bytes) => !bytes.equals(original),
    );
    assert.ok(changed.length > 400, String(changed.length));
    assert.equal(original.toString(), "GET / HTTP/1.1");
  });

  it("cuts lose nothing", () => {
    const random = new Random(1, "cuts");
    for (let length = 0; length < 300; length++) {
      const bytes = Buffer.alloc(length, length);
      assert.deepEqual(Buffer.concat(cut(bytes, random)), bytes);
    }
  });

  it("WebSocket frames are those of RFC 6455", () => {
    assert.equal(
      wsFrame({ opcode: 1, payload: Buffer.from("Hello"), isMasked: false }).toString("hex"),
      "810548656c6c6f",
    );
    assert.equal(wsFrame({ opcode: 1, payload: Buffer.from("Hello") }).toString("hex"), "818537fa213d7f9f4d5158");
    const long = wsFrame({ opcode: 2, payload: Buffer.alloc(256), isMasked: false });
    assert.equal(long.subarray(0, 4).toString("hex"), "827e0100");
    const longer = wsFrame({ opcode: 2, payload: Buffer.alloc(65_536), isMasked: false });
    assert.equal(longer.subarray(0, 10).toString("hex"), "827f0000000000010000");
  });

  it("hellos of real TLS clients, changed", async () => {
    const hellos = await captureHellos();
    for (const hello of hellos) assert.equal(hello.subarray(0, 2).toString("hex"), "1603");
    const changed = Array.from({ length: 100 }, (_, i) => Buffer.concat(helloCase(hellos, 1, i).chunks));
    assert.ok(changed.every((bytes) => !hellos.some((hello) => hello.equals(bytes))));
  });
});

describe("fuzz verdicts", () => {
  const clean = { ...noFindings(), inputs: 1_000_000 };
  it("are clean only within every limit", () => {
    assert.equal(isClean(clean, 1_000_000), true);
    for (const worse of [
      { crashes: 1 },
      { uncaught: 1 },
      { maxStallMs: 50.1 },
      { rssGrowthMiB: 20 },
      { inputs: 999_999 },
      { failures: ["a lane that gets nowhere"] },
    ]) {
      assert.equal(isClean({ ...clean, ...worse }, 1_000_000), false, JSON.stringify(worse));
    }
    assert.equal(isClean({ ...clean, rssGrowthMiB: 100 }, 1000), true, "a short run: its allocator is still growing");
    assert.equal(isClean({ ...clean, liveGrowthMiB: 20 }, 1000), false);
  });

  it("say which memory grew", () => {
    assert.deepEqual(growthFailures({ ...clean, rssGrowthMiB: 19.9, liveGrowthMiB: 19.9 }, 1_000_000), []);
    assert.match(growthFailures({ ...clean, rssGrowthMiB: 20 }, 1_000_000).join(), /^resident memory grew by 20 MiB/);
    assert.match(growthFailures({ ...clean, liveGrowthMiB: 31 }, 1000).join(), /^live memory grew by 31 MiB/);
  });

  it("count answers on one connection", () => {
    const ok = "HTTP/1.1 200 OK\r\n\r\n";
    assert.equal(answers(`HTTP/1.1 100 Continue\r\n\r\n${ok}`), 1);
    assert.equal(answers(ok + ok), 2);
  });
});
