// SPDX-License-Identifier: Apache-2.0
// `make model COST=1`: what one upgrade of 20 entries costs 10,000 clients, by strategy.
import { Random } from "../sim/random.ts";
import { SimCluster } from "./cluster.ts";
import { ModelOperator } from "./operator.ts";
import { isSettled, updateSpec } from "./settled.ts";

const ENTRIES = 20;
const CLIENTS = 10_000;
const MAX_STEPS = 20_000;

export interface UpgradeCost {
  strategy: string;
  /** Per client. */
  reconnectsMean: number;
  reconnectsMax: number;
  /** Clients on the emptiest and the fullest entry afterwards, relative to the mean. */
  loadMin: number;
  loadMax: number;
  entriesMax: number;
  seconds: number;
}

const ROWS = [
  { strategy: "one at a time, old ones stay open", update: { strategy: "Batched", batch: "1" }, isRoomy: false },
  { strategy: "Batched 25 %, no room for all", update: { strategy: "Batched", batch: "25%" }, isRoomy: false },
  { strategy: "Batched 25 %, room for all", update: { strategy: "Batched", batch: "25%" }, isRoomy: true },
  { strategy: "BlueGreen", update: { strategy: "BlueGreen" }, isRoomy: true },
];

/** One upgrade without any fault, per strategy. */
export function upgradeCosts(
  seed: number,
  size: { entries: number; clients: number } = { entries: ENTRIES, clients: CLIENTS },
) {
  return ROWS.map(({ strategy, update, isRoomy }): UpgradeCost => {
    const options = { nodes: 4, capacity: size.entries, clients: size.clients };
    const cluster = new SimCluster(new Random(seed, "cluster"), options);
    const maxConnectionsPerPod = isRoomy ? size.clients : 1;
    const spec = {
      replicas: size.entries,
      revision: "r1",
      approved: undefined,
      update: updateSpec(update),
      maxConnectionsPerPod,
    };
    const operator = new ModelOperator(cluster, new Random(seed, "operator"), spec, () => undefined);
    // The window alone says how fast, as it does for most fleets.
    operator.limits = { ...operator.limits, maxPerSecond: size.clients, minPerSecond: size.clients };
    let entriesMax = 0;
    const settle = (): number => {
      let steps = 0;
      do {
        cluster.step();
        operator.pass();
        entriesMax = Math.max(entriesMax, cluster.pods.size);
      } while (!isSettled(cluster, operator) && steps++ < MAX_STEPS);
      return steps;
    };
    settle();
    // All came while the first entries were alone: spread them as years of coming and going would.
    cluster.spread();
    cluster.forgetMoves();
    spec.revision = "r2";
    const steps = settle();
    const moves = cluster.clients.map((client) => client.moves);
    const loads = [...cluster.pods.values()].map(({ clients }) => clients.size / (size.clients / size.entries));
    return {
      ...{ strategy, entriesMax, seconds: Math.round(steps / 2) },
      reconnectsMean: round(moves.reduce((sum, one) => sum + one, 0) / size.clients),
      ...{ reconnectsMax: Math.max(...moves), loadMin: round(Math.min(...loads)), loadMax: round(Math.max(...loads)) },
    };
  });
}

const round = (value: number) => Math.round(value * 100) / 100;
