// SPDX-License-Identifier: Apache-2.0
// The pages of this tree, and the names that its code has.
import { existsSync, globSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { COMMANDS, GLOBAL_FLAGS } from "../../kubectl/commands.ts";
import { describeProcesses } from "../../scripts/gen/metrics-doc.ts";
import type { Places } from "./links.ts";
import type { Fields } from "./manifests.ts";
import { type Page, readPage } from "./markdown.ts";
import type { Known } from "./names.ts";

export const ROOT = join(import.meta.dirname, "../..");
const IGNORED = /(^|\/)(node_modules|dist|testdata)(\/|$)/;

/** Text of a file of the tree. */
export const textOf = (path: string): string => readFileSync(join(ROOT, path), "utf8");

/** Every page, by its path. */
export function readPages(): Map<string, Page> {
  const folders = "{bench,charts,client,crds,docs,e2e,examples,gateway,kubectl,lib,logic,operator,proto,scripts}";
  const paths = globSync(["*.md", `${folders}/**/*.md`], { cwd: ROOT, exclude: (path) => IGNORED.test(path) });
  return new Map(paths.sort().map((path) => [path, readPage(path, textOf(path))]));
}

/** Pages, files and folders. */
export const placesOf = (pages: ReadonlyMap<string, Page>): Places => ({
  pages,
  exists: (path) => existsSync(join(ROOT, path)),
});

interface Schema {
  properties?: Record<string, Schema>;
  additionalProperties?: Schema;
  items?: Schema;
  "x-kubernetes-preserve-unknown-fields"?: boolean;
}

function imClusterSchema(): Schema {
  const crd = parse(textOf("crds/imcluster.yaml"), { merge: true }) as {
    spec: { versions: { schema: { openAPIV3Schema: Schema } }[] };
  };
  return crd.spec.versions[0]?.schema.openAPIV3Schema ?? {};
}

/** Fields of the spec, and of each of them. */
export function specFields(): Fields {
  const spec = imClusterSchema().properties?.spec?.properties ?? {};
  return new Map(Object.entries(spec).map(([name, { properties = {} }]) => [name, new Set(Object.keys(properties))]));
}

function hasField(schema: Schema | undefined, [name, ...rest]: readonly string[]): boolean {
  if (name === undefined) return schema !== undefined;
  if (schema === undefined) return false;
  if (schema["x-kubernetes-preserve-unknown-fields"]) return true;
  if (schema.items) return hasField(schema.items, [name, ...rest]);
  return hasField(schema.properties?.[name] ?? schema.additionalProperties, rest);
}

/** Everything that is code or configuration, as one text. */
function sourceText(): string {
  const patterns = [
    "{bench,charts,client,e2e,examples,gateway,kubectl,lib,logic,operator,proto,scripts}/**/*.{ts,mts,sh,yaml,tpl,lua,sql,py}",
    "Makefile",
    "Dockerfile",
  ];
  const files = globSync(patterns, { cwd: ROOT, exclude: (path) => IGNORED.test(path) || path === "e2e/docs" });
  return files
    .filter((path) => statSync(join(ROOT, path)).isFile())
    .map(textOf)
    .join("\n");
}

/** What the code has, read once. */
export function knownNames(): Known {
  const metrics = new Set(describeProcesses().flatMap((entry) => entry.metrics.map(({ name }) => name)));
  const rules = textOf("charts/im-operator/files/rules.yaml");
  const words = new Set(sourceText().match(/\bIM_[A-Z0-9_]+/g));
  const makefile = textOf("Makefile");
  const schema = imClusterSchema();
  return {
    metric: (name) => metrics.has(name),
    recordedFigure: (name) => rules.includes(`record: ${name}\n`),
    variable: (name) => words.has(name),
    target: (name) => new RegExp(`^${name}:`, "m").test(makefile),
    makeVariable: (name) => new RegExp(`\\$\\((?:if |or )?${name}\\b`).test(makefile),
    command: (name) => COMMANDS.some((command) => command.name === name),
    flag: (name, flag) => {
      const flags = COMMANDS.find((command) => command.name === name)?.flags ?? [];
      return [...flags, ...GLOBAL_FLAGS].some((spec) => spec.name === flag);
    },
    field: (path) => hasField(schema, path.split(".")),
    file: (path) => existsSync(join(ROOT, path)),
  };
}

/** Is there a test of that name in that file, as far as its text tells? */
export function hasTest(file: string, test: string): boolean {
  if (!existsSync(join(ROOT, file))) return false;
  const text = textOf(file);
  return ['"', "`", "'"].some((quote) => text.includes(`${quote}${test}${quote}`));
}
