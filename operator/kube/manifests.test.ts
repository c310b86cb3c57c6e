// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parse } from "yaml";
import { ErrorCode } from "#lib/errors.ts";
import { parseManifests } from "./manifests.ts";

const EXAMPLES = join(import.meta.dirname, "../../examples/imcluster");
const IM = "apiVersion: imcluster.io/v1alpha1\nkind: ImCluster\n";

describe("parseManifests", () => {
  it("reads the examples as they are", () => {
    for (const file of readdirSync(EXAMPLES).filter((name) => name.endsWith(".yaml"))) {
      const text = readFileSync(join(EXAMPLES, file), "utf8");
      for (const object of parseManifests(text).filter(({ kind }) => kind === "ImCluster")) {
        const expected = text.split(/^---.*$/m).map((part) => parse(part) as { kind?: string } | null);
        assert.ok(
          expected.some(
            (one) => one?.kind === "ImCluster" && JSON.stringify(one) === JSON.stringify({ ...one, ...object }),
          ),
          file,
        );
      }
    }
  });

  it("reads JSON, several documents, and passes over empty ones", () => {
    const one = { apiVersion: "v1", kind: "Secret", metadata: { name: "s" } };
    const text = `---\n# nothing\n---\n${IM}metadata: { name: demo }\nspec: { entry: { replicas: 3 }, version: 0.1.0, odd: [1, null] }\n--- # next\n${JSON.stringify(one)}\n---\n`;
    const [cluster, secret, ...rest] = parseManifests(text);
    assert.deepEqual(cluster, {
      ...{ apiVersion: "imcluster.io/v1alpha1", kind: "ImCluster", metadata: { name: "demo" } },
      spec: { entry: { replicas: 3 }, version: "0.1.0", odd: [1, null] },
    });
    assert.deepEqual([secret?.kind, rest.length], ["Secret", 0]);
    assert.deepEqual(parseManifests("# only words\n"), []);
  });

  const wrong: [string, RegExp][] = [
    ["a: [", /unexpected end of the stream/],
    ["just text", /no object with apiVersion, kind and metadata\.name/],
    ["[1, 2]", /no object/],
    ["{}", /no object/],
    [IM, /no object/],
    [`${IM}metadata: { name: 5 }`, /no object/],
    [`${IM}metadata: { name: demo }\n---\na: b\n`, /^document 2: no object/],
    ["a: b\na: c", /duplicated mapping key|no object/],
  ];
  for (const [text, message] of wrong) {
    it(`refuses ${JSON.stringify(text.slice(0, 40))}`, () =>
      assert.throws(() => parseManifests(text), { code: ErrorCode.BAD_REQUEST, message }));
  }
});
