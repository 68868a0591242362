import { DOCUMENT_BYTES_MAX, encodeInstance, type Instance, isStackError } from "@smartstack/core";

/** The longest that the keys known at runtime only can be. */
const RUNTIME_KEYS = {
  name: "n".repeat(255),
  node: "n".repeat(64),
  boot: "b".repeat(32),
  state: "maintenance",
  since: Number.MAX_SAFE_INTEGER,
} as const;

/** Why no registry would take a document, said where the reason can be shown. Pure. */
export function sizeProblem(instance: Instance): string | undefined {
  try {
    encodeInstance({ ...RUNTIME_KEYS, ...instance });
    return undefined;
  } catch (error) {
    if (!isStackError(error) || error.code !== "DOCUMENT_INVALID") throw error;
    return `its document would have more than ${DOCUMENT_BYTES_MAX} bytes: give it fewer or shorter labels`;
  }
}
