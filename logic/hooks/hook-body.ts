// SPDX-License-Identifier: Apache-2.0
import { subjectFields } from "../send/subject.ts";
import { writeContent } from "../server-api/content.ts";
import type { HookEvent, HookMessage } from "../store/hooks.ts";
import { externalId } from "../tenant/tenant-ids.ts";
import type { Hook } from "./hook-settings.ts";

/** So many bytes of JSON in one call; the first event goes whatever its size. */
export const MAX_BODY_BYTES: number = 512 * 1024;

/** One call: events in the order of the log, and how far it brings the hook. */
export interface HookCall {
  /** Events, as they are told. */
  readonly events: readonly HookEvent[];
  readonly body: string;
  /** Of the last event that it covers, told or passed over. */
  readonly position: number;
}

/** What an event is for the backend; undefined: it is not for this hook. */
function shown(hook: Hook, event: HookEvent): object | undefined {
  if (!hook.events.has(event.kind)) return undefined;
  if (event.onlyHook !== undefined && event.onlyHook !== hook.name) return undefined;
  const data = event.message ? shownMessage(hook, event, event.message) : shownFact(hook, event);
  if (!data) return undefined;
  const { id, kind, position, storedMs } = event;
  return { id, type: kind, position, atMs: storedMs, data };
}

function shownMessage(hook: Hook, { id }: HookEvent, message: HookMessage): object | undefined {
  const { conversationId, convSeq, sentAtMs, stored } = message;
  const place = { messageId: id, conversationId, conversationSeq: convSeq, sentAtMs };
  // Whose it was is not known any more: only the default tenant may hear that something was there.
  if (!stored) return hook.tenant === "" && hook.contentTypes.size === 0 ? { ...place, gone: true } : undefined;
  const { clientMessageId, contentType, content } = stored;
  const sender = externalId(hook.tenant, stored.sender);
  if (sender === undefined) return undefined;
  if (hook.contentTypes.size > 0 && !hook.contentTypes.has(contentType)) return undefined;
  const peer = stored.users.find((user) => user !== stored.sender);
  const to = peer === undefined ? undefined : externalId(hook.tenant, peer);
  return {
    ...{ ...place, sender, ...(to === undefined ? {} : { to }), clientMessageId, ...subjectFields(stored.subject) },
    contentType: contentType || "text/plain",
    ...(hook.content ? writeContent(content) : {}),
  };
}

/** Facts are kept as they are told, but for ids of users. */
function shownFact(hook: Hook, { key, body }: HookEvent): object | undefined {
  const userId = externalId(hook.tenant, key);
  return userId === undefined ? undefined : { userId, ...(JSON.parse(body) as object) };
}

/** Takes as many events as go into one call; undefined body: none of them is for this hook. */
export function callOf(hook: Hook, events: readonly HookEvent[], maxEvents: number): HookCall | undefined {
  const taken: HookEvent[] = [];
  const parts: string[] = [];
  let bytes = 0;
  let position = 0;
  for (const event of events) {
    const told = shown(hook, event);
    if (told) {
      const part = JSON.stringify(told);
      bytes += Buffer.byteLength(part) + 1;
      if (taken.length === maxEvents || (taken.length > 0 && bytes > MAX_BODY_BYTES)) break;
      taken.push(event);
      parts.push(part);
    }
    position = event.position;
  }
  if (position === 0) return undefined;
  const head = JSON.stringify({ hook: hook.name, tenant: hook.tenant });
  return { events: taken, body: `${head.slice(0, -1)},"events":[${parts.join(",")}]}`, position };
}
