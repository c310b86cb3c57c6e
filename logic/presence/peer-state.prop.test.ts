// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { Presence } from "#proto/gen/messages.ts";
import { HIDDEN, nextState, type PeerState, peerPresence } from "./peer-state.ts";

const platforms = fc.uniqueArray(fc.constantFrom<string>("desktop", "mini", "mobile", "web")).map((all) => all.sort());
const looks = fc.array(fc.record({ platforms, mayLeave: fc.boolean() }), { maxLength: 30 });

it("whoever is online is shown, whoever is shown was online at one of the last two looks that count", () => {
  fc.assert(
    fc.property(looks, (all) => {
      let state: PeerState = HIDDEN;
      all.forEach((look, at) => {
        const before = state;
        state = nextState(before, { platforms: look.platforms, incarnations: [] }, { ...look, nowMs: at + 1 });
        for (const platform of look.platforms) assert.ok(state.platforms.includes(platform));
        for (const platform of state.platforms)
          assert.ok(look.platforms.includes(platform) || (before.platforms.includes(platform) && state.isSuspect));
        assert.deepEqual(state.platforms, [...new Set(state.platforms)].sort());
        assert.ok(state.lastSeenMs >= before.lastSeenMs);
      });
      const last = all.at(-1);
      if (!last) return;
      const rules = { mayLeave: true, nowMs: 100 };
      const settle = (): PeerState => nextState(state, { platforms: last.platforms, incarnations: [] }, rules);
      state = settle();
      state = settle();
      assert.deepEqual(state.platforms, last.platforms, "two looks tell the truth");
    }),
  );
});

it("bodies encoded one by one are one body, byte after byte", () => {
  const peer = fc
    .record({ userId: fc.string({ minLength: 1, maxLength: 64 }), platforms, lastSeenMs: fc.nat() })
    .map(({ userId, ...state }) => peerPresence(userId, { ...state, isSuspect: false }));
  fc.assert(
    fc.property(fc.array(peer, { maxLength: 20 }), (peers) => {
      const parts = peers.map((one) => Presence.encode({ peers: [one] }));
      assert.deepEqual(Presence.decode(Buffer.concat(parts)), Presence.decode(Presence.encode({ peers })));
      assert.deepEqual(Presence.decode(Buffer.concat(parts)).peers, peers);
    }),
  );
});
