// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Metrics } from "./metrics.ts";

describe("Metrics", () => {
  it("renders counters, gauges and histograms of its own only", async () => {
    const metrics = new Metrics({ component: "entry", version: "1.0" });
    metrics.counter("im_a_total", "A.", ["kind"]).inc({ kind: "x" }, 2);
    metrics.gauge("im_b", "B.").set(5);
    metrics.histogram("im_c_seconds", "C.", [], [0.1, 1]).observe(0.5);
    const text = await metrics.render();
    assert.match(text, /im_a_total\{kind="x"\} 2/);
    assert.match(text, /im_b 5/);
    assert.match(text, /im_c_seconds_bucket\{le="1"\} 1/);
    assert.match(text, /im_build_info\{component="entry",version="1.0",node="v/);
    assert.doesNotMatch(await new Metrics().render(), /im_/);
    assert.match(metrics.contentType, /text\/plain/);
  });

  it("reads counters and gauges kept elsewhere at each scrape, without counting twice", async () => {
    const metrics = new Metrics();
    let value = 3;
    metrics.counterOf("im_kept_total", "Kept.", () => value);
    metrics.gaugeOf("im_level", "Level.", () => -value);
    assert.match(await metrics.render(), /im_kept_total 3\n[\s\S]*im_level -3/);
    value = 10;
    assert.match(await metrics.render(), /im_kept_total 10\n[\s\S]*im_level -10/);
    assert.match(await metrics.render(), /im_kept_total 10\n/);
  });

  it("reads gauges by a label at each scrape", async () => {
    const metrics = new Metrics();
    const busy = { append: 1, rest: 0 };
    metrics.gaugesOf("im_busy", "Busy.", "pool", () => busy);
    assert.match(await metrics.render(), /im_busy\{pool="append"\} 1\nim_busy\{pool="rest"\} 0/);
    busy.rest = 4;
    assert.match(await metrics.render(), /im_busy\{pool="append"\} 1\nim_busy\{pool="rest"\} 4/);
  });

  it("reads gauges by several labels at each scrape, and forgets those that are gone", async () => {
    const metrics = new Metrics();
    const y = [{ namespace: "b", name: "y" }, 0] as const;
    let now: (readonly [{ namespace: string; name: string }, number])[] = [[{ namespace: "a", name: "x" }, 1], y];
    metrics.gaugesBy("im_lag", "Lag.", ["namespace", "name"], () => now);
    const samples = async () => (await metrics.render()).split("\n").filter((line) => line.startsWith("im_lag{"));
    assert.deepEqual(await samples(), ['im_lag{namespace="a",name="x"} 1', 'im_lag{namespace="b",name="y"} 0']);
    now = [y, [{ namespace: "c", name: "z" }, 2]];
    assert.deepEqual(await samples(), ['im_lag{namespace="b",name="y"} 0', 'im_lag{namespace="c",name="z"} 2']);
  });

  it("describes what is registered, by name", () => {
    const metrics = new Metrics();
    metrics.plainHistogram("im_b_seconds", "B.");
    metrics.counter("im_a_total", "A.", ["kind", "result"]);
    metrics.gaugeOf("im_c", "C.", () => 0);
    assert.deepEqual(metrics.describe(), [
      { name: "im_a_total", help: "A.", type: "counter", labels: ["kind", "result"] },
      { name: "im_b_seconds", help: "B.", type: "histogram", labels: [] },
      { name: "im_c", help: "C.", type: "gauge", labels: [] },
    ]);
  });

  it("counts by a label as plain numbers", async () => {
    const metrics = new Metrics();
    const counts = metrics.tally("im_done_total", "Done.", "result", ["ok", "late"]);
    counts.ok++;
    counts.ok += 2;
    assert.match(await metrics.render(), /im_done_total\{result="ok"\} 3\n.*\{result="late"\} 0/);
    counts.late++;
    assert.match(await metrics.render(), /im_done_total\{result="ok"\} 3\n.*\{result="late"\} 1/);
  });

  it("renders a plain histogram as an ordinary one", async () => {
    const [ordinary, plain] = [new Metrics(), new Metrics()];
    const histograms = [
      ordinary.histogram("im_d_seconds", "D.", [], [0.1, 1]),
      plain.plainHistogram("im_d_seconds", "D.", [0.1, 1]),
    ];
    assert.equal(await plain.render(), await ordinary.render());
    for (const value of [0, 0.1, 0.11, 1, 1.5, 400]) for (const histogram of histograms) histogram.observe(value);
    assert.equal(await plain.render(), await ordinary.render());
  });

  it("renders OpenMetrics with the last traced observation of each bucket, and leaves the text format as it is", async () => {
    const metrics = new Metrics();
    const plain = metrics.plainHistogram("im_e_seconds", "E.", [0.1, 1]);
    metrics.counter("im_f_total", "F.", ["kind"]).inc({ kind: "x" }, 2);
    metrics.histogram("im_g_seconds", "G.", [], [1]).observe(0.5);
    const traceId = "0af7651916cd43dd8448eb211c80319c";
    plain.observe(0.05);
    plain.observe(0.5, "not the last one");
    plain.observe(0.7, traceId);
    const before = await metrics.render();
    const text = await metrics.renderOpenMetrics();
    assert.match(text, /# TYPE im_f counter\nim_f_total\{kind="x"\} 2\n/);
    assert.match(text, /im_e_seconds_bucket\{le="0.1"\} 1\n/);
    assert.match(
      text,
      new RegExp(`im_e_seconds_bucket\\{le="1"\\} 3 # \\{trace_id="${traceId}"\\} 0.7 \\d+(\\.\\d+)?\n`),
    );
    assert.match(text, /im_e_seconds_count 3\n/);
    assert.match(text, /im_g_seconds_bucket\{le="1"\} 1\n/);
    assert.ok(text.endsWith("\n# EOF\n"));
    assert.equal(await metrics.render(), before);
    assert.match(before, /im_f_total\{kind="x"\} 2/);
    assert.doesNotMatch(before, /trace_id|EOF/);
  });

  it("has Node's own metrics on request", async () => {
    const metrics = new Metrics(undefined, { runtime: true });
    const text = await metrics.render();
    assert.match(text, /nodejs_eventloop_lag_p99_seconds/);
    assert.match(text, /^process_open_fds [1-9]\d*$/m);
    assert.doesNotMatch(text, /nodejs_active_/, "they list every socket at each scrape");
  });
});
