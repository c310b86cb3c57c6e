// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Pod } from "../kube/types.ts";
import { newIntent } from "./drain.ts";
import { ANNOTATION } from "./names.ts";
import { type ObservedEntry, observeEntry, podTrouble } from "./observed.ts";

const NOW_MS = Date.parse("2026-01-01T00:00:00Z");

function pod(status: object, metadata: object = {}): Pod {
  return {
    metadata: { name: "demo-entry-1", uid: "u1", ...metadata },
    spec: { nodeName: "node1" },
    status,
  } as unknown as Pod;
}

const observe = (subject: Pod): ObservedEntry =>
  observeEntry(subject, { ownerUid: "o1", probe: undefined, isPurged: false, nowMs: NOW_MS });
const crashed = {
  restartCount: 5,
  state: { waiting: { reason: "CrashLoopBackOff", message: "back-off 40s" } },
  lastState: { terminated: { exitCode: 1, reason: "Error" } },
};

describe("observeEntry", () => {
  it("tells a container that backs off from one that runs", () => {
    assert.equal(observe(pod({ containerStatuses: [crashed] })).isBackingOff, true);
    assert.equal(observe(pod({ containerStatuses: [crashed] })).hasStarted, true);
    const running = observe(pod({ containerStatuses: [{ restartCount: 0, state: { running: {} } }] }));
    assert.deepEqual([running.isBackingOff, running.hasStarted, running.isDead], [false, true, false]);
  });

  it("has not started while its image is pulled", () => {
    const entry = observe(
      pod({ containerStatuses: [{ restartCount: 0, state: { waiting: { reason: "ContainerCreating" } } }] }),
    );
    assert.deepEqual([entry.hasStarted, entry.isBackingOff], [false, false]);
  });

  it("is dead when it failed, or is overdue after its deletion", () => {
    assert.equal(observe(pod({ phase: "Failed" })).isDead, true);
    const deletedAt = (ms: number): Pod =>
      pod(
        { containerStatuses: [{ restartCount: 0, state: { running: {} } }] },
        { deletionTimestamp: new Date(NOW_MS + ms).toISOString() },
      );
    assert.equal(observe(deletedAt(0)).isDead, false);
    assert.equal(observe(deletedAt(-11_000)).isDead, true);
  });
});

describe("a node of which nothing is known yet", () => {
  const leaving = (reason: "NodeDrain" | "Update", isNodeLeaving: boolean | "unknown") => {
    const intent = JSON.stringify(newIntent("d", reason, "Planned", NOW_MS));
    const subject = pod({}, { annotations: { [ANNOTATION.drain]: intent } });
    return observeEntry(subject, { ownerUid: "o1", probe: undefined, isPurged: false, isNodeLeaving, nowMs: NOW_MS });
  };

  it("calls no drain off that was begun for it, and begins none", () => {
    assert.deepEqual(
      [leaving("NodeDrain", "unknown").cause, leaving("NodeDrain", false).cause, leaving("NodeDrain", true).cause],
      ["NodeDrain", undefined, "NodeDrain"],
    );
    assert.equal(leaving("Update", "unknown").cause, undefined);
  });
});

describe("podTrouble", () => {
  it("repeats the kubelet's and the scheduler's words", () => {
    assert.equal(
      podTrouble(pod({ containerStatuses: [crashed] })),
      "CrashLoopBackOff: back-off 40s (last exit code 1, Error)",
    );
    const unscheduled = {
      conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message: "0/2 nodes" }],
    };
    assert.equal(podTrouble(pod(unscheduled)), "Unschedulable: 0/2 nodes");
    assert.equal(podTrouble(pod({})), "");
  });
});
