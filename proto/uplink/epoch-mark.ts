// SPDX-License-Identifier: Apache-2.0

/**
 * A number from 1 to 2^31 - 1 for an inbox epoch: FNV-1a over the UTF-16 units of its text. It travels where the text
 * would be too much, per session and per delivery; 0 stands for an epoch that is not known. Two epochs of one
 * database share a mark in one of two billion cases.
 */
export function epochMark(epoch: string): number {
  let sum = 0x811c9dc5;
  for (let at = 0; at < epoch.length; at++) sum = Math.imul(sum ^ epoch.charCodeAt(at), 0x01000193);
  return sum >>> 1 || 1;
}

/** May a position of the epoch `one` be given to a session of the epoch `other`? What is not known is believed. */
export function isSameEpoch(one: number, other: number): boolean {
  return one === other || one === 0 || other === 0;
}
