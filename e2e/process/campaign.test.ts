// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import type { CampaignFigures } from "../campaign/figures.ts";
import { checkRecording } from "../campaign/recorded.ts";
import { placesOf } from "../checker/check-broadcast.ts";
import type { BroadcastEvent, FinalState, HistoryEvent } from "../checker/history.ts";
import { runMain } from "./run-main.ts";

const MAIN = join(import.meta.dirname, "../campaign/main.ts");
const folder = mkdtempSync(join(tmpdir(), "im-campaign-test-"));
after(() => rmSync(folder, { recursive: true }));

describe("a short campaign", () => {
  it("loses, duplicates and reorders nothing", async () => {
    const { code, lastLine } = await runMain(MAIN, ["--seconds", "20", "--seed", "1", "--untimed", "--keep", folder]);
    const figures = JSON.parse(lastLine) as CampaignFigures;
    assert.equal(figures.lost + figures.duplicated + figures.reordered + figures.corrupted, 0, lastLine);
    assert.equal(figures.violations, 0, lastLine);
    assert.ok(figures.acked > 0 && figures.faults > 0, lastLine);
    assert.equal(code, 0, lastLine);
  });

  for (const { kind, check, isOfGroup } of [
    { kind: "between two", check: "C1", isOfGroup: false },
    { kind: "of a group", check: "C10", isOfGroup: true },
  ])
    it(`would have found one lost message ${kind} in what it recorded`, async () => {
      const events = historyOf(folder);
      const groups = groupsOf(folder);
      const acked = new Set(
        events.flatMap((event) => (event.op === "send" && event.kind === "ok" ? [`${event.uid} ${event.cmid}`] : [])),
      );
      // The last one of its device, so that only the loss shows and no gap; of somebody else, whom it must have reached.
      const victim = events.findLast(
        (event) =>
          event.op === "receive" &&
          event.device === "audit" &&
          event.sender !== event.uid &&
          groups.has(event.conv) === isOfGroup &&
          acked.has(`${event.sender} ${event.cmid}`),
      );
      assert.ok(victim?.op === "receive");
      const { violations } = await checkRecording(lackingOf(folder, check, events, victim));
      const expected = isOfGroup
        ? `${victim.conv}:${victim.seq} never reached ${victim.uid}/audit, whose user is a member`
        : `${victim.cmid} of ${victim.sender} was acknowledged and never reached ${victim.uid}/audit`;
      assert.deepEqual(
        violations.filter((violation) => violation.check === check).map(({ message }) => message),
        [expected],
      );
    });

  it("would have found one lost broadcast in what it recorded", async () => {
    const events = historyOf(folder);
    const isDue = dueBroadcasts(folder, events);
    const victim = events.findLast(
      (event) => event.op === "broadcast" && event.kind === "ok" && event.device === "phone" && isDue(event),
    );
    assert.ok(victim?.op === "broadcast", "no broadcast was shown that all were to see");
    const isSeenElsewhere = events.some(
      (event) => event.op === "broadcast" && event.kind === "ok" && event.id === victim.id && isOtherOf(event, victim),
    );
    const { violations } = await checkRecording(lackingOf(folder, "C9", events, victim));
    const never = `broadcast ${victim.id} never reached`;
    assert.deepEqual(
      violations.filter(({ check }) => check === "C9").map(({ message }) => message),
      [`${never} ${victim.uid}/phone`, ...(isSeenElsewhere ? [] : [`${never} any device of ${victim.uid}`])],
    );
  });
});

/** Of another device of the same user. */
function isOtherOf(event: BroadcastEvent, { uid, device }: BroadcastEvent): boolean {
  return event.uid === uid && event.device !== device;
}

/** A copy of a recording without one event. */
function lackingOf(recording: string, name: string, events: readonly HistoryEvent[], victim: HistoryEvent): string {
  const lacking = join(recording, name);
  mkdirSync(lacking);
  cpSync(join(recording, "final.json"), join(lacking, "final.json"));
  const lines = events.filter((event) => event !== victim).map((event) => JSON.stringify(event));
  writeFileSync(join(lacking, "history.jsonl"), `${lines.join("\n")}\n`);
  return lacking;
}

/**
 * Was it due to the device that showed it? For ever, in force, for a user who was named when it was made, and behind the place where a device
 * began that was there to the end. Who was added later, or began later, may go without the checker's noticing.
 */
function dueBroadcasts(recording: string, events: readonly HistoryEvent[]): (shown: BroadcastEvent) => boolean {
  const told = events.filter((event) => event.op === "broadcast");
  const idsOf = (isMeant: (event: BroadcastEvent) => boolean): Set<string> =>
    new Set(told.filter(isMeant).map(({ id }) => id));
  const over = idsOf(({ kind, untilMs }) => kind === "over" || untilMs !== undefined);
  const inForce = idsOf(({ kind }) => kind === "force");
  const named = new Set(
    told.flatMap(({ id, fromMs, isConfirmed = false, targets = [] }) =>
      isConfirmed && fromMs !== undefined ? targets.map((uid) => `${id} ${uid}`) : [],
    ),
  );
  const places = placesOf(told);
  const { devices } = JSON.parse(readFileSync(join(recording, "final.json"), "utf8")) as FinalState;
  const settled = new Set(devices.map(({ uid, device }) => `${uid}/${device}`));
  return ({ id, uid, device, seq = 0 }) => {
    const name = `${uid}/${device}`;
    const isBehind = (places.get(name) ?? Number.POSITIVE_INFINITY) < seq;
    return isBehind && settled.has(name) && inForce.has(id) && !over.has(id) && named.has(`${id} ${uid}`);
  };
}

function historyOf(recording: string): HistoryEvent[] {
  const lines = readFileSync(join(recording, "history.jsonl"), "utf8").trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line) as HistoryEvent);
}

/** Conversations that are groups. */
function groupsOf(recording: string): Set<string> {
  const { stored } = JSON.parse(readFileSync(join(recording, "final.json"), "utf8")) as FinalState;
  return new Set((stored ?? []).flatMap(({ group, conv }) => (group ? [conv] : [])));
}
