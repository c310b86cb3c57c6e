// SPDX-License-Identifier: Apache-2.0
// YAML that pages show: whole manifests, and parts of an ImCluster, which are put where they belong.
import { parseAllDocuments } from "yaml";
import type { Fence, Page } from "./markdown.ts";

/** Fields of an ImCluster's spec, each with those below it. */
export type Fields = ReadonlyMap<string, ReadonlySet<string>>;

/** What a block shows. */
export type Shown =
  | { readonly kind: "manifest"; readonly manifest: Readonly<Record<string, unknown>> }
  | { readonly kind: "values"; readonly chart: string; readonly text: string }
  | { readonly kind: "unknown"; readonly problem: string };

/** A block of YAML, where it is, and what it shows. */
export interface ShownAt {
  readonly at: string;
  readonly shown: Shown;
}

const VALUES = /^values of (im-operator|im-cluster)$/;
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const imCluster = (spec: unknown): Shown => ({
  kind: "manifest",
  manifest: { apiVersion: "imcluster.io/v1alpha1", kind: "ImCluster", metadata: { name: "shown" }, spec },
});

/** A part of an ImCluster: `spec:`, a field of it, or a field of one of these when only one has it. */
function placed(part: Record<string, unknown>, fields: Fields): Shown {
  const [key = "", ...more] = Object.keys(part);
  if (key === "spec" && more.length === 0) return imCluster(part.spec);
  if (Object.keys(part).every((name) => fields.has(name))) return imCluster(part);
  const parents = [...fields].filter(([, below]) => Object.keys(part).every((name) => below.has(name)));
  const [parent] = parents;
  if (parent && parents.length === 1) return imCluster({ [parent[0]]: part });
  return { kind: "unknown", problem: `${Object.keys(part).join(", ")}: neither a manifest nor a part of an ImCluster` };
}

function shownBy(document: unknown, fields: Fields): Shown {
  if (!isObject(document)) return { kind: "unknown", problem: "no object" };
  return "kind" in document ? { kind: "manifest", manifest: document } : placed(document, fields);
}

function ofFence({ notes, text }: Fence, fields: Fields): Shown[] {
  const chart = notes.map((note) => VALUES.exec(note)?.[1]).find((name) => name !== undefined);
  if (chart !== undefined) return [{ kind: "values", chart, text }];
  return parseAllDocuments(text).map((document): Shown => {
    const [error] = document.errors;
    return error ? { kind: "unknown", problem: error.message } : shownBy(document.toJS(), fields);
  });
}

/** What the YAML blocks of a page show. */
export const shownYaml = (page: Page, fields: Fields): ShownAt[] =>
  page.fences
    .filter(({ language }) => language === "yaml")
    .flatMap((fence) => ofFence(fence, fields).map((shown) => ({ at: `${page.path}:${fence.line}`, shown })));
