// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Metrics } from "#lib/metrics.ts";
import { MAX_LABELLED_TENANTS, TenantCounts, tenantCounter } from "./tenant-counts.ts";

describe("counts by tenant", () => {
  it("tell the default tenant and others apart", () => {
    const counts = new TenantCounts();
    assert.deepEqual(counts.read(), { _default: 0 });
    for (const userId of ["alice", "acme/alice", "acme/bob", "shop/alice", "bob"]) counts.add(userId);
    assert.deepEqual(counts.read(), { _default: 2, acme: 2, shop: 1 });
  });

  it("have a bounded number of labels, however many tenants there are, and lose nothing", () => {
    const counts = new TenantCounts();
    for (let round = 0; round < 2; round++)
      for (let at = 0; at < MAX_LABELLED_TENANTS + 20; at++) counts.add(`t-${at}/alice`);
    const read = counts.read();
    assert.equal(Object.keys(read).length, MAX_LABELLED_TENANTS + 2);
    assert.deepEqual([read["t-0"], read[`t-${MAX_LABELLED_TENANTS - 1}`], read._other, read._default], [2, 2, 40, 0]);
  });

  it("are counters of Prometheus, read when it asks", async () => {
    const metrics = new Metrics();
    const counts = tenantCounter(metrics, "im_test_total", "A test.");
    counts.add("acme/alice");
    assert.match(await metrics.render(), /im_test_total\{tenant="acme"\} 1/);
    counts.add("acme/bob");
    counts.add("bob");
    const text = await metrics.render();
    assert.match(text, /im_test_total\{tenant="acme"\} 2/);
    assert.match(text, /im_test_total\{tenant="_default"\} 1/);
  });
});
