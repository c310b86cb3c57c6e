// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as z from "zod";
import { loadConfig } from "#lib/config.ts";
import { ImError } from "#lib/errors.ts";
import { envTenantDays, readTenantDays } from "./tenant-days.ts";

describe("days of retention by tenant", () => {
  it("are read", () => {
    assert.deepEqual(
      readTenantDays('{"acme":30,"shop-2":1}'),
      new Map([
        ["acme", 30],
        ["shop-2", 1],
      ]),
    );
    assert.deepEqual(readTenantDays("{}"), new Map());
  });

  it("are refused with what is wrong", () => {
    const many = JSON.stringify(Object.fromEntries(Array.from({ length: 1001 }, (_, n) => [`t${n}`, 1])));
    const cases: [string, RegExp][] = [
      ["", /no JSON/],
      ["[]", /no JSON object/],
      ["null", /no JSON object/],
      ['{"":30}', /"" is no tenant/],
      ['{"A b":30}', /"A b" is no tenant/],
      ['{"acme":0}', /days of acme/],
      ['{"acme":1.5}', /days of acme/],
      ['{"acme":"30"}', /days of acme/],
      ['{"acme":4000}', /days of acme/],
      [many, /more than 1000/],
    ];
    for (const [text, wanted] of cases) assert.match(String(readTenantDays(text)), wanted, text);
  });

  it("come from the environment, and a bad value says what to set", () => {
    const schema = z.object({ IM_RETENTION_TENANTS: envTenantDays() });
    const read = (value: string) => loadConfig(schema, { IM_RETENTION_TENANTS: value }).IM_RETENTION_TENANTS;
    assert.deepEqual(read('{"acme":30}'), new Map([["acme", 30]]));
    assert.equal(loadConfig(schema, {}).IM_RETENTION_TENANTS, undefined);
    assert.throws(
      () => read('{"acme":-1}'),
      (error) => error instanceof ImError && /IM_RETENTION_TENANTS.*acme.*such as/s.test(error.message),
    );
  });
});
