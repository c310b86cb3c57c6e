// SPDX-License-Identifier: Apache-2.0
import { z } from "#lib/config.ts";
import { TENANT } from "../server-api/tenant-ids.ts";

const MIN_DAYS = 1;
const MAX_DAYS = 3650;
const MAX_TENANTS = 1000;

/** An environment variable with the days of retention by tenant: `{"acme":30}`. */
export function envTenantDays(): z.ZodType<ReadonlyMap<string, number> | undefined> {
  return z
    .string()
    .transform((text, context): ReadonlyMap<string, number> => {
      const days = readTenantDays(text);
      if (typeof days !== "string") return days;
      context.addIssue({ code: "custom", message: days });
      return z.NEVER;
    })
    .optional()
    .describe('a JSON object of tenants and whole days, such as {"acme":30}');
}

/** The days by tenant, or what is wrong with the text. */
export function readTenantDays(text: string): ReadonlyMap<string, number> | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return "is no JSON";
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "is no JSON object";
  const entries: [string, unknown][] = Object.entries(value);
  if (entries.length > MAX_TENANTS) return `has more than ${MAX_TENANTS} tenants`;
  const days = new Map<string, number>();
  for (const [tenant, count] of entries) {
    if (tenant === "" || !TENANT.test(tenant))
      return `${JSON.stringify(tenant)} is no tenant: 1 to 32 of a-z, 0-9 and -`;
    if (typeof count !== "number" || !Number.isInteger(count) || count < MIN_DAYS || count > MAX_DAYS)
      return `the days of ${tenant} are no whole number from ${MIN_DAYS} to ${MAX_DAYS}`;
    days.set(tenant, count);
  }
  return days;
}
