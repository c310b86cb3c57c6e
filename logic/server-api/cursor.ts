// SPDX-License-Identifier: Apache-2.0
import { hash } from "node:crypto";
import { type Refusal, refuse } from "./problem.ts";

const LIST_CHARS = 8;

/** A position in a list, opaque to callers. It says of which list it is, so that one of another list is refused and not misread. */
export function cursorOf(list: string, position: number): string {
  return Buffer.from(`${digestOf(list)}.${position}`, "latin1").toString("base64url");
}

/** The position; undefined: no cursor of this list. */
export function readCursor(list: string, cursor: string): number | undefined {
  const [digest, position = "", more] = Buffer.from(cursor, "base64url").toString("latin1").split(".");
  if (digest !== digestOf(list) || more !== undefined || !/^\d{1,16}$/.test(position)) return undefined;
  const value = Number(position);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Where the page that a request asks for begins: behind this position, 0 without a cursor; a refusal of one that is of another list. */
export function positionOf(list: string, cursor: string | undefined): number | Refusal {
  if (cursor === undefined) return 0;
  return readCursor(list, cursor) ?? refuse("invalid", "cursor is not of this list: begin without one");
}

function digestOf(list: string): string {
  return hash("sha256", list, "hex").slice(0, LIST_CHARS);
}
