// SPDX-License-Identifier: Apache-2.0
// Pairs at ports: what the policies say of them, what was seen, and where both differ. Pure.
import { type Flow, letsThrough, mayEnter, mayLeave, selects } from "../../operator/imcluster/testing/network-judge.ts";
import { TCP_PORTS } from "../../operator/imcluster/testing/network-world.ts";
import type { NetworkPolicy } from "../../operator/kube/types.ts";
import type { Target } from "./probe.ts";
import type { Spot } from "./spots.ts";

export const UDP_PORTS = [53];
/** Those that something of the machine's own may hold: nobody is asked there. */
const OUTSIDE_PORTS = [443, 5432, 8080];

export interface Cell {
  from: Spot;
  to: Spot;
  target: Target;
}

export function portsOf(spot: Spot): { tcp: readonly number[]; udp: readonly number[] } {
  return { tcp: spot.node === undefined ? OUTSIDE_PORTS : TCP_PORTS, udp: UDP_PORTS };
}

/** All pairs of which one end is ours, at every port of the other end. */
export function cellsOf(spots: readonly Spot[]): Cell[] {
  return spots.flatMap((from) =>
    spots
      .filter((to) => from !== to && (from.isOurs || to.isOurs))
      .flatMap((to) => {
        const { tcp, udp } = portsOf(to);
        const target = (port: number, protocol: "TCP" | "UDP"): Cell => ({
          ...{ from, to },
          target: { ip: to.place.ip, port, protocol },
        });
        return [...tcp.map((port) => target(port, "TCP")), ...udp.map((port) => target(port, "UDP"))];
      }),
  );
}

/** What policies let through. None at all: everything. */
export function expectedOf(policies: readonly NetworkPolicy[], cells: readonly Cell[]): boolean[] {
  return cells.map((cell) => letsThrough(policies, flowOf(cell)));
}

/**
 * Indexes of cells that kube-router opens although the API says that they are closed. It has one chain for both directions of a policy: where one policy
 * chooses both ends, what it lets in may also leave, and the other way round.
 */
export function mixedUp(policies: readonly NetworkPolicy[], cells: readonly Cell[]): number[] {
  return cells.flatMap((cell, index) => {
    const flow = flowOf(cell);
    const isMixed = policies.some(
      (policy) => choosesBoth(policy, cell) && (mayLeave([policy], flow) || mayEnter([policy], flow)),
    );
    return isMixed && !letsThrough(policies, flow) ? [index] : [];
  });
}

function choosesBoth({ metadata, spec }: NetworkPolicy, { from, to }: Cell): boolean {
  const isChosen = ({ place: { namespace, labels = {} } }: Spot): boolean =>
    namespace === metadata.namespace && selects(spec.podSelector, labels);
  return spec.policyTypes?.length === 2 && isChosen(from) && isChosen(to);
}

const flowOf = ({ from, to, target: { port, protocol } }: Cell): Flow => ({
  ...{ from: from.place, to: to.place, port, protocol },
});

export const nameOf = ({ from, to, target: { port, protocol } }: Cell): string =>
  `${from.name} > ${to.name}:${port}${protocol === "UDP" ? "/udp" : ""}`;

/** Indexes of cells that were seen as they should not be. */
export function differing(seen: readonly boolean[], expected: readonly boolean[]): number[] {
  return expected.flatMap((isOpen, index) => (seen[index] === isOpen ? [] : [index]));
}

/** Differences in words, at most `limit` of them. */
export function describeDiffering(
  cells: readonly Cell[],
  expected: readonly boolean[],
  indexes: readonly number[],
  limit = 12,
): string {
  const lines = indexes.slice(0, limit).flatMap((index) => {
    const cell = cells[index];
    return cell ? [`${nameOf(cell)} ${expected[index] ? "is closed" : "is open"}`] : [];
  });
  return [...lines, ...(indexes.length > limit ? [`${indexes.length - limit} more`] : [])].join("; ");
}
