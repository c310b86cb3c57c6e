// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { cpuWaitMs, waitWithin } from "./cpu-wait.ts";

const never = (): boolean => false;

describe("time that was waited for a CPU", () => {
  it("is read from the kernel", () => {
    const dir = mkdtempSync(join(tmpdir(), "im-pressure-"));
    const path = join(dir, "cpu");
    writeFileSync(path, "some avg10=97.73 avg60=98.21 avg300=89.57 total=16566202\nfull avg10=0.00 total=7\n");
    assert.equal(cpuWaitMs(path), 16_566.202);
    writeFileSync(path, "something else\n");
    assert.equal(cpuWaitMs(path), 0);
    rmSync(dir, { recursive: true });
    assert.equal(cpuWaitMs(path), 0);
  });

  it("is not counted against a promise", async () => {
    let waited = 1000;
    let looks = 0;
    const startedMs = performance.now();
    // Half of the time is waited for a CPU, until it comes true at twice the limit.
    const isThere = (): boolean => {
      waited = 1000 + (performance.now() - startedMs) * 0.75;
      looks++;
      return performance.now() - startedMs > 300;
    };
    const tookMs = await waitWithin("it", 150, isThere, () => waited);
    assert.ok(tookMs > 300 && looks > 1);
  });

  it("does not let one wait for ever", async () => {
    const startedMs = performance.now();
    await assert.rejects(
      waitWithin("it", 30, never, () => performance.now()),
      /it: not within 30 ms/,
    );
    assert.ok(performance.now() - startedMs >= 120);
  });

  it("changes nothing on a machine that has time", async () => {
    const startedMs = performance.now();
    await assert.rejects(
      waitWithin("it", 50, never, () => 0),
      /it: not within 50 ms/,
    );
    assert.ok(performance.now() - startedMs >= 50);
    await waitWithin("that", 0, () => true);
  });

  it("is left to the condition when that cannot be asked", async () => {
    const condition = async (): Promise<boolean> => {
      throw new Error("gone");
    };
    await assert.rejects(waitWithin("it", 1000, condition), /gone/);
  });
});
