// SPDX-License-Identifier: Apache-2.0

/** Says that an earlier message was changed. */
export const CHANGE_TYPE = "im/change";
/** What is left of a message that was recalled. */
export const RECALLED_TYPE = "im/recalled";
export const CARD_TYPE = "im/card";
