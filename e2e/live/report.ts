// SPDX-License-Identifier: Apache-2.0

/** The line of one scenario. */
export interface ScenarioFigures {
  scenario: string;
  clients: number;
  /** Messages acknowledged while it ran. */
  acked: number;
  lost: number;
  duplicated: number;
  reordered: number;
  /** Logins after the first one of the client that had most of them. */
  reconnectsPerClientMax: number;
  /** 99 of 100 reconnects: at most so long without a session. */
  offlineP99Ms: number;
  /** Routes in Redis of entries that do not live, at the end. */
  ghostRoutes: number;
  /** Routes of these clients that their sessions do not have, and sessions without a route, at the end. */
  wrongRoutes: number;
  reconnects: number;
  seconds: number;
  /** What fell short, empty when `ok`. */
  shortfalls: string[];
  ok: boolean;
}

/** What a scenario may cost its clients. */
export interface Limits {
  reconnectsPerClient: number;
  offlineP99Ms: number;
}

type Measured = Omit<ScenarioFigures, "shortfalls" | "ok"> & { otherViolations: number; sessions: number };

/** Judges what was measured. `fault`: why the scenario itself did not come to its end. Pure. */
export function judge(measured: Measured, limits: Limits, fault?: string): ScenarioFigures {
  const { otherViolations, sessions, ...figures } = measured;
  const shortfalls: string[] = fault === undefined ? [] : [fault];
  for (const name of ["lost", "duplicated", "reordered", "ghostRoutes", "wrongRoutes"] as const)
    if (figures[name] !== 0) shortfalls.push(`${name}: ${figures[name]}`);
  if (otherViolations !== 0) shortfalls.push(`other checks of the history failed ${otherViolations} times`);
  if (figures.acked === 0) shortfalls.push("nothing was acknowledged");
  if (sessions !== figures.clients) shortfalls.push(`${figures.clients - sessions} clients are not back`);
  if (figures.reconnectsPerClientMax > limits.reconnectsPerClient)
    shortfalls.push(`a client reconnected ${figures.reconnectsPerClientMax} times, not ${limits.reconnectsPerClient}`);
  if (figures.offlineP99Ms > limits.offlineP99Ms)
    shortfalls.push(`offline for ${figures.offlineP99Ms} ms, not ${limits.offlineP99Ms}`);
  return { ...figures, shortfalls, ok: shortfalls.length === 0 };
}

/** The last line: every scenario, and all together. */
export interface TotalFigures {
  scenarios: ScenarioFigures[];
  clients: number;
  acked: number;
  lost: number;
  duplicated: number;
  reordered: number;
  ghostRoutes: number;
  reconnects: number;
  seconds: number;
  failed: string[];
  ok: boolean;
}

/** Pure. Without a scenario nothing is proven, so it is not ok. */
export function totalOf(scenarios: readonly ScenarioFigures[]): TotalFigures {
  const sum = (of: (one: ScenarioFigures) => number): number => scenarios.reduce((total, one) => total + of(one), 0);
  const failed = scenarios.filter(({ ok }) => !ok).map(({ scenario }) => scenario);
  return {
    scenarios: [...scenarios],
    clients: Math.max(0, ...scenarios.map(({ clients }) => clients)),
    acked: sum(({ acked }) => acked),
    lost: sum(({ lost }) => lost),
    duplicated: sum(({ duplicated }) => duplicated),
    reordered: sum(({ reordered }) => reordered),
    ghostRoutes: sum(({ ghostRoutes }) => ghostRoutes),
    reconnects: sum(({ reconnects }) => reconnects),
    seconds: Math.round(sum(({ seconds }) => seconds)),
    failed,
    ok: scenarios.length > 0 && failed.length === 0,
  };
}
