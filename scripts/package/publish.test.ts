// SPDX-License-Identifier: Apache-2.0
// With a registry: charts/package.test.ts.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ClusterFault } from "../cluster/fault.ts";
import { chartOf, isUnknown } from "./publish.ts";

describe("an archive's name", () => {
  for (const [archive, name, version] of [
    ["build/charts/im-operator-0.1.0.tgz", "im-operator", "0.1.0"],
    ["/a-1.0.0/im-cluster-1.2.3-rc.1+build.5.tgz", "im-cluster", "1.2.3-rc.1+build.5"],
  ] as const)
    it(`${archive} says chart and version`, () => assert.deepEqual(chartOf(archive), { name, version }));
  it("of something else is refused", () => {
    for (const other of ["im-operator.tgz", "im-operator-0.1.0.tgz.prov", "README.md"])
      assert.throws(() => chartOf(other), ClusterFault);
  });
});

describe("a registry's answer", () => {
  it("says that a chart is not there", () => {
    for (const said of ["Error: example.com/a:1: not found", "response status code 404: NAME_UNKNOWN: Unknown name"])
      assert.ok(isUnknown(said), said);
  });
  it("says nothing of the kind when it could not be asked", () => {
    for (const said of ["connect: connection refused", "response status code 403: denied", "i/o timeout", ""])
      assert.ok(!isUnknown(said), said);
  });
});
