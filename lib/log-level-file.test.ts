// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { FakeClock } from "./clock.ts";
import { followLogLevel } from "./log-level-file.ts";
import { type LogLevel, type RootLogger, silentLogger } from "./logger.ts";

function setUp(t: TestContext) {
  const dir = mkdtempSync(join(tmpdir(), "log-level-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const errors: string[] = [];
  let level: LogLevel = "info";
  const log: RootLogger = {
    ...silentLogger,
    error: (_fields, message) => void errors.push(message),
    get level() {
      return level;
    },
    setLevel: (next) => {
      level = next;
    },
  };
  const clock = new FakeClock();
  /** A look, and the next timer is set. */
  const pass = async (): Promise<LogLevel> => {
    clock.advance(2000);
    await new Promise((resolve) => setImmediate(resolve));
    return level;
  };
  return { dir, file: join(dir, "level"), log, clock, errors, pass };
}

describe("followLogLevel", () => {
  it("takes the level at once, and every one that is written later", async (t) => {
    const { dir, file, log, clock, errors, pass } = setUp(t);
    writeFileSync(file, "warn\n");
    const stop = followLogLevel({ dir, log, clock });
    assert.equal(log.level, "warn");
    for (const level of ["debug", "error", "info"]) {
      writeFileSync(file, level);
      assert.equal(await pass(), level);
    }
    stop();
    assert.equal(clock.pending, 0);
    assert.deepEqual(errors, []);
  });

  it("keeps the level when the file is wrong, and says so once for each mistake", async (t) => {
    const { dir, file, log, clock, errors, pass } = setUp(t);
    t.after(followLogLevel({ dir, log, clock }));
    for (const text of ["loud", "loud", "Debug", "", `x\n${"y".repeat(1000)}`, "__proto__"]) {
      writeFileSync(file, text);
      assert.equal(await pass(), "info");
    }
    assert.equal(errors.length, 5);
    assert.equal(errors[0], '"loud" is no log level; it stays info: write debug, info, warn, error');
    assert.ok(
      errors.every((error) => error.length < 120 && !error.includes("\n")),
      errors.join("|"),
    );
    writeFileSync(file, "debug");
    assert.equal(await pass(), "debug");
    writeFileSync(file, "loud");
    assert.equal(await pass(), "debug");
    assert.equal(errors.length, 6, "a mistake that comes back is one");
  });

  it("wishes nothing while there is no file, and says when one cannot be read", async (t) => {
    const { dir, file, log, clock, errors, pass } = setUp(t);
    t.after(followLogLevel({ dir, log, clock }));
    assert.equal(await pass(), "info");
    assert.deepEqual(errors, []);
    mkdirSync(file);
    assert.equal(await pass(), "info");
    assert.match(errors[0] ?? "", /cannot be read .*EISDIR.*stays info/);
  });

  it("follows the links of a mounted ConfigMap", async (t) => {
    const { dir, file, log, clock, pass } = setUp(t);
    const swap = (folder: string, level: string): void => {
      mkdirSync(join(dir, folder));
      writeFileSync(join(dir, folder, "level"), level);
      rmSync(join(dir, "..data"), { force: true });
      symlinkSync(folder, join(dir, "..data"));
    };
    swap("..1", "error");
    symlinkSync("..data/level", file);
    t.after(followLogLevel({ dir, log, clock }));
    assert.equal(log.level, "error");
    swap("..2", "debug");
    assert.equal(await pass(), "debug");
    unlinkSync(file);
    assert.equal(await pass(), "debug");
  });

  it("does nothing without a folder", (t) => {
    const { log, clock } = setUp(t);
    followLogLevel({ dir: undefined, log, clock })();
    assert.equal(clock.pending, 0);
  });
});
