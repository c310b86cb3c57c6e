// SPDX-License-Identifier: Apache-2.0
import type { ConditionStatus, DrainStatus, ImCluster, PlanStatus, PodStatus } from "../../operator/api/v1alpha1.ts";
import type { KubeEvent } from "../../operator/kube/types.ts";
import { ago, type Cell, capped, count, oneLine, type Paint, span, table, wrapped } from "../text.ts";

/** The certificate that clients see; `problem` says why nothing is known of it. */
export type CertificateFacts =
  | { secret: string; notAfterMs: number; names: readonly string[] }
  | { secret: string; problem: string };

/** What a glance shows. */
export interface StatusFacts {
  cluster: ImCluster;
  certificate: CertificateFacts;
  /** Warnings of the last hour, newest first; a sentence when they may not be read. */
  warnings: readonly KubeEvent[] | string;
  nowMs: number;
}

/** Of a screen. */
const WIDTH = 110;
const MAX_PODS = 14;
const MAX_DRAINS = 5;
const MAX_WARNINGS = 3;
const BAR_CELLS = 10;
const DAY_MS = 86_400_000;
const CERTIFICATE_WARN_MS = 14 * DAY_MS;
const CERTIFICATE_BAD_MS = 3 * DAY_MS;
/** In order while they are False. */
const BETTER_FALSE = new Set([
  "Degraded",
  "Progressing",
  "Paused",
  "EmbeddedDatastores",
  "UpdateBlocked",
  "ScalingLimited",
  "Abnormal",
  "Hibernated",
]);

/** The whole text of `status`. Pure. */
export function statusText(facts: StatusFacts, paint: Paint): string {
  const { cluster } = facts;
  const sections = [
    headOf(facts, paint),
    conditionsOf(cluster.status?.conditions ?? [], facts.nowMs, paint),
    podsOf(cluster.status?.pods ?? [], paint),
    drainsOf(cluster.status?.drains ?? [], facts.nowMs, paint),
    warningsOf(facts.warnings, facts.nowMs, paint),
  ];
  return sections.filter((section) => section !== "").join("\n");
}

function headOf({ cluster, certificate, nowMs }: StatusFacts, paint: Paint): string {
  const { metadata, status = {} } = cluster;
  const name = `${metadata.namespace ?? "default"}/${metadata.name}`;
  const phase = status.phase ?? "Pending";
  const reason = status.phaseReason ?? "no operator has looked at it yet";
  const rows: [string, string][] = [
    [
      "Version",
      `${status.version ?? "unknown"}, image ${status.image ?? "unknown"}, made ${ago(metadata.creationTimestamp, nowMs)} ago`,
    ],
    ["Address", addressOf(status.addresses ?? [], paint)],
    ["Certificate", certificateOf(certificate, nowMs, paint)],
    ["Entries", entriesOf(status.entry)],
    ["Logic", `${status.logic?.summary ?? "?"} ready, extlogic ${status.extlogic?.summary ?? "?"} ready`],
    ["Plan", planOf(status.plan)],
  ];
  const lines = rows.filter(([, text]) => text !== "").map(([title, text]) => `${title.padEnd(13)}${text}\n`);
  const isBehind = (status.observedGeneration ?? 0) < (metadata.generation ?? 0);
  const behind = isBehind ? paint.warn("The operator has not looked at the last edit yet.\n") : "";
  return [`${paint.bold(`ImCluster ${name}`)}  ${phasePaint(phase, paint)(phase)}: ${reason}\n`, behind, ...lines].join(
    "",
  );
}

function phasePaint(phase: string, paint: Paint): (text: string) => string {
  if (phase === "Ready") return paint.good;
  return phase === "Degraded" || phase === "Invalid" ? paint.bad : paint.warn;
}

function addressOf(addresses: readonly string[], paint: Paint): string {
  return addresses.length === 0 ? paint.warn("none yet") : `${addresses.join(", ")} (443, and 80 leads there)`;
}

function certificateOf(facts: CertificateFacts, nowMs: number, paint: Paint): string {
  if ("problem" in facts) return paint.warn(`unknown: ${facts.problem}`);
  const leftMs = facts.notAfterMs - nowMs;
  const date = new Date(facts.notAfterMs).toISOString().slice(0, 10);
  const where = `(${date}), Secret ${facts.secret}`;
  if (leftMs <= 0) return paint.bad(`ended ${span(-leftMs)} ago ${where}`);
  const text = `ends in ${span(leftMs)} ${where}`;
  if (leftMs < CERTIFICATE_BAD_MS) return paint.bad(text);
  return leftMs < CERTIFICATE_WARN_MS ? paint.warn(text) : text;
}

function entriesOf(entry: NonNullable<ImCluster["status"]>["entry"]): string {
  if (!entry) return "unknown";
  const draining = entry.draining ? `, ${entry.draining} leaving` : "";
  const updated = entry.updated === entry.replicas ? "" : `, ${entry.updated ?? 0} up to date`;
  return `${entry.summary ?? "?"} ready${draining}${updated}, ${count(entry.sessions ?? 0)} sessions, revision ${entry.currentRevision ?? "?"}`;
}

function planOf(plan: PlanStatus | undefined): string {
  if (!plan) return "";
  const { changes, sessionsAffected, estimatedSeconds, peakReconnectsPerSecond, needsApproval } = plan;
  if (changes.length === 0 && sessionsAffected === 0) return "nothing is to be done";
  const parts = [
    `${count(sessionsAffected)} sessions will reconnect`,
    `about ${span(estimatedSeconds * 1000)}`,
    `at most ${count(peakReconnectsPerSecond)}/s`,
    ...(needsApproval ? ["waits for approval"] : []),
  ];
  return parts.join(", ");
}

function isInOrder({ type, status }: ConditionStatus): boolean {
  return status === (BETTER_FALSE.has(type) ? "False" : "True");
}

function conditionsOf(conditions: readonly ConditionStatus[], nowMs: number, paint: Paint): string {
  if (conditions.length === 0) return "";
  const odd = conditions.filter((condition) => !isInOrder(condition));
  const good = conditions.filter(isInOrder).map(({ type, status }) => (status === "True" ? type : `not ${type}`));
  const rows = odd.map(({ type, status, reason, message, lastTransitionTime }): Cell[] => [
    { text: type, paint: BETTER_FALSE.has(type) && type !== "Degraded" ? paint.warn : paint.bad },
    status,
    ago(lastTransitionTime, nowMs),
    oneLine(`${reason}: ${message}`, WIDTH - 25),
  ]);
  return [
    rows.length > 0 ? table(["CONDITION", "STATUS", "SINCE", "MESSAGE"], rows, paint) : "",
    good.length > 0 ? `${wrapped(`In order: ${good.join(", ")}`, WIDTH).replace("In order", paint.good)}\n` : "",
  ].join("");
}

function podsOf(pods: readonly PodStatus[], paint: Paint): string {
  if (pods.length === 0) return "";
  const { shown, rest } = capped(pods, MAX_PODS);
  const rows = shown.map((pod): Cell[] => [
    pod.name,
    { text: pod.state, paint: statePaint(pod.state, paint) },
    pod.sessions === undefined ? "?" : count(pod.sessions),
    pod.node ?? "-",
    pod.revision ?? "-",
    String(pod.restarts ?? 0),
    oneLine(pod.message ?? "", 60),
  ]);
  return table(["ENTRY", "STATE", ">SESSIONS", "NODE", "REVISION", ">RESTARTS", "NOTE"], rows, paint) + rest;
}

function statePaint(state: string, paint: Paint): (text: string) => string {
  if (state === "Ready") return paint.good;
  return state === "Failed" || state === "NotReady" ? paint.bad : paint.warn;
}

function drainsOf(drains: readonly DrainStatus[], nowMs: number, paint: Paint): string {
  if (drains.length === 0) return "";
  const running = drains.filter(({ phase }) => phase !== "Released");
  const last = drains.find(({ phase }) => phase === "Released");
  const { shown, rest } = capped(running, MAX_DRAINS);
  const rows = shown.map((drain): Cell[] => [
    drain.pod,
    drain.reason ?? "",
    { text: drain.phase, paint: paint.warn },
    drain.remaining === undefined ? "?" : count(drain.remaining),
    progressOf(drain),
    drain.ratePerSecond === undefined ? "" : `${count(drain.ratePerSecond)}/s`,
    etaOf(drain, nowMs),
  ]);
  const headings = ["DRAIN OF", "REASON", "PHASE", ">LEFT", "PROGRESS", ">RATE", "ETA"];
  return [rows.length > 0 ? table(headings, rows, paint) + rest : "", last ? lastDrain(last, nowMs) : ""].join("");
}

function progressOf({ initial, remaining }: DrainStatus): string {
  if (!initial || remaining === undefined) return "";
  const done = Math.min(1, Math.max(0, 1 - remaining / initial));
  const filled = Math.round(done * BAR_CELLS);
  return `${"#".repeat(filled)}${".".repeat(BAR_CELLS - filled)} ${Math.floor(done * 100)}%`;
}

function etaOf({ etaSeconds, deadline }: DrainStatus, nowMs: number): string {
  if (etaSeconds !== undefined) return `about ${span(etaSeconds * 1000)}`;
  const leftMs = Date.parse(deadline ?? "") - nowMs;
  return leftMs > 0 ? `this phase at most ${span(leftMs)}` : "";
}

function lastDrain(drain: DrainStatus, nowMs: number): string {
  const tookMs = Date.parse(drain.finishedAt ?? "") - Date.parse(drain.startedAt ?? "");
  const figures = [
    Number.isNaN(tookMs) ? "" : `took ${span(tookMs)}`,
    drain.returned === undefined ? "" : `${count(drain.returned)} came back elsewhere`,
    drain.forced ? `${count(drain.forced)} were cut` : "",
  ].filter((text) => text !== "");
  const when = drain.finishedAt ? `, ${ago(drain.finishedAt, nowMs)} ago` : "";
  return `Last drain: ${drain.pod} (${drain.reason ?? "?"})${when}${figures.length > 0 ? `: ${figures.join(", ")}` : ""}\n`;
}

function warningsOf(warnings: readonly KubeEvent[] | string, nowMs: number, paint: Paint): string {
  if (typeof warnings === "string") return paint.faint(`Events: ${warnings}\n`);
  if (warnings.length === 0) return "";
  const rows = warnings
    .slice(0, MAX_WARNINGS)
    .map((event): Cell[] => [
      ago(lastSeen(event), nowMs),
      `${event.regarding.kind ?? ""}/${event.regarding.name ?? ""}`,
      { text: event.reason, paint: paint.warn },
      oneLine(event.note ?? "", 90),
    ]);
  return table([">AGO", "WARNING ABOUT", "REASON", "NOTE"], rows, paint);
}

/** When it last happened, RFC 3339. */
export function lastSeen(event: KubeEvent): string {
  return event.series?.lastObservedTime ?? event.eventTime ?? event.metadata.creationTimestamp ?? "";
}
