// SPDX-License-Identifier: Apache-2.0

/** A key of a Secret. */
export const ref = { name: "db", key: "url" };
