// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RecordKind, readRecords } from "#proto/uplink/record.ts";
import { unreadMetrics } from "../metrics.ts";
import { Entries } from "./entries.ts";
import { EntryStream } from "./entry-stream.ts";

function setUp() {
  const entries = new Entries();
  const asked: string[] = [];
  const open = (name: string): EntryStream => {
    const write = (batch: Buffer): boolean => {
      readRecords(batch, ({ kind }) => void (kind === RecordKind.REANNOUNCE && asked.push(name)));
      return true;
    };
    const uplink = { peer: name, write, onDrain: () => {}, onBatch: () => {}, onClose: () => {}, close: () => {} };
    const stream = new EntryStream({ uplink, defer: (fn) => fn(), metrics: unreadMetrics() });
    entries.open(stream);
    return stream;
  };
  const attach = (stream: EntryStream, incarnation = "pod.1"): void => {
    stream.incarnation = incarnation;
    entries.attach(stream);
  };
  const end = (stream: EntryStream): void => {
    stream.markClosed("test");
    entries.remove(stream);
  };
  return { entries, open, attach, end, asked };
}

describe("entries", () => {
  it("are found by incarnation from when they are attached until their stream ends", () => {
    const { entries, open, attach, end } = setUp();
    const stream = open("a");
    assert.equal(entries.find("pod.1"), undefined);
    attach(stream);
    attach(open("b"), "pod.2");
    assert.equal(entries.find("pod.1"), stream);
    assert.equal(entries.size, 2);
    end(stream);
    assert.equal(entries.find("pod.1"), undefined);
    assert.equal(entries.size, 1);
  });

  for (const [what, order] of [
    ["in order", ["old", "new"]],
    ["the older one last", ["new", "old"]],
  ] as const) {
    it(`are reached by their newest stream, when two attach ${what}`, () => {
      const { entries, open, attach, end, asked } = setUp();
      const streams = { old: open("old"), new: open("new") };
      for (const name of order) attach(streams[name]);
      assert.equal(entries.find("pod.1"), streams.new);
      end(streams.old);
      assert.equal(entries.find("pod.1"), streams.new, "the end of the other one changes nothing");
      entries.reannounce();
      assert.deepEqual(asked, ["new"]);
    });
  }

  it("are reached by an older stream when the newer one ends first", () => {
    const { entries, open, attach, end } = setUp();
    const [older, newer] = [open("older"), open("newer")];
    attach(older);
    attach(newer);
    end(newer);
    assert.equal(entries.find("pod.1"), older);
    end(older);
    assert.equal(entries.find("pod.1"), undefined);
  });

  it("that never attached leave nothing behind", () => {
    const { entries, open, end } = setUp();
    end(open("a"));
    assert.deepEqual([entries.size, [...entries].length], [0, 0]);
  });
});
