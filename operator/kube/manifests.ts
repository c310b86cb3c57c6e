// SPDX-License-Identifier: Apache-2.0
import { loadYaml } from "@kubernetes/client-node";
import { ErrorCode, ImError } from "#lib/errors.ts";
import type { KubeObject } from "./types.ts";

/**
 * The objects of a manifest, YAML or JSON, one or several documents; empty documents are skipped.
 * @throws {ImError} BAD_REQUEST that says what is wrong, and in which document
 */
export function parseManifests(text: string): KubeObject[] {
  const documents = text.split(/^---.*$/m).filter(hasContent);
  return documents.map((document, index) => {
    const where = documents.length > 1 ? `document ${index + 1}: ` : "";
    let object: unknown;
    try {
      // What it gives are instances of classes, with dates; plain JSON is what travels.
      object = JSON.parse(JSON.stringify(loadYaml<unknown>(document)));
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause);
      throw new ImError(ErrorCode.BAD_REQUEST, `${where}${message.split("\n")[0]}`, { cause });
    }
    if (isObject(object)) return object;
    throw new ImError(ErrorCode.BAD_REQUEST, `${where}no object with apiVersion, kind and metadata.name`);
  });
}

function hasContent(document: string): boolean {
  return document.split("\n").some((line) => line.trim() !== "" && !line.trimStart().startsWith("#"));
}

function isObject(value: unknown): value is KubeObject {
  if (typeof value !== "object" || value === null) return false;
  const { apiVersion, kind, metadata } = value as Record<string, unknown>;
  const name = typeof metadata === "object" && metadata !== null && "name" in metadata ? metadata.name : undefined;
  return typeof apiVersion === "string" && typeof kind === "string" && typeof name === "string";
}
