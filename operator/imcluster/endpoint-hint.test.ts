// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { endpointHint } from "./endpoint-hint.ts";
import { ANNOTATION } from "./names.ts";
import type { ObservedEntry } from "./observed.ts";
import { type EntrySketch, sampleEntry } from "./testing/sample-entry.ts";

function entry(address: string | undefined, sketch: Partial<EntrySketch> = {}): ObservedEntry {
  const made = sampleEntry({ name: address ?? "none", ...sketch });
  if (address !== undefined)
    made.pod.metadata.annotations = { ...made.pod.metadata.annotations, [ANNOTATION.address]: address };
  return made;
}
const holding = (address: string, connections: number): ObservedEntry => entry(address, { probe: { connections } });

describe("endpointHint", () => {
  it("names the emptiest first, with their ports", () => {
    const hint = endpointHint([
      holding("b.example.com:8443", 20),
      holding("a.example.com", 30),
      holding("[2001:db8::1]", 10),
    ]);
    assert.deepEqual(hint, ["[2001:db8::1]:443", "b.example.com:8443", "a.example.com:443"]);
  });

  it("is empty where entries have no addresses of their own", () => {
    assert.deepEqual(endpointHint([]), []);
    assert.deepEqual(endpointHint([entry(undefined), entry(undefined, { name: "other" })]), []);
  });

  it("names nobody who takes no connections, or of whom nothing is known", () => {
    const away = [
      entry("not-ready", { isReady: false }),
      entry("leaving", { drain: { phase: "Cordoned" } }),
      entry("cordoned", { probe: { cordoned: true } }),
      entry("silent", { sessions: undefined }),
      entry("dead", { failed: "Evicted" }),
    ];
    assert.deepEqual(endpointHint([...away, holding("good", 5)]), ["good:443"]);
  });

  it("leaves out what is no address, and says each once", () => {
    const odd = ["", " ", "https://a", "a:0", "a:99999", "a/b", "u@a", "a*5x", "a b", "-a"];
    assert.deepEqual(endpointHint(odd.map((text) => holding(text, 1))), []);
    assert.deepEqual(endpointHint([holding("a", 1), holding("a:443", 2)]), ["a:443"]);
  });

  it("names eight at most", () => {
    const many = Array.from({ length: 50 }, (_, at) => holding(`e${at}`, 50 - at));
    assert.deepEqual(
      endpointHint(many),
      Array.from({ length: 8 }, (_, at) => `e${49 - at}:443`),
    );
  });
});
