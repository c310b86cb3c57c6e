// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { KubeError } from "../../../operator/kube/kube-error.ts";

/** What the API server says to something that it does not accept. */
export async function refusal(action: Promise<unknown>): Promise<string> {
  try {
    await action;
  } catch (error) {
    assert.ok(error instanceof KubeError, String(error));
    assert.ok(error.status === 422 || error.status === 400, error.message);
    return error.message;
  }
  return assert.fail("the API server accepted it");
}
