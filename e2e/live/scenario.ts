// SPDX-License-Identifier: Apache-2.0
import { namedOf } from "../../scripts/cluster/arguments.ts";
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

/** The scenarios that are named, in their own order; all without a name. @throws {ClusterFault} for a name that is none */
export function pickScenarios(all: readonly Scenario[], names: string | undefined): Scenario[] {
  return namedOf("SCENARIO", names, all);
}

/** Fails the scenario unless it holds. */
export function must(isTrue: boolean, what: string): asserts isTrue {
  if (!isTrue) throw new Error(what);
}
