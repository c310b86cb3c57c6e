// SPDX-License-Identifier: Apache-2.0
// What gets through on the running cluster, beside what the policies say.
import { setTimeout as sleep } from "node:timers/promises";
import { LABEL } from "../../operator/imcluster/names.ts";
import { eventually } from "../cluster/real-cluster.ts";
import { type Check, check } from "../security/checks.ts";
import { type Cell, cellsOf, describeDiffering, differing, expectedOf, mixedUp } from "./cells.ts";
import { policiesIn, type Scene } from "./scene.ts";
import type { Spot } from "./spots.ts";
import type { Stations } from "./stations.ts";

const MINUTE_MS = 60_000;
/** The enforcer takes a moment to hear of a policy, and the machine may be busy. */
const HOLD_TIMEOUT_MS = 90_000;
/** With a second look, a connection that was only slow is open. */
const LOOK_AGAIN_MS = 1000;
const METRICS_PORT = 9090;
/** Three entries, two logics, extlogic and two operators. */
const SCRAPED = 8;

export interface Looked {
  checks: Check[];
  cells: number;
  open: number;
  /** Open only because kube-router mixes the directions of a policy. */
  mixed: number;
}

/** Looks until all is as the policies of the API server say, or the time is up: then it is a finding. @param wanted how many policies there are */
export async function compare(what: string, scene: Scene, stations: Stations, wanted: number): Promise<Looked> {
  const cells = cellsOf(stations.spots);
  const policies = await eventually("the policies are there", MINUTE_MS, async () => {
    const found = await policiesIn(scene);
    return found.length === wanted ? found : undefined;
  });
  const expected = expectedOf(policies, cells);
  const mixed = mixedUp(policies, cells);
  for (const index of mixed) expected[index] = true;
  const seen = await lookUntil(stations, cells, expected);
  const open = seen.filter(Boolean).length;
  const fine = `${cells.length} pairs and ports, ${open} open, ${cells.length - open} closed; ${mixed.length} only because kube-router mixes directions`;
  const canFail = wanted === 0 ? open === cells.length : open > 0 && open < cells.length;
  const checks = [
    check(
      `${what}: as the evaluator says`,
      "high",
      describeDiffering(cells, expected, differing(seen, expected)),
      fine,
    ),
    check(`${what}: the look can fail`, "high", canFail ? undefined : fine),
  ];
  return { checks, cells: cells.length, open, mixed: mixed.length };
}

/** Cells that differ are looked at again; at the end all of them, so that none is right only for a while. */
async function lookUntil(
  stations: Stations,
  cells: readonly Cell[],
  expected: readonly boolean[],
): Promise<readonly boolean[]> {
  const deadlineMs = performance.now() + HOLD_TIMEOUT_MS;
  let seen = await stations.look(cells);
  let wasWrong = false;
  for (;;) {
    const wrong = differing(seen, expected);
    if (performance.now() > deadlineMs || (wrong.length === 0 && !wasWrong)) return seen;
    wasWrong = wrong.length > 0;
    if (!wasWrong) continue;
    await sleep(LOOK_AGAIN_MS);
    const again = await stations.look(wrong.flatMap((index) => cells[index] ?? []));
    const mended = new Map(wrong.map((index, at) => [index, again[at] ?? false]));
    const isRight = [...mended].every(([index, isOpen]) => isOpen === expected[index]);
    seen = isRight ? await stations.look(cells) : seen.map((isOpen, index) => mended.get(index) ?? isOpen);
  }
}

/** Prometheus reads the figures of all, and its neighbour does not. */
export async function scrape(stations: Stations): Promise<Check[]> {
  const named = (name: string): Spot | undefined => stations.spots.find((spot) => spot.name === name);
  const ours = stations.spots.filter(({ place: { labels = {} }, isOurs }) => {
    const component = labels[LABEL.component] ?? "";
    return isOurs && ["entry", "logic", "extlogic", "operator"].includes(component);
  });
  const get = async (from: string, to: Spot): Promise<string> => {
    const spot = named(from);
    return spot ? await stations.get(spot, `http://${to.place.ip}:${METRICS_PORT}/metrics`) : `there is no ${from}`;
  };
  const faults: string[] = [];
  for (const spot of ours) {
    const answer = await get("monitoring/prometheus", spot);
    if (answer !== "200") faults.push(`${spot.name}: ${answer}`);
    if ((await get("monitoring/prometheus-neighbour", spot)) === "200") faults.push(`${spot.name} tells everybody`);
  }
  const fine = `${ours.length} pods`;
  return [
    check("metrics: Prometheus reads them, its neighbour does not", "high", faults.join("; "), fine),
    check("metrics: of all components", "high", ours.length >= SCRAPED ? undefined : fine, fine),
  ];
}
