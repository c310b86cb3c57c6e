// SPDX-License-Identifier: Apache-2.0
import type { PushNotification } from "../provider.ts";

const PLACEHOLDER = /\{(time|date)\}/g;

/**
 * Fills `{time}` (2026-11-25 22:03, UTC) and `{date}` into the texts. There is no placeholder for who wrote or what:
 * third parties learn that there is a message, nothing else.
 */
export function fillTemplate(
  template: Readonly<Record<string, string>>,
  { sentAtMs }: PushNotification,
): Record<string, string> {
  const time = new Date(sentAtMs).toISOString().slice(0, 16).replace("T", " ");
  const values: Record<string, string> = { time, date: time.slice(0, 10) };
  return Object.fromEntries(
    Object.entries(template).map(([field, text]) => [
      field,
      text.replace(PLACEHOLDER, (_, name: string) => values[name] ?? ""),
    ]),
  );
}
