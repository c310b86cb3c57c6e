// SPDX-License-Identifier: Apache-2.0
import { rfc3339Seconds } from "../api/conditions.ts";
import type { EntryUpdateSpec, UpdateStatus } from "../api/v1alpha1.ts";
import { type CanaryVerdict, judgeCanary } from "./canary.ts";
import { type CronWindow, isOpen, nextOpeningMs, windowFault } from "./cron-window.ts";
import type { UpdateStage } from "./entry-plan.ts";
import { ANNOTATION } from "./names.ts";
import type { ObservedEntry } from "./observed.ts";
import { durationMs } from "./units.ts";

export interface GateInput {
  update: EntryUpdateSpec;
  replicas: number;
  /** Wanted revision. */
  revision: string;
  entries: readonly ObservedEntry[];
  /** Logic runs the wanted version, so entries may follow. */
  mayRollOut: boolean;
  /** What the status says of the update; that of another revision counts as none. */
  record: UpdateStatus | undefined;
  /** Revision that a person agreed to. */
  approved: string | undefined;
  /** For messages: arguments of kubectl that name the ImCluster. */
  object: string;
  nowMs: number;
}

/** Why an update does not go on: one word for programs, one sentence with the remedy for people. */
export interface Blockade {
  reason: "ApprovalNeeded" | "OutsideWindow" | "CanaryFailed" | "NoRoom";
  message: string;
}

export interface Gate {
  stage: UpdateStage;
  /** What the status has to say now. Whoever acts goes by what it says already, so that a crash in between changes nothing. */
  record: UpdateStatus | undefined;
  blockade: Blockade | undefined;
}

type Phase = "Waiting" | "Canary" | "Soaking" | "RollingOut" | "Aborted";

/** How far the update of the entries may go now. Pure; the clock comes in with the facts. */
export function updateGate(input: GateInput): Gate {
  const { update, revision } = input;
  const isUnderWay = input.entries.some((entry) => !entry.isDead && entry.revision !== revision);
  if (!isUnderWay || update.strategy === "OnDelete")
    return { stage: { kind: "open" }, record: undefined, blockade: undefined };
  const record = input.record?.revision === revision ? input.record : undefined;
  const phase = phaseOf(record, update);
  const gate = atPhase(input, phase, record);
  return input.mayRollOut ? gate : { ...gate, stage: { kind: "hold" }, record };
}

/** Without a canary in the spec, whatever became of one is no matter any more. */
function phaseOf(record: UpdateStatus | undefined, { canary }: EntryUpdateSpec): Phase {
  const phase = (record?.phase ?? "Waiting") as Phase;
  return !canary && phase !== "Waiting" ? "RollingOut" : phase;
}

function atPhase(input: GateInput, phase: Phase, record: UpdateStatus | undefined): Gate {
  switch (phase) {
    case "Waiting":
      return waiting(input, record);
    case "Canary":
    case "Soaking":
      return canary(input, phase, record);
    case "RollingOut":
      return { stage: { kind: "open" }, record: inPhase(input, phase, record), blockade: undefined };
    case "Aborted":
      return {
        stage: { kind: "abort" },
        record: inPhase(input, phase, record, record),
        blockade: { reason: "CanaryFailed", message: record?.message ?? "the canary failed" },
      };
  }
}

function waiting(input: GateInput, record: UpdateStatus | undefined): Gate {
  const blockade = blockadeOf(input);
  if (blockade) return { stage: { kind: "hold" }, record: inPhase(input, "Waiting", record, blockade), blockade };
  const next = inPhase(input, input.update.canary ? "Canary" : "RollingOut", undefined);
  // Nothing that could have said no: no need to wait until it is written down.
  const isFree = !input.update.canary && input.update.approval.mode !== "Manual" && !input.update.windows;
  return { stage: { kind: isFree ? "open" : "hold" }, record: next, blockade: undefined };
}

function blockadeOf(input: GateInput): Blockade | undefined {
  return withoutApproval(input) ?? outsideWindows(input.update.windows ?? [], input.nowMs);
}

function withoutApproval({ update, entries, revision, approved, object }: GateInput): Blockade | undefined {
  const { mode, manualAboveSessions } = update.approval;
  const isSmall = sessionsToMove(entries, revision) <= manualAboveSessions;
  if (mode !== "Manual" || approved === revision || isSmall) return undefined;
  const command = `kubectl annotate ${object} --overwrite ${ANNOTATION.approveUpdate}=${revision}`;
  return { reason: "ApprovalNeeded", message: `the update of the entries waits for approval: ${command}` };
}

function outsideWindows(windows: readonly CronWindow[], nowMs: number): Blockade | undefined {
  if (windows.length === 0 || windows.some((window) => isOpen(window, nowMs))) return undefined;
  const openings = windows.flatMap((window) => nextOpeningMs(window, nowMs) ?? []);
  const faults = windows.flatMap((window) => windowFault(window) ?? []);
  const next = openings.length > 0 ? `it begins at ${rfc3339Seconds(Math.min(...openings))}` : "none ever opens";
  const message = `the update of the entries waits for one of spec.entry.update.windows: ${next}`;
  return { reason: "OutsideWindow", message: [message, ...faults].join("; ") };
}

/** Sessions on pods of other revisions. */
export function sessionsToMove(entries: readonly ObservedEntry[], revision: string): number {
  const old = entries.filter((entry) => !entry.isDead && entry.revision !== revision);
  return old.reduce((sum, { probe }) => sum + (probe?.sessions ?? 0), 0);
}

function canary(input: GateInput, phase: Phase, record: UpdateStatus | undefined): Gate {
  const { update, replicas, nowMs } = input;
  const spec = update.canary;
  const entries = Math.min(spec?.entries ?? 1, replicas);
  const soakMs = durationMs(spec?.soak ?? "0s");
  const stage: UpdateStage = { kind: "canary", entries };
  const verdict = judgeCanary(input.entries, {
    ...{ revision: input.revision, wanted: entries, soakMs, nowMs },
    ...{ startedMs: timeOf(record?.startedAt, nowMs), soakingMs: timeOf(record?.since, nowMs) },
    isSoaking: phase === "Soaking",
    abortOn: spec?.abortOn ?? { ackP99IncreasePercent: 30, reconnectSuccessPercent: 95 },
  });
  return { stage, ...afterVerdict(input, phase, record, verdict) };
}

function afterVerdict(
  input: GateInput,
  phase: Phase,
  record: UpdateStatus | undefined,
  verdict: CanaryVerdict,
): Omit<Gate, "stage"> {
  switch (verdict.kind) {
    case "waits":
      return { record: inPhase(input, "Canary", record), blockade: undefined };
    case "noRoom":
      return { record: inPhase(input, phase, record), blockade: { reason: "NoRoom", message: verdict.message } };
    case "soaks":
      return { record: inPhase(input, "Soaking", record), blockade: undefined };
    case "passed":
      return { record: inPhase(input, "RollingOut", record), blockade: undefined };
    case "failed": {
      const remedy =
        "change the spec (back, or to something better), or take spec.entry.update.canary out to go on with it";
      const message = `the canary of revision ${input.revision} failed: ${verdict.message}; ${remedy}`;
      return {
        record: inPhase(input, "Aborted", record, { reason: "CanaryFailed", message }),
        blockade: { reason: "CanaryFailed", message },
      };
    }
  }
}

function timeOf(text: string | undefined, otherwiseMs: number): number {
  const timeMs = Date.parse(text ?? "");
  return Number.isNaN(timeMs) ? otherwiseMs : timeMs;
}

/** The record in a phase; times of a phase that goes on stay as they are. */
function inPhase(
  { revision, nowMs }: GateInput,
  phase: Phase,
  previous: UpdateStatus | undefined,
  why: { reason?: string; message?: string } = {},
): UpdateStatus {
  const now = rfc3339Seconds(nowMs);
  return {
    revision,
    phase,
    startedAt: previous?.startedAt ?? now,
    since: previous?.phase === phase ? (previous.since ?? now) : now,
    ...(why.reason ? { reason: why.reason } : {}),
    ...(why.message ? { message: why.message.slice(0, 1024) } : {}),
  };
}
