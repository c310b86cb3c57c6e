// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { FakeClock, systemClock } from "#lib/clock.ts";
import { Debounce, isSource, type Target, watchSources } from "./source-watch.ts";

describe("source watch", () => {
  it("knows sources", () => {
    for (const file of ["main.ts", "router/lua/login.lua", "store/migrations/0001.sql", "style.css"])
      assert.equal(isSource(file), true, file);
    for (const file of ["main.test.ts", "dist/main.ts", "main.ts~", "README.md", ".main.ts.swp"])
      assert.equal(isSource(file), false, file);
  });

  it("acts once when the changes stop", () => {
    const clock = new FakeClock();
    const fired: Target[][] = [];
    const debounce = new Debounce(clock, 200, (targets) => fired.push([...targets].sort()));
    debounce.add(["logic"]);
    clock.advance(150);
    debounce.add(["entry", "logic"]);
    clock.advance(199);
    assert.deepEqual(fired, []);
    clock.advance(1);
    assert.deepEqual(fired, [["entry", "logic"]]);
    debounce.add(["demo"]);
    debounce.close();
    clock.advance(1000);
    assert.equal(fired.length, 1);
    assert.equal(clock.pending, 0);
  });

  it("sees a changed file below a watched folder", async () => {
    const root = mkdtempSync(join(tmpdir(), "im-watch-"));
    mkdirSync(join(root, "gateway", "session"), { recursive: true });
    let stop: () => void = () => undefined;
    try {
      const targets = await new Promise<ReadonlySet<Target>>((resolve) => {
        stop = watchSources(root, new Debounce(systemClock, 5, resolve));
        writeFileSync(join(root, "gateway", "session", "hub.ts"), "export {};");
      });
      assert.deepEqual([...targets], ["entry"]);
    } finally {
      stop();
      rmSync(root, { recursive: true });
    }
  });
});
