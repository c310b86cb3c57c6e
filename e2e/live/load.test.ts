// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { addWindows } from "./load.ts";
import type { LoadWindow } from "./load-crowd.ts";
import { countDifferences } from "./run.ts";

const window = (n: number): LoadWindow => ({
  ...{ clients: n, acked: n, lost: n, duplicated: n, reordered: n, otherViolations: n, reconnects: n },
  reconnectsPerClientMax: n,
  offlineMs: [n],
  sessions: Array.from({ length: n }, (_, at) => ({ uid: `u${n}.${at}`, slot: "mobile", session: `pod.1/${at}` })),
  violations: [{ check: "C1", kind: "not shown", message: `m${n}` }],
  trail: [`open ${n}`],
});

describe("windows of several processes", () => {
  it("add up; the most that one client reconnected is the most of all", () => {
    const sum = addWindows([window(2), window(3)]);
    assert.deepEqual(
      [sum.clients, sum.acked, sum.lost, sum.duplicated, sum.reordered, sum.otherViolations, sum.reconnects],
      [5, 5, 5, 5, 5, 5, 5],
    );
    assert.deepEqual([sum.reconnectsPerClientMax, sum.offlineMs, sum.trail], [3, [2, 3], ["open 3"]]);
    assert.deepEqual(
      sum.sessions.map(({ uid }) => uid),
      ["u2.0", "u2.1", "u3.0", "u3.1", "u3.2"],
    );
    assert.deepEqual(
      sum.violations.map(({ message }) => message),
      ["m2", "m3"],
    );
  });

  it("tell the trail of a client that is not back, before that of the one that reconnected most", () => {
    const short = { ...window(2), sessions: [] };
    assert.deepEqual(addWindows([window(3), short]).trail, ["open 2"]);
  });

  it("are nothing without a process", () => {
    const { clients, reconnectsPerClientMax, sessions } = addWindows([]);
    assert.deepEqual([clients, reconnectsPerClientMax, sessions], [0, 0, []]);
  });
});

describe("routes and sessions", () => {
  const at = (uid: string, session: string): { uid: string; session: string } => ({ uid, session });

  it("differ by sessions without a route and routes without a session", () => {
    const sessions = [at("a", "p.1/1"), at("b", "p.1/2")];
    assert.equal(countDifferences(sessions, sessions), 0);
    assert.equal(countDifferences(sessions, [at("a", "p.1/1")]), 1);
    assert.equal(countDifferences(sessions, [at("a", "p.1/1"), at("b", "p.1/9")]), 2);
    assert.equal(countDifferences(sessions, [...sessions, at("b", "p.1/9")]), 1);
  });

  it("leave other people's routes out", () => {
    assert.equal(countDifferences([at("a", "p.1/1")], [at("a", "p.1/1"), at("probe-a", "p.1/7")]), 0);
  });
});
