// SPDX-License-Identifier: Apache-2.0
import { request } from "node:https";
import type { Clock } from "#lib/clock.ts";
import { hostPort } from "#lib/host-port.ts";
import { sleep } from "#lib/sleep.ts";
import { span } from "../text.ts";
import { type DialPorts, type Target, tlsOptions } from "./dial.ts";
import { bad, type Finding, ok, warning } from "./findings.ts";
import type { WatchedSession } from "./session.ts";

/** What the network did with an entry that took no new connections. Times are from the moment at which its pod was not ready. */
export interface CanaryReport {
  pod: string;
  /** When its open connection was cut; undefined: it was open and answered at the end. */
  cutAfterMs: number | undefined;
  /** When the last new connection reached it; undefined: none did. */
  lastArrivalMs: number | undefined;
  arrivals: number;
  /** New connections in all, and those that failed. */
  dials: number;
  failures: number;
  watchedMs: number;
}

const DIAL_PAUSE_MS = 100;
const PING_EVERY_MS = 5_000;
/** Nobody came for so long: nobody comes any more. */
const QUIET_MS = 10_000;
/** The slowest load balancers take five minutes. */
const MAX_WATCH_MS = 360_000;
const MAX_DIAL_MS = 5_000;

/**
 * Dials again and again while the canary is not ready, and looks after the open connection. Every dial asks `/healthz`, which
 * only an entry that takes no connections answers with 503: that is how an arrival is known.
 */
export async function watchCanary(
  pod: string,
  session: WatchedSession,
  target: Target,
  ports: DialPorts,
): Promise<CanaryReport> {
  const { clock, signal } = ports;
  const startedMs = clock.nowMs();
  const sinceMs = (): number => clock.nowMs() - startedMs;
  const report: CanaryReport = {
    ...{ pod, cutAfterMs: undefined, lastArrivalMs: undefined, arrivals: 0, dials: 0, failures: 0, watchedMs: 0 },
  };
  let pingAtMs = PING_EVERY_MS;
  let isAlive = true;
  while (sinceMs() < MAX_WATCH_MS && sinceMs() - (report.lastArrivalMs ?? 0) < QUIET_MS) {
    signal.throwIfAborted();
    const seen = await dialOnce(target, { ...ports, timeoutMs: Math.min(ports.timeoutMs, MAX_DIAL_MS) });
    report.dials++;
    if (seen === "failed") report.failures++;
    if (seen === "canary") {
      report.arrivals++;
      report.lastArrivalMs = sinceMs();
    }
    if (isAlive && sinceMs() >= pingAtMs) {
      isAlive = await session.ping();
      pingAtMs = sinceMs() + PING_EVERY_MS;
    }
    await sleep(ports.clock, DIAL_PAUSE_MS, ports.signal);
  }
  const isOpen = isAlive && (await session.ping());
  const cutAtMs = session.cutAtMs;
  report.watchedMs = sinceMs();
  if (!isOpen) report.cutAfterMs = cutAtMs === undefined ? report.watchedMs : Math.max(0, cutAtMs - startedMs);
  return report;
}

type Seen = "canary" | "other" | "failed";

/** One new connection, and which kind of entry it reached. */
function dialOnce(
  target: Target,
  { clock, timeoutMs, signal }: { clock: Clock; timeoutMs: number; signal: AbortSignal },
): Promise<Seen> {
  return new Promise((resolve) => {
    const headers = { host: hostPort(target.serverName, target.port) };
    const settle = (seen: Seen): void => {
      cancel();
      resolve(seen);
    };
    const sent = request({ ...tlsOptions(target), path: "/healthz", headers, agent: false, signal }, (response) => {
      response.resume();
      settle(response.statusCode === 503 ? "canary" : response.statusCode === 200 ? "other" : "failed");
    });
    const cancel = clock.after(timeoutMs, () => sent.destroy(new Error("late")));
    sent.on("error", () => settle("failed"));
    sent.end();
  });
}

/** What that means for drains. Pure. @param lbDetachMs how long a drain waits before it asks clients to move */
export function canaryFindings(report: CanaryReport, lbDetachMs: number): Finding[] {
  return [cutFinding(report), arrivalFinding(report, lbDetachMs), ...failureFindings(report)];
}

function cutFinding({ pod, cutAfterMs, watchedMs }: CanaryReport): Finding {
  const check = "open connection";
  if (cutAfterMs === undefined)
    return ok(check, `stayed open for the ${span(watchedMs)} in which ${pod} was not ready`);
  return bad(
    check,
    `was cut ${seconds(cutAfterMs)} after ${pod} was not ready`,
    "The network cuts connections of pods that are not ready, so a drain cuts clients before it asks them to move. Cilium without kube-proxy: upgrade it. " +
      "AWS NLB: turn off connection termination of unhealthy targets (target_health_state.unhealthy.connection_termination.enabled=false).",
  );
}

function arrivalFinding({ pod, arrivals, lastArrivalMs, dials }: CanaryReport, lbDetachMs: number): Finding {
  const check = "new connections";
  if (lastArrivalMs === undefined) return ok(check, `none of ${dials} reached ${pod} any more`);
  const text = `${arrivals} of ${dials} still reached ${pod}, the last one ${seconds(lastArrivalMs)} after it was not ready`;
  if (lastArrivalMs <= lbDetachMs) return ok(check, `${text}; drains wait ${seconds(lbDetachMs)} for that`);
  return warning(
    check,
    text,
    `Drains ask clients to move after ${seconds(lbDetachMs)}: set spec.entry.drain.lbDetach to ${Math.ceil(lastArrivalMs / 1000) + 1}s.`,
  );
}

function failureFindings({ failures, dials }: CanaryReport): Finding[] {
  if (failures === 0) return [];
  const remedy =
    "New connections went nowhere while one entry was not ready: look at the load balancer's health checks and at the node proxies.";
  return [bad("new connections", `${failures} of ${dials} failed`, remedy)];
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
