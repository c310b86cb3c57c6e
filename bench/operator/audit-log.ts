// SPDX-License-Identifier: Apache-2.0

/** What is read of a line of the API server's audit log. */
interface AuditLine {
  auditID: string;
  stage: string;
  verb: string;
  stageTimestamp: string;
  requestReceivedTimestamp: string;
  objectRef?: { resource?: string; subresource?: string };
  responseStatus?: { code?: number };
}

/** One request as the API server saw it. Times by the wall clock. */
export interface AuditedRequest {
  verb: string;
  /** `pods`, `imclusters/status`. */
  resource: string;
  receivedMs: number;
  /** Undefined while the answer goes on. */
  endedMs: number | undefined;
  /** HTTP status; 0 when the answer had not begun. */
  code: number;
}

const WRITES: ReadonlySet<string> = new Set(["create", "update", "patch", "delete", "deletecollection"]);

/** Requests by the lines about them, in the order in which they came. @throws SyntaxError on a line in the middle that is no JSON */
export function auditedRequests(text: string): AuditedRequest[] {
  const requests = new Map<string, AuditedRequest>();
  // The last line may be half written.
  for (const line of text.split("\n").slice(0, -1)) {
    const { auditID, stage, verb, stageTimestamp, requestReceivedTimestamp, ...more } = JSON.parse(line) as AuditLine;
    const { resource = "", subresource } = more.objectRef ?? {};
    const known = requests.get(auditID) ?? {
      verb,
      resource: subresource ? `${resource}/${subresource}` : resource,
      receivedMs: Date.parse(requestReceivedTimestamp),
      endedMs: undefined,
      code: 0,
    };
    known.code = more.responseStatus?.code ?? known.code;
    if (stage === "ResponseComplete" || stage === "Panic") known.endedMs = Date.parse(stageTimestamp);
    requests.set(auditID, known);
  }
  return [...requests.values()];
}

export interface Span {
  fromMs: number;
  toMs: number;
}

/** Writes that were received within the span, refused ones too, by `<verb> <resource>`. */
export function writesWithin(requests: readonly AuditedRequest[], span: Span): Record<string, number> {
  return countWithin(requests, span, ({ verb }) => WRITES.has(verb));
}

/** Everything else that was received within it and is no watch. */
export function readsWithin(requests: readonly AuditedRequest[], span: Span): Record<string, number> {
  return countWithin(requests, span, ({ verb }) => !WRITES.has(verb) && verb !== "watch");
}

function countWithin(
  requests: readonly AuditedRequest[],
  { fromMs, toMs }: Span,
  isCounted: (request: AuditedRequest) => boolean,
): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const request of requests) {
    if (request.receivedMs < fromMs || request.receivedMs >= toMs || !isCounted(request)) continue;
    const name = `${request.verb} ${request.resource}`;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

/** By kind: the most watches that were open at the same time within the span. */
export function watchesWithin(requests: readonly AuditedRequest[], span: Span): Record<string, number> {
  const steps: { atMs: number; resource: string; by: number }[] = [];
  for (const { verb, resource, receivedMs, endedMs = Number.POSITIVE_INFINITY } of requests) {
    if (verb !== "watch" || receivedMs >= span.toMs || endedMs < span.fromMs) continue;
    steps.push({ atMs: receivedMs, resource, by: 1 }, { atMs: endedMs, resource, by: -1 });
  }
  // One that ends when the next begins is not open beside it.
  steps.sort((a, b) => a.atMs - b.atMs || a.by - b.by);
  const open: Record<string, number> = {};
  const most: Record<string, number> = {};
  for (const { atMs, resource, by } of steps) {
    if (atMs >= span.toMs) break;
    open[resource] = (open[resource] ?? 0) + by;
    most[resource] = Math.max(most[resource] ?? 0, open[resource] ?? 0);
  }
  return most;
}

export function sumOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
