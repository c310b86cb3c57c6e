// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ConditionStatus, ImCluster, ImClusterStatus } from "../../operator/api/v1alpha1.ts";
import type { KubeEvent } from "../../operator/kube/types.ts";
import { PLAIN, paintOf } from "../text.ts";
import { statusData } from "./status.ts";
import { type StatusFacts, statusText } from "./status-view.ts";

const NOW_MS = Date.parse("2026-11-26T12:00:00Z");
const DAY_MS = 86_400_000;

const condition = (type: string, status: "True" | "False", reason: string, message: string): ConditionStatus => ({
  ...{ type, status, reason, message },
  lastTransitionTime: "2026-11-26T11:48:00Z",
});

const CALM: ImClusterStatus = {
  observedGeneration: 4,
  phase: "Ready",
  phaseReason: "all 3 entries and 2 logic pods are ready",
  version: "0.1.0",
  image: "registry.example/imcluster:0.1.0",
  addresses: ["192.0.2.10"],
  entry: {
    replicas: 3,
    ready: 3,
    draining: 0,
    updated: 3,
    summary: "3/3",
    sessions: 281_344,
    currentRevision: "a1b2c3",
  },
  logic: { replicas: 2, ready: 2, summary: "2/2" },
  extlogic: { replicas: 1, ready: 1, summary: "1/1" },
  pods: ["f9k2x", "m3n4p", "q7r8s"].map((suffix, at) => ({
    ...{ uid: `u${at}`, name: `demo-entry-${suffix}`, node: `node${(at % 2) + 1}`, revision: "a1b2c3" },
    ...{ state: "Ready", sessions: 93_781 + at, restarts: 0 },
  })),
  drains: [],
  conditions: [
    condition("Ready", "True", "Serving", "serves"),
    condition("Progressing", "False", "Complete", "everything is as wanted"),
    condition("Degraded", "False", "AsWanted", "nothing is wrong"),
    condition("EntriesReady", "True", "AllReady", "3 of 3"),
    condition("Paused", "False", "NotPaused", "spec.paused is false"),
  ],
};

function facts(status: ImClusterStatus | undefined, over: Partial<StatusFacts> = {}): StatusFacts {
  const metadata = { name: "demo", namespace: "shop", generation: 4, creationTimestamp: "2026-11-23T12:00:00Z" };
  return {
    cluster: { metadata, status } as unknown as ImCluster,
    certificate: { secret: "demo-tls", notAfterMs: NOW_MS + 364 * DAY_MS, names: ["demo.imcluster.local"] },
    warnings: [],
    nowMs: NOW_MS,
    ...over,
  };
}

/** Escape sequences as text. */
const visible = (text: string): string => text.replaceAll("\u001b", "~");

describe("statusText", () => {
  it("shows a calm fleet in one screen", () => {
    assert.equal(
      statusText(facts(CALM), PLAIN),
      `ImCluster shop/demo  Ready: all 3 entries and 2 logic pods are ready
Version      0.1.0, image registry.example/imcluster:0.1.0, made 3d ago
Address      192.0.2.10 (443, and 80 leads there)
Certificate  ends in 364d (2027-11-25), Secret demo-tls
Entries      3/3 ready, 281,344 sessions, revision a1b2c3
Logic        2/2 ready, extlogic 1/1 ready

In order: Ready, not Progressing, not Degraded, EntriesReady, not Paused

ENTRY             STATE  SESSIONS  NODE   REVISION  RESTARTS  NOTE
demo-entry-f9k2x  Ready    93,781  node1  a1b2c3           0
demo-entry-m3n4p  Ready    93,782  node2  a1b2c3           0
demo-entry-q7r8s  Ready    93,783  node1  a1b2c3           0
`,
    );
  });

  it("shows drains with progress, rate and ETA, what is not in order, the plan and warnings", () => {
    const busy = {
      ...CALM,
      observedGeneration: 3,
      phase: "Updating",
      phaseReason: "1 of 3 entries are of revision d4e5f6",
      entry: { ...CALM.entry, draining: 1, updated: 1, currentRevision: "d4e5f6" },
      pods: [
        {
          uid: "u0",
          name: "demo-entry-f9k2x",
          state: "Draining",
          sessions: 18_200,
          restarts: 2,
          message: "slow to leave",
        },
      ],
      plan: {
        changes: ["x"],
        sessionsAffected: 120_000,
        estimatedSeconds: 660,
        peakReconnectsPerSecond: 640,
        needsApproval: true,
      },
      drains: [
        {
          ...{
            id: "d2",
            pod: "demo-entry-f9k2x",
            reason: "Update",
            phase: "Draining",
            startedAt: "2026-11-26T11:59:00Z",
          },
          ...{
            deadline: "2026-11-26T12:00:30Z",
            remaining: 18_200,
            initial: 50_000,
            ratePerSecond: 350,
            etaSeconds: 92,
          },
        },
        { id: "d3", pod: "demo-entry-zzzzz", reason: "Update", phase: "Cordoned", deadline: "2026-11-26T12:00:10Z" },
        {
          ...{
            id: "d1",
            pod: "demo-entry-old00",
            reason: "Update",
            phase: "Released",
            startedAt: "2026-11-26T11:50:00Z",
          },
          ...{ finishedAt: "2026-11-26T11:51:30Z", returned: 49_000, forced: 3 },
        },
      ],
      conditions: [
        condition("Ready", "True", "Serving", "serves"),
        condition("Progressing", "True", "Working", "1 of 3 entries are up to date"),
        condition("LogicReady", "False", "NotReady", "0 of 2\nlogic pods are ready"),
      ],
    };
    const warning = {
      metadata: { name: "e" },
      eventTime: "2026-11-26T11:58:00.000000Z",
      type: "Warning",
      reason: "EntryFailed",
      regarding: { kind: "ImCluster", name: "demo" },
      note: "demo-entry-f9k2x is gone",
    } as KubeEvent;
    const text = statusText(facts(busy as ImClusterStatus, { warnings: [warning] }), PLAIN);
    assert.equal(
      text,
      `ImCluster shop/demo  Updating: 1 of 3 entries are of revision d4e5f6
The operator has not looked at the last edit yet.
Version      0.1.0, image registry.example/imcluster:0.1.0, made 3d ago
Address      192.0.2.10 (443, and 80 leads there)
Certificate  ends in 364d (2027-11-25), Secret demo-tls
Entries      3/3 ready, 1 leaving, 1 up to date, 281,344 sessions, revision d4e5f6
Logic        2/2 ready, extlogic 1/1 ready
Plan         120,000 sessions will reconnect, about 11m, at most 640/s, waits for approval

CONDITION    STATUS  SINCE  MESSAGE
Progressing  True    12m    Working: 1 of 3 entries are up to date
LogicReady   False   12m    NotReady: 0 of 2 logic pods are ready
In order: Ready

ENTRY             STATE     SESSIONS  NODE  REVISION  RESTARTS  NOTE
demo-entry-f9k2x  Draining    18,200  -     -                2  slow to leave

DRAIN OF          REASON  PHASE       LEFT  PROGRESS         RATE  ETA
demo-entry-f9k2x  Update  Draining  18,200  ######.... 63%  350/s  about 1m32s
demo-entry-zzzzz  Update  Cordoned       ?                         this phase at most 10s
Last drain: demo-entry-old00 (Update), 8m30s ago: took 1m30s, 49,000 came back elsewhere, 3 were cut

AGO  WARNING ABOUT   REASON       NOTE
 2m  ImCluster/demo  EntryFailed  demo-entry-f9k2x is gone
`,
    );
  });

  it("says what it does not know", () => {
    const text = statusText(
      facts(undefined, {
        certificate: { secret: "demo-tls", problem: 'secrets "demo-tls" is forbidden' },
        warnings: "events is forbidden",
      }),
      PLAIN,
    );
    assert.equal(
      text,
      `ImCluster shop/demo  Pending: no operator has looked at it yet
The operator has not looked at the last edit yet.
Version      unknown, image unknown, made 3d ago
Address      none yet
Certificate  unknown: secrets "demo-tls" is forbidden
Entries      unknown
Logic        ? ready, extlogic ? ready

Events: events is forbidden
`,
    );
  });

  it("stays one screen, whatever there is", () => {
    const pods = Array.from({ length: 50 }, (_, at) => ({
      uid: `u${at}`,
      name: `demo-entry-${at}`,
      state: "Ready",
      restarts: 0,
    }));
    const drains = pods.map(({ name, uid }) => ({ id: uid, pod: name, phase: "Draining", remaining: 1 }));
    const text = statusText(facts({ ...CALM, pods, drains }), PLAIN);
    assert.ok(text.split("\n").length <= 40, text);
    assert.match(text, /\.\.\. and 36 more: -o json shows all/);
    assert.match(text, /\.\.\. and 45 more: -o json shows all/);
  });

  it("marks what needs a look, and a certificate that ends", () => {
    const paint = paintOf(true);
    const certificate = (days: number) => {
      const text = statusText(
        facts(CALM, { certificate: { secret: "s", notAfterMs: NOW_MS + days * DAY_MS, names: [] } }),
        paint,
      );
      return text.split("\n").find((line) => line.startsWith("Certificate")) ?? "";
    };
    assert.equal(certificate(15), "Certificate  ends in 15d (2026-12-11), Secret s");
    assert.match(visible(certificate(13)), /^Certificate {2}~\[33mends in 13d/);
    assert.match(visible(certificate(2)), /^Certificate {2}~\[31mends in 2d/);
    assert.match(visible(certificate(-2)), /^Certificate {2}~\[31mended 2d ago/);
    const text = statusText(facts({ ...CALM, phase: "Degraded" }), paint);
    assert.match(visible(text), /~\[31mDegraded~\[0m: /);
    assert.match(visible(text), /~\[32mReady~\[0m/);
  });
});

describe("statusData", () => {
  it("is the status with what the status does not have", () => {
    const data = statusData(facts(CALM, { warnings: "no right" })) as Record<string, unknown>;
    assert.deepEqual([data.namespace, data.name, data.phase], ["shop", "demo", "Ready"]);
    assert.deepEqual(data.certificate, {
      secret: "demo-tls",
      notAfter: "2027-11-25T12:00:00.000Z",
      names: ["demo.imcluster.local"],
    });
    assert.deepEqual(data.warnings, { problem: "no right" });
  });
});
