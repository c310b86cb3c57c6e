// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import * as z from "zod";
import { ErrorCode, ImError } from "./errors.ts";
import { LOG_LEVELS, type LogLevel } from "./logger.ts";
import { parseRedisUrl, REDIS_URL_REMEDY } from "./redis-url.ts";

type Env = Readonly<Record<string, string | undefined>>;

/**
 * Reads a process's configuration from its environment, once, at start.
 *
 * Each key of the schema is a variable. An empty variable counts as unset. When NAME is unset and NAME_FILE is
 * set, NAME is the trimmed content of that file. `describe()` of a key is its remedy: what to set it to.
 * @throws {ImError} BAD_REQUEST that lists every bad variable: name, problem, remedy
 */
export function loadConfig<S extends z.ZodType>(schema: S, env: Env = process.env): z.infer<S> {
  const problems: string[] = [];
  const shape = shapeOf(schema);
  const input: Record<string, string> = {};
  for (const name of Object.keys(shape)) {
    const value = readVariable(name, env, problems);
    if (value !== undefined && value !== "") input[name] = value;
  }
  const result = schema.safeParse(input);
  if (!result.success) {
    for (const issue of result.error.issues) problems.push(describeIssue(issue, shape, input));
  }
  if (problems.length > 0 || !result.success)
    throw new ImError(ErrorCode.BAD_REQUEST, `bad configuration:\n  ${problems.join("\n  ")}`);
  return Object.freeze(result.data) as z.infer<S>;
}

function shapeOf(schema: z.ZodType): Record<string, z.ZodType> {
  return "shape" in schema ? (schema.shape as Record<string, z.ZodType>) : {};
}

function readVariable(name: string, env: Env, problems: string[]): string | undefined {
  const direct = env[name];
  if (direct !== undefined && direct !== "") return direct;
  const file = env[`${name}_FILE`];
  if (file === undefined || file === "") return undefined;
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    problems.push(
      `${name}_FILE: cannot read ${file} (${(error as NodeJS.ErrnoException).code}); mount it or set ${name}`,
    );
    return undefined;
  }
}

function describeIssue(
  issue: z.core.$ZodIssue,
  shape: Record<string, z.ZodType>,
  input: Record<string, string>,
): string {
  const name = String(issue.path[0] ?? "configuration");
  const remedy = shape[name]?.description;
  const problem = input[name] === undefined && issue.path.length > 0 ? "is required" : issue.message;
  return `${name}: ${problem}${remedy ? `; set it to ${remedy}` : ""}`;
}

const DIGITS = /^\d{1,15}$/;

/** An integer in [min, max]. */
export function envInt(min: number, max: number): z.ZodType<number> {
  return z.string().transform((text, context) => {
    const value = DIGITS.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    context.addIssue({ code: "custom", message: `${JSON.stringify(text)} is not an integer from ${min} to ${max}` });
    return z.NEVER;
  });
}

/** A TCP port; 0 = any free one. */
export function envPort(): z.ZodType<number> {
  return envInt(0, 65_535);
}

/** true or false. */
export function envBool(): z.ZodType<boolean> {
  return z.string().transform((text, context) => {
    if (text === "true" || text === "1") return true;
    if (text === "false" || text === "0") return false;
    context.addIssue({ code: "custom", message: `${JSON.stringify(text)} is neither true nor false` });
    return z.NEVER;
  });
}

const DURATION = /^(\d{1,12})(ms|s|m|h)?$/;
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** A duration in ms; takes `1500`, `1500ms`, `30s`, `5m`, `1h`. */
export function envDurationMs(minMs = 0, maxMs = 86_400_000): z.ZodType<number> {
  return z.string().transform((text, context) => {
    const match = DURATION.exec(text);
    const value = match ? Number(match[1]) * (UNIT_MS[match[2] ?? "ms"] ?? 1) : Number.NaN;
    if (value >= minMs && value <= maxMs) return value;
    context.addIssue({
      code: "custom",
      message: `${JSON.stringify(text)} is not a duration from ${minMs} to ${maxMs} ms, like 1500 or 30s`,
    });
    return z.NEVER;
  });
}

/** A non-empty string of at most `maxLength` characters. */
export function envString(maxLength = 4096): z.ZodType<string> {
  return z.string().min(1).max(maxLength);
}

/** debug, info, warn or error. */
export function envLogLevel(): z.ZodType<LogLevel> {
  return z.enum(LOG_LEVELS).describe("debug, info, warn or error");
}

/** A folder with a file that {@link followLogLevel} follows. */
export function envLogLevelDir(): z.ZodType<string> {
  return envString().describe("a folder with the file level, which is looked at all the time; unset = IM_LOG_LEVEL");
}

/** A comma separated list without empty items. */
export function envList(): z.ZodType<string[]> {
  return z.string().transform((text) =>
    text
      .split(",")
      .map((item) => item.trim())
      .filter((item) => item !== ""),
  );
}

/** An absolute URL with one of `protocols`, such as `postgres:`. */
export function envUrl(...protocols: string[]): z.ZodType<string> {
  return z.string().refine((text) => URL.canParse(text) && protocols.includes(new URL(text).protocol), {
    error: `is not a URL that starts with ${protocols.map((protocol) => `${protocol}//`).join(" or ")}`,
  });
}

/** Where Redis is: one server, sentinels or a Cluster; see `redis-url.ts`. */
export function envRedisUrl(): z.ZodType<string> {
  return z
    .string()
    .superRefine((text, context) => {
      try {
        parseRedisUrl(text);
      } catch (error) {
        context.addIssue({ code: "custom", message: error instanceof Error ? error.message : String(error) });
      }
    })
    .describe(REDIS_URL_REMEDY);
}
