// SPDX-License-Identifier: Apache-2.0
import * as z from "zod";
import { TENANT } from "./tenant-ids.ts";

const MAX_TENANTS = 1000;

/** Reads the value of one tenant, or says what is wrong with it. */
export type ReadValue<V extends number | string> = (value: unknown, tenant: string) => V | { readonly problem: string };

/**
 * An environment variable with a setting by tenant: `{"acme":30}`.
 * @param read of {@link readByTenant} @param what the text should be, with an example
 */
export function envByTenant<V>(
  read: (text: string) => ReadonlyMap<string, V> | string,
  what: string,
): z.ZodType<ReadonlyMap<string, V> | undefined> {
  return z
    .string()
    .transform((text, context): ReadonlyMap<string, V> => {
      const values = read(text);
      if (typeof values !== "string") return values;
      context.addIssue({ code: "custom", message: values });
      return z.NEVER;
    })
    .optional()
    .describe(what);
}

/** The values by tenant, or what is wrong with the text. */
export function readByTenant<V extends number | string>(
  text: string,
  read: ReadValue<V>,
): ReadonlyMap<string, V> | string {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return "is no JSON";
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) return "is no JSON object";
  const entries: [string, unknown][] = Object.entries(json);
  if (entries.length > MAX_TENANTS) return `has more than ${MAX_TENANTS} tenants`;
  const values = new Map<string, V>();
  for (const [tenant, value] of entries) {
    if (tenant === "" || !TENANT.test(tenant))
      return `${JSON.stringify(tenant)} is no tenant: 1 to 32 of a-z, 0-9 and -`;
    const found = read(value, tenant);
    if (typeof found === "object") return found.problem;
    values.set(tenant, found);
  }
  return values;
}
