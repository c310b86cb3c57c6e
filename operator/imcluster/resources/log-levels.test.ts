// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ROLES } from "../names.ts";
import { sampleCluster, sampleContext, sampleSecrets } from "../testing/sample.ts";
import { entryPod, entryRevision } from "./entry-pod.ts";
import { extlogicDeployment } from "./extlogic.ts";
import { logLevelsConfigMap } from "./log-levels.ts";
import { logicDeployment } from "./logic.ts";

const secrets = sampleSecrets(sampleCluster());
const contextOf = (spec: object) => sampleContext(sampleCluster(spec), secrets);
const usual = contextOf({});
const other = contextOf({
  entry: { logLevel: "debug" },
  logic: { logLevel: "warn" },
  extlogic: { logLevel: "error" },
});

describe("log levels", () => {
  it("are in one ConfigMap, a key for each component, info unless the spec says otherwise", () => {
    const { metadata, data } = logLevelsConfigMap(usual);
    assert.equal(metadata.name, "demo-log-levels");
    assert.deepEqual(data, { entry: "info", logic: "info", extlogic: "info" });
    assert.deepEqual(logLevelsConfigMap(other).data, { entry: "debug", logic: "warn", extlogic: "error" });
  });

  it("are part of no pod", () => {
    assert.equal(entryRevision(other), entryRevision(usual));
    assert.deepEqual(entryPod(other, "abcde"), entryPod(usual, "abcde"));
    assert.deepEqual(logicDeployment(other).spec, logicDeployment(usual).spec);
    assert.deepEqual(extlogicDeployment(other).spec, extlogicDeployment(usual).spec);
  });

  it("reach each component as a file that need not be there", () => {
    const pods = {
      entry: entryPod(usual, "abcde").spec,
      logic: logicDeployment(usual).spec.template.spec,
      extlogic: extlogicDeployment(usual).spec.template.spec,
    };
    for (const role of ROLES) {
      const { volumes = [], containers } = pods[role];
      const volume = (volumes as { name: string; configMap?: object }[]).find(({ name }) => name === "log-level");
      const items = [{ key: role, path: "level" }];
      assert.deepEqual(volume?.configMap, { name: "demo-log-levels", defaultMode: 0o440, items, optional: true });
      const [{ env = [], volumeMounts = [] } = { volumeMounts: [] }] = containers;
      const dir = env.find(({ name }) => name === "IM_LOG_LEVEL_DIR")?.value;
      assert.ok(dir);
      assert.ok((volumeMounts as { mountPath: string }[]).some(({ mountPath }) => mountPath === dir));
    }
  });
});
