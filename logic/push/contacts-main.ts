// SPDX-License-Identifier: Apache-2.0
// `node logic/push/contacts-main.ts < contacts.jsonl`: takes over phone numbers, WeChat open ids and time zones, one
// JSON object a line: {"userId":"bob","phone":"+8613800000000","wechat":"oABC","timeZone":"Asia/Shanghai"}. What a line
// leaves out is emptied. Prints one line of JSON; 0 = all taken, 1 = failed or lines refused, 2 = bad configuration.
import { createInterface } from "node:readline";
import * as z from "zod";
import { envUrl, loadConfig } from "#lib/config.ts";
import { toImError } from "#lib/errors.ts";
import { openPostgresStore } from "../store/postgres-store.ts";
import type { PushContact } from "../store/push-store.ts";
import { isTimeZone } from "./policy.ts";

const BATCH = 500;
const WAIT_MS = 10_000;

const configSchema = z.object({
  IM_POSTGRES_URL: envUrl("postgres:", "postgresql:").describe("postgres://user:password@host:5432/database"),
});

const lineSchema = z.strictObject({
  userId: z.string().min(1).max(256),
  phone: z
    .string()
    .regex(/^\+[1-9]\d{5,14}$/)
    .default(""),
  wechat: z.string().max(128).default(""),
  timeZone: z.string().refine(isTimeZone).default(""),
});

async function* readContacts(refuse: () => void): AsyncGenerator<PushContact> {
  for await (const line of createInterface({ input: process.stdin })) {
    if (line.trim() === "") continue;
    const contact = parseLine(line);
    if (contact) yield contact;
    else refuse();
  }
}

function parseLine(line: string): PushContact | undefined {
  try {
    return lineSchema.safeParse(JSON.parse(line)).data;
  } catch {
    // Not JSON: counted, not shown, as it holds personal data.
    return undefined;
  }
}

async function main(): Promise<number> {
  let url: string;
  try {
    url = loadConfig(configSchema).IM_POSTGRES_URL;
  } catch (error) {
    console.error(toImError(error).message);
    return 2;
  }
  let saved = 0;
  let refused = 0;
  try {
    const store = await openPostgresStore({ url, name: "contacts", startTimeoutMs: WAIT_MS });
    try {
      let batch: PushContact[] = [];
      const flush = async (): Promise<void> => {
        await store.pushStore.saveContacts(batch);
        saved += batch.length;
        batch = [];
      };
      for await (const contact of readContacts(() => refused++)) {
        batch.push(contact);
        if (batch.length === BATCH) await flush();
      }
      await flush();
    } finally {
      await store.close();
    }
  } catch (error) {
    console.error(toImError(error).message);
    return 1;
  }
  console.log(JSON.stringify({ saved, refused }));
  return refused > 0 ? 1 : 0;
}

process.exitCode = await main();
