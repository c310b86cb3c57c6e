// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { cordonRequest, cordonSteps } from "./cordon-requests.ts";
import { ANNOTATION } from "./names.ts";
import type { ObservedEntry } from "./observed.ts";
import { type EntrySketch, sampleEntry } from "./testing/sample-entry.ts";

/** An entry with the annotation. */
function asked(request: string | undefined, isCordoned: boolean, sketch: Partial<EntrySketch> = {}): ObservedEntry {
  const entry = sampleEntry({ name: "e", probe: { cordoned: isCordoned }, ...sketch });
  if (request !== undefined)
    entry.pod.metadata.annotations = { ...entry.pod.metadata.annotations, [ANNOTATION.cordon]: request };
  return entry;
}

const steps = (...entries: ObservedEntry[]): unknown[] =>
  cordonSteps(entries).map((action) => (action.kind === "setCordoned" ? action.isCordoned : action.kind));

describe("requests to cordon", () => {
  it("are true, false, or nothing", () => {
    const requests = ["true", "false", "", "yes", undefined].map((text) => cordonRequest(asked(text, false).pod));
    assert.deepEqual(requests, [true, false, undefined, undefined, undefined]);
  });

  it("are carried out once, and again when the container has started again", () => {
    assert.deepEqual(steps(asked("true", false)), [true]);
    assert.deepEqual(steps(asked("true", true)), []);
    assert.deepEqual(steps(asked("false", true)), [false]);
    assert.deepEqual(steps(asked("false", false)), []);
    const [action] = cordonSteps([asked("true", false)]);
    assert.equal(action?.reason, "e takes no new connections: by request");
  });

  it("leave everything alone that nobody asked for, that does not answer, or that leaves anyway", () => {
    assert.deepEqual(steps(asked(undefined, true), asked("", true)), []);
    assert.deepEqual(
      steps(asked("true", false, { sessions: undefined, probe: undefined } as Partial<EntrySketch>)),
      [],
    );
    assert.deepEqual(steps(asked("true", false, { drain: { phase: "Cordoned" } })), []);
    assert.deepEqual(steps(asked("false", true, { drain: { phase: "Cordoned" } })), []);
    assert.deepEqual(steps(asked("true", false, { failed: "OOMKilled" })), []);
  });
});
