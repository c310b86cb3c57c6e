// SPDX-License-Identifier: Apache-2.0

/** What the API server asks, as far as it is needed. Content of objects is unchecked. */
export interface Review {
  /** Of the question. */
  uid: string;
  namespace: string;
  name: string;
  /** Empty: the object itself. */
  subResource: string;
  /** Nothing may be written for it. */
  isDryRun: boolean;
  object: unknown;
  /** Before an update. */
  oldObject: unknown;
}

/** What is answered. Nothing of both: it is allowed without a word. */
export interface Verdict {
  /** Why not now; tools try again. */
  refusal?: string | undefined;
  /** What whoever asks is told besides, a line each. */
  warnings?: readonly string[];
}

/** Seconds after which drain tools ask again. */
const RETRY_SECONDS = 5;

const text = (value: unknown): string => (typeof value === "string" ? value : "");

/** `undefined` for anything that is no AdmissionReview of a namespaced object. */
export function parseReview(body: string): Review | undefined {
  let review: unknown;
  try {
    review = JSON.parse(body);
  } catch {
    return undefined;
  }
  const { kind, request } = (review ?? {}) as { kind?: unknown; request?: Record<string, unknown> | null };
  if (kind !== "AdmissionReview" || typeof request !== "object" || request === null) return undefined;
  const { uid, namespace, name, subResource, dryRun, object, oldObject } = request;
  if (text(uid) === "" || text(namespace) === "" || text(name) === "") return undefined;
  const names = { uid: text(uid), namespace: text(namespace), name: text(name), subResource: text(subResource) };
  return { ...names, isDryRun: dryRun === true, object, oldObject };
}

/** 429 is the one code on which drain tools try again. */
export function reviewReply(uid: string, { refusal, warnings = [] }: Verdict): object {
  const status = {
    ...{ code: 429, reason: "TooManyRequests", message: refusal },
    details: { retryAfterSeconds: RETRY_SECONDS },
  };
  return {
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    response: {
      ...(refusal === undefined ? { uid, allowed: true } : { uid, allowed: false, status }),
      ...(warnings.length > 0 ? { warnings } : {}),
    },
  };
}
