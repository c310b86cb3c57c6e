// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { dashboardJson, expand, withoutVariables } from "./grafana.ts";
import { DASHBOARDS } from "./list.ts";

interface Placed {
  id: number;
  type: string;
  title: string;
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { expr: string; refId: string }[];
}

const parsed = Object.entries(DASHBOARDS).map(([name, dashboard]) => ({
  name,
  json: JSON.parse(dashboardJson(dashboard)) as { uid: string; title: string; panels: Placed[] },
}));

const overlap = (a: Placed["gridPos"], b: Placed["gridPos"]): boolean =>
  a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

describe("queries", () => {
  it("keep Grafana's variables for Grafana, and lose them for Prometheus", () => {
    const expr = "sum(rate(im_a_total{$on}[$__rate_interval])) + max(im_b{$cluster})";
    assert.equal(
      expand(expr),
      'sum(rate(im_a_total{namespace=~"$namespace",imcluster=~"$imcluster"}[$__rate_interval])) + max(im_b{namespace=~"$namespace",name=~"$imcluster"})',
    );
    assert.equal(
      withoutVariables(expr, "5m"),
      'sum(rate(im_a_total{namespace=~".*",imcluster=~".*"}[5m])) + max(im_b{namespace=~".*",name=~".*"})',
    );
  });
});

describe("dashboards", () => {
  it("have ids and places of their own for every panel, within 24 columns", () => {
    for (const { name, json } of parsed) {
      assert.equal(new Set(json.panels.map(({ id }) => id)).size, json.panels.length, name);
      for (const [index, one] of json.panels.entries()) {
        assert.ok(one.gridPos.x + one.gridPos.w <= 24, `${name}: ${one.title}`);
        for (const other of json.panels.slice(index + 1)) {
          assert.ok(!overlap(one.gridPos, other.gridPos), `${name}: ${one.title} lies on ${other.title}`);
        }
      }
    }
  });

  it("leave no placeholder of ours in a query", () => {
    for (const { name, json } of parsed) {
      for (const { expr } of json.panels.flatMap(({ targets = [] }) => targets)) {
        assert.doesNotMatch(expr, /\$(on|cluster)\b/, name);
      }
    }
  });

  it("have uids and titles of their own", () => {
    for (const key of ["uid", "title"] as const)
      assert.equal(new Set(parsed.map(({ json }) => json[key])).size, parsed.length);
  });
});
