// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import type { CampaignFigures } from "../campaign/figures.ts";
import { checkRecording } from "../campaign/recorded.ts";
import type { HistoryEvent } from "../checker/history.ts";
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

  it("would have found one lost message in what it recorded", async () => {
    const path = join(folder, "history.jsonl");
    const lines = readFileSync(path, "utf8").trimEnd().split("\n");
    const events = lines.map((line) => JSON.parse(line) as HistoryEvent);
    const acked = new Set(
      events.flatMap((event) => (event.op === "send" && event.kind === "ok" ? [`${event.uid} ${event.cmid}`] : [])),
    );
    // The last one of its device, so that only the loss shows and no gap; of somebody else, whom it must have reached.
    const victim = events.findLast(
      (event) =>
        event.op === "receive" &&
        event.device === "audit" &&
        event.sender !== event.uid &&
        acked.has(`${event.sender} ${event.cmid}`),
    );
    assert.ok(victim?.op === "receive");
    lines.splice(events.indexOf(victim), 1);
    writeFileSync(path, `${lines.join("\n")}\n`);
    const { violations } = await checkRecording(folder);
    assert.deepEqual(
      violations.filter(({ check }) => check === "C1").map(({ message }) => message),
      [`${victim.cmid} of ${victim.sender} was acknowledged and never reached ${victim.uid}/audit`],
    );
  });
});
