// SPDX-License-Identifier: Apache-2.0
import { element, type Labels } from "./dom.ts";

const MAX_NAME = 128;

/** Where a group is made: its name, and who is in it. */
export function groupForm(
  peer: string,
  labels: Labels,
  onSubmit: (name: string, userIds: readonly string[]) => void,
): HTMLElement {
  const name = element("input", "input");
  name.maxLength = MAX_NAME;
  name.required = true;
  const members = element("input", "input");
  members.value = peer;
  members.required = true;
  for (const [input, key] of [
    [name, "groupName"],
    [members, "groupMembers"],
  ] as const) {
    labels.set(input, key, {}, "aria-label");
    labels.set(input, key, {}, "placeholder");
  }
  const button = labels.set(element("button", "button primary"), "groupMake");
  button.type = "submit";
  const form = element("form", "group-form", name, members, button);
  const root = element("details", "new-group", labels.set(element("summary"), "groupNew"), form);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const userIds = members.value.split(/[\s,，、]+/).filter((id) => id !== "");
    root.open = false;
    onSubmit(name.value.trim(), userIds);
    name.value = "";
  });
  return root;
}
