// SPDX-License-Identifier: Apache-2.0
// The walk of `make smoke-market` on local processes: what a marketplace's chat does, step by step.
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { fleetSite, prepareGround } from "../market/fleet-site.ts";
import type { MarketSite } from "../market/site.ts";
import { MARKET_STEPS } from "../market/steps/index.ts";
import { playStep } from "../market/walk.ts";
import { useFleet } from "./fleet-suite.ts";

describe("a marketplace's chat", async () => {
  const ground = await prepareGround();
  const fleet = useFleet(ground.options);
  after(() => ground.close());
  let site: Promise<MarketSite> | undefined;

  for (const step of MARKET_STEPS)
    it(`${step.name}: ${step.promise}`, async () => {
      site ??= fleetSite(fleet(), ground);
      assert.equal(await playStep(await site, step), undefined);
    });
});
