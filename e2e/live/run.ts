// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from "node:timers/promises";
import { type FaultClass, monotonicMs } from "../checker/history.ts";
import type { Load } from "./load.ts";
import { quantileMs } from "./moves.ts";
import { ENTRIES, PACE } from "./pace.ts";
import { judge, type ScenarioFigures } from "./report.ts";
import type { Scenario, Stage } from "./scenario.ts";
import type { LiveSite } from "./site.ts";

/** Undisturbed chat before and after what happens. */
const QUIET_MS = 5000;
const SETTLE_MS = 120_000;
/** Leases of the dead run out, purges end, audits come once a minute. */
const ROUTES_TIMEOUT_MS = 75_000;
const TRAIL_STEPS = 30;
const ROUTES_POLL_MS = 2000;

/** Gives the demo its pace, and Redis a place beside PostgreSQL, so that the other node can be taken away. */
export async function prepare(site: LiveSite): Promise<void> {
  // What a run that was broken off may have left.
  const update = { strategy: "BlueGreen", batch: null, canary: null };
  await site.patch({ image: null, entry: { ...PACE, replicas: ENTRIES, update, resources: null } });
  await site.gatherStores();
  await site.settled("the fleet is prepared");
}

/** Plays scenarios one after the other under the same clients. */
export class LiveRun {
  readonly #site: LiveSite;
  readonly #load: Load;
  readonly #signal: AbortSignal;

  constructor(site: LiveSite, load: Load, signal: AbortSignal) {
    this.#site = site;
    this.#load = load;
    this.#signal = signal;
  }

  /** Resolves also when it falls short. @throws when load or cluster cannot be read any more */
  async play(scenario: Scenario): Promise<ScenarioFigures> {
    const startedMs = performance.now();
    const stage = this.#stage(scenario.name);
    const unready = await this.#attempt(async () => await scenario.ready?.(this.#site));
    stage.say("begins");
    await this.#load.start();
    await sleep(QUIET_MS);
    const fault = unready ?? (await this.#attempt(() => scenario.run(stage)));
    await sleep(QUIET_MS);
    const window = await this.#load.settle(SETTLE_MS);
    const { ghosts, wrong } = await this.#routes(window.sessions);
    for (const violation of window.violations) stage.say(JSON.stringify(violation));
    const isAway = window.sessions.length < window.clients;
    if (isAway || window.reconnectsPerClientMax > scenario.limits.reconnectsPerClient)
      for (const step of window.trail.slice(0, TRAIL_STEPS)) stage.say(`a client: ${step}`);
    const { sessions, offlineMs, violations: _violations, trail: _trail, ...counts } = window;
    const figures = judge(
      {
        scenario: scenario.name,
        ...counts,
        sessions: sessions.length,
        offlineP99Ms: quantileMs(offlineMs, 0.99),
        ghostRoutes: ghosts,
        wrongRoutes: wrong,
        seconds: Math.round((performance.now() - startedMs) / 100) / 10,
      },
      scenario.limits,
      fault,
    );
    stage.say(figures.ok ? "ok" : `falls short: ${figures.shortfalls.join("; ")}`);
    return figures;
  }

  #stage(name: string): Stage {
    const say = (text: string): void => this.#site.context.progress.line(`${name}: ${text}`);
    return {
      site: this.#site,
      say,
      fault: async (what, action, faultClass: FaultClass = "component") => {
        say(what);
        const atMs = monotonicMs();
        try {
          await action();
        } finally {
          await this.#load.note({ what, atMs, untilMs: monotonicMs(), faultClass });
        }
      },
    };
  }

  /** What went wrong; undefined when nothing did. */
  async #attempt(action: () => Promise<void>): Promise<string | undefined> {
    try {
      await action();
      return undefined;
    } catch (error) {
      this.#signal.throwIfAborted();
      this.#site.context.progress.line(String(error));
      return error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
    }
  }

  /** Routes that lead nowhere, and how routes and sessions differ, when there was time to clear them away. */
  async #routes(sessions: readonly { uid: string; session: string }[]): Promise<{ ghosts: number; wrong: number }> {
    const deadlineMs = performance.now() + ROUTES_TIMEOUT_MS;
    for (;;) {
      const found = await this.#site.routes();
      const result = { ghosts: found.ghosts, wrong: countDifferences(sessions, found.live) };
      if ((result.ghosts === 0 && result.wrong === 0) || performance.now() > deadlineMs) return result;
      await sleep(ROUTES_POLL_MS);
    }
  }
}

interface Session {
  uid: string;
  session: string;
}

/** Sessions without their route, and routes of the same users without their session. Pure. */
export function countDifferences(sessions: readonly Session[], routes: readonly Session[]): number {
  const keyOf = ({ uid, session }: Session): string => `${uid} ${session}`;
  const users = new Set(sessions.map(({ uid }) => uid));
  const routed = new Set(routes.filter(({ uid }) => users.has(uid)).map(keyOf));
  const missing = sessions.filter((one) => !routed.has(keyOf(one))).length;
  return missing + (routed.size - (sessions.length - missing));
}
