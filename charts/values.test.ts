// SPDX-License-Identifier: Apache-2.0
// values.yaml, values.schema.json and Chart.yaml agree with each other and with the project.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parse } from "yaml";
import { CHART_NAMES, CHARTS, chartFile } from "./testing/helm.ts";
import { freeValues, type KeySchema, openGroups, schemaKeys, valueKeys } from "./testing/value-keys.ts";

interface Chart {
  name: string;
  version: string;
  appVersion: string;
  kubeVersion: string;
  icon: string;
  annotations: Record<string, string>;
}

const schemaOf = (chart: string): KeySchema & { $schema: string } =>
  JSON.parse(readFileSync(join(CHARTS, chart, "values.schema.json"), "utf8")) as KeySchema & { $schema: string };
const { version } = JSON.parse(readFileSync(join(CHARTS, "../package.json"), "utf8")) as { version: string };

describe("keys of a chart's values", () => {
  const schema: KeySchema = {
    additionalProperties: false,
    properties: {
      image: { additionalProperties: false, properties: { tag: {}, digest: {} } },
      labels: { additionalProperties: { type: "string" } },
      open: { properties: { a: {} } },
    },
  };

  it("are those of the schema and of the values, as deep as the schema goes", () => {
    assert.deepEqual(schemaKeys(schema), ["image", "image.tag", "image.digest", "labels", "open", "open.a"]);
    const values = { image: { tag: "1", other: 2 }, labels: { team: "chat" }, extra: { deep: 1 } };
    assert.deepEqual(valueKeys(values, schema), ["image", "image.tag", "image.other", "labels", "extra"]);
  });

  it("are closed but where it is said, also in lists and definitions", () => {
    assert.deepEqual(openGroups(schema), ["open"]);
    const deep: KeySchema = { items: { properties: {} }, definitions: { peer: { properties: {} } } };
    assert.deepEqual(openGroups(deep), ["#peer", "[]"]);
  });

  it("hold anything where the schema says nothing of it", () => {
    const free = { properties: { any: { type: "object" }, list: { type: "array" }, name: { type: "string" } } };
    assert.deepEqual(freeValues(free), ["any", "list"]);
    assert.deepEqual(freeValues(schema), []);
  });
});

describe("values of im-operator", () => {
  it("and their schema have the same keys, at every depth", () => {
    const schema = schemaOf("im-operator");
    const inValues = new Set(valueKeys(chartFile("im-operator", "values.yaml"), schema));
    // Kubernetes' own words, and what Helm gives to every chart.
    const known = (path: string): boolean => path !== "global" && !/^resources[.]/.test(path);
    assert.deepEqual(schemaKeys(schema).filter(known).sort(), [...inValues].filter(known).sort());
  });
});

describe("values of im-cluster", () => {
  it("are in the schema, and those beside spec are the same", () => {
    const schema = schemaOf("im-cluster");
    const keys = valueKeys(chartFile("im-cluster", "values.yaml"), schema);
    const known = new Set(schemaKeys(schema));
    assert.deepEqual(
      keys.filter((path) => !known.has(path)),
      [],
    );
    const beside = (path: string): boolean =>
      path !== "global" && !path.startsWith("spec.") && !/[.]resources[.]/.test(path);
    assert.deepEqual([...known].filter(beside).sort(), keys.filter(beside).sort());
  });
});

for (const name of CHART_NAMES) {
  describe(`chart ${name}`, () => {
    it("has a schema of the draft that Helm reads, closed at every group", () => {
      const schema = schemaOf(name);
      assert.match(schema.$schema, /draft-07/);
      assert.deepEqual(openGroups(schema), []);
    });

    it("says of every value what it may be, but of Helm's own global", () =>
      assert.deepEqual(freeValues(schemaOf(name)), ["global"]));

    it("has the version of the project, and an image of that version", () => {
      const chart = chartFile<Chart>(name, "Chart.yaml");
      assert.deepEqual([chart.name, chart.version, chart.appVersion], [name, version, version]);
      const images = chart.annotations["artifacthub.io/images"] ?? "";
      assert.match(images, new RegExp(`image: ghcr[.]io/imcluster/imcluster:${version.replaceAll(".", "[.]")}$`, "m"));
    });

    it("tells Artifact Hub what it is", () => {
      const { annotations, icon } = chartFile<Chart>(name, "Chart.yaml");
      assert.match(icon, /^https:/);
      for (const key of ["license", "category", "changes", "images", "links"])
        assert.ok(annotations[`artifacthub.io/${key}`], key);
      assert.equal(annotations["artifacthub.io/license"], "Apache-2.0");
    });
  });
}

describe("what Artifact Hub is told", () => {
  const { annotations } = chartFile<Chart>("im-operator", "Chart.yaml");
  const told = <T>(key: string): T => parse(annotations[`artifacthub.io/${key}`] ?? "") as T;

  it("has the icon and pages that are in the project", () => {
    for (const name of CHART_NAMES) {
      const chart = chartFile<Chart>(name, "Chart.yaml");
      const links = parse(chart.annotations["artifacthub.io/links"] ?? "") as { url: string }[];
      for (const url of [chart.icon, ...links.map((link) => link.url)]) {
        const path = /[/](?:blob[/])?main[/](.+)$/.exec(url)?.[1];
        assert.ok(path !== undefined && existsSync(join(CHARTS, "..", path)), url);
      }
    }
  });

  it("names the images that the values name, and no other", () => {
    const { image, operand } = chartFile<{
      image: { repository: string };
      operand: { postgresImage: string; redisImage: string };
    }>("im-operator", "values.yaml");
    assert.deepEqual(
      told<{ image: string }[]>("images").map((one) => one.image),
      [`${image.repository}:${version}`, operand.postgresImage, operand.redisImage],
    );
  });

  it("names the CustomResourceDefinition and an example of it, and how much the operator can", () => {
    const crd = parse(readFileSync(join(CHARTS, "../crds/imcluster.yaml"), "utf8")) as {
      metadata: { name: string };
      spec: { names: { kind: string }; versions: { name: string }[] };
    };
    const [{ name: crdVersion } = { name: "" }] = crd.spec.versions;
    const { kind } = crd.spec.names;
    assert.deepEqual(
      told<{ kind: string; version: string; name: string }[]>("crds").map((one) => [one.kind, one.version, one.name]),
      [[kind, crdVersion, crd.metadata.name]],
    );
    for (const example of told<{ kind: string; apiVersion: string }[]>("crdsExamples"))
      assert.deepEqual([example.kind, example.apiVersion], [kind, `imcluster.io/${crdVersion}`]);
    const levels = ["Basic Install", "Seamless Upgrades", "Full Lifecycle", "Deep Insights", "Auto Pilot"];
    assert.equal(annotations["artifacthub.io/operator"], "true");
    assert.ok(levels.includes(annotations["artifacthub.io/operatorCapabilities"] ?? ""));
  });
});
