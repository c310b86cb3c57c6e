// SPDX-License-Identifier: Apache-2.0
import type * as z from "zod";
import { envByTenant, readByTenant } from "../tenant/by-tenant.ts";

const MIN_DAYS = 1;
const MAX_DAYS = 3650;

/** An environment variable with the days of retention by tenant: `{"acme":30}`. */
export function envTenantDays(): z.ZodType<ReadonlyMap<string, number> | undefined> {
  return envByTenant(readTenantDays, 'a JSON object of tenants and whole days, such as {"acme":30}');
}

/** The days by tenant, or what is wrong with the text. */
export function readTenantDays(text: string): ReadonlyMap<string, number> | string {
  return readByTenant<number>(text, (value, tenant) => {
    if (typeof value !== "number" || !Number.isInteger(value) || value < MIN_DAYS || value > MAX_DAYS)
      return { problem: `the days of ${tenant} are no whole number from ${MIN_DAYS} to ${MAX_DAYS}` };
    return value;
  });
}
