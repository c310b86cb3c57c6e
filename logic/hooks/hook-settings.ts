// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, ImError } from "#lib/errors.ts";
import { type Infer, object } from "../server-api/schema.ts";
import { faultsOf, fits } from "../server-api/validate.ts";
import { HOOK_KINDS, type HookKind } from "../store/hooks.ts";
import { TENANT } from "../tenant/tenant-ids.ts";

/** A backend that is told of what happened. */
export interface Hook {
  /** What the cluster knows it by: where it is in the log, and what of it is dead, hangs on this name. */
  readonly name: string;
  readonly url: string;
  readonly secret: string;
  /** Told of this tenant's alone. */
  readonly tenant: string;
  readonly events: ReadonlySet<HookKind>;
  /** Messages come with their content. */
  readonly content: boolean;
  /** Messages of these types alone; empty: of all. */
  readonly contentTypes: ReadonlySet<string>;
  readonly timeoutMs: number;
  /** Most events in one call. */
  readonly batchEvents: number;
  /** An event that failed so often is dead. */
  readonly tries: number;
  /** What it answers are verdicts on messages. */
  readonly verdicts: boolean;
}

/** A backend that is asked before a message is stored. */
export interface BeforeHook {
  readonly name: string;
  readonly url: string;
  readonly secret: string;
  readonly tenant: string;
  readonly contentTypes: ReadonlySet<string>;
  /** Only of messages to somebody who has not written to the sender. */
  readonly strangersOnly: boolean;
  /** It has so long to answer. */
  readonly budgetMs: number;
  /** What becomes of the message when there is no answer. */
  readonly onFailure: "allow" | "block";
  /** Questions under way, of one logic process; one more has no answer. */
  readonly concurrency: number;
}

export interface HookSettings {
  readonly hooks: readonly Hook[];
  readonly before: readonly BeforeHook[];
}

/** Is there a hook for such events? */
export function wantsEvent({ hooks }: HookSettings, kind: HookKind): boolean {
  return hooks.some(({ events }) => events.has(kind));
}

export const NO_HOOKS: HookSettings = { hooks: [], before: [] };

const MAX_HOOKS = 20;
const MIN_SECRET_CHARS = 16;

const NAME = { type: "string", pattern: "^[a-z0-9][a-z0-9-]{0,62}$" } as const;
const CONTENT_TYPES = { type: "array", maxItems: 50, items: { type: "string", minLength: 1, maxLength: 64 } } as const;
const target = {
  name: NAME,
  url: { type: "string", pattern: "^https?://", maxLength: 2048 },
  secret: { type: "string", minLength: MIN_SECRET_CHARS, maxLength: 1024 },
  secretFile: { type: "string", minLength: 1, maxLength: 4096 },
  tenant: { type: "string", pattern: TENANT.source },
  contentTypes: CONTENT_TYPES,
} as const;

const HOOK = object(
  {
    ...target,
    events: { type: "array", minItems: 1, maxItems: HOOK_KINDS.length, items: { type: "string", enum: HOOK_KINDS } },
    content: { type: "boolean" },
    timeoutMs: { type: "integer", minimum: 100, maximum: 30_000 },
    batchEvents: { type: "integer", minimum: 1, maximum: 100 },
    tries: { type: "integer", minimum: 1, maximum: 50 },
    verdicts: { type: "boolean" },
  },
  ["secret", "secretFile", "tenant", "contentTypes", "content", "timeoutMs", "batchEvents", "tries", "verdicts"],
);

const BEFORE = object(
  {
    ...target,
    strangersOnly: { type: "boolean" },
    budgetMs: { type: "integer", minimum: 10, maximum: 2000 },
    onFailure: { type: "string", enum: ["allow", "block"] },
    concurrency: { type: "integer", minimum: 1, maximum: 512 },
  },
  ["secret", "secretFile", "tenant", "contentTypes", "strangersOnly", "budgetMs", "concurrency"],
);

const FILE = object(
  {
    hooks: { type: "array", maxItems: MAX_HOOKS, items: HOOK },
    before: { type: "array", maxItems: 1, items: BEFORE },
  },
  ["hooks", "before"],
);
type HookFile = Infer<typeof FILE>;

/**
 * The content of the file of hooks, as docs/webhooks.md describes it.
 * @param secrets contents of the files that it names
 * @throws {ImError} BAD_REQUEST with what is wrong and where, and never with a secret
 */
export function parseHooks(text: string, secrets: ReadonlyMap<string, string>): HookSettings {
  const { hooks = [], before = [] } = readFile(text);
  const names = [...hooks, ...before].map(({ name }) => name);
  for (const [at, name] of names.entries())
    if (names.indexOf(name) !== at) throw bad(`two hooks have the name ${name}`);
  const common = (hook: (typeof hooks)[number] | (typeof before)[number]) => ({
    ...{ name: hook.name, url: urlOf(hook), secret: secretOf(hook, secrets), tenant: hook.tenant ?? "" },
    contentTypes: new Set(hook.contentTypes),
  });
  return {
    hooks: hooks.map((hook): Hook => {
      const { content = false, timeoutMs = 5000, batchEvents = 50, tries = 15, verdicts = false } = hook;
      if (verdicts && !hook.events.includes("message.after"))
        throw bad(`hook ${hook.name} gives verdicts on messages: add message.after to its events`);
      return { ...common(hook), events: new Set(hook.events), content, timeoutMs, batchEvents, tries, verdicts };
    }),
    before: before.map((hook): BeforeHook => {
      const { strangersOnly = false, budgetMs = 300, onFailure, concurrency = 64 } = hook;
      return { ...common(hook), strangersOnly, budgetMs, onFailure, concurrency };
    }),
  };
}

/** Paths of the secrets that the file names. @throws {ImError} as {@link parseHooks} does */
export function secretFilesOf(text: string): string[] {
  const { hooks = [], before = [] } = readFile(text);
  return [
    ...new Set([...hooks, ...before].flatMap(({ secretFile }) => (secretFile === undefined ? [] : [secretFile]))),
  ];
}

function readFile(text: string): HookFile {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw bad("it is not JSON");
  }
  if (fits(FILE, value)) return value;
  const [fault] = faultsOf(FILE, value);
  throw bad(`${fault?.path || "it"} ${fault?.message}`);
}

function urlOf({ name, url }: { name: string; url: string }): string {
  if (!URL.canParse(url)) throw bad(`the url of ${name} is none: write it like https://shop.example/im`);
  const { username, password, hash } = new URL(url);
  if (username !== "" || password !== "" || hash !== "")
    throw bad(`the url of ${name} has a user, a password or a fragment: leave it out, calls are signed`);
  return url;
}

interface Secretive {
  readonly name: string;
  readonly secret?: string;
  readonly secretFile?: string;
}

function secretOf({ name, secret: own, secretFile }: Secretive, secrets: ReadonlyMap<string, string>): string {
  if ((own === undefined) === (secretFile === undefined))
    throw bad(`${name} needs either a secret or a secretFile: calls are signed with it`);
  const secret = own ?? secrets.get(secretFile ?? "")?.trim();
  if (secret === undefined) throw bad(`the secret of ${name} is not there: put it into ${secretFile}`);
  if (secret.length < MIN_SECRET_CHARS)
    throw bad(`the secret of ${name} is too short: ${MIN_SECRET_CHARS} characters at least`);
  return secret;
}

function bad(problem: string): ImError {
  return new ImError(ErrorCode.BAD_REQUEST, `the file of hooks (IM_HOOKS_FILE): ${problem}`);
}
