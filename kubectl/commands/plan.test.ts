// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PLAIN } from "../text.ts";
import { type EditPlan, planText } from "./plan.ts";

const PREVIEW = {
  changes: ["the database is migrated first", "entries: 3 are replaced (BlueGreen)"],
  ...{ sessionsAffected: 281_344, estimatedSeconds: 660, peakReconnectsPerSecond: 640, needsApproval: false },
};
const QUIET = {
  changes: [],
  sessionsAffected: 0,
  estimatedSeconds: 0,
  peakReconnectsPerSecond: 0,
  needsApproval: false,
};

const plan = (over: Partial<EditPlan>): EditPlan => ({
  ...{ namespace: "shop", name: "demo", isNew: false, fields: [], preview: QUIET },
  ...over,
});

describe("planText", () => {
  it("names fields, what happens, and what it costs", () => {
    const fields = [
      { path: "spec.version", from: "0.1.0", to: "0.2.0" },
      { path: "spec.entry.origins", from: undefined, to: ["https://shop.example.com", "https://www.shop.example.com"] },
      { path: "spec.paused", from: true, to: false },
    ];
    assert.equal(
      planText(plan({ fields, preview: PREVIEW }), PLAIN),
      `Edit of ImCluster shop/demo

FIELD               NOW    THEN
spec.version        0.1.0  0.2.0
spec.entry.origins  -      ["https://shop.example.com","https://ww…
spec.paused         true   false

What happens
  the database is migrated first
  entries: 3 are replaced (BlueGreen)

281,344 sessions reconnect, about 11m, at most 640 per second
`,
    );
  });

  it("says when nobody notices, when a person must agree, and when nothing changes", () => {
    const fields = [{ path: "spec.entry.replicas", from: 3, to: 6 }];
    const more = planText(
      plan({ fields, preview: { ...QUIET, changes: ["entries: 3 become 6"], estimatedSeconds: 10 } }),
      PLAIN,
    );
    assert.match(more, /\nNo session reconnects, about 10s\n$/);
    assert.match(planText(plan({ fields }), PLAIN), /\nNothing that runs changes\.\n\nNo session reconnects\n$/);
    assert.match(
      planText(plan({ fields, preview: { ...PREVIEW, needsApproval: true } }), PLAIN),
      /A person must agree before it begins: see spec\.entry\.update\.approval\.\n$/,
    );
    assert.equal(planText(plan({}), PLAIN), "Edit of ImCluster shop/demo: nothing changes\n");
    assert.match(planText(plan({ isNew: true }), PLAIN), /it does not exist yet, and the manifest is in order/);
  });

  it("stays one screen", () => {
    const fields = Array.from({ length: 60 }, (_, at) => ({ path: `spec.f${at}`, from: 0, to: 1 }));
    const text = planText(plan({ fields }), PLAIN);
    assert.match(text, /\n\.\.\. and 40 more: -o json shows all\n/);
    assert.ok(text.split("\n").length < 35);
  });
});
