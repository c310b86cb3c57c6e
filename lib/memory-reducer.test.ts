// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { describe, it } from "node:test";
import { FakeClock } from "./clock.ts";
import { IDLE_SHARE, MemorySaving, saveMemoryWhenCalm } from "./memory-reducer.ts";

const MIB = 1024 * 1024;
const TIMEOUT_MS = 110_000;
/** Leaves 100 MB behind, and goes on with hardly anything to do. */
const BURST = `
  import { systemClock } from "#lib/clock.ts";
  import { saveMemoryWhenCalm } from "#lib/memory-reducer.ts";
  saveMemoryWhenCalm(systemClock);
  let kept = Array.from({ length: 1_000_000 }, (_, n) => ({ n, text: "text " + n }));
  kept = undefined;
  setInterval(() => (kept = { a: 1 }), 50);
  console.log("burst over");
`;

/** What it says when it is asked for the given heap, in MiB, and share; one look after the other. */
function looks(saving: MemorySaving, ...asked: readonly [number, number][]): boolean[] {
  return asked.map(([mib, share]) => saving.look(mib * MIB, share));
}
const times = (count: number, mib: number, share: number): [number, number][] =>
  Array.from({ length: count }, () => [mib, share]);

describe("saving memory", () => {
  it("begins when the heap has grown and the process is calm, and ends after 24 s", () => {
    const saving = new MemorySaving(40 * MIB);
    assert.deepEqual(looks(saving, [130, 0.9], [130, 0.9], [130, 0.2]), [false, false, false]);
    assert.deepEqual(looks(saving, [130, 0.2]), [true]);
    assert.deepEqual(looks(saving, ...times(11, 60, 0.1)), Array(11).fill(true));
    assert.deepEqual(looks(saving, [60, 0.1]), [false]);
  });

  it("does not begin for a heap that is as small as it gets", () => {
    const saving = new MemorySaving(40 * MIB);
    assert.ok(!looks(saving, ...times(20, 51, 0)).includes(true), "40 MiB, a tenth, and 8 MiB");
    assert.ok(looks(saving, ...times(2, 53, 0)).includes(true));
    // 100 MiB are all in use: that is the new measure.
    looks(saving, ...times(12, 100, 0));
    assert.ok(!looks(saving, ...times(20, 117, 0)).includes(true));
    // It shrank by itself.
    looks(saving, [50, 0]);
    assert.deepEqual(looks(saving, [64, 0]), [true]);
  });

  it("ends when the process is busy again, and begins anew after that", () => {
    const saving = new MemorySaving(40 * MIB);
    assert.deepEqual(looks(saving, [130, 0.1], [130, 0.1], [130, 0.1]), [false, true, true]);
    assert.deepEqual(looks(saving, [130, 0.9], [130, 0.9]), [false, false]);
    assert.deepEqual(looks(saving, [130, 0.1], [130, 0.1]), [false, true]);
  });

  it("does not begin in a pause of a burst, nor while the process is busy", () => {
    const saving = new MemorySaving(40 * MIB);
    for (let i = 0; i < 10; i++) assert.deepEqual(looks(saving, [200, 0.1], [200, 0.6]), [false, false]);
  });

  it("begins soon after the start, which leaves garbage, too", () => {
    const saving = new MemorySaving(0);
    assert.deepEqual(looks(saving, [60, 0.9], [60, 0.1], [60, 0.1]), [false, false, true]);
    looks(saving, ...times(12, 28, 0));
    assert.ok(!looks(saving, ...times(20, 38, 0)).includes(true), "28 MiB are as small as it gets");
  });

  it("begins only below the share that it is given", () => {
    const saving = new MemorySaving(0, IDLE_SHARE);
    assert.deepEqual(looks(saving, ...times(3, 60, 0.2)), [false, false, false]);
    assert.deepEqual(looks(saving, ...times(2, 60, 0.1)), [false, true]);
    assert.deepEqual(looks(saving, [60, 0.2]), [false], "and ends above it");
  });

  it("is looked at every 2 s, until it is ended", () => {
    const clock = new FakeClock();
    const set: boolean[] = [];
    const end = saveMemoryWhenCalm(clock, { setSaving: (isOn) => void set.push(isOn) });
    assert.equal(clock.pending, 1);
    clock.advance(2000);
    assert.equal(clock.pending, 1);
    end();
    clock.advance(60_000);
    assert.equal(clock.pending, 0);
    assert.deepEqual(set, []);
  });

  it("goes by the CPU that the process used, not by how long others kept it from it", () => {
    const clock = new FakeClock();
    const set: boolean[] = [];
    let usedMs = 0;
    const cpuMs = (): number => usedMs;
    const heapBytes = (): number => 100 * MIB;
    const end = saveMemoryWhenCalm(clock, {
      calmShare: IDLE_SHARE,
      cpuMs,
      heapBytes,
      setSaving: (isOn) => void set.push(isOn),
    });
    for (let look = 0; look < 5; look++) {
      usedMs += 400;
      clock.advance(2000);
    }
    assert.deepEqual(set, [], "a fifth of a CPU is not calm");
    for (let look = 0; look < 2; look++) {
      usedMs += 100;
      clock.advance(2000);
    }
    assert.deepEqual(set, [true]);
    usedMs += 1000;
    clock.advance(2000);
    assert.deepEqual(set, [true, false]);
    end();
  });

  it("makes V8 collect what a burst left", { timeout: TIMEOUT_MS }, async () => {
    const args = ["--trace-gc", "--trace-memory-reducer", "--input-type=module", "--eval", BURST];
    const child = spawn(process.execPath, args, { cwd: import.meta.dirname, stdio: ["ignore", "pipe", "inherit"] });
    try {
      let text = "";
      for await (const chunk of child.stdout) {
        text += String(chunk);
        if (/burst over[\s\S]*background[\s\S]*Mark-Compact \(reduce\)/.test(text)) return;
      }
      assert.fail(text);
    } finally {
      child.kill("SIGKILL");
    }
  });
});
