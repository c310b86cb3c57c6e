// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { type Parcel, UnattachedEntries } from "./unattached.ts";

function setUp() {
  const clock = new FakeClock();
  const sent: string[] = [];
  const missed: string[] = [];
  const counts = { delivered: 0 };
  const unattached = new UnattachedEntries({
    clock,
    onDelivered: () => void counts.delivered++,
    onMissed: ({ userId, inboxSeq }) => void missed.push(`${userId}/${inboxSeq}`),
  });
  const entry = (incarnation: string, isFull = false) => ({
    incarnation,
    send: ({ conn, aux }: { conn?: number; aux?: number }) => !isFull && sent.push(`${conn}/${aux}`) > 0,
  });
  return { clock, sent, missed, counts, unattached, entry };
}

const parcel = (inboxSeq: number, bytes = 10): Parcel => ({
  userId: "bob",
  inboxSeq,
  epochMark: 9,
  body: new Uint8Array(bytes),
  parkedFor: 0,
  owesPush: true,
  isOwn: false,
});

describe("deliveries to entries that are not attached", () => {
  it("are given up 5 s after each came, with one timer", () => {
    const { clock, missed, unattached } = setUp();
    unattached.park({ incarnation: "pod.1", conn: 1, slot: "web" }, parcel(1));
    clock.advance(3000);
    unattached.park({ incarnation: "pod.1", conn: 1, slot: "web" }, parcel(2));
    assert.equal(clock.pending, 1);
    clock.advance(1999);
    assert.deepEqual(missed, []);
    clock.advance(1);
    assert.deepEqual([missed, unattached.parked, clock.pending], [["bob/1"], 1, 1]);
    clock.advance(3000);
    assert.deepEqual([missed, unattached.parked, clock.pending], [["bob/1", "bob/2"], 0, 0]);
  });

  it("are given up at once when the incarnation is dead, and only those", () => {
    const { clock, missed, sent, unattached, entry } = setUp();
    unattached.park({ incarnation: "pod.1", conn: 1, slot: "web" }, parcel(1));
    unattached.park({ incarnation: "pod.2", conn: 2, slot: "web" }, parcel(2));
    unattached.gone("pod.1");
    unattached.gone("pod.1");
    assert.deepEqual(missed, ["bob/1"]);
    unattached.attached(entry("pod.2"));
    assert.deepEqual([sent, missed, clock.pending], [["2/2"], ["bob/1"], 0]);
  });

  it("owe one push per user, and none when one session got it", () => {
    const { missed, sent, counts, unattached, entry } = setUp();
    const [reached, lost, other] = [parcel(1), parcel(2), { ...parcel(3), owesPush: false }];
    for (const waiting of [reached, lost, other]) {
      unattached.park({ incarnation: "pod.1", conn: 1, slot: "web" }, waiting);
      if (waiting !== reached) unattached.park({ incarnation: "pod.3", conn: 3, slot: "web" }, waiting);
    }
    unattached.park({ incarnation: "pod.2", conn: 2, slot: "web" }, reached);
    unattached.attached(entry("pod.2"));
    unattached.attached(entry("pod.1", true));
    assert.deepEqual(missed, [], "one session of user 2 may still be reached");
    unattached.gone("pod.3");
    assert.deepEqual([sent, missed, counts.delivered], [["2/1"], ["bob/2"], 1]);
  });

  it("are at most 10,000, and 8 MiB", () => {
    const { unattached, entry } = setUp();
    for (let at = 0; at < 10_000; at++)
      assert.equal(unattached.park({ incarnation: `pod.${at % 3}`, conn: at, slot: "web" }, parcel(at)), true);
    const refused = parcel(1);
    assert.equal(unattached.park({ incarnation: "pod.1", conn: 1, slot: "web" }, refused), false);
    assert.equal(refused.parkedFor, 0);
    for (const name of ["pod.0", "pod.1", "pod.2"]) unattached.attached(entry(name));
    assert.equal(unattached.park({ incarnation: "pod.1", conn: 1, slot: "web" }, parcel(1, 8 * 1024 * 1024)), true);
    assert.equal(unattached.park({ incarnation: "pod.2", conn: 1, slot: "web" }, parcel(1)), false);
    unattached.close();
  });

  it("are given up, and refused, when the process leaves", () => {
    const { clock, missed, unattached } = setUp();
    unattached.park({ incarnation: "pod.1", conn: 1, slot: "web" }, parcel(1));
    unattached.park({ incarnation: "pod.2", conn: 1, slot: "web" }, parcel(2));
    unattached.close();
    assert.deepEqual([missed, clock.pending], [["bob/1", "bob/2"], 0]);
    assert.equal(unattached.park({ incarnation: "pod.1", conn: 1, slot: "web" }, parcel(3)), false);
  });
});
