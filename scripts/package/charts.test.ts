// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { versionFaults } from "./charts.ts";

const chart = (version: string, appVersion: string, image: string): string => `
name: x
version: ${version}
appVersion: "${appVersion}"
annotations:
  artifacthub.io/images: |
    - name: imcluster
      image: ghcr.io/imcluster/imcluster:${image}
`;

describe("a chart's version", () => {
  it("is the project's", () => assert.deepEqual(versionFaults(chart("0.2.0", "0.2.0", "0.2.0"), "0.2.0"), []));
  it("is missed wherever it is another one", () => {
    assert.deepEqual(versionFaults(chart("0.1.0", "0.2.0", "0.2.0"), "0.2.0"), ["version is 0.1.0"]);
    assert.deepEqual(versionFaults(chart("0.2.0", "0.1.0", "0.2.0"), "0.2.0"), ["appVersion is 0.1.0"]);
    assert.equal(versionFaults(chart("0.2.0", "0.2.0", "0.2.01"), "0.2.0").length, 1);
    assert.equal(versionFaults("name: x", "0.2.0").length, 3);
  });
});
