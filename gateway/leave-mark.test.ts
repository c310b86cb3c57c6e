// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { silentLogger } from "#lib/logger.ts";
import { LeaveMark } from "./leave-mark.ts";

describe("the mark on a pod that leaves", () => {
  const dir = mkdtempSync(join(tmpdir(), "im-podinfo-"));
  after(() => rmSync(dir, { recursive: true, force: true }));
  const note = (text: string): void => writeFileSync(join(dir, "drain"), text);
  const intent = (phase: string): string => JSON.stringify({ id: "d", reason: "Update", phase });
  const setUp = (folder = dir) => {
    const clock = new FakeClock();
    return { clock, mark: new LeaveMark({ dir: folder, clock, log: silentLogger }) };
  };

  it("is what the annotation says, from when clients are kept away", () => {
    const { mark } = setUp();
    for (const [text, expected] of [
      [intent("Planned"), false],
      [intent("Cordoned"), true],
      [intent("Draining"), true],
      [intent("Purging"), true],
      [intent("Released"), true],
      ["", false],
    ] as const) {
      note(text);
      assert.equal(mark.isSet, expected, text);
    }
  });

  it("is nothing that is no drain, and no file that is not there", () => {
    const { mark } = setUp();
    for (const text of ["{", "null", "5", "[]", '"Draining"', "{}", '{"phase":7}']) {
      note(text);
      assert.equal(mark.isSet, false, text);
    }
    assert.equal(setUp(join(dir, "none")).mark.isSet, false);
    assert.equal(new LeaveMark({ dir: undefined, clock: new FakeClock(), log: silentLogger }).isSet, false);
  });

  it("tells once when it is taken away, and nobody who does not listen any more", () => {
    const { mark, clock } = setUp();
    let told = 0;
    note(intent("Cordoned"));
    mark.whenGone(() => told++);
    clock.advance(10_000);
    assert.equal(told, 0);
    note("");
    clock.advance(10_000);
    assert.equal(told, 1);
    note(intent("Cordoned"));
    mark.whenGone(() => told++);
    mark.stop();
    note("");
    clock.advance(10_000);
    assert.equal(told, 1);
    assert.equal(clock.pending, 0);
  });
});
