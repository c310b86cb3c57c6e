// SPDX-License-Identifier: Apache-2.0
import type { Method, Operation } from "./operation.ts";

/** What a path leads to. */
export type RouteMatch =
  | { readonly kind: "found"; readonly operation: Operation; readonly path: Readonly<Record<string, string>> }
  /** There is something there, but for other methods. */
  | { readonly kind: "method"; readonly allow: readonly Method[] }
  | { readonly kind: "none" }
  /** A part of the path is no percent-encoded UTF-8. */
  | { readonly kind: "malformed" };

interface Route {
  readonly operation: Operation;
  readonly parts: readonly string[];
}

/** Finds operations by method and path. Linear: there are some dozens. */
export class RouteTable {
  readonly #routes: readonly Route[];

  constructor(operations: readonly Operation[]) {
    this.#routes = operations.map((operation) => ({ operation, parts: operation.path.split("/") }));
  }

  match(method: string, path: string): RouteMatch {
    const parts = path.split("/");
    const there = this.#routes.filter((route) => isMatch(route.parts, parts));
    const route = there.find(({ operation }) => operation.method === method);
    if (route) {
      const fields = fieldsOf(route.parts, parts);
      return fields ? { kind: "found", operation: route.operation, path: fields } : { kind: "malformed" };
    }
    if (there.length === 0) return { kind: "none" };
    return { kind: "method", allow: there.map(({ operation }) => operation.method) };
  }
}

const isField = (part: string): boolean => part.startsWith("{");

function isMatch(pattern: readonly string[], parts: readonly string[]): boolean {
  return pattern.length === parts.length && pattern.every((part, at) => isField(part) || part === parts[at]);
}

function fieldsOf(pattern: readonly string[], parts: readonly string[]): Record<string, string> | undefined {
  const fields: Record<string, string> = {};
  try {
    for (const [at, part] of pattern.entries())
      if (isField(part)) fields[part.slice(1, -1)] = decodeURIComponent(parts[at] ?? "");
  } catch {
    // URIError says no more than that it is malformed.
    return undefined;
  }
  return fields;
}
