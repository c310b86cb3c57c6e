// SPDX-License-Identifier: Apache-2.0
// Makes operator/api/v1alpha1.ts from crds/imcluster.yaml: one interface per object of the schema.
import { parse } from "yaml";

/** The part of an OpenAPI v3 schema that the generator reads. */
interface Schema {
  type?: string;
  description?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  additionalProperties?: Schema;
  enum?: string[];
  default?: unknown;
  "x-kubernetes-int-or-string"?: boolean;
}

interface Crd {
  spec: {
    group: string;
    names: { kind: string };
    versions: { name: string; schema: { openAPIV3Schema: Schema } }[];
  };
}

const WIDTH = 118;

/** Collects interfaces in the order in which the schema mentions them. */
class TypeWriter {
  readonly #suffix: string;
  /** Schemas shared by a YAML alias are one object, and get one interface. */
  readonly #names = new Map<Schema, string>();
  readonly interfaces: string[] = [];

  constructor(suffix: string) {
    this.#suffix = suffix;
  }

  /** TypeScript type of a schema; `path` (kind, "spec" or "status", fields) names the interface if one is needed. */
  type(schema: Schema, path: readonly string[]): string {
    if (schema["x-kubernetes-int-or-string"]) return "number | string";
    if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
    switch (schema.type) {
      case "integer":
      case "number":
        return "number";
      case "string":
      case "boolean":
        return schema.type;
      case "array":
        return this.#array(schema, path);
      case "object":
        return this.#object(schema, path);
      default:
        throw new Error(`crds/imcluster.yaml: no TypeScript type for ${path.join(".")} of type ${schema.type}`);
    }
  }

  #array(schema: Schema, path: readonly string[]): string {
    const name = path.at(-1) ?? "";
    const item = this.type(schema.items ?? {}, [...path.slice(0, -1), name.replace(/ies$/, "y").replace(/s$/, "")]);
    return item.includes("|") ? `(${item})[]` : `${item}[]`;
  }

  #object(schema: Schema, path: readonly string[]): string {
    if (schema.additionalProperties) return `Record<string, ${this.type(schema.additionalProperties, path)}>`;
    const known = this.#names.get(schema);
    if (known) return known;
    const name = interfaceName(path, this.#suffix);
    this.#names.set(schema, name);
    this.interfaces.push(this.#interface(name, schema, path));
    return name;
  }

  #interface(name: string, schema: Schema, path: readonly string[]): string {
    const fields = Object.entries(schema.properties ?? {}).flatMap(([field, child]) => {
      const optional = schema.required?.includes(field) || child.default !== undefined ? "" : "?";
      return [...docComment(child.description, "  "), `  ${field}${optional}: ${this.type(child, [...path, field])};`];
    });
    return [...docComment(schema.description, ""), `export interface ${name} {`, ...fields, "}"].join("\n");
  }
}

function interfaceName(path: readonly string[], suffix: string): string {
  const parts = path.length > 2 ? path.slice(2) : path;
  const words = parts.map((part) => part.charAt(0).toUpperCase() + part.slice(1)).join("");
  return words.endsWith(suffix) ? words : words + suffix;
}

/** Wraps a description to lines of at most 118 characters. */
function docComment(text: string | undefined, indent: string): string[] {
  if (!text) return [];
  const oneLine = `${indent}/** ${text} */`;
  if (oneLine.length <= WIDTH) return [oneLine];
  const lines: string[] = [];
  let line = `${indent} *`;
  for (const word of text.split(/\s+/)) {
    if (line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = `${indent} *`;
    }
    line += ` ${word}`;
  }
  return [`${indent}/**`, ...lines, line, `${indent} */`];
}

/**
 * TypeScript source of the CRD's first version. Pure: the same text in gives the same text out. A field is optional unless
 * the schema requires it or has a default for it, because the API server fills defaults in.
 * @throws Error on a schema type that it does not know
 */
export function generateCrdTypes(yaml: string): string {
  const crd = parse(yaml) as Crd;
  const [version] = crd.spec.versions;
  const schema = version?.schema.openAPIV3Schema;
  const { spec, status } = schema?.properties ?? {};
  if (!version || !schema || !spec || !status)
    throw new Error("crds/imcluster.yaml: needs a version with spec and status");
  const kind = crd.spec.names.kind;
  const specs = new TypeWriter("Spec");
  const statuses = new TypeWriter("Status");
  const root = [
    ...docComment(schema.description, ""),
    `export interface ${kind} extends KubeObject {`,
    `  spec: ${specs.type(spec, [kind, "spec"])};`,
    `  status?: ${statuses.type(status, [kind, "status"])};`,
    "}",
  ].join("\n");
  return `${[
    "// SPDX-License-Identifier: Apache-2.0\n// Generated from crds/imcluster.yaml by `make gen`. Do not edit.",
    'import type { KubeObject } from "../kube/types.ts";',
    `export const API_VERSION = "${crd.spec.group}/${version.name}";\nexport const KIND = "${kind}";`,
    root,
    ...specs.interfaces,
    ...statuses.interfaces,
  ].join("\n\n")}\n`;
}
