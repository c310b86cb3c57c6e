// SPDX-License-Identifier: Apache-2.0
import type { FaultClass } from "../checker/history.ts";
import type { Limits } from "./report.ts";
import type { LiveSite } from "./site.ts";

/** What a scenario works with, while people chat. */
export interface Stage {
  site: LiveSite;
  /** Tells people what happens. */
  say(text: string): void;
  /** Does something to the system; the histories say when it began and was over. */
  fault(what: string, action: () => Promise<void>, faultClass?: FaultClass): Promise<void>;
}

/** One thing that happens to a fleet. It begins and ends with the fleet as `make e2e-operator` prepares it. */
export interface Scenario {
  name: string;
  limits: Limits;
  /** What has to be so before it begins. */
  ready?(site: LiveSite): Promise<void>;
  /** @throws Error when the operator did not do what it should */
  run(stage: Stage): Promise<void>;
  /** It is played on a fleet of its own, which may go. */
  isOfSecondFleet?: true;
}

/** The scenarios that are named, in their own order; all without a name. @throws RangeError for a name that is none */
export function pickScenarios(all: readonly Scenario[], names: string | undefined): Scenario[] {
  const wanted = (names ?? "").split(",").filter((name) => name !== "");
  const unknown = wanted.find((name) => !all.some((scenario) => scenario.name === name));
  if (unknown !== undefined)
    throw new RangeError(`no scenario ${unknown}: one of ${all.map(({ name }) => name).join(", ")}`);
  return wanted.length === 0 ? [...all] : all.filter(({ name }) => wanted.includes(name));
}

/** Fails the scenario unless it holds. */
export function must(isTrue: boolean, what: string): asserts isTrue {
  if (!isTrue) throw new Error(what);
}
