// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { MarketSite } from "./site.ts";
import { MARKET_STEPS } from "./steps/index.ts";
import { chosenSteps, type MarketStep, walk } from "./walk.ts";

const unused = (): Promise<never> => Promise.reject(new Error("not used"));
const site: MarketSite = {
  targets: [{ url: "tcp://127.0.0.1:1" }],
  cardKey: { id: "k", secret: Buffer.alloc(32) },
  getToken: unused,
  callApi: () => Promise.resolve({ status: 404, body: { code: "not_found" } }),
  pushes: unused,
};
const step = (name: string, play: MarketStep["play"]): MarketStep => ({ name, promise: `promise of ${name}`, play });
const good = step("good", () => Promise.resolve());

async function walked(steps: readonly MarketStep[], stepTimeoutMs = 5000) {
  const lines: string[] = [];
  const report = await walk(site, steps, { onLine: (line) => void lines.push(line), stepTimeoutMs });
  return { lines, report };
}

describe("the walk", () => {
  it("plays every step, says what became of each, and counts", async () => {
    const bad = step("bad", () => Promise.reject(new Error("the card is gone")));
    const { lines, report } = await walked([good, bad, good]);
    const { seconds, ...counts } = report;
    assert.deepEqual(counts, { steps: 3, passed: 2, failed: 1, failures: ["bad"] });
    assert.ok(seconds >= 0);
    assert.match(
      lines.join("\n"),
      /^ok good: promise of good \([\d.]+ s\)\nFAILED bad: .*\n {2}Error: the card is gone/,
    );
    assert.match(lines.at(-1) ?? "", /^ok good/);
  });

  it("ends a step that does not end", async () => {
    const { lines, report } = await walked([step("stuck", () => new Promise(() => undefined)), good], 20);
    assert.deepEqual([report.failed, report.passed], [1, 1]);
    assert.match(lines[1] ?? "", /not over within 0\.02 s/);
  });

  it("tells a call of the server API that was not answered with success", async () => {
    const call = step("call", async (scene) => void (await scene.api({ method: "GET", path: "/v1/audit" })));
    const refused = step("refused", async (scene) => {
      await scene.refusedApi({ method: "GET", path: "/v1/audit" }, 404);
      await scene.refusedApi({ method: "GET", path: "/v1/audit" }, 403);
    });
    const { lines, report } = await walked([call, refused]);
    assert.equal(report.failed, 2);
    assert.match(lines.join("\n"), /GET \/v1\/audit: 404 \{"code":"not_found"\}/);
  });

  it("plays those that were asked for, in the walk's order, and knows no others", () => {
    const all = [good, step("second", () => Promise.resolve())];
    assert.deepEqual(chosenSteps(all, ""), all);
    assert.deepEqual(
      chosenSteps(all, "second,good").map(({ name }) => name),
      ["good", "second"],
    );
    assert.throws(() => chosenSteps(all, "good,third"), /STEPS="good,third" cannot be used: it is some of good,second/);
  });

  it("has a name and a promise for each of its steps", () => {
    const names = MARKET_STEPS.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    for (const { name, promise } of MARKET_STEPS) assert.ok(/^[a-z][a-z-]*$/.test(name) && promise.length > 20, name);
  });
});
