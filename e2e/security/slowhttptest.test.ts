// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isFinding } from "./checks.ts";
import { checksOfSlow, slowFigures, slowRows } from "./slowhttptest.ts";

const HEADER = "Seconds,Closed,Pending,Connected,Service Available";
/** 200 connections, 100 a second, of an entry that closes after 3 s: as slowhttptest 1.8.2 wrote it. */
const CSV = `${HEADER}
0,0,1,0,200
1,0,2,55,200
2,0,2,117,200
3,0,2,173,200
4,54,0,146,200
5,54,0,146,200
6,116,0,84,200
7,173,0,27,200
`;
const ENDED = "Test ended on 7th second\nExit status: No open connections left\nCSV report saved to sh1.csv\n";
const HIT_LIMIT = "Test ended on 12th second\nExit status: \u001b[0mHit test time limit\u001b[0m\n";

const findings = (csv: string, output: string, wanted = 200, limitS = 3): string[] =>
  checksOfSlow("slow", slowFigures(csv, output), wanted, limitS)
    .filter(isFinding)
    .map(({ name }) => name);

describe("a report of slowhttptest", () => {
  it("tells how long the slow ones were open", () => {
    assert.deepEqual(slowFigures(CSV, ENDED), {
      opened: 200,
      closed: 200,
      longestOpenS: 5,
      unavailableS: 0,
      ended: "No open connections left",
    });
    assert.deepEqual(findings(CSV, ENDED), []);
  });

  it("is red when they were open for too long", () => {
    assert.deepEqual(findings(CSV, ENDED, 200, 1), ["slow: closed in time"]);
    const late = CSV.replace(
      "6,116,0,84,200\n7,173,0,27,200\n",
      "6,116,0,84,200\n7,116,0,84,200\n8,116,0,84,200\n9,116,0,84,200\n",
    );
    assert.equal(slowFigures(late, ENDED).longestOpenS, 7);
    assert.deepEqual(findings(late, ENDED), ["slow: closed in time"]);
  });

  it("is red when some stayed open", () => {
    assert.equal(slowFigures(CSV, HIT_LIMIT).longestOpenS, Number.POSITIVE_INFINITY);
    assert.deepEqual(findings(CSV, HIT_LIMIT), ["slow: closed in time"]);
  });

  it("is red when the service was away", () => {
    assert.deepEqual(findings(CSV.replace("5,54,0,146,200", "5,54,0,146,0"), ENDED), ["slow: probe"]);
  });

  it("is red when too few were opened to prove anything", () => {
    assert.deepEqual(findings(CSV, ENDED, 1000), ["slow: connections"]);
    const refused = `${HEADER}\n0,0,1,0,200\n1,0,0,0,200\n`;
    assert.deepEqual(findings(refused, "Exit status: Connection refused\n"), ["slow: connections"]);
  });

  it("that is none is refused", () => {
    assert.throws(() => slowRows("<html>"), /not a report/);
    assert.throws(() => slowRows(`${HEADER}\n1,2,3`), /not a line/);
    assert.throws(() => slowRows(`${HEADER}\n1,2,3,x,200`), /not a line/);
    assert.throws(() => slowFigures(CSV, "killed"), /did not end/);
    assert.throws(() => slowFigures(`${HEADER}\n`, ENDED), /did not end/);
  });
});
