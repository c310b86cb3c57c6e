// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkHistory } from "../checker/check-history.ts";
import type { Peer } from "../workload/peer.ts";
import { type HealedOptions, waitHealed } from "./healed.ts";
import type { RouteView } from "./router-view.ts";

function person(uid: string, ...sids: (string | undefined)[]): HealedOptions["people"][number] {
  return { uid, devices: sids.map((sid, i) => ({ sid, slot: i === 0 ? "mobile" : "desktop" }) as Peer) };
}

/** A view whose answers follow each other; the last one stays. */
function view(steps: { routes: RouteView[]; lengths: number[] }[]): HealedOptions["view"] {
  let at = 0;
  const now = () => steps[Math.min(at, steps.length - 1)];
  return {
    routes: async () => {
      const { routes } = now() ?? { routes: [] };
      return routes;
    },
    backlog: async () => {
      const lengths = now()?.lengths ?? [];
      at++;
      return lengths.map((length, i) => ({ name: `q${i}`, length }));
    },
  };
}

const route = (uid: string, session: string): RouteView => ({ uid, slot: "mobile", session });
const quick = { healedAtMs: 0, pollMs: 1 };

describe("waitHealed", () => {
  it("waits until routes are the sessions and queues are empty", async () => {
    const state = await waitHealed({
      ...quick,
      people: [person("a", "e.1/1"), person("b", undefined)],
      view: view([
        { routes: [], lengths: [4] },
        { routes: [route("a", "e.1/1"), route("b", "e.0/7")], lengths: [0] },
        { routes: [route("a", "e.1/1")], lengths: [2] },
        { routes: [route("a", "e.1/1")], lengths: [0] },
      ]),
    });
    assert.deepEqual(state.backlog, [{ name: "q0", earlyLength: 4, lateLength: 0 }]);
    assert.deepEqual(state.routes, state.sessions);
    assert.deepEqual(checkHistory([], { devices: [], healed: state }).violations, []);
  });

  it("gives up after its time with what the checker objects to", async () => {
    const healed = await waitHealed({
      ...quick,
      timeoutMs: 20,
      people: [person("a", "e.1/1", "e.1/2")],
      view: view([{ routes: [route("a", "e.1/1"), route("ghost", "e.0/1")], lengths: [3] }]),
    });
    const { violations } = checkHistory([], { devices: [], healed });
    assert.deepEqual(violations.map(({ check, kind }) => `${check} ${kind}`).sort(), [
      "C13 backlog",
      "C13 ghost route",
      "C13 no route",
    ]);
  });
});
