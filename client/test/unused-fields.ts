// SPDX-License-Identifier: Apache-2.0

/** Fields that the SDK neither sends nor looks at. Everything else of a message is in its table. */
export const UNUSED_FIELDS: Readonly<Record<string, readonly string[]>> = {
  Hello: ["contactsVersion", "firstPageBytes", "lastLease", "sysWatermark"],
  Welcome: ["caps", "lease", "proto", "resumed", "serverTimeMs"],
  Limits: ["maxFrameBytes", "maxPageEvents"],
  Pong: ["serverTimeMs"],
  Kick: ["atMs"],
};

/** The fields of a message of the name `message` that the SDK uses. */
export function usedFields(message: string, fields: object): Record<string, unknown> {
  const used = Object.entries(fields).filter(([name]) => !UNUSED_FIELDS[message]?.includes(name));
  return Object.fromEntries(
    used.map(([name, value]: [string, unknown]) => {
      const isLimits = name === "limits" && typeof value === "object" && value !== null;
      return [name, isLimits ? usedFields("Limits", value) : value];
    }),
  );
}
