// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { eventSplitter } from "./event-splitter.ts";

type Seen = [name: string, data: string];

function split(chunks: readonly Uint8Array[]): Seen[] {
  const seen: Seen[] = [];
  const push = eventSplitter((name, data) => seen.push([name ?? "", data]));
  for (const chunk of chunks) push(chunk);
  return seen;
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("eventSplitter", () => {
  it("reads names and data, skips comments and what is not finished", () => {
    const text = "event: lease\ndata: abc\n\n:\n\ndata: x\n\nevent: close\ndata: 4001 the entry 移动\n\ndata: cut";
    assert.deepEqual(split([bytes(text)]), [
      ["lease", "abc"],
      ["", "x"],
      ["close", "4001 the entry 移动"],
    ]);
  });

  it("reads the same, however the bytes are cut", () => {
    const event = fc.tuple(fc.constantFrom("", "lease", "close"), fc.stringMatching(/^[A-Za-z0-9+/=]{1,40}$/));
    fc.assert(
      fc.property(fc.array(event), fc.array(fc.nat(50)), (events, cuts) => {
        const whole = bytes(
          events.map(([name, data]) => `${name && `event: ${name}\n`}data: ${data}\n\n`).join(":\n\n"),
        );
        const chunks: Uint8Array[] = [];
        let from = 0;
        for (const cut of cuts) {
          chunks.push(whole.subarray(from, from + cut));
          from += cut;
        }
        chunks.push(whole.subarray(from));
        assert.deepEqual(split(chunks), events);
      }),
    );
  });

  it("refuses an event that never ends", () => {
    const push = eventSplitter(() => assert.fail("no event"));
    const part = bytes("a".repeat(300_000));
    for (let i = 0; i < 3; i++) push(part);
    assert.throws(() => push(part), /too large/);
  });
});
