// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CommitRhythm } from "./commit-rhythm.ts";

describe("commit rhythm", () => {
  it("does not wait at the first message, at a low rate, or after a pause", () => {
    const rhythm = new CommitRhythm(3);
    assert.equal(rhythm.lingerMs(1, 0, 5000), 0);
    rhythm.took(1, 5000);
    assert.equal(rhythm.lingerMs(1, 0, 5001), 0, "one per ms is too few");
    rhythm.took(500, 6000);
    assert.equal(rhythm.lingerMs(1, 0, 7000), 0, "the burst is over");
  });

  it("waits while messages come in numbers, as long as sixteen should take, but not when enough wait", () => {
    const rhythm = new CommitRhythm(3);
    rhythm.took(3, 1000);
    assert.equal(rhythm.lingerMs(1, 0, 1001), 3, "3 per ms before: no longer than allowed");
    assert.equal(rhythm.lingerMs(8, 0, 1004), 3, "2 per ms since");
    assert.equal(rhythm.lingerMs(8, 0, 1001), 2, "8 per ms since");
    assert.equal(rhythm.lingerMs(15, 0, 1001), 16 / 15);
    assert.equal(rhythm.lingerMs(16, 0, 1001), 0);
  });

  it("gives a running transaction 2 ms, and as much for forty messages in it, before a small second one starts", () => {
    const rhythm = new CommitRhythm(3);
    rhythm.took(0, 1000);
    assert.equal(rhythm.lingerMs(1, 1, 9000), 2);
    rhythm.took(40, 1000);
    assert.deepEqual([rhythm.lingerMs(1, 1, 1000), rhythm.lingerMs(63, 1, 9000)], [4, 4]);
    rhythm.took(500, 1000);
    assert.equal(rhythm.lingerMs(20, 1, 1001), 27);
  });

  it("lets a large one start beside it at once", () => {
    const rhythm = new CommitRhythm(3);
    rhythm.took(500, 1000);
    assert.equal(rhythm.lingerMs(64, 1, 1000), 0);
  });

  it("never waits when told so", () => {
    const rhythm = new CommitRhythm(0);
    rhythm.took(50, 1000);
    assert.deepEqual([rhythm.lingerMs(1, 1, 1000), rhythm.lingerMs(1, 0, 1000)], [0, 0]);
  });
});
