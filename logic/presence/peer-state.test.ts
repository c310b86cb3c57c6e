// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HIDDEN, isVisibleChange, nextState, type PeerLook, type PeerState, peerPresence } from "./peer-state.ts";

const look = (...platforms: string[]): PeerLook => ({ platforms, incarnations: [] });
const state = (...platforms: string[]): PeerState => ({ platforms, lastSeenMs: 7, isSuspect: false });
const NOW = { mayLeave: true, nowMs: 1000 };

describe("the state of a peer", () => {
  it("believes at once who comes", () => {
    assert.deepEqual(nextState(state(), look("web"), NOW), state("web"));
    assert.deepEqual(nextState(state("web"), look("mobile", "web"), NOW), state("mobile", "web"));
  });

  it("believes who is missing with the second look in a row", () => {
    const first = nextState(state("web"), look(), NOW);
    assert.deepEqual(first, { platforms: ["web"], lastSeenMs: 7, isSuspect: true });
    assert.equal(isVisibleChange(state("web"), first), false);
    const second = nextState(first, look(), { ...NOW, nowMs: 1400 });
    assert.deepEqual(second, { platforms: [], lastSeenMs: 1400, isSuspect: false });
    assert.equal(isVisibleChange(first, second), true);
  });

  it("forgets the suspicion when a look finds everybody", () => {
    const first = nextState(state("web"), look(), NOW);
    const back = nextState(first, look("web"), NOW);
    assert.deepEqual(back, state("web"));
    assert.equal(nextState(back, look(), NOW).isSuspect, true);
  });

  it("shows who came at the same time as somebody is missing", () => {
    const first = nextState(state("web"), look("mobile"), NOW);
    assert.deepEqual(first, { platforms: ["mobile", "web"], lastSeenMs: 7, isSuspect: true });
    const second = nextState(first, look("mobile"), NOW);
    assert.deepEqual(second, { platforms: ["mobile"], lastSeenMs: 7, isSuspect: false });
  });

  it("calls nobody offline while that is not allowed", () => {
    let held = state("web");
    for (let looks = 0; looks < 5; looks++) held = nextState(held, look(), { ...NOW, mayLeave: false });
    assert.deepEqual(held.platforms, ["web"]);
    assert.deepEqual(nextState(held, look(), NOW).platforms, [], "one look is enough then");
  });

  it("travels with a time only while offline", () => {
    assert.deepEqual(peerPresence("bob", state("web")), {
      ...{ userId: "bob", online: true, platforms: ["web"], lastSeenMs: 0 },
    });
    assert.deepEqual(peerPresence("bob", state()), { userId: "bob", online: false, platforms: [], lastSeenMs: 7 });
    assert.deepEqual(peerPresence("bob", HIDDEN), { userId: "bob", online: false, platforms: [], lastSeenMs: 0 });
  });
});
