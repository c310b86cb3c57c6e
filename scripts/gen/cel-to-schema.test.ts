// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { parse } from "yaml";
import { celToSchema, ONLY_KEYS } from "./cel-to-schema.ts";

const said: [rule: string, schema: object][] = [
  ["self >= 1 && self <= 200", { minimum: 1, maximum: 200 }],
  ["self >= 0", { minimum: 0 }],
  ["self.matches('^[A-Z0-9]{10}$')", { pattern: "^[A-Z0-9]{10}$" }],
  ["self.matches('^[0-9]+\\\\.[0-9]+$')", { pattern: "^[0-9]+\\.[0-9]+$" }],
  ["self == 'never' || self.matches('^[0-9]+s$')", { pattern: "(?:^never$)|(?:^[0-9]+s$)" }],
  ["self.matches('^a') || self.matches('^b')", { pattern: "(?:^a)|(?:^b)" }],
  ["self in ['Cluster', 'Local']", { enum: ["Cluster", "Local"] }],
  ["self.all(k, k in ['cpu', 'memory'])", { [ONLY_KEYS]: ["cpu", "memory"] }],
  ["!self.exists(k, k.startsWith('imcluster.io/'))", { patternProperties: { "^(imcluster\\.io\\/)": false } }],
  ["!self.endsWith(':latest')", { not: { pattern: ":latest$" } }],
  ["type(self) == int ? self >= 0 : string(self).matches('^([0-9]|90)%$')", { minimum: 0, pattern: "^([0-9]|90)%$" }],
  ["self.all(k, k.matches('^[a-z]+$'))", { propertyNames: { pattern: "^[a-z]+$" } }],
];

const notSaid = [
  "self.min <= self.max",
  "!self.matches('^([0-9]+(ms|s|m|h))+$') || duration(self) <= duration('24h')",
  "!(has(self.urlSecretRef) && has(self.embedded))",
  "self.start != self.end",
];

interface Node {
  [key: string]: unknown;
}

function rulesOf(node: unknown): string[] {
  if (Array.isArray(node)) return node.flatMap(rulesOf);
  if (typeof node !== "object" || node === null) return [];
  const own = (node as Node)["x-kubernetes-validations"] as { rule: string }[] | undefined;
  return [...(own ?? []).map(({ rule }) => rule), ...Object.values(node).flatMap(rulesOf)];
}

describe("CEL rules in a JSON schema", () => {
  for (const [rule, schema] of said) it(`says ${rule}`, () => assert.deepEqual(celToSchema(rule), schema));
  for (const rule of notSaid) it(`leaves ${rule} to the API server`, () => assert.equal(celToSchema(rule), undefined));

  it("says every rule of the CRD that is about one value and no duration", () => {
    const rules = rulesOf(parse(readFileSync(new URL("../../crds/imcluster.yaml", import.meta.url), "utf8")));
    const about = rules.filter((rule) => !/has\(|duration\(|self[.]\w+(?!\w*\()|oldSelf|size\(self\)/.test(rule));
    assert.ok(about.length > 40, String(about.length));
    assert.deepEqual(
      about.filter((rule) => celToSchema(rule) === undefined),
      [],
    );
  });
});
