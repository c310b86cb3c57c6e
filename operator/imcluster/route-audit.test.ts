// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { AuditRoutesRequest } from "#proto/gen/messages.ts";
import type { ImCluster } from "../api/v1alpha1.ts";
import type { Pod } from "../kube/types.ts";
import { newIntent } from "./drain.ts";
import type { AuditFinding } from "./fleet-client.ts";
import { ANNOTATION } from "./names.ts";
import { observeEntry } from "./observed.ts";
import type { ObservedCluster } from "./observed-cluster.ts";
import { entryPod } from "./resources/entry-pod.ts";
import {
  AUDIT_EVERY_MS,
  isAuditDue,
  LATEST_MS,
  RETRY_MS,
  RouteAudit,
  type RoutesSeen,
  routerFigures,
} from "./route-audit.ts";
import { statusOf } from "./status.ts";
import { NOW_MS, readyPod, sampleCluster, sampleObserved, sampleSecrets, stored } from "./testing/sample.ts";

const secrets = sampleSecrets(sampleCluster());
const WHO = { clusterUid: "cluster-uid", tls: undefined };

interface Made {
  /** What each entry told; `dead` for a pod that failed. */
  told?: readonly (string | undefined)[];
  afterMs?: number;
  hasLogic?: boolean;
  annotations?: Record<string, string>;
  status?: ImCluster["status"];
  routes?: RoutesSeen | undefined;
  /** The first one asks its clients to move. */
  isMoving?: boolean;
}

function observed(made: Made = {}): ObservedCluster {
  const { told = ["a.1", "b.1"], afterMs = 0, hasLogic = true, annotations = {}, status, routes } = made;
  const intent = JSON.stringify(newIntent("d", "Update", "Draining", NOW_MS));
  const sample = sampleCluster();
  const metadata = { ...sample.metadata, annotations };
  const base = sampleObserved({ ...sample, metadata, ...(status ? { status } : {}) }, secrets);
  const entries = told.map((incarnation, index) => {
    const pod: Pod = readyPod(stored(entryPod(base.context, `p${index}`)));
    if (made.isMoving && index === 0) pod.metadata.annotations = { [ANNOTATION.drain]: intent };
    if (incarnation === "dead") pod.status = { ...pod.status, phase: "Failed" };
    const answer = { connections: 0, sessions: 0, cordoned: false, draining: false, atMs: 0 };
    const probe = incarnation === undefined ? undefined : { ...answer, incarnation };
    return observeEntry(pod, { ownerUid: "cluster-uid", probe, isPurged: false, nowMs: NOW_MS });
  });
  const logicPods = hasLogic ? [readyPod({ metadata: { name: "logic" }, spec: { containers: [] } })] : [];
  return { ...base, entries, logicPods, nowMs: NOW_MS + afterMs, routes };
}

const uid = (index: number) => `uid-demo-entry-p${index}`;
const seen = (over: Partial<RoutesSeen> = {}): RoutesSeen => ({
  ...{
    atMs: NOW_MS,
    isAnswered: true,
    left: 0,
    told: new Map([
      [uid(0), "a.1"],
      [uid(1), "b.1"],
    ]),
  },
  ...over,
});

function audit(answers: (AuditFinding | undefined)[]) {
  const asked: Omit<AuditRoutesRequest, "cursor">[] = [];
  const removed: number[] = [];
  const events: string[] = [];
  const runner = new RouteAudit({
    fleet: {
      audit: (_who, _logic, request) => {
        asked.push(request);
        return Promise.resolve(answers.shift());
      },
    },
    events: { record: (_cluster, { reason }) => void events.push(reason) },
    onGhosts: (_cluster, count) => void removed.push(count),
  });
  return { asked, removed, events, runner };
}

describe("isAuditDue", () => {
  const cases: [what: string, made: Made, before: RoutesSeen | undefined, isDue: boolean][] = [
    ["at first", {}, undefined, true],
    ["while clients move", { isMoving: true, afterMs: LATEST_MS - 1 }, seen(), false],
    ["while clients move, for long", { isMoving: true, afterMs: LATEST_MS }, seen(), true],
    ["when some were left, and clients move", { isMoving: true, afterMs: RETRY_MS }, seen({ left: 3 }), false],
    ["when a container started again, also while others move", { isMoving: true, told: ["a.1", "b.7"] }, seen(), true],
    ["with nothing to compare at first", { told: [] }, undefined, false],
    ["without a logic pod", { hasLogic: false, afterMs: AUDIT_EVERY_MS }, seen(), false],
    ["just now", { afterMs: AUDIT_EVERY_MS - 1 }, seen(), false],
    ["after a minute", { afterMs: AUDIT_EVERY_MS }, seen(), true],
    ["when the clock was set back", { afterMs: -1 }, seen(), true],
    ["when some were left, after a while", { afterMs: RETRY_MS }, seen({ left: 3 }), true],
    ["when some were left, not at once", { afterMs: RETRY_MS - 1 }, seen({ left: 3 }), false],
    ["when nobody answered, after a while", { afterMs: RETRY_MS }, seen({ isAnswered: false }), true],
    ["when a container started again", { told: ["a.1", "b.7"] }, seen(), true],
    ["when one that started again has not told", { told: ["a.1", ""] }, seen(), false],
    ["when one does not answer", { told: ["a.1", undefined] }, seen(), false],
    ["when a new pod tells for the first time", { told: ["a.1", "b.1", "c.1"] }, seen(), false],
  ];
  for (const [what, made, before, isDue] of cases) {
    it(`${isDue ? "is" : "is not"} due ${what}`, () => assert.equal(isAuditDue(observed(made), before), isDue));
  }
});

describe("RouteAudit", () => {
  it("names the living and what they told, not the dead", async () => {
    const { asked, runner, removed, events } = audit([{ deleted: 0, remaining: 0 }]);
    const after = await runner.run(observed({ told: ["a.1", "dead", undefined] }), undefined, WHO);
    assert.deepEqual(asked, [
      {
        living: [
          { podUid: uid(0), incarnation: "a.1" },
          { podUid: uid(2), incarnation: "" },
        ],
        force: false,
      },
    ]);
    assert.deepEqual([after?.isAnswered, after?.left, after?.atMs], [true, 0, NOW_MS]);
    assert.deepEqual(
      [...(after?.told ?? [])],
      [
        [uid(0), "a.1"],
        [uid(2), ""],
      ],
    );
    assert.deepEqual([removed, events], [[], []]);
  });

  it("remembers what one told before it fell silent, so that a restart is noticed later", async () => {
    const { runner } = audit([{ deleted: 0, remaining: 0 }]);
    const silent = await runner.run(observed({ told: ["a.1", ""], afterMs: AUDIT_EVERY_MS }), seen(), WHO);
    assert.equal(silent?.told.get(uid(1)), "b.1");
    assert.equal(isAuditDue(observed({ told: ["a.1", "b.2"], afterMs: AUDIT_EVERY_MS + 1 }), silent), true);
  });

  it("remembers what one tells for the first time between audits", async () => {
    const { runner, asked } = audit([]);
    const told = new Map([[uid(0), "a.1"]]);
    const after = await runner.run(observed({ told: ["a.1", "b.1"], afterMs: 1 }), seen({ told }), WHO);
    assert.deepEqual([after?.told.get(uid(1)), after?.atMs, asked.length], ["b.1", NOW_MS, 0]);
    assert.equal(isAuditDue(observed({ told: ["a.1", "b.2"], afterMs: 2 }), after), true);
  });

  it("tells what it removed, and counts what is left", async () => {
    const { runner, removed, events, asked } = audit([{ deleted: 5, remaining: 2 }, undefined]);
    const first = await runner.run(observed(), undefined, WHO);
    assert.deepEqual([removed, events, first?.left], [[5], ["GhostRoutesRemoved"], 2]);
    const second = await runner.run(observed({ afterMs: RETRY_MS }), first, WHO);
    assert.deepEqual([second?.isAnswered, second?.left], [false, 2], "an audit that failed forgets nothing");
    assert.equal(asked.length, 2);
  });

  it("goes on by order of the annotation, and does nothing without an identity or when it is not due", async () => {
    const { runner, asked } = audit([{ deleted: 0, remaining: 0 }]);
    const before = seen();
    assert.equal(await runner.run(observed({ afterMs: 1 }), before, WHO), before);
    assert.equal(await runner.run(observed(), undefined, undefined), undefined);
    await runner.run(observed({ annotations: { "imcluster.io/force-purge": "true" } }), undefined, WHO);
    assert.deepEqual(
      asked.map(({ force }) => force),
      [true],
    );
  });
});

describe("status of the router", () => {
  const condition = (from: ObservedCluster) =>
    statusOf(from, { errors: [], waits: [] }).conditions?.find(({ type }) => type === "RouterConsistent");

  it("is unknown before the first audit and while none is answered", () => {
    assert.deepEqual(routerFigures(observed()), {});
    assert.equal(condition(observed())?.reason, "NotAudited");
    assert.equal(condition(observed({ routes: seen({ isAnswered: false }) }))?.status, "Unknown");
  });

  it("is true without ghosts, and false with the remedy", () => {
    assert.equal(condition(observed({ routes: seen() }))?.status, "True");
    const held = condition(observed({ routes: seen({ left: 7 }) }));
    assert.equal(held?.status, "False");
    assert.match(held?.message ?? "", /7 routes .* held back.*imcluster\.io\/force-purge/);
  });

  it("is written for news, not for the time alone", () => {
    const lastAudit = "2026-11-24T09:55:00Z";
    const router = { connected: true, ghostRoutes: 0, lastAudit };
    const at = (routes: RoutesSeen, afterMs = 0) =>
      routerFigures(observed({ status: { router }, routes, afterMs })).router;
    assert.deepEqual(at(seen()), router);
    assert.equal(at(seen({ left: 1 }))?.lastAudit, "2026-11-24T10:00:00Z");
    assert.equal(at(seen({ atMs: NOW_MS + 300_000 }), 300_000)?.lastAudit, "2026-11-24T10:05:00Z");
    assert.deepEqual(routerFigures(observed({ status: { router } })).router, router, "a new operator keeps it");
  });
});
