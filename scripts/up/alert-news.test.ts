// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ActiveAlert } from "../../e2e/harness/prometheus.ts";
import { newsOf, runbookOf } from "./alert-news.ts";

const URL = "https://github.com/imcluster/imcluster/blob/main/docs/runbooks/ImGatewayDown.md";

const down = (state: string, over: Partial<ActiveAlert> = {}): ActiveAlert => ({
  state,
  labels: { alertname: "ImGatewayDown", severity: "warning", namespace: "shop", name: "im" },
  annotations: { summary: "shop/im lacks 1 of its entries", runbook_url: URL },
  ...over,
});

describe("newsOf", () => {
  it("tells that an alert fires, with the place of its runbook, and that it is over", () => {
    assert.deepEqual(newsOf([], [down("pending")]), []);
    assert.deepEqual(newsOf([down("pending")], [down("firing")]), [
      "ImGatewayDown fires (warning): shop/im lacks 1 of its entries. What to do: docs/runbooks/ImGatewayDown.md",
    ]);
    assert.deepEqual(newsOf([down("firing")], [down("firing")]), []);
    assert.deepEqual(newsOf([down("firing")], []), ["ImGatewayDown (shop/im) is over"]);
  });

  it("tells two of one name apart by their labels, in whatever order these come", () => {
    const other = down("firing", { labels: { ...down("").labels, namespace: "books" } });
    const shuffled = down("firing", { labels: Object.fromEntries(Object.entries(down("").labels).reverse()) });
    assert.deepEqual(newsOf([down("firing"), other], [shuffled]), ["ImGatewayDown (books/im) is over"]);
  });

  it("shows the address of a runbook that is elsewhere, and none where there is none", () => {
    const elsewhere = down("firing", { annotations: { runbook_url: "https://wiki.example/gateway" } });
    assert.match(newsOf([], [elsewhere])[0] ?? "", /What to do: https:\/\/wiki\.example\/gateway$/);
    assert.match(newsOf([], [down("firing", { labels: {}, annotations: {} })])[0] ?? "", /What to do: none$/);
    assert.equal(runbookOf(elsewhere), undefined);
    assert.equal(runbookOf(down("firing")), "docs/runbooks/ImGatewayDown.md");
  });
});
