// SPDX-License-Identifier: Apache-2.0

/** What the API server asks, as far as it is needed. */
export interface EvictionRequest {
  /** Of the question. */
  uid: string;
  namespace: string;
  pod: string;
  /** Nothing may be written for it. */
  isDryRun: boolean;
}

/** Seconds after which drain tools ask again. */
const RETRY_SECONDS = 5;

const text = (value: unknown): string => (typeof value === "string" ? value : "");

/** `undefined` for anything that is no AdmissionReview of an eviction. */
export function parseReview(body: string): EvictionRequest | undefined {
  let review: unknown;
  try {
    review = JSON.parse(body);
  } catch {
    return undefined;
  }
  const { kind, request } = (review ?? {}) as { kind?: unknown; request?: Record<string, unknown> | null };
  if (kind !== "AdmissionReview" || typeof request !== "object" || request === null) return undefined;
  const { uid, namespace, name, subResource, dryRun } = request;
  if (subResource !== "eviction" || text(uid) === "" || text(namespace) === "" || text(name) === "") return undefined;
  const isDryRun = dryRun === true || isDryEviction(request.object);
  return { uid: text(uid), namespace: text(namespace), pod: text(name), isDryRun };
}

/** An Eviction may say so itself, in the options of the deletion that it leads to; the API server does not repeat it. */
function isDryEviction(eviction: unknown): boolean {
  const { deleteOptions } = (eviction ?? {}) as { deleteOptions?: { dryRun?: unknown } | null };
  return Array.isArray(deleteOptions?.dryRun) && deleteOptions.dryRun.length > 0;
}

/** @param refusal why not; `undefined` allows. 429 is the one code on which drain tools try again */
export function reviewReply(uid: string, refusal: string | undefined): object {
  const status = {
    ...{ code: 429, reason: "TooManyRequests", message: refusal },
    details: { retryAfterSeconds: RETRY_SECONDS },
  };
  return {
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    response: refusal === undefined ? { uid, allowed: true } : { uid, allowed: false, status },
  };
}
