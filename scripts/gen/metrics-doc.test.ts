// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { describeProcesses, metricsPage } from "./metrics-doc.ts";

const ALL = describeProcesses().flatMap(({ name, metrics }) => metrics.map((metric) => ({ process: name, ...metric })));
/** What a series may never be cut by: its values grow with the users. */
const UNBOUNDED_LABELS = ["user", "uid", "device", "conversation", "message", "ip", "address", "connection"];

describe("the metrics of all processes", () => {
  it("have the prefix, a sentence of help, and counters end with _total", () => {
    for (const { process, name, help, type } of ALL) {
      assert.match(name, /^im_[a-z0-9_]+$/, `${process}: ${name}`);
      assert.match(help, /^[A-Z0-9].*[.0-9]$/, `${process}: ${name} has the help ${JSON.stringify(help)}`);
      assert.equal(name.endsWith("_total"), type === "counter", `${process}: ${name} is a ${type}`);
    }
  });

  it("use base units only", () => {
    for (const { name } of ALL) assert.doesNotMatch(name, /_(ms|millis|milliseconds|kb|mb|percent)(_|$)/, name);
  });

  it("have no label whose values grow with the users", () => {
    for (const { name, labels } of ALL) {
      assert.deepEqual(
        labels.filter((label) => UNBOUNDED_LABELS.includes(label)),
        [],
        name,
      );
    }
  });

  it("are all on the page, each under its process", () => {
    const sections = metricsPage().split("\n## ").slice(1);
    assert.deepEqual(
      sections.map((section) => section.split("\n")[0]),
      ["entry", "logic", "extlogic", "operator"],
    );
    for (const { process, name } of ALL) {
      const section = sections.find((one) => one.startsWith(`${process}\n`));
      assert.ok(section?.includes(`| \`${name}\` |`), `${process}: ${name}`);
    }
  });
});
