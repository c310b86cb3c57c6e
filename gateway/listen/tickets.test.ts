// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { TICKET_PERIOD_MS, TicketKeys, ticketKeysAt } from "./tickets.ts";

const SECRET = Buffer.from("a private key");

function setup(startMs = 0) {
  const clock = new FakeClock(0, TICKET_PERIOD_MS * 1000 + startMs);
  const changes: Buffer[] = [];
  const state = { secret: SECRET };
  const keys = new TicketKeys({ secret: () => state.secret, clock, onChange: (changed) => changes.push(changed) });
  return { clock, changes, keys, state };
}

describe("keys of session tickets", () => {
  it("are 48 bytes, the same for every entry with that secret in that period, and for no other", () => {
    const at = ticketKeysAt(SECRET, 5 * TICKET_PERIOD_MS);
    assert.equal(at.length, 48);
    assert.deepEqual(ticketKeysAt(Buffer.from(SECRET), 6 * TICKET_PERIOD_MS - 1), at);
    assert.notDeepEqual(ticketKeysAt(SECRET, 6 * TICKET_PERIOD_MS), at);
    assert.notDeepEqual(ticketKeysAt(Buffer.from("another key"), 5 * TICKET_PERIOD_MS), at);
  });

  it("change within a minute of the end of their period, once", () => {
    const { clock, changes, keys } = setup(TICKET_PERIOD_MS - 90_000);
    const first = keys.current;
    clock.advance(89_999);
    assert.equal(changes.length, 0);
    clock.advance(60_000);
    assert.deepEqual(changes, [keys.current]);
    assert.notDeepEqual(keys.current, first);
    clock.advance(TICKET_PERIOD_MS / 2);
    assert.equal(changes.length, 1);
    keys.close();
    assert.equal(clock.pending, 0);
  });

  it("change at once when the secret does and somebody says so", () => {
    const { changes, keys, state } = setup();
    keys.refresh();
    assert.equal(changes.length, 0);
    state.secret = Buffer.from("renewed");
    keys.refresh();
    assert.equal(changes.length, 1);
    keys.close();
  });
});
