// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { checkHistory } from "./check-history.ts";
import type { ReceiveEvent, SendEvent, StoredMessage, ViewEvent } from "./history.ts";
import { type Sample, type Step, sampleHistory } from "./sample-history.ts";

const send: fc.Arbitrary<Step> = fc.record(
  {
    do: fc.constant("send" as const),
    from: fc.nat(9),
    to: fc.nat(9),
    outcome: fc.constantFrom("ok", "ok", "ok", "fail", "info-stored", "info-lost"),
    resends: fc.nat(2),
  },
  { noNullPrototype: true },
);
const show: fc.Arbitrary<Step> = fc.record(
  { do: fc.constant("show" as const), device: fc.nat(19), count: fc.integer({ min: 1, max: 5 }) },
  { noNullPrototype: true },
);
const change: fc.Arbitrary<Step> = fc.record(
  {
    do: fc.constant("change" as const),
    message: fc.nat(50),
    kind: fc.constantFrom("edit", "edit", "recall"),
    outcome: fc.constantFrom("ok", "ok", "late", "info-stored", "info-lost"),
  },
  { noNullPrototype: true },
);
const group: fc.Arbitrary<Step> = fc.record(
  {
    do: fc.constant("group" as const),
    what: fc.constantFrom("join", "leave", "send", "send"),
    user: fc.nat(9),
  },
  { noNullPrototype: true },
);
const run = fc.record(
  {
    users: fc.integer({ min: 2, max: 5 }),
    steps: fc.array(fc.oneof(send, send, show, show, change, group), { maxLength: 60 }),
  },
  { noNullPrototype: true },
);

const shownOf = (sample: Sample): ReceiveEvent[] => sample.events.filter((event) => event.op === "receive");
const acksOf = (sample: Sample): SendEvent[] =>
  sample.events.filter((event) => event.op === "send").filter((event) => event.kind === "ok");
const isDone = (sample: Sample, { sender, cmid }: { sender: string; cmid: string }): boolean =>
  sample.events.some(
    (event) =>
      (event.op === "change" || event.op === "group") &&
      event.kind === "ok" &&
      event.cmid === cmid &&
      event.uid === sender,
  );
const pick = <T>(items: readonly T[], n: number): T | undefined => items[n % Math.max(1, items.length)];

/** Changes one thing; false when the history has nothing of the kind to change. */
type Mutation = (sample: Sample, n: number) => boolean;

function changing<T>(choose: (sample: Sample) => readonly T[], change: (item: T, sample: Sample) => void): Mutation {
  return (sample, n) => {
    const item = pick(choose(sample), n);
    if (item === undefined) return false;
    change(item, sample);
    return true;
  };
}

const viewsOf = (sample: Sample): ViewEvent[] => sample.events.filter((event) => event.op === "view");
const isAcked = (sample: Sample, event: { sender: string; cmid: string }): boolean =>
  acksOf(sample).some((ack) => ack.uid === event.sender && ack.cmid === event.cmid);

const MUTATIONS: Record<string, Mutation> = {
  "drop an acknowledged message from the recipient's device": changing(
    (s) => shownOf(s).filter((event) => event.sender !== event.uid && isAcked(s, event)),
    (event, s) => s.events.splice(s.events.indexOf(event), 1),
  ),
  "drop an acknowledged row": changing(
    (s) => s.final.stored.filter((row) => isAcked(s, row)),
    (row: StoredMessage, s) => s.final.stored.splice(s.final.stored.indexOf(row), 1),
  ),
  "show twice": changing(shownOf, (event, s) => s.events.push({ ...event })),
  "alter a shown body": changing(shownOf, (event) => {
    event.bodyHash = "altered";
  }),
  "alter a stored body": changing(
    (s) => s.final.stored,
    (row) => {
      row.bodyHash = "altered";
    },
  ),
  "give a shown message another position": changing(shownOf, (event) => {
    event.seq += 1000;
  }),
  "give a shown message another id": changing(shownOf, (event) => {
    event.messageId = "m_other";
  }),
  "show it to a stranger": changing(shownOf, (event, s) => s.events.push({ ...event, uid: "mallory" })),
  "show what was never sent": changing(shownOf, (event) => {
    event.cmid = "ghost";
  }),
  "acknowledge at another position": changing(acksOf, (ack, s) =>
    s.events.push({ ...ack, seq: (ack.seq ?? 0) + 1000 }),
  ),
  "fail what was acknowledged and shown": changing(
    (s) => acksOf(s).filter((ack) => s.final.stored.some((row) => row.sender === ack.uid && row.cmid === ack.cmid)),
    (ack, s) => s.events.push({ ...ack, kind: "fail" }),
  ),
  "drop what tells a recipient's device of a change": changing(
    (s) => shownOf(s).filter((event) => event.sender !== event.uid && isDone(s, event)),
    (event, s) => s.events.splice(s.events.indexOf(event), 1),
  ),
  "drop the last change of what a device shows": changing(
    (s) => viewsOf(s).filter((view) => view === viewsOf(s).findLast((one) => isSameCopy(one, view))),
    (view, s) => s.events.splice(s.events.indexOf(view), 1),
  ),
  "show an older version again": changing(
    (s) => viewsOf(s).filter((view) => view.version > 2),
    (view, s) => s.events.push({ ...view, version: 2 }),
  ),
  "show another content than the change had": changing(viewsOf, (view) => {
    view.bodyHash = "altered";
  }),
  "show a message of a group to somebody who is no member then": changing(
    (s) =>
      shownOf(s).filter(({ uid, conv, seq }) => {
        const isGroup = conv.startsWith("g_");
        return isGroup && !shownOf(s).some((one) => one.uid !== uid && one.conv === conv && one.seq === seq);
      }),
    (event, s) => s.events.push({ ...event, uid: "mallory" }),
  ),
  "take a message of a group from a member": changing(
    (s) => shownOf(s).filter(({ conv }) => conv.startsWith("g_")),
    (event, s) => s.events.splice(s.events.indexOf(event), 1),
  ),
  "a member changes the group": changing(
    (s) => s.final.stored.filter(({ group }) => group !== undefined && group.kind !== "created"),
    (row) => {
      row.sender = "user1";
    },
  ),
  "swap two shown neighbours of one conversation": (sample, n) => {
    const shown = shownOf(sample).filter((event) => event.sender !== event.uid);
    const pairs = shown.flatMap((a) => {
      const b = shown.find((e) => e.uid === a.uid && e.device === a.device && e.conv === a.conv && e.seq > a.seq);
      return b ? [{ a, b }] : [];
    });
    const pair = pick(pairs, n);
    if (!pair) return false;
    const [i, j] = [sample.events.indexOf(pair.a), sample.events.indexOf(pair.b)];
    sample.events[i] = pair.b;
    sample.events[j] = pair.a;
    return true;
  },
};

const isSameCopy = (a: ViewEvent, b: ViewEvent): boolean =>
  a.uid === b.uid && a.device === b.device && a.messageId === b.messageId;

describe("checkHistory, properties", () => {
  it("finds nothing in any valid history", () => {
    fc.assert(
      fc.property(run, ({ users, steps }) => {
        const { events, final } = sampleHistory(users, steps);
        assert.deepEqual(checkHistory(events, final).violations, []);
      }),
      { numRuns: 300 },
    );
  });

  for (const [name, mutate] of Object.entries(MUTATIONS)) {
    it(`finds one mutation in any valid history: ${name}`, () => {
      fc.assert(
        fc.property(run, fc.nat(1000), ({ users, steps }, n) => {
          const sample = structuredClone(sampleHistory(users, steps));
          // A history that has nothing to mutate is drawn anew.
          fc.pre(mutate(sample, n));
          assert.notDeepEqual(checkHistory(sample.events, sample.final).violations, []);
        }),
        { numRuns: 30, maxSkipsPerRun: 500 },
      );
    });
  }
});
